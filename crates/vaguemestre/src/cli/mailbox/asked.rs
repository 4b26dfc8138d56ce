//! A mailbox that is asked for, on the command line or by a line of a file.

use super::super::client::{Client, Refused};
use super::super::quantity::octets;
use super::make;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use mail_types::{MailboxKind, Secret};
use serde_json::{Map, Value, json};
use store::NewMailbox;

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Asked {
    /// Its address.
    pub(super) address: String,
    /// personal, organizational, applicative or cabinet.
    #[arg(long)]
    pub(super) kind: MailboxKind,
    /// Login of the holder, or of the first administrator of an organizational mailbox. A personal mailbox without one gets a user of its own.
    #[arg(long)]
    pub(super) owner: Option<String>,
    /// Octets, or with a suffix: 500M, 2G.
    #[arg(long, value_parser = octets)]
    pub(super) quota: Option<u64>,
    #[command(flatten)]
    pub(super) identity: Identity,
    /// Who may open it beside its holder, `LOGIN=ROLE` or `RPPS=ROLE`; as often as there are persons.
    #[arg(long, value_name = "USER=ROLE", value_parser = delegate)]
    pub(super) delegate: Vec<Value>,
    /// Leave it out of the directory (liste rouge).
    #[arg(long)]
    pub(super) hide: bool,
    /// Ask for it only: somebody validates and creates it.
    #[arg(long)]
    pub(super) request: bool,
    /// Make it without opening it.
    #[arg(long, conflicts_with = "request")]
    pub(super) pending: bool,
}

/// What a kind requires to be known of holder, structure and application. On the local store, and there alone, a mailbox can be made without.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct Identity {
    /// RPPS number of the holder.
    #[arg(long, help_heading = "Identification")]
    pub(super) rpps: Option<String>,
    /// ADELI number of the holder.
    #[arg(long, help_heading = "Identification")]
    pub(super) adeli: Option<String>,
    /// First name of the holder.
    #[arg(long, help_heading = "Identification")]
    pub(super) first_name: Option<String>,
    /// Last name of the holder.
    #[arg(long, help_heading = "Identification")]
    pub(super) last_name: Option<String>,
    /// Profession of the holder.
    #[arg(long, help_heading = "Identification")]
    pub(super) profession: Option<String>,
    /// Specialty of the holder.
    #[arg(long, help_heading = "Identification")]
    pub(super) specialty: Option<String>,
    /// FINESS number of the structure.
    #[arg(long, help_heading = "Identification")]
    pub(super) finess: Option<String>,
    /// SIRET number of the structure.
    #[arg(long, help_heading = "Identification")]
    pub(super) siret: Option<String>,
    /// Name of the structure.
    #[arg(long, help_heading = "Identification")]
    pub(super) organization: Option<String>,
    /// Department of the structure.
    #[arg(long, help_heading = "Identification")]
    pub(super) department: Option<String>,
    /// Name of the application.
    #[arg(long, help_heading = "Identification")]
    pub(super) application: Option<String>,
    /// What the mailbox is for.
    #[arg(long, help_heading = "Identification")]
    pub(super) description: Option<String>,
}

/// `claire.martin=write`, as the API has it.
fn delegate(text: &str) -> Result<Value, String> {
    let (user, role) = text.rsplit_once('=').ok_or_else(|| format!("`{text}` is not USER=ROLE"))?;
    let is_rpps = user.len() == 11 && user.bytes().all(|octet| octet.is_ascii_digit());
    Ok(json!({if is_rpps { "rpps" } else { "login" }: user, "role": role}))
}

/// The members that there are.
fn members(members: &[(&str, &Option<String>)]) -> Option<Value> {
    let members: Map<String, Value> = members
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), Value::from(value.as_deref()?))))
        .collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

impl Asked {
    /// Whether more is said than what a mailbox of the local store needs.
    fn is_identified(&self) -> bool {
        let body = self.body();
        let more = ["organization", "application", "description"];
        let has_owner = body["owner"].as_object().is_some_and(|owner| owner.keys().any(|key| key != "login"));
        let has_step = self.hide || self.request || self.pending || !self.delegate.is_empty();
        has_owner || has_step || more.iter().any(|member| !body[*member].is_null())
    }

    /// As the API takes it.
    fn body(&self) -> Value {
        let identity = &self.identity;
        let is_applicative = self.kind == MailboxKind::Applicative;
        let owner = members(&[
            ("login", &self.owner),
            ("rpps", &identity.rpps),
            ("adeli", &identity.adeli),
            ("firstName", &identity.first_name),
            ("lastName", &identity.last_name),
            ("profession", &identity.profession),
            ("specialty", &identity.specialty),
        ]);
        let organization = members(&[
            ("finess", &identity.finess),
            ("siret", &identity.siret),
            ("name", &identity.organization),
            ("department", &identity.department),
        ])
        .filter(|_| !is_applicative);
        let application = members(&[
            ("name", &identity.application),
            ("finess", &identity.finess),
            ("description", &identity.description),
        ])
        .filter(|_| is_applicative);
        let description = identity.description.clone().filter(|_| !is_applicative);
        let more = [
            ("owner", owner),
            ("organization", organization),
            ("application", application),
            ("description", description.map(Value::from)),
            ("quotaBytes", self.quota.map(Value::from)),
            ("hideFromDirectory", self.hide.then_some(true.into())),
            ("delegatedUsers", (!self.delegate.is_empty()).then(|| Value::Array(self.delegate.clone()))),
            ("workflow", self.request.then(|| "requested".into())),
            ("status", self.pending.then(|| "pending".into())),
        ];
        let mut body = json!({"type": self.kind.as_str(), "email": self.address});
        for (name, value) in more.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            body[name] = value;
        }
        body
    }

    /// Makes it, unless it stands there as it is asked for. The mailbox, and whether it is new.
    pub(super) async fn make(
        &self,
        client: &Client,
        password: Option<Secret<String>>,
    ) -> Result<(Value, bool)> {
        let is_new = match client.store() {
            Some(_) if !self.is_identified() => self.make_here(client, password.as_ref()).await?,
            _ => {
                let is_new = self.ask(client).await?;
                if let Some(password) = &password {
                    self.set_password(client, password).await?;
                }
                is_new
            }
        };
        let mailbox = client.get(&["mailboxes", &self.address]).await?;
        let quota = mailbox["quota"]["bytes"].as_u64();
        if !is_new && self.quota.is_some() && self.quota != quota {
            bail!(
                "{} is there already, with a quota of {} octets; `mailbox set-quota` changes it",
                self.address,
                quota.unwrap_or(0)
            );
        }
        Ok((mailbox, is_new))
    }

    /// On the local store, with nothing known but holder and quota.
    async fn make_here(&self, client: &Client, password: Option<&Secret<String>>) -> Result<bool> {
        let (config, store) = client.store().context("the local store")?;
        let new = NewMailbox {
            address: self.address.parse().context("ADDRESS")?,
            kind: self.kind,
            owner: self.owner.clone(),
            quota_bytes: self.quota.unwrap_or(config.limits.quota_default_bytes),
        };
        let password = password.map(|password| Secret::new(password.expose().clone()));
        make(store, new, password).await.map(|(_, is_new)| is_new)
    }

    async fn ask(&self, client: &Client) -> Result<bool> {
        let Err(refused) = client.post(&["mailboxes"], &self.body()).await else { return Ok(true) };
        if !Refused::of(&refused).is_some_and(Refused::is_conflict) {
            return Err(refused);
        }
        // An address that was another's, or a request that is not this one.
        let Ok(there) = client.get(&["mailboxes", &self.address]).await else { return Err(refused) };
        let is_same = there["type"] == self.kind.as_str()
            && there["status"] != "deleted"
            && self.owner.as_ref().is_none_or(|owner| there["owner"]["login"] == owner.as_str());
        if is_same { Ok(false) } else { Err(refused) }
    }

    /// Sets the password of whoever opens it, which the local store alone takes.
    async fn set_password(&self, client: &Client, password: &Secret<String>) -> Result<()> {
        let (_, store) = client.store().context("a server makes passwords itself: `password create`")?;
        let mailbox = client.get(&["mailboxes", &self.address]).await?;
        let login = mailbox["owner"]["login"].as_str();
        let login = login.with_context(|| format!("{} has nobody to give a password to", self.address))?;
        let user = store.user(login).await?.ok_or_else(|| anyhow!("there is no user {login}"))?;
        let hash = auth::hash_password(password).with_context(|| self.address.clone())?;
        store.set_application_password(user.actor, super::super::PASSWORD_LABEL, &hash).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn asked(arguments: &[&str]) -> Asked {
        let command = Asked::augment_args(clap::Command::new("create").no_binary_name(true));
        Asked::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
    }

    #[test]
    fn each_kind_is_asked_for_with_its_identification() {
        let service = asked(&[
            "cardio@a.example",
            "--kind",
            "organizational",
            "--finess",
            "010001238",
            "--organization",
            "Cardiologie",
            "--delegate",
            "claire=admin",
            "--delegate",
            "10001234565=read",
            "--quota",
            "2G",
        ]);
        assert!(service.is_identified());
        assert_eq!(
            service.body(),
            json!({"type": "organizational", "email": "cardio@a.example", "quotaBytes": 2_u64 << 30,
                "organization": {"finess": "010001238", "name": "Cardiologie"},
                "delegatedUsers": [{"login": "claire", "role": "admin"}, {"rpps": "10001234565", "role": "read"}]})
        );
        let robot = asked(&[
            "robot@a.example",
            "--kind",
            "applicative",
            "--finess",
            "010001238",
            "--application",
            "DPI",
        ]);
        assert_eq!(robot.body()["application"], json!({"finess": "010001238", "name": "DPI"}));
        assert!(robot.body()["organization"].is_null());
        assert!(
            !asked(&["a@a.example", "--kind", "personal", "--owner", "anne", "--quota", "1G"])
                .is_identified()
        );
    }
}

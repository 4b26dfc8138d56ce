//! Mailboxes, passwords, application certificates and letters of one operator of the demo; what is there already stays.

use super::letters;
use super::network::{Network, Site};
use crate::cli::application::{by_serial, enter};
use crate::cli::init::replace;
use crate::cli::mailbox::make;
use crate::operator::store_options;
use anyhow::{Context, Result, anyhow};
use intake::Spool;
use mail_types::{Address, KeyCheck, MailboxKind, Role, Rpps, Secret};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use store::{
    Append, MailboxChange, NewMailbox, NewMessage, Organization, PersonChange, PersonKey, Store, hash_token,
};

const QUOTA: u64 = 1024 * 1024 * 1024;
/// No letters that are mistaken for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What a description tells of one operator's mailboxes.
pub(super) struct Furnished {
    pub(super) admin_token: String,
    pub(super) mailboxes: Vec<FurnishedMailbox>,
    pub(super) applications: Vec<FurnishedApplication>,
}

pub(super) struct FurnishedApplication {
    pub(super) name: String,
    /// Addresses of the mailboxes that it opens.
    pub(super) mailboxes: Vec<String>,
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

pub(super) struct FurnishedMailbox {
    pub(super) address: String,
    pub(super) kind: MailboxKind,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

pub(super) async fn furnish(network: &Network, site: &Site) -> Result<Furnished> {
    let dir = network.site_dir(site);
    let options = store_options(&network.configuration(site)?)?;
    Store::create(&options).await?;
    let store = Store::open(&options).await?;
    let mut secrets = Secrets::open(&dir.join("secrets.json"))?;
    store.add_domain(site.domain.parse()?).await?;
    let mut furnished =
        Furnished { admin_token: secrets.of("admin token"), mailboxes: Vec::new(), applications: Vec::new() };
    let key = hash_token(&furnished.admin_token);
    if store.api_key(&key, store.now()).await?.is_none() {
        store.set_api_key("demo", key, mail_types::AdminRole::Operator).await?;
    }
    for (index, (name, kind, owner)) in site.mailboxes.iter().enumerate() {
        let address = format!("{name}@{}", site.domain);
        let mailbox = one(&store, &mut secrets, &address, *kind, *owner).await?;
        let is_new = mailbox.1;
        if is_new {
            identify(&store, site, &address, index).await?;
            deliver_letters(&store, &address, index, site).await?;
        }
        furnished.mailboxes.push(mailbox.0);
    }
    for (name, mailboxes) in site.applications {
        furnished.applications.push(application(network, site, name, mailboxes, &store).await?);
    }
    store.close().await;
    Ok(furnished)
}

/// Makes a mailbox, with a password for the person who opens it. Whether it is new.
async fn one(
    store: &Store,
    secrets: &mut Secrets,
    address: &str,
    kind: MailboxKind,
    owner: Option<&str>,
) -> Result<(FurnishedMailbox, bool)> {
    if let Some(owner) = owner {
        store.create_user(owner, "", None).await?;
    }
    let username = match (kind, owner) {
        (MailboxKind::Applicative, _) => None,
        (MailboxKind::Organizational, Some(owner)) => Some(owner.to_owned()),
        _ => Some(address.to_owned()),
    };
    let new =
        NewMailbox { address: address.parse()?, kind, owner: owner.map(str::to_owned), quota_bytes: QUOTA };
    let known = store.mailbox(&new.address).await?.is_some();
    let password = username.as_ref().map(|_| secrets.of(address));
    let (_, is_new) = make(store, new, password.clone().filter(|_| !known).map(Secret::new)).await?;
    Ok((FurnishedMailbox { address: address.to_owned(), kind, username, password }, is_new))
}

/// Says who holds a new mailbox and to which structure it belongs. Names and numbers are made up; their keys are right.
async fn identify(store: &Store, site: &Site, address: &str, index: usize) -> Result<()> {
    let parsed: Address = address.parse()?;
    let row = store.mailbox(&parsed).await?.context("a mailbox that was just made")?;
    let domain = Some(Some(row.domain));
    let logins: Vec<String> = match row.owner {
        Some(login) => vec![login],
        None => store.delegates(row.id, 1).await?.into_iter().map(|delegate| delegate.login).collect(),
    };
    for login in logins {
        let person =
            store.person(&PersonKey::Login(login)).await?.context("a person who was just entered")?;
        let (first_name, last_name) = names(&person.login);
        let rpps = Some(Some(rpps(site, index)?));
        let change = PersonChange {
            first_name: Some(first_name),
            last_name: Some(last_name),
            rpps,
            domain,
            ..PersonChange::default()
        };
        store
            .change_person(person.id, None, change)
            .await?
            .map_err(|refusal| anyhow!("{address}: {refusal}"))?;
    }
    let change = MailboxChange {
        organization: Some(Organization {
            // After the `1` that says what the number is.
            finess: Some(site.unit[1..].to_owned()),
            name: site.organization.to_owned(),
            ..Organization::default()
        }),
        application_name: (row.kind == MailboxKind::Applicative).then(|| parsed.local_part().to_owned()),
        description: (row.kind == MailboxKind::Cabinet).then(|| "Cabinet de la démonstration".to_owned()),
        ..MailboxChange::default()
    };
    store.change_mailbox(row.id, None, change).await?.map_err(|refusal| anyhow!("{address}: {refusal}"))
}

/// First and last name of `claire.martin` or `claire.martin@…`.
fn names(login: &str) -> (String, String) {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    let local = login.split('@').next().unwrap_or_default();
    let (first, last) = local.split_once('.').unwrap_or(("", local));
    (capital(first), capital(last))
}

/// An RPPS number of nobody: 99, the end of the structure's number, the place in the demo, its key.
fn rpps(site: &Site, index: usize) -> Result<Rpps> {
    let mut keyed = (0..10).map(|key| format!("99{}{index:04}{key}", &site.unit[6..]));
    keyed.find_map(|text| Rpps::parse(&text, KeyCheck::Strict).ok()).context("one of ten keys is right")
}

/// Makes an application with its certificate and what it opens.
async fn application(
    network: &Network,
    site: &Site,
    name: &str,
    mailboxes: &[&str],
    store: &Store,
) -> Result<FurnishedApplication> {
    let addresses: Vec<String> = mailboxes.iter().map(|name| format!("{name}@{}", site.domain)).collect();
    let first = addresses.first().context("an application opens a mailbox")?;
    let (cert_file, key_file) = application_certificate(network, site, name, first, store)?;
    let (actor, _) = store.create_application(name).await?.map_err(|refusal| anyhow!("{name}: {refusal}"))?;
    let rules = store.certificate_rules(actor, store.now()).await?;
    let facts = pki::certificate_facts(&std::fs::read(&cert_file)?)?;
    let criteria = by_serial(&facts)?;
    if rules.iter().all(|rule| rule.criteria != criteria) {
        enter(store, actor, facts, &criteria, None).await?;
    }
    let granted = store.application_grants(actor).await?;
    for address in &addresses {
        if granted.iter().any(|grant| grant.address == *address) {
            continue;
        }
        let row = store.mailbox(&address.parse()?).await?.context("a mailbox of the demo")?;
        store.grant(row.id, actor, Role::Administrator).await?;
    }
    Ok(FurnishedApplication { name: name.to_owned(), mailboxes: addresses, cert_file, key_file })
}

fn application_certificate(
    network: &Network,
    site: &Site,
    name: &str,
    address: &str,
    store: &Store,
) -> Result<(PathBuf, PathBuf)> {
    let dir = network.site_dir(site).join("applications");
    let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    if !cert.exists() {
        let issued = network.issue_application(site, name, address, store.now())?;
        replace(&key, 0o600, issued.key_pem.expose().as_bytes())?;
        replace(&cert, 0o644, issued.chain_pem.as_bytes())?;
    }
    Ok((cert, key))
}

/// A few letters in a new mailbox.
async fn deliver_letters(store: &Store, address: &str, index: usize, site: &Site) -> Result<()> {
    let parsed: Address = address.parse()?;
    let row = store.recipient(&parsed).await?.context("a mailbox that was just made")?;
    for letter in letters::of(address, index, site.domain, store.now()) {
        let mut spool = Spool::begin(store, 1024 * 1024)?;
        spool.write(letter.content.as_bytes()).await?;
        let body = spool.finish().await?;
        let key = store.mailbox_key(row.mailbox).await?;
        let message = NewMessage { internal_date: Some(letter.at), ..NewMessage::new(body) };
        store
            .append(Append {
                mailbox: row.mailbox,
                folder: row.inbox,
                key,
                messages: vec![message],
                actor: None,
                replaced: None,
            })
            .await??;
    }
    Ok(())
}

/// Passwords and tokens of the demo, so that a second start knows them again.
struct Secrets {
    file: PathBuf,
    known: BTreeMap<String, String>,
}

impl Secrets {
    fn open(file: &Path) -> Result<Self> {
        let known = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not readable", file.display()))?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { file: file.to_owned(), known })
    }

    /// The secret of that name, made and written down when it is new.
    fn of(&mut self, name: &str) -> String {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let secret = new_secret();
        self.known.insert(name.to_owned(), secret.clone());
        let text = serde_json::to_vec_pretty(&self.known).unwrap_or_default();
        if let Err(error) = replace(&self.file, 0o600, &text) {
            tracing::error!(error = format!("{error:#}"), "the demo's passwords could not be written down");
        }
        secret
    }
}

/// Twenty letters and digits, a hundred random bits.
fn new_secret() -> String {
    random_octets().iter().map(|octet| char::from(ALPHABET[usize::from(octet % 32)])).collect()
}

fn random_octets() -> [u8; 20] {
    let mut octets = [0; 20];
    aws_lc_rs::rand::fill(&mut octets).expect("the system's random source answers");
    octets
}

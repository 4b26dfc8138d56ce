//! What a mailbox looks like on the wire, sent and received.

use crate::instant::Instant;
use crate::json::instant;
use mail_types::{MailboxKind, MailboxStatus, Role, Workflow};
use serde::{Deserialize, Serialize};
use store::{Delegate, MailboxRow, StepRow};
use utoipa::ToSchema;

/// A mailbox (BAL).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mailbox {
    /// Its number.
    #[schema(example = "17")]
    id: String,
    #[serde(rename = "type")]
    kind: MailboxType,
    /// Its address, which never changes.
    #[schema(example = "marie.durand@chu-nord.example")]
    email: String,
    /// The holder, of a personal or cabinet one.
    owner: Option<MailboxOwner>,
    /// The structure that it belongs to; of an applicative one, see `application`.
    organization: Option<MailboxOrganization>,
    /// The application, of an applicative one.
    application: Option<MailboxApplication>,
    /// What it is for; of an applicative one, see `application`.
    description: Option<String>,
    /// How it is opened.
    authentication: Authentication,
    /// Whether the directory leaves it out (liste rouge).
    hide_from_directory: bool,
    /// What the holder asked for and nobody decided yet: to be hidden, or to be shown again.
    hide_requested: Option<bool>,
    /// Persons who may open it beside its holder, the first hundred; absent in lists, and for whoever may not see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    delegated_users: Option<Vec<DelegatedUser>>,
    status: MailboxState,
    workflow: MailboxWorkflow,
    /// The steps of its creation and life, the first hundred; absent in lists, and for whoever may not see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<MailboxStep>>,
    quota: MailboxQuota,
    /// Whether what its delegates send for it is filed among its own sent letters.
    files_sent: bool,
    /// Whether each of its readers has a `\Seen` of their own.
    private_seen: bool,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// Since when it is in its state.
    #[schema(format = DateTime)]
    status_at: String,
    /// Until when it can be restored, if it is deleted.
    #[schema(format = DateTime)]
    restorable_until: Option<String>,
    /// When its content was erased.
    #[schema(format = DateTime)]
    erased_at: Option<String>,
}

/// What a mailbox is (TRE_R257: PER, ORG, APP, CAB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailboxType {
    /// Of one professional.
    Personal,
    /// Of a service or structure.
    Organizational,
    /// Of an application.
    Applicative,
    /// Of a practice.
    Cabinet,
}

/// The life-cycle state of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailboxState {
    /// Not open yet.
    Pending,
    /// In service.
    Active,
    /// Closed for now.
    Suspended,
    /// Deleted; it can be restored until `restorableUntil`.
    Deleted,
}

/// How far the creation of a mailbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailboxWorkflow {
    /// Somebody asked for it.
    Requested,
    /// What was said of it was found to be right.
    Validated,
    /// It has its key and its folders.
    Created,
    /// It was marked for the directory.
    Published,
}

/// How a mailbox is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum Authentication {
    /// By persons.
    ProSanteConnect,
    /// By an application, with its certificate.
    #[serde(rename = "ORG_AUTH_CLI")]
    OrgAuthCli,
}

/// Whoever holds a mailbox.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MailboxOwner {
    /// Number of the person.
    #[schema(example = "3")]
    id: String,
    /// Login name.
    #[schema(example = "marie.durand")]
    login: String,
    /// Number in the Répertoire partagé des professionnels de santé.
    #[schema(example = "10001234565")]
    rpps: Option<String>,
    /// Number in the former departmental lists.
    adeli: Option<String>,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Profession.
    profession: String,
    /// Specialty.
    specialty: String,
}

/// A structure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailboxOrganization {
    /// Number in the Fichier national des établissements sanitaires et sociaux.
    #[schema(example = "010001238")]
    finess: Option<String>,
    /// Number in the Sirene register.
    siret: Option<String>,
    /// Its name.
    #[schema(example = "Service de cardiologie")]
    name: String,
    /// Department or establishment within it.
    department: String,
}

/// An application that a mailbox is of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailboxApplication {
    /// Its name.
    #[schema(example = "DPI")]
    name: String,
    /// Number of the structure that runs it.
    #[schema(example = "010001238")]
    finess: Option<String>,
    /// What it is for.
    description: String,
}

/// Somebody who may open a mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DelegatedUser {
    /// Login name.
    login: String,
    /// Number in the Répertoire partagé des professionnels de santé.
    rpps: Option<String>,
    role: DelegatedUserRole,
}

/// As what somebody opens a mailbox.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DelegatedUserRole {
    /// Reads.
    Read,
    /// Reads, writes, and sends with its address.
    Write,
    /// The same, and changes folders and removes messages.
    Manage,
    /// Everything.
    Admin,
    /// Rights that were chosen one by one.
    Custom,
}

/// A step of a mailbox's creation or life.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailboxStep {
    /// What was done.
    #[schema(example = "validated")]
    step: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Login of the person, or name of the application or key, that did it; null when it was done on the machine itself.
    by: Option<String>,
}

/// What a mailbox may hold, and holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MailboxQuota {
    /// Octets that it may hold.
    bytes: u64,
    /// Whether that is its own quota, and not a default.
    own: bool,
    /// Octets that it holds.
    used_bytes: u64,
    /// Messages that it holds.
    used_messages: u64,
}

/// A mailbox to be made. What it needs depends on `type`: see the description of the operation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewMailbox {
    #[serde(rename = "type")]
    pub(crate) kind: MailboxType,
    /// Its address, in one of our domains. It never changes, and is never given to another holder.
    #[schema(example = "marie.durand@chu-nord.example", min_length = 3, max_length = 254)]
    pub(crate) email: String,
    pub(crate) owner: Option<NewOwner>,
    pub(crate) organization: Option<NewOrganization>,
    pub(crate) application: Option<NewApplication>,
    pub(crate) certificate: Option<NewCertificate>,
    /// What it is for. A cabinet one needs it.
    #[schema(max_length = 500)]
    pub(crate) description: Option<String>,
    /// How it is opened, which follows from `type`.
    pub(crate) authentication: Option<Authentication>,
    /// Whether the directory leaves it out (liste rouge).
    #[serde(default)]
    pub(crate) hide_from_directory: bool,
    /// Persons who may open it beside its holder.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) delegated_users: Vec<NewDelegatedUser>,
    /// Octets that it may hold; without it, the default.
    #[schema(minimum = 1048576, maximum = 1125899906842624i64)]
    pub(crate) quota_bytes: Option<u64>,
    /// `requested` leaves it for somebody to validate and create; otherwise it is made at once.
    pub(crate) workflow: Option<AskedWorkflow>,
    /// `pending` makes it without opening it.
    pub(crate) status: Option<AskedStatus>,
}

/// The certificate (ORG AUTH_CLI) that opens an applicative mailbox. What is given must be what the certificate shows, to the letter of its names.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewCertificate {
    /// Its serial number, in hexadecimal; colons and blanks do not count.
    #[schema(min_length = 1, max_length = 120, example = "1A2B3C4D5E6F")]
    pub(crate) serial: String,
    /// Its issuer (RFC 4514).
    #[schema(min_length = 1, max_length = 1000, example = "CN=AC IGC-SANTE,O=ASIP-SANTE,C=FR")]
    pub(crate) issuer: String,
    /// Its subject (RFC 4514).
    #[schema(min_length = 1, max_length = 1000, example = "CN=app.dpi,O=Hopital Exemple,C=FR")]
    pub(crate) subject: String,
    /// When it expires; it lets nobody in after that.
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-12-31T23:59:59Z")]
    pub(crate) valid_until: Option<Instant>,
}

/// How far a mailbox is made at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskedWorkflow {
    /// Somebody validates it first.
    Requested,
    /// It is made at once.
    Created,
}

/// Whether a mailbox is open once it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskedStatus {
    /// Not yet.
    Pending,
    /// At once.
    Active,
}

/// The holder of a mailbox: somebody known, named by `rpps`, `adeli` or `login`, or somebody new with their names.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewOwner {
    /// Number in the Répertoire partagé des professionnels de santé: eleven digits with their key.
    #[schema(example = "10001234565", max_length = 32)]
    pub(crate) rpps: Option<String>,
    /// Number in the former departmental lists.
    #[schema(max_length = 32)]
    pub(crate) adeli: Option<String>,
    /// Login name. Somebody new without one logs in with the address.
    #[schema(max_length = 254)]
    pub(crate) login: Option<String>,
    /// First name.
    #[schema(example = "Marie", max_length = 100)]
    pub(crate) first_name: Option<String>,
    /// Last name.
    #[schema(example = "Durand", max_length = 100)]
    pub(crate) last_name: Option<String>,
    /// Profession.
    #[schema(example = "Médecin", max_length = 100)]
    pub(crate) profession: Option<String>,
    /// Specialty.
    #[schema(example = "Cardiologie", max_length = 100)]
    pub(crate) specialty: Option<String>,
}

/// The structure that a mailbox belongs to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrganization {
    /// Number in the Fichier national des établissements sanitaires et sociaux: nine characters with their key.
    #[schema(example = "010001238", max_length = 32)]
    pub(crate) finess: Option<String>,
    /// Number in the Sirene register: fourteen digits with their key.
    #[schema(max_length = 32)]
    pub(crate) siret: Option<String>,
    /// Its name.
    #[schema(example = "Service de cardiologie", max_length = 200)]
    pub(crate) name: Option<String>,
    /// Department or establishment within it.
    #[schema(max_length = 200)]
    pub(crate) department: Option<String>,
}

/// The application that a mailbox is of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApplication {
    /// Its name.
    #[schema(example = "DPI", max_length = 200)]
    pub(crate) name: Option<String>,
    /// Number of the structure that runs it.
    #[schema(example = "010001238", max_length = 32)]
    pub(crate) finess: Option<String>,
    /// What it is for.
    #[schema(max_length = 500)]
    pub(crate) description: Option<String>,
}

/// Somebody known who may open the mailbox, named by `rpps` or `login`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDelegatedUser {
    /// Number in the Répertoire partagé des professionnels de santé.
    #[schema(example = "10001234573", max_length = 32)]
    pub(crate) rpps: Option<String>,
    /// Login name.
    #[schema(max_length = 254)]
    pub(crate) login: Option<String>,
    pub(crate) role: NewDelegatedUserRole,
}

/// As what somebody is to open a mailbox. The words `reader`, `editor`, `manager`, `administrator` are understood too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum NewDelegatedUserRole {
    /// Reads.
    #[serde(rename = "read", alias = "reader")]
    Read,
    /// Reads, writes, and sends with its address.
    #[serde(rename = "write", alias = "editor")]
    Write,
    /// The same, and changes folders and removes messages.
    #[serde(rename = "manage", alias = "manager")]
    Manage,
    /// Everything.
    #[serde(rename = "admin", alias = "administrator")]
    Admin,
}

/// What of a mailbox can be changed (RFC 7396: an absent member stays, null removes). `email` and `type` may be sent as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MailboxPatch {
    #[serde(rename = "type")]
    pub(crate) kind: Option<MailboxType>,
    /// Its address.
    #[schema(max_length = 254)]
    pub(crate) email: Option<String>,
    /// The structure that it belongs to; null for none.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<OrganizationChange>)]
    pub(crate) organization: Option<Option<OrganizationChange>>,
    pub(crate) application: Option<ApplicationChange>,
    /// What it is for.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub(crate) description: Option<Option<String>>,
    /// Octets that it may hold; null for the default.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<u64>, minimum = 1048576, maximum = 1125899906842624i64)]
    pub(crate) quota_bytes: Option<Option<u64>>,
    /// Whether what its delegates send for it is filed among its own sent letters; true unless changed.
    pub(crate) files_sent: Option<bool>,
    /// Whether each of its readers has a `\Seen` of their own; true for organizational and cabinet mailboxes unless changed. Nothing that anybody sees
    /// changes when it becomes true; when it becomes false, what anybody has seen is seen by all.
    pub(crate) private_seen: Option<bool>,
}

/// What of a mailbox's structure can be changed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganizationChange {
    /// Number in the Fichier national des établissements sanitaires et sociaux.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, example = "010001238", max_length = 32)]
    pub(crate) finess: Option<Option<String>>,
    /// Number in the Sirene register.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 32)]
    pub(crate) siret: Option<Option<String>>,
    /// Its name.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub(crate) name: Option<Option<String>>,
    /// Department or establishment within it.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub(crate) department: Option<Option<String>>,
}

/// What of a mailbox's application can be changed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationChange {
    /// Its name.
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) name: Option<String>,
    /// Number of the structure that runs it.
    #[schema(example = "010001238", max_length = 32)]
    pub(crate) finess: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub(crate) description: Option<Option<String>>,
}

impl OrganizationChange {
    /// Nothing of it stays.
    pub(crate) const NOTHING: Self =
        Self { finess: Some(None), siret: Some(None), name: Some(None), department: Some(None) };
}

impl Mailbox {
    /// As a list shows it.
    pub(crate) fn listed(row: MailboxRow) -> Self {
        let is_applicative = row.kind == MailboxKind::Applicative;
        let organization = row.organization;
        let is_named = organization != store::Organization::default();
        let application = is_applicative.then(|| MailboxApplication {
            name: row.application_name,
            finess: organization.finess.clone(),
            description: row.description.clone(),
        });
        Self {
            id: row.id.to_string(),
            kind: row.kind.into(),
            email: row.address,
            owner: row.holder.map(|holder| MailboxOwner {
                id: holder.id.to_string(),
                login: holder.login,
                rpps: holder.identity.rpps,
                adeli: holder.identity.adeli,
                first_name: holder.identity.first_name,
                last_name: holder.identity.last_name,
                profession: holder.identity.profession,
                specialty: holder.identity.specialty,
            }),
            organization: (is_named && !is_applicative).then_some(MailboxOrganization {
                finess: organization.finess,
                siret: organization.siret,
                name: organization.name,
                department: organization.department,
            }),
            application,
            description: (!is_applicative && !row.description.is_empty()).then_some(row.description),
            authentication: Authentication::of(row.kind.into()),
            hide_from_directory: row.is_hidden,
            hide_requested: row.hide_requested,
            delegated_users: None,
            status: row.status.into(),
            workflow: row.workflow.into(),
            steps: None,
            quota: MailboxQuota {
                bytes: row.quota_bytes,
                own: row.quota_is_own,
                used_bytes: row.used_bytes,
                used_messages: row.used_messages,
            },
            files_sent: row.files_sent,
            private_seen: row.private_seen,
            created_at: instant(row.created_at),
            status_at: instant(row.status_at),
            restorable_until: row.restorable_until.map(instant),
            erased_at: row.erased_at.map(instant),
        }
    }

    /// With what lists leave out.
    pub(crate) fn whole(row: MailboxRow, delegates: Vec<Delegate>, steps: Vec<StepRow>) -> Self {
        let shown = |step: StepRow| MailboxStep { step: step.step, at: instant(step.at), by: step.by };
        Self {
            delegated_users: Some(delegates.into_iter().map(DelegatedUser::from).collect()),
            steps: Some(steps.into_iter().map(shown).collect()),
            ..Self::listed(row)
        }
    }
}

impl From<Delegate> for DelegatedUser {
    fn from(delegate: Delegate) -> Self {
        let role = match delegate.role {
            Some(Role::Reader) => DelegatedUserRole::Read,
            Some(Role::Editor) => DelegatedUserRole::Write,
            Some(Role::Manager) => DelegatedUserRole::Manage,
            Some(Role::Administrator) => DelegatedUserRole::Admin,
            None => DelegatedUserRole::Custom,
        };
        Self { login: delegate.login, rpps: delegate.rpps, role }
    }
}

impl Authentication {
    /// How a mailbox of that kind is opened.
    pub(crate) fn of(kind: MailboxType) -> Self {
        if kind == MailboxType::Applicative { Self::OrgAuthCli } else { Self::ProSanteConnect }
    }
}

impl From<NewDelegatedUserRole> for Role {
    fn from(role: NewDelegatedUserRole) -> Self {
        match role {
            NewDelegatedUserRole::Read => Self::Reader,
            NewDelegatedUserRole::Write => Self::Editor,
            NewDelegatedUserRole::Manage => Self::Manager,
            NewDelegatedUserRole::Admin => Self::Administrator,
        }
    }
}

/// The same closed list, as the house and as the wire have it.
macro_rules! same_words {
    ($wire:ident = $house:ident: $($name:ident)*) => {
        impl From<$house> for $wire {
            fn from(word: $house) -> Self {
                match word { $($house::$name => Self::$name,)* }
            }
        }

        impl From<$wire> for $house {
            fn from(word: $wire) -> Self {
                match word { $($wire::$name => Self::$name,)* }
            }
        }
    };
}

same_words!(MailboxType = MailboxKind: Personal Organizational Applicative Cabinet);
same_words!(MailboxState = MailboxStatus: Pending Active Suspended Deleted);
same_words!(MailboxWorkflow = Workflow: Requested Validated Created Published);

//! Everything that lasts: mailboxes, folders, messages, sealed bodies, the queue, the audit trail. The only SQL of the house.
//!
//! A [`Store`] is one operator's database (SQLite or PostgreSQL, one query text for both) with its body folder and its key folder.
//! Reads take a pooled connection; every write is a *unit* handed to the [writer](writer), which commits waiting units together and
//! answers each only after the commit is on stable storage. Bodies are [sealed](seal) before they touch a disk.
//!
//! It decides nothing: who may send, read or receive is `policy`'s matter. It knows no protocol, no socket, no certificate.
//!
//! Read first: [`Store`], [`Acceptance`], [`FolderRow`].
#![warn(missing_docs)]

mod accept;
mod accept_many;
mod acl;
mod act;
mod admin_roles;
mod annotations;
mod api_keys;
mod append;
mod applications;
mod audit;
mod bodies;
mod certificate_rules;
mod certificates;
mod clock;
mod concerned;
mod credentials;
mod crossing;
mod delegations;
mod departures;
mod dialect;
mod directory;
mod domains;
mod erasure;
mod error;
mod expunge;
mod extracts;
mod finding;
mod flags;
mod folder_reading;
mod folder_statuses;
mod folders;
mod fsck;
mod generations;
mod grants;
mod holder_folders;
mod holders;
mod idempotency;
mod jobs;
mod judgements;
mod keys;
mod login_traces;
mod logins;
mod mailbox_life;
mod mailbox_requests;
mod mailbox_rows;
mod mailbox_seqs;
mod mailbox_watch;
mod mailboxes;
mod message_change;
mod message_list;
mod messages;
mod node;
mod notices;
mod operators;
mod password_tags;
mod passwords;
mod persons;
mod prune;
mod queue;
mod queue_acts;
mod queue_held;
mod quotas;
mod reach;
mod reclaim;
mod revisions;
mod rows;
pub mod seal;
mod seen_mode;
mod send_for;
mod sqlite;
mod statistics;
mod store;
mod told_changes;
mod transfer;
mod trust_overlay;
mod users;
mod vanished;
pub mod writer;

pub use accept::{Acceptance, Accepted, Appended, LocalDelivery, RemoteDelivery, SentCopy};
pub use acl::{AclChange, AclEntry, AclError};
pub use act::{Act, Via};
pub use admin_roles::{AdminRoleRow, GivenAdminRole};
pub use annotations::{ANNOTATION_MAX, Annotated, AnnotationChange, AnnotationError};
pub use api_keys::{KeyError, KeyRow, KeySecret, KeyTerms};
pub use append::{Append, NewMessage, Replaced};
pub use applications::{ApplicationGrant, ApplicationRow};
pub use audit::{
    AUDIT_FAULTS_MAX, AuditEntry, AuditExport, AuditFault, AuditFilter, AuditKeepDays, AuditKey, AuditPage,
    AuditPlace, AuditRow, AuditSeal, Category, ChainId, Expiry, ExportError, ExportFormat, ExportSignature,
    ExportVerifier, HoldRow, NewHold, Opened, Personal, SealMark, Subject, Verification, hexadecimal,
};
pub use bodies::{BodyReader, BodyWriter, ContentKey, SealedBody};
pub use certificate_rules::{CERTIFICATE_RULES_MAX, CertificateRule};
pub use certificates::{CertificateError, CertificateExpiry, CertificateHolder, CertificateRow};
pub use clock::Clock;
pub use concerned::{Fill, FilledDomain, FilledMailbox};
pub use credentials::{ApiKey, ApplicationPassword, hash_token};
pub use crossing::Crossing;
pub use delegations::{DelegationChange, DelegationError, DelegationRow, Grantee, Terms};
pub use departures::{Adoption, DepartureRow};
pub use directory::DirectoryError;
pub use domains::DomainRow;
pub use error::Error;
pub use extracts::{SearchRow, Searched};
pub use finding::{FoundMailbox, FoundPerson, PersonName};
pub use flags::{FlagAction, FlagChange, FlagStore, FlagsStored, KEYWORDS_MAX};
pub use folder_reading::{FolderChanges, FolderReading, KnownFolder, ViewRow};
pub use folders::{FolderError, FolderRow, FolderStatus, SpecialUse};
pub use fsck::FsckReport;
pub use holder_folders::FolderSummary;
pub use idempotency::{RequestMark, Reservation};
pub use jobs::{JobRow, JobState, JobsSeen};
pub use judgements::{JudgementPlace, JudgementRow};
pub use keys::{BodyKeys, MailboxKey};
pub use login_traces::{LoginRecord, LoginTrace};
pub use logins::{LoginActor, LoginMailbox, RecipientRow};
pub use mailbox_life::{LifeStep, MailboxChange};
pub use mailbox_requests::{CertificateRequest, MailboxRequest, OwnerRequest, Until};
pub use mailbox_rows::{Delegate, Holder, MailboxFilter, MailboxOrder, MailboxRow, Organization, StepRow};
pub use mailbox_seqs::MailboxSeqs;
pub use mailbox_watch::{MailboxMoves, MailboxNews, MailboxWatch};
pub use mailboxes::{MAILBOX_MESSAGES_MAX, NewMailbox};
pub use message_change::{MessageChange, MessageRefusal, Placed};
pub use message_list::{ListedMessage, MessageFilter};
pub use messages::{MessageRow, WithBody};
pub use notices::FolderWatch;
pub use password_tags::HashedPassword;
pub use passwords::{NewPassword, NewPasswordError, PASSWORDS_MAX, PasswordRow, PasswordScope};
pub use persons::{Identity, NewPerson, PersonChange, PersonFilter, PersonKey, PersonRow};
pub use queue::{AttemptOutcome, Claimed, QueueRow, QueueState};
pub use queue_acts::{QueueAct, QueueFilter, QueueOrder, QueueRefusal};
pub use queue_held::{HeldDomain, HeldFor};
pub use quotas::{QuotaRow, QuotaScope};
pub use reach::{GivenMailbox, Reaching};
pub use revisions::{Concern, Revision};
pub use send_for::SendFor;
pub use statistics::{Counter, Counts, day_of};
pub use store::{BodyOptions, Store, StoreOptions, WRITERS_DEFAULT};
pub use transfer::{Moved, Refusal};
pub use trust_overlay::{Ruling, RulingRow};
pub use users::UserRow;

//! What each role may do. [`Permission`] is also the word of an API key's scope.

use super::Standing;
use mail_types::AdminRole;

/// Declares the permissions, their words and the administrators that have them.
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $word:literal: $($role:ident)*;)*) => {
        /// What a route asks of its caller.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            /// Nothing: anybody may.
            Anybody,
            /// Some credential that stands, whatever it opens.
            Known,
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            /// Every permission that a scope can name.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word of a scope.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Anybody => "anybody",
                    Self::Known => "known",
                    $(Self::$name => $word,)*
                }
            }

            /// Whether administrators of this role have it.
            pub fn is_of(self, role: AdminRole) -> bool {
                match self {
                    Self::Anybody | Self::Known => true,
                    $(Self::$name => {
                        let roles: &[AdminRole] = &[$(AdminRole::$role,)*];
                        roles.contains(&role)
                    })*
                }
            }
        }
    };
}

permissions! {
    /// See domains.
    DomainsRead = "domains:read": Operator Domain Support;
    /// Add and change domains.
    DomainsWrite = "domains:write": Operator;
    /// See persons.
    UsersRead = "users:read": Operator Domain Support;
    /// Make and change persons.
    UsersWrite = "users:write": Operator Domain;
    /// See mailboxes.
    MailboxesRead = "mailboxes:read": Operator Domain Support;
    /// Make, change, suspend and delete mailboxes.
    MailboxesWrite = "mailboxes:write": Operator Domain;
    /// See who may open which mailbox.
    DelegationsRead = "delegations:read": Operator Domain Support;
    /// Give and take away grants.
    DelegationsWrite = "delegations:write": Operator Domain;
    /// See which application passwords there are, never the passwords.
    PasswordsRead = "passwords:read": Operator Domain Support;
    /// Make and revoke application passwords.
    PasswordsWrite = "passwords:write": Operator Domain;
    /// See which API keys there are, never the keys.
    KeysRead = "keys:read": Operator;
    /// Make and revoke API keys and admin roles.
    KeysWrite = "keys:write": Operator;
    /// See certificates and the applications that log in with them.
    CertificatesRead = "certificates:read": Operator Support;
    /// Enter and replace certificates, and change applications.
    CertificatesWrite = "certificates:write": Operator;
    /// See the white list, the revocation lists, local decisions; check a peer.
    TrustRead = "trust:read": Operator Domain Support;
    /// Fetch lists now; quarantine, release, add partners.
    TrustWrite = "trust:write": Operator;
    /// See messages on their way to other operators: envelopes and replies, never content.
    QueueRead = "queue:read": Operator Support;
    /// Retry, hold, release, drop.
    QueueWrite = "queue:write": Operator;
    /// Folders and messages of one's own mailbox. No administrator has it.
    Messages = "messages": ;
    /// Read, verify and export the audit trail.
    AuditRead = "audit:read": Operator Auditor;
    /// Retention and legal hold.
    AuditWrite = "audit:write": Operator;
    /// Today's counters.
    StatisticsRead = "statistics:read": Operator Domain Support;
    /// See long work.
    JobsRead = "jobs:read": Operator Domain Auditor Support;
    /// Cancel long work.
    JobsWrite = "jobs:write": Operator Domain Auditor;
    /// Who has what in one's own mailbox: grants, passwords, accesses by others, being hidden from the directory. No administrator has it.
    OwnMailbox = "own": ;
}

impl Permission {
    /// The permission of a scope's word.
    pub fn of_scope(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.as_str() == word)
    }

    /// Whether whoever stands so has it, before scopes and domains are looked at.
    pub fn is_had_by(self, standing: &Standing) -> bool {
        match standing {
            Standing::Nobody => self == Self::Anybody,
            Standing::Machine => true,
            Standing::Administrator { roles, .. } => {
                matches!(self, Self::Anybody | Self::Known) || roles.iter().any(|(role, _)| self.is_of(*role))
            }
            Standing::Holder(_) => {
                matches!(self, Self::Anybody | Self::Known | Self::Messages | Self::OwnMailbox)
            }
        }
    }
}

/// What one operation asks for. Several permissions: one of them is enough, and the handler tells by [`Caller`](super::Caller) which it was.
#[derive(Clone, Copy, Debug)]
pub struct RouteRule {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path as the router has it, with its parameters in braces.
    pub path: &'static str,
    /// One of these opens it.
    pub any_of: &'static [Permission],
}

/// One line of a table of rules.
pub(crate) const fn rule(
    method: &'static str,
    path: &'static str,
    any_of: &'static [Permission],
) -> RouteRule {
    RouteRule { method, path, any_of }
}

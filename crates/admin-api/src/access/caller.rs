//! Who calls.

use super::Permission;
use crate::problem::{Code, Language, Problem};
use mail_types::{ActorId, AdminRole, DomainId, Principal};
use std::net::IpAddr;
use std::sync::Arc;
use store::{Act, Via};

/// As what somebody calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Without a credential.
    Nobody,
    /// From the command line of this machine, on the store itself.
    Machine,
    /// With an API key or a certificate that has admin roles.
    Administrator {
        /// The roles, each with the domain that it is limited to.
        roles: Vec<(AdminRole, Option<DomainId>)>,
        /// What the key was narrowed to; empty for all that its roles may do.
        scopes: Vec<Permission>,
    },
    /// With an application password, or a certificate that opens a mailbox.
    Holder(Principal),
}

/// Whoever sent a request, found by the [gate](super::gate) before any handler runs.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub actor: Option<ActorId>,
    /// As what.
    pub standing: Standing,
    /// What proved it, as [`Act::credential`] has it.
    pub credential: Option<String>,
    /// From where.
    pub whence: Option<IpAddr>,
    /// The `Reason` that the caller gave; a support role must.
    pub reason: Option<String>,
    /// The reservation of its Idempotency-Key, if it bears one.
    pub mark: Option<store::RequestMark>,
    /// Number of this request, also in the answer's `Request-Id`.
    pub request: Arc<str>,
    /// What its errors are written in.
    pub language: Language,
}

/// Which domains something is about to be shown or changed of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domains {
    /// All of them.
    All,
    /// These.
    Only(Vec<DomainId>),
}

impl Domains {
    /// Whether it is one of them.
    pub fn contain(&self, domain: DomainId) -> bool {
        match self {
            Self::All => true,
            Self::Only(domains) => domains.contains(&domain),
        }
    }
}

impl Caller {
    /// The command line of this machine, acting as the account that runs it.
    pub fn machine(language: Language, credential: String, reason: Option<String>) -> Self {
        Self {
            actor: None,
            standing: Standing::Machine,
            credential: Some(credential),
            whence: None,
            reason,
            mark: None,
            request: Arc::from(""),
            language,
        }
    }

    /// Whether the caller has a permission, in one domain at least.
    pub fn has(&self, permission: Permission) -> bool {
        let is_narrowed = match &self.standing {
            Standing::Administrator { scopes, .. } => {
                !scopes.is_empty()
                    && !scopes.contains(&permission)
                    && !matches!(permission, Permission::Anybody | Permission::Known)
            }
            _ => false,
        };
        !is_narrowed && permission.is_had_by(&self.standing)
    }

    /// The domains in which the caller has a permission.
    pub fn domains(&self, permission: Permission) -> Domains {
        let Standing::Administrator { roles, .. } = &self.standing else { return Domains::All };
        let having: Vec<_> = roles.iter().filter(|(role, _)| permission.is_of(*role)).collect();
        if having.iter().any(|(_, domain)| domain.is_none()) {
            return Domains::All;
        }
        Domains::Only(having.iter().filter_map(|(_, domain)| *domain).collect())
    }

    /// Refuses what lies outside of the caller's domains as if it were not there.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn may_see(&self, permission: Permission, domain: DomainId) -> Result<(), Problem> {
        let is_theirs = self.domains(permission).contain(domain);
        is_theirs.then_some(()).ok_or_else(|| Problem::new(Code::NotFound))
    }

    /// The mailbox that the caller holds or opened, if they call as such.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.standing {
            Standing::Holder(principal) => Some(principal),
            _ => None,
        }
    }

    /// What the audit trail says of the caller.
    pub fn act(&self) -> Act {
        Act {
            actor: self.actor,
            via: if self.standing == Standing::Machine { Via::CommandLine } else { Via::Rest },
            whence: self.whence,
            credential: self.credential.clone(),
            reason: self.reason.clone(),
            request: Some(self.request.to_string()).filter(|request| !request.is_empty()),
            tells_changes: self.principal().is_some_and(|principal| !principal.is_holder),
            holds: None,
            mark: self.mark.clone(),
        }
    }
}

//! The audit identities in a folder, as `prepare` leaves them there.

use super::case::{CASES, Case};
use anyhow::{Context, Result};
use pki::OwnIdentity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The file of a pack that says what it is for.
pub(super) const FACTS_FILE: &str = "pack.json";

/// What the server under audit was told, besides the certificates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    /// What the audit domains end with.
    pub(super) suffix: String,
    /// Where the auditor's MX servers listen.
    pub(super) host: String,
    /// Port of the first of them; the others follow.
    pub(super) port_base: u16,
}

impl Facts {
    pub(super) fn domain(&self, name: &str) -> String {
        format!("{name}.{}", self.suffix)
    }

    /// Port of the MX of the case with this place in the list.
    pub(super) fn port(&self, place: u16) -> u16 {
        self.port_base.saturating_add(place)
    }
}

/// Everything that the auditor is.
pub(crate) struct Pack {
    pub(super) facts: Facts,
    identities: BTreeMap<&'static str, Arc<OwnIdentity>>,
}

impl Pack {
    /// Reads a folder.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let read = |name: String| {
            let path = dir.join(name);
            std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let facts = serde_json::from_slice(&read(FACTS_FILE.to_owned())?).context(FACTS_FILE)?;
        let mut identities = BTreeMap::new();
        for Case { name, .. } in CASES {
            let identity =
                OwnIdentity::from_pem(&read(format!("{name}.pem"))?, &read(format!("{name}.key"))?);
            identities.insert(name, Arc::new(identity.with_context(|| format!("{name}.pem"))?));
        }
        Ok(Self { facts, identities })
    }

    pub(super) fn identity(&self, case: &Case) -> Option<Arc<OwnIdentity>> {
        self.identities.get(case.name).cloned()
    }

    /// Who writes from, and reads at, the audit domain of a case.
    pub(super) fn address(&self, name: &str) -> String {
        format!("auditeur@{}", self.facts.domain(name))
    }
}

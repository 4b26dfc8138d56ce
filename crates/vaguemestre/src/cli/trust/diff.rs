//! `vaguemestre trust diff`.

use super::{Global, print};
use anyhow::{Context, Result, bail};
use clap::Args;
use policy::WhiteListDiff;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use store::Clock;
use trust_space::Kept;

#[derive(Args)]
pub(in crate::cli) struct DiffArguments {
    /// The older list. Without any, the one in force is compared with one that waits for a confirmation or, where none waits, with the one before it.
    from: Option<PathBuf>,
    /// The newer list. With one list only, it is compared with the one in force.
    to: Option<PathBuf>,
}

impl DiffArguments {
    pub(super) fn has_files(&self) -> bool {
        self.from.is_some()
    }
}

pub(super) fn run(global: &Global, arguments: &DiffArguments) -> Result<ExitCode> {
    let settings = crate::trust::settings(&global.load()?);
    let now = Clock::system().now();
    let kept = |which| trust_space::kept_white_list(&settings, which);
    let (from, to) = match (arguments.from.clone(), arguments.to.clone()) {
        (Some(from), Some(to)) => (from, to),
        (Some(to), None) => (kept(Kept::Current), to),
        _ if kept(Kept::Offered).exists() => (kept(Kept::Current), kept(Kept::Offered)),
        _ => (kept(Kept::Previous), kept(Kept::Current)),
    };
    if !from.exists() && arguments.from.is_none() {
        bail!("no white list was in force before this one: there is nothing to compare with");
    }
    let read = |path: &PathBuf| {
        trust_space::read_white_list(&settings, path, now).with_context(|| path.display().to_string())
    };
    let diff = WhiteListDiff::between(&read(&from)?, &read(&to)?);
    let waits = to == kept(Kept::Offered);
    if global.json {
        let mut json = as_json(&diff);
        json["waits_for_confirmation"] = waits.into();
        print::json(&json);
    } else {
        if waits {
            print::line("This list is not in force; `vaguemestre trust sync whitelist --confirm` takes it.");
        }
        print::line(&diff.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn as_json(diff: &WhiteListDiff) -> Value {
    let domains =
        |domains: &[mail_types::Domain]| -> Vec<String> { domains.iter().map(ToString::to_string).collect() };
    let pairs = |pairs: &[(mail_types::Domain, policy::Bearer)]| -> Vec<Value> {
        pairs
            .iter()
            .map(|(domain, bearer)| json!({"domain": domain.to_string(), "bearer": bearer.to_string()}))
            .collect()
    };
    json!({
        "before_ms": diff.before.map(|at| at.0), "after_ms": diff.after.map(|at| at.0),
        "domains_added": domains(&diff.domains_added), "domains_removed": domains(&diff.domains_removed),
        "pairs_added": pairs(&diff.pairs_added), "pairs_removed": pairs(&diff.pairs_removed),
    })
}

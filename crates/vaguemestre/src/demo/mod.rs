//! `vaguemestre demo`: two operators on this machine, each `serve` on a configuration of its own, on the same code path.
//!
//! Everything lies in one data folder: a development health PKI, white list and routes shared by both, and a folder for each operator. A second
//! start on the same folder finds all mail, keys and passwords again.

mod describe;
mod furnish;
mod letters;
mod network;
mod table;

use crate::cli::serve::Signals;
use crate::operator::Operator;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Says that a folder was made by this command, and so may be emptied by it.
const MARKER: &str = ".vaguemestre-demo";

#[derive(Args)]
pub(crate) struct DemoArguments {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    data: PathBuf,
    /// First of twelve consecutive ports on 127.0.0.1; 0 for free ones.
    #[arg(long, value_name = "N", default_value_t = 14300)]
    port_base: u16,
    /// Write what a test needs to know (JSON, mode 0600) once every listener is ready.
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
    /// Empty the data folder first (never a PostgreSQL database).
    #[arg(long)]
    reset: bool,
    /// Where rows are kept: `sqlite:PATH` in each operator's folder, or `postgres://…` with `{operator}` where the name of a database of each operator stands.
    #[arg(long, value_name = "URL", default_value = "sqlite:vaguemestre.db")]
    store_url: String,
}

pub(crate) async fn run(arguments: DemoArguments) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    prepare(&arguments.data, arguments.reset)?;
    let data = arguments.data.canonicalize().context("--data")?;
    if let Some(file) = &arguments.describe {
        // A description of an earlier run must not be taken for this one's.
        let _ = std::fs::remove_file(file);
    }
    let network = network::Network::open(&data, arguments.port_base, &arguments.store_url)?;
    let mut operators = Vec::new();
    let mut descriptions = Vec::new();
    for site in &network::SITES {
        let furnished = furnish::furnish(&network, site)
            .await
            .with_context(|| format!("{}: making mailboxes", site.domain))?;
        let operator =
            Operator::start(network.configuration(site)?).await.with_context(|| site.domain.to_owned())?;
        descriptions.push(describe::Operator::new(&network, site, &operator, furnished));
        operators.push(operator);
    }
    network.write_routes(&descriptions)?;
    for operator in &mut operators {
        operator.reload().await;
        operator.deliver()?;
    }
    let description = describe::Demo::new(&network, descriptions);
    if let Some(file) = &arguments.describe {
        description.write(file)?;
    }
    table::print(&description);
    signals.until_told(&mut operators).await;
    let stops = operators.into_iter().map(|operator| tokio::spawn(operator.stop()));
    for stop in stops.collect::<Vec<_>>() {
        stop.await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the data folder, or empties it when asked to and when it is ours.
fn prepare(data: &Path, reset: bool) -> Result<()> {
    let is_ours = data.join(MARKER).exists();
    let is_empty = std::fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
    if !is_ours && !is_empty {
        bail!("{} is neither empty nor a demo's data folder; choose another with --data", data.display());
    }
    if reset && is_ours {
        std::fs::remove_dir_all(data).with_context(|| format!("{} cannot be emptied", data.display()))?;
    }
    crate::cli::init::make_private_dir(data)?;
    crate::cli::init::write_new(&data.join(MARKER), 0o600, b"")
}

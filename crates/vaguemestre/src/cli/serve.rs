//! `vaguemestre serve`.

use crate::operator::Operator;
use anyhow::Result;
use config::Config;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn run(config: Config) -> Result<ExitCode> {
    let mut operators = vec![Operator::start(config).await?];
    until_told(&mut operators).await?;
    for operator in operators {
        operator.stop().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns at SIGTERM or SIGINT; reloads every operator at SIGHUP.
pub(crate) async fn until_told(operators: &mut [Operator]) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => operators.iter_mut().for_each(Operator::reload),
        }
    }
}

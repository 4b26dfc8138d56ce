//! `vaguemestre serve`.

use crate::operator::Operator;
use anyhow::Result;
use config::Config;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) async fn run(config: Config) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut operators = vec![Operator::start(config).await?];
    operators.iter_mut().try_for_each(Operator::deliver)?;
    signals.until_told(&mut operators).await;
    for operator in operators {
        operator.stop().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// The signals that an operator obeys. Listened to before anything starts: one that comes early waits, rather than end the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at SIGTERM or SIGINT; reloads every operator at SIGHUP.
    pub(crate) async fn until_told(&mut self, operators: &mut [Operator]) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    for operator in operators.iter_mut() {
                        operator.reload().await;
                    }
                }
            }
        }
    }
}

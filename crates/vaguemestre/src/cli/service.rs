//! `vaguemestre service`.

use super::client::Client;
use super::{Global, print};
use anyhow::Result;
use std::process::ExitCode;

pub(super) async fn run(global: &Global) -> Result<ExitCode> {
    let client = Client::open(global).await?;
    let service = client.get(&["service"]).await?;
    print::one(global, &service);
    client.close().await;
    Ok(ExitCode::SUCCESS)
}

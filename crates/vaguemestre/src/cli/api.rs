//! `vaguemestre api`: any operation of the REST API.

use super::client::{Ask, Client, Refused};
use super::{Global, print};
use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Response};
use clap::Args;
use http_body_util::BodyExt;
use std::io::Read;
use std::process::ExitCode;

/// Octets of an error that is shown.
const PROBLEM_MAX: usize = 64 * 1024;

#[derive(Args)]
pub(super) struct ApiArguments {
    /// GET, POST, PUT, PATCH or DELETE.
    method: Method,
    /// The path after /api/v1, with its query: `/domains?limit=10`. `/openapi.json` describes all of them.
    path: String,
    /// The body: itself, `@FILE`, or `-` for standard input.
    #[arg(long, value_name = "BODY", allow_hyphen_values = true)]
    data: Option<String>,
    /// A header, `Name: value`; as often as there are headers. A change needs `If-Match`.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Print status and headers before the body.
    #[arg(long)]
    include: bool,
}

pub(super) async fn run(global: &Global, arguments: ApiArguments) -> Result<ExitCode> {
    let mut ask = Ask::of(arguments.method, &arguments.path)?;
    for line in &arguments.header {
        ask = ask.header_line(line)?;
    }
    if let Some(data) = &arguments.data {
        ask = ask.body(body(data)?).header_or(CONTENT_TYPE, "application/json");
    }
    let client = Client::open(global).await?;
    let response = client.send(&ask).await?;
    let shown = show(response, arguments.include).await;
    client.close().await;
    shown?;
    Ok(ExitCode::SUCCESS)
}

fn body(data: &str) -> Result<Bytes> {
    let octets = match (data, data.strip_prefix('@')) {
        ("-", _) => {
            let mut octets = Vec::new();
            std::io::stdin().read_to_end(&mut octets).context("standard input cannot be read")?;
            octets
        }
        (_, Some(file)) => std::fs::read(file).with_context(|| format!("{file} cannot be read"))?,
        _ => data.as_bytes().to_vec(),
    };
    Ok(octets.into())
}

/// Prints the body as it comes; an error that is not a success becomes ours.
async fn show(response: Response<Body>, with_head: bool) -> Result<()> {
    let (parts, mut body) = response.into_parts();
    if with_head {
        print::line(&format!("HTTP {}", parts.status));
        for (name, value) in &parts.headers {
            print::line(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        print::line("");
    }
    let mut problem = Vec::new();
    let mut last = b'\n';
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the answer was cut off: {error}"))?;
        let Ok(octets) = frame.into_data() else { continue };
        if parts.status.is_success() {
            print::octets(&octets)?;
            last = octets.last().copied().unwrap_or(last);
        } else if problem.len() < PROBLEM_MAX {
            problem.extend_from_slice(&octets);
        }
    }
    if !parts.status.is_success() {
        return Err(Refused::new(parts.status, &problem).into());
    }
    if last != b'\n' {
        print::octets(b"\n")?;
    }
    Ok(())
}

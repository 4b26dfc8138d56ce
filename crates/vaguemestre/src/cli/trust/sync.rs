//! `vaguemestre trust sync`.

use super::{Global, look, print};
use crate::identity::Identities;
use anyhow::Result;
use clap::{Args, ValueEnum};
use pki::PeerClientTls;
use serde_json::{Value, json};
use std::process::ExitCode;
use trust_space::{ListFetch, ListNews, WhiteListFault, WhiteListNews};

#[derive(Args)]
pub(in crate::cli) struct SyncArguments {
    /// One of them only.
    pub(super) what: Option<What>,
    /// Take a white list that lost more domains than whitelist_shrink_max_percent allows.
    #[arg(long)]
    pub(super) confirm: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Revocation lists.
    Crl,
    /// The white list.
    Whitelist,
}

pub(super) async fn run(global: &Global, arguments: &SyncArguments) -> Result<ExitCode> {
    let (config, store, space) = look(global).await?;
    let identities = Identities::load(&config.tls)?;
    space.note_own_list_points(identities.list_points());
    let settings = crate::server_tls::settings(&config.tls)?;
    let peer = PeerClientTls::new(identities.client, space.pki.clone()).with_settings(settings);
    let http = crate::trust::http_client(&peer)?;
    let mut lists = Vec::new();
    if arguments.what != Some(What::Whitelist) {
        lists = space.sync_lists(&http).await;
    }
    let mut white_list = None;
    if arguments.what != Some(What::Crl) {
        white_list = Some(space.sync_white_list(&http, arguments.confirm).await);
    }
    // The server keeps its own; what was kept here it notices within seconds.
    space.publish(!crate::operator::is_served(&config.store.data_dir));
    store.close().await;
    if global.json {
        let lists: Vec<Value> = lists.iter().map(list_as_json).collect();
        print::json(&json!({"lists": lists, "white_list": white_list.as_ref().map(white_list_as_json)}));
    } else {
        show(&lists, white_list.as_ref(), arguments.what);
    }
    let is_well = lists.iter().all(|fetch| fetch.outcome.is_ok()) && !matches!(white_list, Some(Err(_)));
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(lists: &[ListFetch], white_list: Option<&Result<WhiteListNews, WhiteListFault>>, what: Option<What>) {
    if lists.is_empty() && what != Some(What::Whitelist) {
        print::line(
            "no certificate and no crl_urls say where revocation lists are published: nothing to fetch",
        );
    }
    for ListFetch { url, outcome } in lists {
        print::line(&match outcome {
            Ok(ListNews::Unchanged) => format!("{url}: unchanged"),
            Ok(ListNews::Taken(facts)) => {
                let number =
                    facts.number.as_ref().map_or_else(String::new, |number| format!(" number {number},"));
                format!("{url}: a new list of {},{number} {} entries", facts.issuer, facts.entries)
            }
            Err(cause) => format!("{url}: not taken: {cause}"),
        });
    }
    match white_list {
        None => {}
        Some(Ok(WhiteListNews::Confirmed)) => print::line("white list: the one in force, confirmed"),
        Some(Ok(WhiteListNews::Adopted { domains, diff })) => {
            print::line(&format!("white list: a new one is in force, {domains} domains"));
            if let Some(diff) = diff {
                print::line(&diff.to_string());
            }
        }
        Some(Err(fault)) => print::line(&format!("white list: not taken: {fault}")),
    }
}

fn list_as_json(fetch: &ListFetch) -> Value {
    match &fetch.outcome {
        Ok(ListNews::Unchanged) => json!({"url": fetch.url, "outcome": "unchanged"}),
        Ok(ListNews::Taken(facts)) => json!({
            "url": fetch.url, "outcome": "taken", "issuer": facts.issuer.to_string(), "entries": facts.entries,
            "number": facts.number.as_ref().map(ToString::to_string),
        }),
        Err(cause) => json!({"url": fetch.url, "outcome": "failed", "error": cause}),
    }
}

fn white_list_as_json(outcome: &Result<WhiteListNews, WhiteListFault>) -> Value {
    match outcome {
        Ok(WhiteListNews::Confirmed) => json!({"outcome": "confirmed"}),
        Ok(WhiteListNews::Adopted { domains, diff }) => {
            json!({"outcome": "adopted", "domains": domains, "diff": diff.as_ref().map(super::diff::as_json)})
        }
        Err(fault) => json!({"outcome": "failed", "label": fault.label(), "error": fault.to_string()}),
    }
}

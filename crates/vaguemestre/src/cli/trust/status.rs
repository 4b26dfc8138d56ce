//! `vaguemestre trust status`.

use super::{Global, instant, look, optional_instant, print};
use anyhow::Result;
use std::process::ExitCode;
use store::Clock;
use trust_space::Status;

pub(super) async fn run(global: &Global) -> Result<ExitCode> {
    let config = global.load()?;
    let folder = crate::trust::settings(&config).folder;
    let is_served = crate::operator::is_served(&config.store.data_dir);
    let status = match Status::kept(&folder).filter(|_| is_served) {
        Some(status) => status,
        None => {
            let (_, store, space) = look(global).await?;
            let status = space.status();
            store.close().await;
            status
        }
    };
    if global.json {
        let mut json = serde_json::to_value(&status)?;
        json["is_served"] = is_served.into();
        print::json(&json);
    } else {
        show(&status, is_served);
    }
    Ok(if status.alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(status: &Status, is_served: bool) {
    let by = if is_served { "as the running server has it" } else { "from the files; no server runs" };
    print::line(&format!("Trust space, {by}"));
    authorities(status);
    lists(status);
    white_list(status);
    decisions(status);
    if status.alarms.is_empty() {
        print::line("\nNo alarm");
        return;
    }
    print::line("\nALARMS");
    for alarm in &status.alarms {
        let about = if alarm.about.is_empty() { String::new() } else { format!(" ({})", alarm.about) };
        print::line(&format!("  {}{about}: {}", alarm.kind, alarm.text));
    }
}

fn authorities(status: &Status) {
    print::line("");
    let kind = |is_anchor| if is_anchor { "anchor" } else { "issuing" };
    let rows: Vec<_> = status
        .authorities
        .iter()
        .map(|a| vec![a.subject.clone(), kind(a.is_anchor).to_owned(), instant(a.not_after_ms)])
        .collect();
    print::table(&["AUTHORITY", "KIND", "EXPIRES"], &rows);
}

fn lists(status: &Status) {
    print::line("");
    let rows: Vec<_> = status
        .lists
        .iter()
        .map(|list| {
            vec![
                list.issuer_cn.clone(),
                list.number.clone().unwrap_or_else(|| "-".to_owned()),
                instant(list.this_update_ms),
                optional_instant(list.next_update_ms),
                list.entries.to_string(),
                list.standing.clone(),
            ]
        })
        .collect();
    print::table(
        &["REVOCATION LIST OF", "NUMBER", "THIS UPDATE", "NEXT UPDATE", "ENTRIES", "STANDING"],
        &rows,
    );
    if !status.sources.is_empty() {
        print::line("");
        let rows: Vec<_> = status
            .sources
            .iter()
            .map(|source| {
                vec![
                    source.url.clone(),
                    source.origin.clone(),
                    optional_instant(source.fetched_at_ms),
                    instant(source.next_fetch_at_ms),
                    source.failures.to_string(),
                    source.last_error.clone().unwrap_or_else(|| "-".to_owned()),
                ]
            })
            .collect();
        print::table(&["SOURCE", "NAMED BY", "FETCHED", "NEXT FETCH", "FAILURES", "LAST ERROR"], &rows);
    }
    for fault in &status.file_faults {
        print::line(&format!("{}: not in force: {}", fault.file.display(), fault.cause));
    }
}

fn white_list(status: &Status) {
    let list = &status.white_list;
    let age = list.confirmed_at_ms.map_or_else(String::new, |at_ms| {
        format!(" ({} ago)", duration(Clock::system().now().0.saturating_sub(at_ms)))
    });
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let rows = [
        ("white list", or_none(&list.source)),
        ("format", or_none(&list.format)),
        ("standing", or_none(&list.standing)),
        ("date", optional_instant(list.generated_at_ms)),
        ("adopted", optional_instant(list.adopted_at_ms)),
        ("confirmed", format!("{}{age}", optional_instant(list.confirmed_at_ms))),
        ("domains", list.domains.to_string()),
        ("pairs", list.pairs.to_string()),
        ("left out", list.left_out.to_string()),
        ("next fetch", optional_instant(list.next_fetch_at_ms)),
        ("last error", or_none(&list.last_error)),
    ];
    print::line("");
    rows.iter().for_each(|(key, value)| print::line(&format!("{key:<12} {value}")));
}

fn decisions(status: &Status) {
    if !status.overlay.is_empty() {
        print::line("");
        let rows: Vec<_> = status
            .overlay
            .iter()
            .map(|row| {
                let id = row.id.to_string();
                vec![
                    id,
                    row.kind.clone(),
                    row.what.clone(),
                    optional_instant(row.until_ms),
                    row.reason.clone(),
                ]
            })
            .collect();
        print::table(&["ID", "DECISION", "ABOUT", "UNTIL", "REASON"], &rows);
    }
    if !status.departures.is_empty() {
        print::line("");
        let rows: Vec<_> = status
            .departures
            .iter()
            .map(|row| {
                let dates = [row.first_absent_at_ms, row.latest_absent_at_ms].map(instant);
                let given_up = if row.is_given_up { "yes" } else { "no" };
                [vec![row.domain.clone(), row.standing.clone()], dates.to_vec(), vec![given_up.to_owned()]]
                    .concat()
            })
            .collect();
        print::table(
            &["DOMAIN THAT LEFT", "STANDING", "FIRST LIST WITHOUT", "LATEST LIST WITHOUT", "GIVEN UP"],
            &rows,
        );
    }
}

fn duration(ms: i64) -> String {
    match ms / 1000 {
        secs if secs < 120 => format!("{secs} s"),
        secs if secs < 7_200 => format!("{} min", secs / 60),
        secs if secs < 172_800 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

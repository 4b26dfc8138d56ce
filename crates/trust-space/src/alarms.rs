//! What somebody should do something about. Pure: a status and an instant in, alarms out.

use crate::schedule::Life;
use crate::status::{Alarm, ListStatus, SourceStatus, Status};
use mail_types::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// An authority that ends is said so early: new certificates have to be asked for.
const AUTHORITY_DAYS: i64 = 30;
/// Failures in a row after which a source that never gave a list is an alarm.
const FAILURES_MIN: u32 = 3;

pub(crate) fn alarms(status: &Status, is_fetched: bool, now: Timestamp) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut alarm = |kind: &str, about: &str, text: String| {
        alarms.push(Alarm { kind: kind.to_owned(), about: about.to_owned(), text });
    };
    for authority in &status.authorities {
        if authority.not_after_ms <= now.0 {
            alarm("authority_expired", &authority.subject, "the authority has expired: nothing that it issued is believed; replace it in [trust] anchors".to_owned());
        } else if authority.not_after_ms - now.0 < AUTHORITY_DAYS * DAY_MS {
            alarm(
                "authority_expires",
                &authority.subject,
                format!(
                    "the authority expires in less than {AUTHORITY_DAYS} days: get its successor into [trust] anchors"
                ),
            );
        }
    }
    if status.lists.is_empty() {
        let remedy = if is_fetched {
            "look at the errors of the sources, or set [trust] crl_files"
        } else {
            "set [trust] crl_files"
        };
        alarm(
            "no_revocation_list",
            "",
            format!("no revocation list is in force: mail from and to other operators is deferred; {remedy}"),
        );
    }
    for list in &status.lists {
        if let Some((kind, text)) = of_list(list, &status.sources, now) {
            alarm(kind, &list.issuer_cn, text);
        }
    }
    for source in
        status.sources.iter().filter(|source| source.issuer.is_none() && source.failures >= FAILURES_MIN)
    {
        let error = source.last_error.as_deref().unwrap_or("no answer");
        alarm(
            "revocation_list_unreachable",
            &source.url,
            format!("no list could be fetched from there yet: {error}"),
        );
    }
    for fault in &status.file_faults {
        alarm(
            "revocation_list_file",
            &fault.file.display().to_string(),
            format!("{}; replace the file", fault.cause),
        );
    }
    of_white_list(status, &mut alarm);
    for departure in status.departures.iter().filter(|departure| departure.standing == "departing") {
        alarm("domain_departing", &departure.domain, "the domain left the white list: mail queued for it is held until a later list decides, or `vaguemestre trust give-up`".to_owned());
    }
    alarms
}

/// A list that nobody follows up, or whose source fails, is an alarm in the last quarter of its life; any list is past its end.
fn of_list(list: &ListStatus, sources: &[SourceStatus], now: Timestamp) -> Option<(&'static str, String)> {
    let of_it = |source: &&SourceStatus| {
        source.issuer.as_deref() == Some(&list.issuer) && source.number == list.number
    };
    let source = sources.iter().find(of_it);
    let cause = match source {
        Some(source) => {
            source.last_error.clone().unwrap_or_else(|| "its issuer has published no other".to_owned())
        }
        None => "it is read from a file and not fetched".to_owned(),
    };
    match list.standing.as_str() {
        "grace" => Some((
            "revocation_list_past",
            format!("the list is past its nextUpdate and counts for crl_grace_secs only: {cause}"),
        )),
        "past" => Some((
            "revocation_list_past",
            format!(
                "the list is past its nextUpdate: mail of operators whose certificates it covers is deferred: {cause}"
            ),
        )),
        _ => {
            let life = Life {
                this_update: Timestamp(list.this_update_ms),
                next_update: Timestamp(list.next_update_ms?),
            };
            let is_failing = source.is_none_or(|source| source.failures > 0);
            (is_failing && life.is_short(now)).then(|| {
                ("revocation_list_ends_soon", format!("less than a quarter of its life is left: {cause}"))
            })
        }
    }
}

fn of_white_list(status: &Status, alarm: &mut impl FnMut(&str, &str, String)) {
    let list = &status.white_list;
    let error = list.last_error.as_deref().unwrap_or("its source did not confirm it");
    match (&list.source, list.standing.as_deref()) {
        (None, _) => alarm("no_white_list", "", "no white list is configured: mail from and to other operators is deferred; set [trust] whitelist_url or whitelist_file".to_owned()),
        (Some(source), None) if list.last_error.is_none() => alarm(
            "no_white_list",
            source,
            "no white list was taken yet: `vaguemestre serve` takes it, or `vaguemestre trust sync whitelist`".to_owned(),
        ),
        (Some(source), None) => alarm("no_white_list", source, format!("no white list is in force: mail from and to other operators is deferred: {error}")),
        (Some(source), Some("too_old")) => alarm("white_list_too_old", source, format!("the white list was not confirmed for whitelist_age_max_secs and counts no more: mail from and to other operators is deferred: {error}")),
        (Some(source), Some("stale")) => alarm("white_list_stale", source, format!("the white list was not confirmed for whitelist_stale_secs: what it does not name is deferred: {error}")),
        _ => {}
    }
    let was_refused = list.last_error_label.as_deref().is_some_and(|label| !TRANSPORT.contains(&label));
    if let (Some(source), true, true) = (&list.source, was_refused, list.is_in_force) {
        alarm("white_list_refused", source, format!("a list was not taken, the one in force stays: {error}"));
    }
}

/// Labels of failures to obtain a list: alarming only once the list in force grows old.
const TRANSPORT: [&str; 8] =
    ["unreachable", "time_out", "status", "cut_off", "redirect", "url", "file", "store"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{AuthorityStatus, WhiteListStatus};

    const NOW: Timestamp = Timestamp(1_000 * DAY_MS);

    fn list(standing: &str, next_update_in_days: i64) -> ListStatus {
        ListStatus {
            issuer: "CN=a".to_owned(),
            issuer_cn: "a".to_owned(),
            number: Some("01".to_owned()),
            this_update_ms: NOW.0 - 8 * DAY_MS,
            next_update_ms: Some(NOW.0 + next_update_in_days * DAY_MS),
            entries: 0,
            standing: standing.to_owned(),
        }
    }

    fn source(failures: u32) -> SourceStatus {
        SourceStatus {
            url: "http://a".to_owned(),
            origin: "authority".to_owned(),
            issuer: Some("CN=a".to_owned()),
            number: Some("01".to_owned()),
            fetched_at_ms: None,
            next_fetch_at_ms: 0,
            failures,
            last_error: (failures > 0).then(|| "down".to_owned()),
            last_error_at_ms: None,
        }
    }

    fn well() -> Status {
        Status {
            lists: vec![list("current", 8)],
            sources: vec![source(0)],
            white_list: WhiteListStatus {
                source: Some("file".to_owned()),
                is_in_force: true,
                standing: Some("fresh".to_owned()),
                ..WhiteListStatus::default()
            },
            ..Status::default()
        }
    }

    fn kinds(change: impl FnOnce(&mut Status)) -> Vec<String> {
        let mut status = well();
        change(&mut status);
        alarms(&status, true, NOW).into_iter().map(|alarm| alarm.kind).collect()
    }

    #[test]
    fn each_thing_to_do_is_an_alarm_and_a_healthy_space_has_none() {
        assert!(kinds(|_| {}).is_empty());
        assert_eq!(kinds(|s| s.lists.clear()), ["no_revocation_list"]);
        assert_eq!(kinds(|s| s.lists = vec![list("past", -1)]), ["revocation_list_past"]);
        assert_eq!(kinds(|s| s.lists = vec![list("grace", -1)]), ["revocation_list_past"]);
        assert!(kinds(|s| s.lists = vec![list("current", 2)]).is_empty(), "its source answers");
        assert_eq!(
            kinds(|s| {
                s.lists = vec![list("current", 2)];
                s.sources = vec![source(1)];
            }),
            ["revocation_list_ends_soon"]
        );
        assert_eq!(
            kinds(|s| {
                s.lists = vec![list("current", 2)];
                s.sources.clear();
            }),
            ["revocation_list_ends_soon"]
        );
        assert_eq!(
            kinds(|s| s.sources.push(SourceStatus { issuer: None, ..source(3) })),
            ["revocation_list_unreachable"]
        );
        let authority = |days: i64| AuthorityStatus {
            subject: "CN=a".to_owned(),
            is_anchor: true,
            not_after_ms: NOW.0 + days * DAY_MS,
        };
        assert_eq!(
            kinds(|s| s.authorities = vec![authority(29), authority(31), authority(0)]),
            ["authority_expires", "authority_expired"]
        );
    }

    #[test]
    fn the_white_list_alarms_by_age_and_by_refusal_not_by_a_source_that_is_down() {
        let white_list = |change: fn(&mut WhiteListStatus)| kinds(|s| change(&mut s.white_list));
        assert_eq!(white_list(|l| l.source = None), ["no_white_list"]);
        assert_eq!(white_list(|l| l.standing = None), ["no_white_list"]);
        assert_eq!(white_list(|l| l.standing = Some("stale".to_owned())), ["white_list_stale"]);
        assert_eq!(white_list(|l| l.standing = Some("too_old".to_owned())), ["white_list_too_old"]);
        assert_eq!(white_list(|l| l.last_error_label = Some("shrinkage".to_owned())), ["white_list_refused"]);
        assert!(white_list(|l| l.last_error_label = Some("unreachable".to_owned())).is_empty());
    }
}

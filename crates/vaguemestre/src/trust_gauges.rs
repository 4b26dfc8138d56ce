//! What `/metrics` says of the trust space.

use admin_api::Gauge;
use std::collections::BTreeMap;
use trust_space::{Status, TrustSpace};

/// The gauges of what is in force now.
pub(crate) fn gauges(trust: &TrustSpace) -> Vec<Gauge> {
    of_status(&trust.status())
}

fn of_status(status: &Status) -> Vec<Gauge> {
    let mut gauges = of_lists(status);
    gauges.extend(of_white_list(status));
    let count = |standing: &str| status.departures.iter().filter(|d| d.standing == standing).count();
    for standing in ["departing", "departed"] {
        let help = "Domains that left the white list: departing, with mail that is held, or departed";
        gauges.push(labelled("white_list_departures", help, ("standing", standing), count(standing) as f64));
    }
    for kind in ["quarantine", "partner"] {
        let count = status.overlay.iter().filter(|ruling| ruling.kind == kind).count();
        gauges.push(labelled("trust_decisions", "Local decisions in force", ("kind", kind), count as f64));
    }
    let mut alarms: BTreeMap<&str, u32> = BTreeMap::new();
    for alarm in &status.alarms {
        *alarms.entry(&alarm.kind).or_default() += 1;
    }
    gauges.push(plain(
        "trust_alarms",
        "Things about trust that somebody should look at",
        status.alarms.len() as f64,
    ));
    let help = "Things about trust that somebody should look at, by kind";
    gauges.extend(
        alarms
            .into_iter()
            .map(|(kind, n)| labelled("trust_alarms_by_kind", help, ("kind", kind), f64::from(n))),
    );
    gauges
}

fn of_lists(status: &Status) -> Vec<Gauge> {
    let entries: usize = status.lists.iter().map(|list| list.entries).sum();
    let left = |at_ms: i64| secs(at_ms - status.at_ms);
    let first = status.lists.iter().filter_map(|list| list.next_update_ms).min();
    let mut gauges = vec![
        plain("revocation_lists", "Revocation lists in force", status.lists.len() as f64),
        plain("revocation_list_entries", "Revoked certificates known", entries as f64),
        plain(
            "revocation_list_expiry_seconds",
            "Time until the first revocation list is past its date",
            first.map_or(0.0, left),
        ),
    ];
    for list in &status.lists {
        let issuer = ("issuer", list.issuer_cn.as_str());
        let next = list.next_update_ms.map_or(0.0, left);
        gauges.push(labelled(
            "revocation_list_next_update_seconds",
            "Time until nextUpdate of a revocation list",
            issuer,
            next,
        ));
        let age = secs(status.at_ms - list.this_update_ms);
        gauges.push(labelled(
            "revocation_list_age_seconds",
            "Time since thisUpdate of a revocation list",
            issuer,
            age,
        ));
    }
    let failing = status.sources.iter().filter(|source| source.failures > 0).count();
    gauges.push(plain(
        "revocation_list_sources",
        "Where revocation lists are fetched from",
        status.sources.len() as f64,
    ));
    gauges.push(plain(
        "revocation_list_sources_failing",
        "Sources whose latest fetch failed",
        failing as f64,
    ));
    for authority in &status.authorities {
        let subject = ("subject", authority.subject.as_str());
        gauges.push(labelled(
            "authority_expiry_seconds",
            "Time until an authority expires",
            subject,
            left(authority.not_after_ms),
        ));
    }
    gauges
}

fn of_white_list(status: &Status) -> Vec<Gauge> {
    let list = &status.white_list;
    let mut gauges = vec![
        plain(
            "white_list_in_force",
            "1 while a white list is in force",
            f64::from(u8::from(list.is_in_force)),
        ),
        plain("white_list_domains", "Domains in the white list", list.domains as f64),
        plain("white_list_pairs", "Pairs of domain and certificate in the white list", list.pairs as f64),
        plain(
            "white_list_failing",
            "Failures since a white list was taken or confirmed",
            f64::from(list.failures),
        ),
    ];
    let ages = [
        (
            "white_list_confirmed_age_seconds",
            "Time since the source of the white list last had it",
            list.confirmed_at_ms,
        ),
        (
            "white_list_age_seconds",
            "Time since the date of the white list",
            list.generated_at_ms.or(list.adopted_at_ms),
        ),
    ];
    let age = |at_ms: i64| secs(status.at_ms - at_ms);
    gauges.extend(ages.into_iter().filter_map(|(name, help, at_ms)| Some(plain(name, help, age(at_ms?)))));
    gauges
}

fn plain(name: &'static str, help: &'static str, value: f64) -> Gauge {
    Gauge { name, help, labels: Vec::new(), value }
}

fn labelled(name: &'static str, help: &'static str, (label, of): (&'static str, &str), value: f64) -> Gauge {
    Gauge { name, help, labels: vec![(label, of.to_owned())], value }
}

fn secs(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

//! The state of the trust space as a status, kept for commands and told in the log when something becomes alarming.

use crate::alarms::alarms;
use crate::space::{State, TrustSpace};
use crate::status::{
    AuthorityStatus, DepartureStatus, FileFaultStatus, ListStatus, RulingStatus, SourceStatus, Status,
    WhiteListStatus,
};
use mail_types::{DistinguishedName, Timestamp};
use pki::{ListStanding, RevocationListFacts};
use policy::{Ages, DomainStanding};
use std::sync::PoisonError;
use store::Ruling;

impl TrustSpace {
    /// What is in force now, and how fresh it is.
    pub fn status(&self) -> Status {
        let (now, settings, facts) = (self.now(), self.settings(), self.pki.facts());
        let state = self.state();
        let mut status = Status {
            at_ms: now.0,
            authorities: facts
                .authorities
                .iter()
                .map(|authority| AuthorityStatus {
                    subject: authority.subject.to_string(),
                    is_anchor: authority.is_anchor,
                    not_after_ms: authority.not_after.0,
                })
                .collect(),
            lists: facts.revocation_lists.iter().map(|list| of_list(list, now)).collect(),
            sources: of_sources(&state),
            file_faults: state
                .file_faults
                .iter()
                .map(|fault| FileFaultStatus { file: fault.file.clone(), cause: fault.cause.clone() })
                .collect(),
            white_list: of_white_list(&state, settings.ages, now),
            overlay: of_rulings(&state, now),
            departures: Vec::new(),
            alarms: Vec::new(),
        };
        if let Some(configured) = &settings.white_list {
            status.white_list.source = Some(configured.source.to_string());
            status.white_list.format = Some(configured.form.as_str().to_owned());
        }
        let list = self.list.load();
        for row in &state.departures {
            let standing = match list.domain(&row.domain, now) {
                DomainStanding::Listed => continue,
                DomainStanding::Departed => "departed",
                _ => "departing",
            };
            status.departures.push(DepartureStatus {
                domain: row.domain.to_string(),
                standing: standing.to_owned(),
                first_absent_at_ms: row.first_absent_at.0,
                latest_absent_at_ms: row.latest_absent_at.0,
                is_given_up: row.given_up_at.is_some(),
            });
        }
        status.alarms = alarms(&status, settings.lists.is_fetched, now);
        status
    }

    /// Tells what changed since the last time: alarms in the log, the whole in the status file if it is to be kept.
    pub fn publish(&self, is_kept: bool) {
        let status = self.status();
        let mut published = self.inner.published.lock().unwrap_or_else(PoisonError::into_inner);
        if published.says_the_same_as(&status) {
            return;
        }
        let is_in = |alarm: &crate::Alarm, status: &Status| {
            status.alarms.iter().any(|known| (&known.kind, &known.about) == (&alarm.kind, &alarm.about))
        };
        for alarm in status.alarms.iter().filter(|alarm| !is_in(alarm, &published)) {
            tracing::error!(alarm = alarm.kind, about = alarm.about, "{}", alarm.text);
        }
        for alarm in published.alarms.iter().filter(|alarm| !is_in(alarm, &status)) {
            tracing::info!(alarm = alarm.kind, about = alarm.about, "the alarm is over");
        }
        if is_kept && let Err(error) = status.keep(&self.settings().folder) {
            tracing::warn!(%error, "the status of the trust space could not be written for `vaguemestre trust status`");
        }
        *published = status;
    }
}

fn of_list(list: &RevocationListFacts, now: Timestamp) -> ListStatus {
    let standing = match list.standing(now) {
        ListStanding::Current => "current",
        ListStanding::InGrace => "grace",
        ListStanding::Past => "past",
    };
    ListStatus {
        issuer: list.issuer.to_string(),
        issuer_cn: common_name(&list.issuer),
        number: list.number.as_ref().map(ToString::to_string),
        this_update_ms: list.this_update.0,
        next_update_ms: list.next_update.map(|at| at.0),
        entries: list.entries,
        standing: standing.to_owned(),
    }
}

fn common_name(name: &DistinguishedName) -> String {
    let cn = name.attributes().find(|(kind, _)| *kind == "CN");
    cn.map_or_else(|| name.to_string(), |(_, value)| value.to_owned())
}

fn of_sources(state: &State) -> Vec<SourceStatus> {
    let of_source = |(url, source): (&String, &crate::sources::Source)| SourceStatus {
        url: url.clone(),
        origin: source.origin.as_str().to_owned(),
        issuer: source.facts.as_ref().map(|facts| facts.issuer.to_string()),
        number: source.facts.as_ref().and_then(|facts| facts.number.as_ref()).map(ToString::to_string),
        fetched_at_ms: source.kept.as_ref().map(|kept| kept.fetched_at_ms),
        next_fetch_at_ms: source.next_at.0,
        failures: source.failures,
        last_error: source.last_error.as_ref().map(|(_, text)| text.clone()),
        last_error_at_ms: source.last_error.as_ref().map(|(at, _)| at.0),
    };
    state.sources.0.iter().map(of_source).collect()
}

fn of_white_list(state: &State, ages: Ages, now: Timestamp) -> WhiteListStatus {
    let white_list = &state.white_list;
    let error = white_list.last_error.as_ref();
    let mut status = WhiteListStatus {
        next_fetch_at_ms: white_list.next_at.map(|at| at.0),
        failures: white_list.failures,
        last_error_label: error.map(|error| error.label.to_owned()),
        last_error: error.map(|error| error.text.clone()),
        last_error_at_ms: error.map(|error| error.at.0),
        ..WhiteListStatus::default()
    };
    if let Some(in_force) = &white_list.in_force {
        let age_secs = (now.0 - in_force.about.confirmed_at_ms) / 1000;
        let standing = match age_secs {
            age if age >= ages.max_secs => "too_old",
            age if age >= ages.stale_secs => "stale",
            _ => "fresh",
        };
        status.is_in_force = standing != "too_old";
        status.standing = Some(standing.to_owned());
        status.generated_at_ms = in_force.about.generated_at_ms;
        status.adopted_at_ms = Some(in_force.about.adopted_at_ms);
        status.confirmed_at_ms = Some(in_force.about.confirmed_at_ms);
        status.sha256 = Some(in_force.about.sha256.clone());
        status.domains = in_force.list.domain_count();
        status.pairs = in_force.list.pair_count();
        status.certificates = in_force.list.certificate_count();
        status.left_out = in_force.left_out;
    }
    status
}

fn of_rulings(state: &State, now: Timestamp) -> Vec<RulingStatus> {
    let in_force = state.rulings.iter().filter(|row| row.until.is_none_or(|until| now < until));
    let of_ruling = |row: &store::RulingRow| RulingStatus {
        id: row.id,
        kind: if matches!(row.ruling, Ruling::Partner { .. }) { "partner" } else { "quarantine" }.to_owned(),
        what: row.ruling.to_string(),
        reason: row.reason.clone(),
        created_at_ms: row.created_at.0,
        until_ms: row.until.map(|at| at.0),
    };
    in_force.map(of_ruling).collect()
}

//! What speaks for which domain: lists of every age, decisions beside them, domains that left.
#![expect(clippy::unwrap_used, reason = "a test")]

use mail_types::{Domain, PeerIdentity, RevocationState, Timestamp};
use policy::{
    Ages, CertificateMark, Departure, DomainStanding, Overlay, Reason, Standing, TrustList, WhiteList,
};
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_secs(10_000_000);
const AGES: Ages = Ages { stale_secs: 100, max_secs: 1_000, departure_secs: 50 };
const NO_LIST: Standing = Standing::Doubtful(Reason::NoWhiteList);
const STALE: Standing = Standing::Doubtful(Reason::WhiteListStale);
const QUARANTINED: Standing = Standing::Doubtful(Reason::Quarantined);

fn peer(subject: &str) -> PeerIdentity {
    PeerIdentity {
        subject: subject.parse().unwrap(),
        issuer: "CN=CA".parse().unwrap(),
        serial: vec![7],
        dns_names: vec![],
        mail_names: vec![],
        ip_names: vec![],
        policies: vec![],
        not_after: NOW.plus_secs(1_000),
        crl_number: None,
        key_pin: [9; 32],
        revocation: RevocationState::Good,
    }
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

/// A list that names CN=mx.a for a.example and aa.example, confirmed so many seconds ago.
fn aged(secs: i64) -> TrustList {
    let list = WhiteList::parse("a.example;CN=mx.a\naa.example;CN=mx.a\n").0;
    TrustList { white_list: Some((Arc::new(list), NOW.plus_secs(-secs))), ages: AGES, ..TrustList::default() }
}

fn with(overlay: Overlay) -> TrustList {
    TrustList { overlay, ..aged(0) }
}

#[test]
fn an_old_list_refuses_nobody_and_a_very_old_one_admits_nobody() {
    let (a, z) = (peer("CN=mx.a"), peer("CN=mx.z"));
    let none = TrustList { ages: AGES, ..TrustList::default() };
    for (list, named, other) in [
        (aged(0), Standing::Listed, Standing::NotListed),
        (aged(99), Standing::Listed, Standing::NotListed),
        (aged(100), Standing::Listed, STALE),
        (aged(999), Standing::Listed, STALE),
        (aged(1_000), NO_LIST, NO_LIST),
        (none, NO_LIST, NO_LIST),
        // Confirmed in the future: a clock was set back.
        (aged(-500), Standing::Listed, Standing::NotListed),
    ] {
        assert_eq!(list.standing(&domain("a.example"), &a, NOW), named);
        assert_eq!(list.standing(&domain("a.example"), &z, NOW), other);
        assert_eq!(list.standing(&domain("b.example"), &a, NOW), other);
        assert_eq!(list.standing_of_any(&a, NOW), named);
        assert_eq!(list.standing_of_any(&z, NOW), other);
        let as_domain = |standing| match standing {
            Standing::Listed => DomainStanding::Listed,
            Standing::NotListed => DomainStanding::Absent,
            Standing::Doubtful(reason) => DomainStanding::Doubtful(reason),
        };
        assert_eq!(list.domain(&domain("a.example"), NOW), as_domain(named));
        assert_eq!(list.domain(&domain("b.example"), NOW), as_domain(other));
    }
}

#[test]
fn a_quarantine_suspends_until_its_date_and_refuses_nobody_for_good() {
    for (until, is_in_force) in
        [(None, true), (Some(NOW.plus_millis(1)), true), (Some(NOW), false), (Some(NOW.plus_secs(-1)), false)]
    {
        let expected = if is_in_force { QUARANTINED } else { Standing::Listed };
        let of_domain = with(Overlay {
            quarantined_domains: [(domain("a.example"), until)].into(),
            ..Overlay::default()
        });
        let peer = peer("CN=mx.a");
        assert_eq!(of_domain.standing(&domain("a.example"), &peer, NOW), expected, "{until:?}");
        assert_eq!(of_domain.standing(&domain("aa.example"), &peer, NOW), Standing::Listed);
        let as_domain =
            if is_in_force { DomainStanding::Doubtful(Reason::Quarantined) } else { DomainStanding::Listed };
        assert_eq!(of_domain.domain(&domain("a.example"), NOW), as_domain);
        // It is named for another domain too.
        assert_eq!(of_domain.standing_of_any(&peer, NOW), Standing::Listed);
        for mark in [
            CertificateMark::Subject("CN=MX.A".parse().unwrap()),
            CertificateMark::KeyPin([9; 32]),
            CertificateMark::Serial { issuer: "CN=ca".parse().unwrap(), serial: vec![7] },
        ] {
            let of_certificate =
                with(Overlay { quarantined_certificates: vec![(mark, until)], ..Overlay::default() });
            assert_eq!(of_certificate.standing(&domain("a.example"), &peer, NOW), expected);
            assert_eq!(of_certificate.standing_of_any(&peer, NOW), expected);
        }
    }
}

#[test]
fn a_mark_of_another_certificate_suspends_nobody() {
    for mark in [
        CertificateMark::Subject("CN=mx.b".parse().unwrap()),
        CertificateMark::KeyPin([8; 32]),
        CertificateMark::Serial { issuer: "CN=other".parse().unwrap(), serial: vec![7] },
        CertificateMark::Serial { issuer: "CN=CA".parse().unwrap(), serial: vec![6] },
    ] {
        let list = with(Overlay { quarantined_certificates: vec![(mark, None)], ..Overlay::default() });
        assert_eq!(list.standing(&domain("a.example"), &peer("CN=mx.a"), NOW), Standing::Listed);
    }
}

#[test]
fn a_certificate_named_for_suspended_domains_only_is_suspended_with_them() {
    let both = [(domain("a.example"), None), (domain("aa.example"), None)];
    let list = with(Overlay { quarantined_domains: both.into(), ..Overlay::default() });
    assert_eq!(list.standing_of_any(&peer("CN=mx.a"), NOW), QUARANTINED);
    assert_eq!(list.standing_of_any(&peer("CN=mx.z"), NOW), Standing::NotListed);
}

#[test]
fn a_partner_counts_as_listed_until_its_date_whatever_the_list() {
    let subject = "CN=mx.p".parse().unwrap();
    let partners = [(domain("p.example"), vec![(subject, Some(NOW.plus_secs(10)))])];
    let overlay = Overlay { partners: partners.into(), ..Overlay::default() };
    let peer = peer("CN=mx.p");
    for mut list in [aged(0), aged(500), aged(5_000), TrustList::default()] {
        list.overlay = overlay.clone();
        let later = NOW.plus_secs(10);
        assert_eq!(list.standing(&domain("p.example"), &peer, NOW), Standing::Listed);
        assert_eq!(list.standing_of_any(&peer, NOW), Standing::Listed);
        assert_eq!(list.domain(&domain("p.example"), NOW), DomainStanding::Listed);
        assert_ne!(list.standing(&domain("a.example"), &peer, NOW), Standing::Listed);
        assert_ne!(list.standing(&domain("p.example"), &peer, later), Standing::Listed);
        assert_ne!(list.domain(&domain("p.example"), later), DomainStanding::Listed);
        list.overlay.quarantined_domains.insert(domain("p.example"), None);
        assert_eq!(list.standing(&domain("p.example"), &peer, NOW), QUARANTINED);
    }
}

#[test]
fn a_domain_that_left_is_departing_until_two_lists_far_enough_apart_lack_it() {
    let left = |first: i64, latest: i64, is_given_up| Departure {
        first_absent_at: NOW.plus_secs(first),
        latest_absent_at: NOW.plus_secs(latest),
        is_given_up,
    };
    let at_once = Ages { departure_secs: 0, ..AGES };
    for (departure, ages, expected) in [
        (left(-90, -90, false), AGES, DomainStanding::Departing),
        (left(-90, -41, false), AGES, DomainStanding::Departing),
        (left(-90, -40, false), AGES, DomainStanding::Departed),
        (left(-90, -90, true), AGES, DomainStanding::Departed),
        // One list is never enough.
        (left(-90, -90, false), at_once, DomainStanding::Departing),
        (left(-90, -89, false), at_once, DomainStanding::Departed),
    ] {
        let departures = [(domain("b.example"), departure), (domain("a.example"), departure)].into();
        let list = TrustList { ages, departures, ..aged(0) };
        assert_eq!(list.domain(&domain("b.example"), NOW), expected, "{departure:?}");
        assert_eq!(list.domain(&domain("a.example"), NOW), DomainStanding::Listed, "it came back");
    }
}

#[test]
fn only_a_command_gives_a_domain_up_by_a_stale_list() {
    let departure = |is_given_up| Departure {
        first_absent_at: NOW.plus_secs(-900),
        latest_absent_at: NOW.plus_secs(-800),
        is_given_up,
    };
    for (secs, is_given_up, expected) in [
        (500, false, DomainStanding::Doubtful(Reason::WhiteListStale)),
        (500, true, DomainStanding::Departed),
        (5_000, true, DomainStanding::Doubtful(Reason::NoWhiteList)),
    ] {
        let departures = [(domain("b.example"), departure(is_given_up))].into();
        let list = TrustList { departures, ..aged(secs) };
        assert_eq!(list.domain(&domain("b.example"), NOW), expected);
    }
}

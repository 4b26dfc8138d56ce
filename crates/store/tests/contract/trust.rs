//! Local decisions of trust and departures from the white list.

use crate::support::{DAY_MS, Fixture, START, on_both_engines};
use mail_types::{Domain, Timestamp};
use store::{Adoption, Revision, Ruling};

on_both_engines!(
    every_kind_of_decision_is_read_as_it_was_made,
    a_decision_ends_at_its_date_or_when_it_is_released,
    each_decision_moves_the_counter_and_leaves_an_audit_row,
    a_domain_that_leaves_is_remembered_by_the_dates_of_the_lists,
    a_domain_that_comes_back_is_forgotten,
    a_domain_is_given_up_once_and_only_when_it_left,
);

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn rulings() -> Vec<Ruling> {
    let name = "CN=mx.a.example,OU=1590000014,O=CHU NORD,ST=Nord (59),C=FR".parse().unwrap();
    let issuer = "CN=TEST AC,O=IGC,C=FR".parse().unwrap();
    vec![
        Ruling::QuarantineDomain(domain("a.example")),
        Ruling::QuarantineSubject("CN=b,C=FR".parse().unwrap()),
        Ruling::QuarantineKey([7; 32]),
        Ruling::QuarantineSerial { issuer, serial: vec![1, 0, 255] },
        Ruling::Partner { domain: domain("p.example"), subject: name },
    ]
}

async fn every_kind_of_decision_is_read_as_it_was_made(store: &Fixture) {
    for ruling in rulings() {
        store.rule(ruling, None, "because").await.unwrap();
    }
    let rows = store.rulings(START, false).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.ruling.clone()).collect::<Vec<_>>(), rulings());
    assert!(rows.iter().all(|row| row.reason == "because" && row.created_at == START));
}

async fn a_decision_ends_at_its_date_or_when_it_is_released(store: &Fixture) {
    let until = START.plus_millis(10);
    let partner = rulings().remove(4);
    let first = store.rule(partner.clone(), Some(until), "trial").await.unwrap();
    let second = store.rule(partner, None, "").await.unwrap();
    let in_force = async |now| {
        let rows = store.rulings(now, false).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(in_force(START).await, [first, second]);
    assert_eq!(in_force(until).await, [second]);
    assert!(store.release_ruling(second, "over").await.unwrap());
    assert!(!store.release_ruling(second, "over").await.unwrap(), "it had ended");
    assert!(in_force(until).await.is_empty());
    assert_eq!(store.rulings(until, true).await.unwrap().len(), 2);
}

async fn each_decision_moves_the_counter_and_leaves_an_audit_row(store: &Fixture) {
    let before = store.revision(Revision::Trust).await.unwrap();
    let directory = store.revision(Revision::Directory).await.unwrap();
    let id = store.rule(rulings().remove(0), None, "a \"reason\"").await.unwrap();
    assert_eq!(store.revision(Revision::Trust).await.unwrap(), before + 1);
    store.release_ruling(id, "").await.unwrap();
    assert_eq!(store.revision(Revision::Trust).await.unwrap(), before + 2);
    assert_eq!(store.revision(Revision::Directory).await.unwrap(), directory);
    let rows: Vec<(String, String)> =
        store.raw.rows("SELECT action, detail FROM audit_rows ORDER BY seq").await;
    assert_eq!(
        rows.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>()[rows.len() - 2..],
        ["trust.ruled", "trust.released"]
    );
    let detail = &rows[rows.len() - 2].1;
    assert!(detail.contains("kind=quarantine_domain") && !detail.contains("reason"), "{detail}");
    let filter = store::AuditFilter { target: Some(format!("ruling:{id}")), ..Default::default() };
    let told = store.search_audit(&filter, None, 10).await.unwrap().rows;
    let store::Opened::Fields(fields) = &told[1].personal else { panic!("{told:?}") };
    assert_eq!(fields["why"], "a \"reason\"");
}

async fn adopt(store: &Fixture, at: Timestamp, absent: &[&str], returned: &[&str]) {
    let domains = |names: &[&str]| names.iter().map(|name| domain(name)).collect();
    let adoption =
        Adoption { at, absent: domains(absent), returned: domains(returned), detail: "domains=3".to_owned() };
    store.adopt_white_list(adoption).await.unwrap();
}

async fn a_domain_that_leaves_is_remembered_by_the_dates_of_the_lists(store: &Fixture) {
    let later = START.plus_millis(DAY_MS);
    adopt(store, START, &["a.example", "b.example"], &[]).await;
    adopt(store, later, &["a.example"], &[]).await;
    // Another node that adopts an older list takes nothing back.
    adopt(store, START, &["a.example"], &[]).await;
    let rows = store.departures().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.domain.as_str()).collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert_eq!((rows[0].first_absent_at, rows[0].latest_absent_at), (START, later));
    assert_eq!((rows[1].first_absent_at, rows[1].latest_absent_at), (START, START));
}

async fn a_domain_that_comes_back_is_forgotten(store: &Fixture) {
    adopt(store, START, &["a.example"], &[]).await;
    adopt(store, START.plus_millis(1), &[], &["a.example"]).await;
    assert!(store.departures().await.unwrap().is_empty());
}

async fn a_domain_is_given_up_once_and_only_when_it_left(store: &Fixture) {
    assert!(!store.give_up_domain(&domain("a.example"), "never seen").await.unwrap());
    adopt(store, START, &["a.example"], &[]).await;
    assert!(store.give_up_domain(&domain("a.example"), "they closed").await.unwrap());
    assert_eq!(store.departures().await.unwrap()[0].given_up_at, Some(START));
}

//! The certificate inventory: entered once, under one holder, watched until withdrawn.

use crate::support::{Fixture, START, on_both_engines};
use mail_types::{ActorId, CertificateFacts, CertificateUsage, Fingerprint};
use store::{CertificateError, CertificateHolder, CertificateRow};

on_both_engines!(
    a_certificate_is_entered_once_and_read_back_whole,
    a_certificate_belongs_to_one_holder,
    a_withdrawn_certificate_is_listed_on_demand_and_can_come_back,
    each_change_leaves_an_audit_row,
    what_is_not_there_or_too_long_is_refused,
);

pub(crate) fn facts(byte: u8, subject: &str) -> CertificateFacts {
    CertificateFacts {
        fingerprint: Fingerprint([byte; 32]),
        usage: CertificateUsage::OrgAuthCli,
        subject: subject.parse().unwrap(),
        issuer: "CN=AC VAGUEMESTRE DEV, C=FR".parse().unwrap(),
        serial: vec![0x85, byte],
        key_pin: [byte ^ 0xff; 32],
        not_before: START,
        not_after: START.plus_secs(i64::from(byte) * 86_400),
        der: vec![0x30, byte],
    }
}

async fn add(store: &Fixture, facts: &CertificateFacts) -> (i64, bool) {
    store.add_certificate(CertificateHolder::Own, facts.clone()).await.unwrap().unwrap()
}

async fn ids(store: &Fixture, with_withdrawn: bool) -> Vec<i64> {
    store.certificates(with_withdrawn).await.unwrap().iter().map(|row| row.id).collect()
}

async fn a_certificate_is_entered_once_and_read_back_whole(store: &Fixture) {
    let facts = facts(9, r#"CN=labo.ch.example, O=CH \"ÉTÉ\"\, Nord \+ Sud, C=FR"#);
    let (id, is_new) = add(store, &facts).await;
    assert!(is_new);
    assert_eq!(add(store, &facts).await, (id, false));
    let row = CertificateRow {
        id,
        holder: CertificateHolder::Own,
        facts,
        note: String::new(),
        added_at: START,
        withdrawn_at: None,
        revision: 1,
    };
    assert_eq!(store.certificate(id).await.unwrap(), Some(row));
    let sooner = add(store, &self::facts(2, "C=FR")).await.0;
    assert_eq!(ids(store, false).await, [sooner, id]);
    let expiries = store.certificate_expiries().await.unwrap();
    assert_eq!(
        expiries.iter().map(|expiry| (expiry.id, expiry.not_after)).collect::<Vec<_>>(),
        [(sooner, START.plus_secs(2 * 86_400)), (id, START.plus_secs(9 * 86_400)),]
    );
}

async fn a_certificate_belongs_to_one_holder(store: &Fixture) {
    let actor = ActorId(store.create_user("robot", "Robot", None).await.unwrap().actor.0);
    let robots = CertificateHolder::Application(actor);
    let (id, _) = store.add_certificate(robots, facts(1, "CN=a")).await.unwrap().unwrap();
    assert_eq!(store.certificate(id).await.unwrap().unwrap().holder, robots);
    let refused = store.add_certificate(CertificateHolder::Own, facts(1, "CN=a")).await.unwrap();
    assert_eq!(refused, Err(CertificateError::OtherHolder));
}

async fn a_withdrawn_certificate_is_listed_on_demand_and_can_come_back(store: &Fixture) {
    let (id, _) = add(store, &facts(1, "CN=a")).await;
    store.pass(1_000);
    store.withdraw_certificate(id, false).await.unwrap().unwrap();
    store.pass(1_000);
    store.withdraw_certificate(id, false).await.unwrap().unwrap();
    assert_eq!((ids(store, false).await, ids(store, true).await), (vec![], vec![id]));
    let row = store.certificate(id).await.unwrap().unwrap();
    assert_eq!(row.withdrawn_at, Some(START.plus_secs(1)));
    assert_eq!(add(store, &facts(1, "CN=a")).await, (id, true));
    assert_eq!(ids(store, false).await, [id]);
}

async fn each_change_leaves_an_audit_row(store: &Fixture) {
    let (id, _) = add(store, &facts(1, "CN=a")).await;
    add(store, &facts(1, "CN=a")).await;
    store.note_certificate(id, None, "renewal asked for").await.unwrap().unwrap();
    store.withdraw_certificate(id, false).await.unwrap().unwrap();
    store.withdraw_certificate(id, false).await.unwrap().unwrap();
    assert_eq!(store.certificate(id).await.unwrap().unwrap().note, "renewal asked for");
    let rows: Vec<(String, String, String)> = store
        .raw
        .rows("SELECT action, target, detail FROM audit_rows WHERE action LIKE 'certificate.%' ORDER BY seq")
        .await;
    let expected = [
        ("certificate.added", "fingerprint=0101010101010101 usage=ORG_AUTH_CLI"),
        ("certificate.noted", ""),
        ("certificate.withdrawn", ""),
    ];
    let target = format!("certificate:{id}");
    assert_eq!(rows, expected.map(|(action, detail)| (action.to_owned(), target.clone(), detail.to_owned())));
}

async fn what_is_not_there_or_too_long_is_refused(store: &Fixture) {
    assert_eq!(store.certificate(7).await.unwrap(), None);
    assert_eq!(store.withdraw_certificate(7, false).await.unwrap(), Err(CertificateError::Unknown));
    assert_eq!(store.note_certificate(7, None, "").await.unwrap(), Err(CertificateError::Unknown));
    let long = CertificateFacts { der: vec![0; 65 * 1024], ..facts(1, "CN=a") };
    let refused = store.add_certificate(CertificateHolder::Own, long).await.unwrap();
    assert_eq!(refused, Err(CertificateError::TooLong));
}

//! Revocation lists: which are taken, which replace which, and what is wrong with the others.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use crate::world::{
    DAY, HOST, World, chain, connect, days_ago, identity, named, now, openssl_list, with_points,
};
use mail_types::RevocationState;
use pki::development::IssuedCertificate;
use pki::{
    CrlFault, CrlFaultCause, ListStanding, Rejection, RevocationListFacts, Trust, TrustSnapshot, UnixTime,
    Usage,
};

fn state(snapshot: &TrustSnapshot, certificate: &IssuedCertificate) -> Result<RevocationState, Rejection> {
    let judgement = snapshot.judge(&chain(&certificate.chain_pem), Usage::Client, UnixTime::now());
    judgement.map(|peer| peer.revocation)
}

/// With the root's list and this one, which must both be in order.
fn built(world: &World, issuing: Vec<u8>) -> TrustSnapshot {
    let (snapshot, faults) = world.snapshot_of(&[world.root_list(), issuing]);
    assert_eq!(faults, []);
    snapshot
}

fn issuing(snapshot: &TrustSnapshot) -> RevocationListFacts {
    let mut lists = snapshot.lists().into_iter();
    lists.find(|list| list.issuer.to_string().to_uppercase().contains("ORGANISATIONS")).unwrap()
}

fn number(snapshot: &TrustSnapshot) -> String {
    issuing(snapshot).number.unwrap().to_string()
}

fn fault(cause: CrlFaultCause) -> Vec<CrlFault> {
    vec![CrlFault { index: 1, cause }]
}

#[test]
fn an_older_list_never_replaces_a_newer_one() {
    let world = World::new();
    let yesterday = days_ago(1);
    let newer = built(&world, world.issuing_list(yesterday, from_ref(&world.client.serial), 7));
    for older in [world.issuing_list(days_ago(2), &[], 8), world.issuing_list(yesterday, &[], 6)] {
        assert_eq!(newer.examine_list(&older, now()), Err(CrlFaultCause::Older));
        let (snapshot, faults) = built(&world, older).replacing(&newer);
        assert_eq!(faults, fault(CrlFaultCause::Older));
        assert_eq!(number(&snapshot), "07");
        assert_eq!(state(&snapshot, &world.client), Err(Rejection::Revoked));
        assert_eq!(state(&snapshot, &world.server), Ok(RevocationState::Good));
    }
}

#[test]
fn a_later_list_with_a_smaller_number_waits_for_the_end_of_the_one_in_force_but_revokes_at_once() {
    let world = World::new();
    let before = built(&world, world.issuing_list(days_ago(2), from_ref(&world.server.serial), 7));
    let back = world.issuing_list(days_ago(1), from_ref(&world.client.serial), 6);
    assert_eq!(before.examine_list(&back, now()), Err(CrlFaultCause::NumberWentBack));
    let (snapshot, faults) = built(&world, back.clone()).replacing(&before);
    assert_eq!(faults, fault(CrlFaultCause::NumberWentBack));
    assert!(!faults[0].cause.is_warning());
    assert_eq!(number(&snapshot), "07");
    for revoked in [&world.client, &world.server] {
        assert_eq!(state(&snapshot, revoked), Err(Rejection::Revoked));
    }
    // It is still so after another reload, and in whatever order the files are named.
    let (again, _) = built(&world, back).replacing(&snapshot);
    assert_eq!(state(&again, &world.client), Err(Rejection::Revoked));
    // A proper successor of the one in force ends it.
    let (after, faults) = built(&world, world.issuing_list(now(), &[], 8)).replacing(&again);
    assert_eq!((faults, number(&after)), (vec![], "08".into()));
    assert_eq!(state(&after, &world.client), Ok(RevocationState::Good));
}

#[test]
fn numbers_may_start_anew_once_the_list_in_force_is_past() {
    let world = World::new();
    let past = built(&world, world.issuing_list(days_ago(40), &[], 700));
    let anew = world.issuing_list(now(), &[], 1);
    assert!(past.examine_list(&anew, now()).is_ok());
    let (snapshot, faults) = built(&world, anew).replacing(&past);
    assert_eq!(faults, fault(CrlFaultCause::NumberStartedAnew));
    assert!(faults[0].cause.is_warning());
    assert_eq!(number(&snapshot), "01");
    assert_eq!(state(&snapshot, &world.client), Ok(RevocationState::Good));
}

#[test]
fn a_list_whose_file_became_unreadable_stays_in_force() {
    let world = World::new();
    let good = built(&world, world.issuing_list(now(), from_ref(&world.client.serial), 7));
    for rubbish in
        [b"text".to_vec(), vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], World::new().issuing_list(now(), &[], 9)]
    {
        let (broken, faults) = world.snapshot_of(&[world.root_list(), rubbish.clone()]);
        assert_eq!(faults.len(), 1);
        assert_eq!(good.examine_list(&rubbish, now()), Err(faults[0].cause));
        let (snapshot, _) = broken.replacing(&good);
        assert_eq!(number(&snapshot), "07");
        assert_eq!(state(&snapshot, &world.client), Err(Rejection::Revoked));
        assert_eq!(state(&snapshot, &world.server), Ok(RevocationState::Good));
    }
}

#[test]
fn a_list_whose_file_is_gone_revokes_and_proves_nothing_good() {
    let world = World::new();
    let good = built(&world, world.issuing_list(now(), from_ref(&world.client.serial), 7));
    let (snapshot, faults) = world.snapshot_of(&[world.root_list()]).0.replacing(&good);
    assert_eq!(faults, []);
    assert_eq!(state(&snapshot, &world.client), Err(Rejection::Revoked));
    assert!(matches!(state(&snapshot, &world.server), Ok(RevocationState::Unknown(_))));
}

#[test]
fn an_examined_list_is_told_what_it_would_be() {
    let world = World::new();
    let snapshot = world.snapshot_of(&[]).0.with_grace_secs(DAY);
    let facts = snapshot.examine_list(&world.issuing_list(days_ago(1), &[vec![0x41]], 0x1ff), now()).unwrap();
    assert_eq!((facts.entries, facts.number.as_ref().unwrap().to_string()), (1, "01ff".into()));
    let next = facts.next_update.unwrap();
    assert_eq!(facts.standing(next), ListStanding::Current);
    assert_eq!(facts.standing(next.plus_secs(DAY)), ListStanding::InGrace);
    assert_eq!(facts.standing(next.plus_secs(DAY + 1)), ListStanding::Past);
    let two = [world.issuing_list(now(), &[], 1), world.root_list()].concat();
    assert_eq!(snapshot.examine_list(&two, now()), Err(CrlFaultCause::Several));
    assert_eq!(snapshot.examine_list(b"", now()), Err(CrlFaultCause::Empty));
    // The same list again is no fault.
    let built = built(&world, world.issuing_list(days_ago(1), &[], 3));
    assert!(built.examine_list(&world.issuing_list(days_ago(1), &[], 3), now()).is_ok());
}

#[test]
fn lists_of_openssl_are_read_and_those_that_say_less_than_all_are_refused() {
    let world = World::new();
    let cause = |extensions: &str| {
        let list = openssl_list(&world.pki, extensions);
        world.snapshot_of(&[]).0.examine_list(&list, now()).map(|facts| facts.number.map(|n| n.to_string()))
    };
    assert_eq!(cause("authorityKeyIdentifier = keyid:always"), Ok(Some("0a".into())));
    assert_eq!(cause("2.5.29.27 = critical,ASN1:INTEGER:5"), Err(CrlFaultCause::Delta));
    let point = |fields: &str| cause(&format!("issuingDistributionPoint = critical,@p\n[p]\n{fields}"));
    assert_eq!(point("fullname = URI:http://crl.example/a.crl"), Ok(Some("0a".into())));
    assert_eq!(point("onlyuser = TRUE"), Err(CrlFaultCause::Partitioned));
    assert_eq!(point("onlyCA = TRUE"), Err(CrlFaultCause::Partitioned));
    assert_eq!(point("onlyAA = TRUE"), Err(CrlFaultCause::Partitioned));
    assert_eq!(point("onlysomereasons = keyCompromise"), Err(CrlFaultCause::Partitioned));
    assert_eq!(point("indirectCRL = TRUE"), Err(CrlFaultCause::Indirect));
    assert_eq!(cause("1.2.3.4 = critical,ASN1:NULL"), Err(CrlFaultCause::UnknownCriticalExtension));
}

#[test]
fn an_authority_that_may_not_sign_lists_signs_none() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let certificate = root.self_signed(&key).unwrap();
    let at = time::OffsetDateTime::from_unix_timestamp(now().secs()).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: at,
        next_update: at + Duration::from_secs(3_600),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    // rcgen holds issuers to their key usage: the one it signs with says more than the one that is trusted.
    root.key_usages.push(rcgen::KeyUsagePurpose::CrlSign);
    let list = list.signed_by(&rcgen::Issuer::new(root, key)).unwrap().der().to_vec();
    let (_, faults) = TrustSnapshot::build(&[certificate.der().to_vec()], &[list], now()).unwrap();
    assert_eq!(faults, [CrlFault { index: 0, cause: CrlFaultCause::IssuerMayNotSign }]);
}

#[test]
fn a_list_of_a_look_alike_authority_with_another_key_is_not_its_list() {
    // Two authorities of one name and two keys, both trusted: what one signs says nothing of what the other issued.
    let (world, renewed) = (World::new(), World::new());
    let anchors = [world.pki.trust_pem().into_bytes(), renewed.pki.trust_pem().into_bytes()];
    let lists = [world.root_list(), renewed.root_list(), renewed.issuing_list(now(), &[], 1)];
    let (snapshot, faults) = TrustSnapshot::build(&anchors, &lists, now()).unwrap();
    assert_eq!(faults, []);
    assert!(matches!(state(&snapshot, &world.client), Ok(RevocationState::Unknown(_))));
    assert_eq!(state(&snapshot, &renewed.client), Ok(RevocationState::Good));
}

#[test]
fn a_huge_list_is_read() {
    let world = World::new();
    let mut serials: Vec<Vec<u8>> =
        (0..20_000u32).map(|i| [&[0x41; 12][..], &i.to_be_bytes()].concat()).collect();
    serials.push(world.client.serial.clone());
    let snapshot = built(&world, world.issuing_list(now(), &serials, 1));
    assert_eq!(issuing(&snapshot).entries, 20_001);
    assert_eq!(state(&snapshot, &world.client), Err(Rejection::Revoked));
    assert_eq!(state(&snapshot, &world.server), Ok(RevocationState::Good));
}

#[test]
fn points_of_verified_certificates_without_a_list_are_wanted_once() {
    let world = World::new();
    let (leaf, other) = ("http://crl.example/leaf.crl", "ldap://crl.example/cn=a");
    let trust = Trust::new(world.snapshot_of(&[world.root_list()]).0);
    let judge = |own: &IssuedCertificate| trust.judge(&chain(&own.chain_pem), Usage::Client, UnixTime::now());
    assert!(judge(&with_points(&World::new().pki, &["http://forged.example/a.crl"])).is_err());
    assert_eq!(trust.take_wanted_lists(), Vec::<String>::new());
    assert!(judge(&with_points(&world.pki, &[leaf, other])).is_ok());
    assert_eq!(trust.take_wanted_lists(), [leaf]);
    assert_eq!(trust.take_wanted_lists(), Vec::<String>::new());
    trust.swap(world.snapshot(&[]));
    assert!(judge(&with_points(&world.pki, &[leaf])).is_ok());
    assert_eq!(trust.take_wanted_lists(), Vec::<String>::new());
}

#[tokio::test]
async fn a_handshake_wants_the_lists_it_missed() {
    let world = World::new();
    let trust = Arc::new(Trust::new(world.snapshot_of(&[world.root_list()]).0));
    let own = with_points(&world.pki, &["http://crl.example/own.crl"]);
    assert_eq!(identity(&own).list_points(), ["http://crl.example/own.crl"]);
    let (accepted, _) = connect(&world.mx(&trust), &world.peer(&own), &named(HOST)).await;
    assert!(matches!(accepted.unwrap().peer.unwrap().revocation, RevocationState::Unknown(_)));
    assert_eq!(trust.take_wanted_lists(), ["http://crl.example/own.crl"]);
}

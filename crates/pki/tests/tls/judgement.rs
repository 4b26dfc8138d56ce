//! What a chain is worth, without a connection.

use std::slice::from_ref;
use std::time::Duration;

use crate::world::{World, chain, days_ago, dn, issuing_crl, now, root_crl, subject};
use mail_types::{PeerIdentity, RevocationState};
use pki::development::{DevelopmentPki, IssuedCertificate};
use pki::{CertificateDer, CrlFault, CrlFaultCause, EkuRule, Rejection, TrustSnapshot, UnixTime, Usage};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;

fn judge(snapshot: &TrustSnapshot, certificate: &IssuedCertificate) -> Result<PeerIdentity, Rejection> {
    snapshot.judge(&chain(&certificate.chain_pem), Usage::Client, UnixTime::now())
}

fn revocation(snapshot: &TrustSnapshot, certificate: &IssuedCertificate) -> RevocationState {
    judge(snapshot, certificate).unwrap().revocation
}

#[test]
fn a_good_chain_gives_the_facts_of_its_leaf() {
    let world = World::new();
    let peer = judge(&world.snapshot(&[]), &world.client).unwrap();
    assert_eq!(peer.revocation, RevocationState::Good);
    assert_eq!(peer.subject, dn(&world.client));
    assert_eq!(
        peer.issuer,
        "CN=TEST AC VAGUEMESTRE DEV ORGANISATIONS,O=VAGUEMESTRE DEVELOPPEMENT,C=FR".parse().unwrap()
    );
    assert_eq!(peer.serial, world.client.serial);
    assert_eq!(peer.dns_names, ["mx.other.example"]);
    assert_ne!(peer.key_pin, [0; 32]);
}

#[test]
fn an_application_is_known_by_its_address() {
    let world = World::new();
    let app = world.pki.issue_application(&subject("LOGICIEL"), "app@ch.example", now()).unwrap();
    assert_eq!(judge(&world.snapshot(&[]), &app).unwrap().mail_names, ["app@ch.example"]);
}

#[test]
fn an_issuer_the_peer_did_not_send_is_found_in_the_trust_files() {
    let world = World::new();
    let leaf = &chain(&world.client.chain_pem)[..1];
    assert!(world.snapshot(&[]).judge(leaf, Usage::Client, UnixTime::now()).is_ok());
}

#[test]
fn dates_count() {
    let world = World::new();
    let old = world.pki.issue_server(&subject("old"), &["old.example"], days_ago(4 * 365)).unwrap();
    let early = world.pki.issue_server(&subject("early"), &["early.example"], days_ago(-10)).unwrap();
    assert_eq!(judge(&world.snapshot(&[]), &old), Err(Rejection::Expired));
    assert_eq!(judge(&world.snapshot(&[]), &early), Err(Rejection::NotYetValid));
}

#[test]
fn an_expired_anchor_vouches_for_nobody() {
    let expired = DevelopmentPki::generate(days_ago(11 * 365)).unwrap();
    let root_key = rcgen::KeyPair::from_pem(expired.root_key_pem().unwrap().expose()).unwrap();
    let root = rcgen::Issuer::from_ca_cert_pem(expired.root_cert_pem(), root_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["mx.example".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &root).unwrap();
    let anchors = [expired.root_cert_pem().into()];
    let (snapshot, _) = TrustSnapshot::build(&anchors, &[], now()).unwrap();
    let judgement = snapshot.judge(from_ref(leaf.der()), Usage::Client, UnixTime::now());
    assert_eq!(judgement, Err(Rejection::Expired));
}

#[test]
fn another_authority_of_the_same_name_is_not_the_same() {
    let world = World::new();
    let lookalike = World::new();
    assert_eq!(judge(&world.snapshot(&[]), &lookalike.client), Err(Rejection::Untrusted));
}

#[test]
fn a_self_signed_certificate_is_untrusted() {
    let world = World::new();
    let own = rcgen::generate_simple_self_signed(vec!["mx.example".to_owned()]).unwrap();
    let chain = [own.cert.der().clone()];
    let judgement = world.snapshot(&[]).judge(&chain, Usage::Client, UnixTime::now());
    assert_eq!(judgement, Err(Rejection::Untrusted));
}

#[test]
fn rubbish_and_nothing_are_malformed() {
    let snapshot = World::new().snapshot(&[]);
    let rubbish = [CertificateDer::from(vec![0x30, 3, 2, 1, 1])];
    assert_eq!(snapshot.judge(&rubbish, Usage::Client, UnixTime::now()), Err(Rejection::Malformed));
    assert_eq!(snapshot.judge(&[], Usage::Client, UnixTime::now()), Err(Rejection::Malformed));
}

#[test]
fn a_revoked_leaf_is_refused_and_others_are_not() {
    let world = World::new();
    let snapshot = world.snapshot(from_ref(&world.client.serial));
    assert_eq!(judge(&snapshot, &world.client), Err(Rejection::Revoked));
    assert!(judge(&snapshot, &world.server).is_ok());
}

#[test]
fn a_revoked_issuer_revokes_its_leaves() {
    let world = World::new();
    let issuing = chain(world.pki.issuing_cert_pem());
    let (_, x509) = x509_parser::parse_x509_certificate(&issuing[0]).unwrap();
    let list = root_crl(&world.pki, now(), &[x509.raw_serial().to_vec()], 9);
    let (snapshot, faults) = world.snapshot_of(&[list, world.issuing_list(now(), &[], 1)]);
    assert_eq!(faults, []);
    assert_eq!(judge(&snapshot, &world.client), Err(Rejection::Revoked));
}

#[test]
fn a_revocation_in_an_outdated_list_still_counts() {
    let world = World::new();
    let revoked = [world.client.serial.clone()];
    let (snapshot, _) =
        world.snapshot_of(&[world.root_list(), world.issuing_list(days_ago(60), &revoked, 1)]);
    assert_eq!(judge(&snapshot, &world.client), Err(Rejection::Revoked));
    assert!(matches!(revocation(&snapshot, &world.server), RevocationState::Unknown(_)));
}

#[test]
fn without_a_list_of_every_issuer_revocation_is_unknown() {
    let world = World::new();
    for lists in [vec![], vec![world.root_list()], vec![world.issuing_list(now(), &[], 1)]] {
        let (snapshot, _) = world.snapshot_of(&lists);
        assert!(matches!(revocation(&snapshot, &world.client), RevocationState::Unknown(_)), "{lists:?}");
    }
}

#[test]
fn a_forged_list_is_passed_over_and_replaces_nothing() {
    let world = World::new();
    let forged = World::new().issuing_list(now(), from_ref(&world.client.serial), 99);
    let mut damaged = world.issuing_list(now(), &[], 50);
    damaged.truncate(200);
    let lists = [world.root_list(), world.issuing_list(now(), &[], 1), forged, damaged, b"text".to_vec()];
    let (snapshot, faults) = world.snapshot_of(&lists);
    let causes = [CrlFaultCause::BadSignature, CrlFaultCause::Malformed, CrlFaultCause::Empty];
    let expected: Vec<_> =
        causes.into_iter().zip(2..).map(|(cause, index)| CrlFault { index, cause }).collect();
    assert_eq!(faults, expected);
    assert_eq!(revocation(&snapshot, &world.client), RevocationState::Good);
}

#[test]
fn a_list_of_an_unknown_issuer_is_a_fault() {
    let world = World::new();
    let anchors = [world.pki.root_cert_pem().into()];
    let lists = [world.issuing_list(now(), &[], 1)];
    let (_, faults) = TrustSnapshot::build(&anchors, &lists, now()).unwrap();
    assert_eq!(faults, [CrlFault { index: 0, cause: CrlFaultCause::UnknownIssuer }]);
}

#[test]
fn a_list_from_the_future_is_a_fault() {
    let world = World::new();
    let (_, faults) = world.snapshot_of(&[world.issuing_list(days_ago(-1), &[], 1)]);
    assert_eq!(faults, [CrlFault { index: 0, cause: CrlFaultCause::FromTheFuture }]);
}

#[test]
fn of_two_lists_of_one_issuer_the_freshest_counts_in_any_order() {
    let world = World::new();
    let stale = world.issuing_list(days_ago(3), &[], 2);
    let fresh = world.issuing_list(days_ago(2), from_ref(&world.client.serial), 1);
    for lists in [[stale.clone(), fresh.clone()], [fresh.clone(), stale.clone()]] {
        let (snapshot, _) = world.snapshot_of(&lists);
        assert_eq!(judge(&snapshot, &world.client), Err(Rejection::Revoked));
    }
    let together = [stale, fresh].concat();
    assert_eq!(judge(&world.snapshot_of(&[together]).0, &world.client), Err(Rejection::Revoked));
}

#[test]
fn a_list_of_one_distribution_point_says_nothing_of_certificates_of_others() {
    let world = World::new();
    let sharded = issuing_crl(&world.pki, Some("http://crl.example/1.crl"));
    let (snapshot, faults) = world.snapshot_of(&[world.root_list(), sharded]);
    assert_eq!(faults, []);
    assert!(matches!(revocation(&snapshot, &world.client), RevocationState::Unknown(_)));
    let (snapshot, _) = world.snapshot_of(&[world.root_list(), issuing_crl(&world.pki, None)]);
    assert_eq!(revocation(&snapshot, &world.client), RevocationState::Good);
}

#[test]
fn a_new_snapshot_does_not_forget_what_a_fresher_list_revoked() {
    // One date for all, so that the numbers decide whatever second it is.
    let (world, at) = (World::new(), now());
    let (fresh, _) = world.snapshot_of(&[world.issuing_list(at, from_ref(&world.client.serial), 7)]);
    let (replayed, _) = world.snapshot_of(&[world.issuing_list(at, &[], 6)]);
    let (released, _) = world.snapshot_of(&[world.issuing_list(at, &[], 8)]);
    assert_eq!(judge(&replayed.replacing(&fresh).0, &world.client), Err(Rejection::Revoked));
    assert!(judge(&released.replacing(&fresh).0, &world.client).is_ok());
}

#[test]
fn the_extended_key_usage_is_read_by_the_rule() {
    let world = World::new();
    let app = world.pki.issue_application(&subject("LOGICIEL"), "app@ch.example", now()).unwrap();
    let chain = chain(&app.chain_pem);
    let as_server =
        |snapshot: TrustSnapshot| snapshot.judge(&chain, Usage::Server, UnixTime::now()).map(|_| ());
    assert_eq!(as_server(world.snapshot(&[])), Err(Rejection::WrongUsage));
    assert_eq!(as_server(world.snapshot(&[]).with_eku_rule(EkuRule::AnyTlsUsage)), Ok(()));
}

#[test]
fn the_facts_tell_what_is_in_force() {
    let world = World::new();
    let trust = pki::Trust::new(world.snapshot(&[vec![0x41, 2]]));
    let facts = trust.facts();
    assert_eq!(facts.authorities.iter().map(|a| a.is_anchor).collect::<Vec<_>>(), [true, false]);
    let issuing = &facts.revocation_lists[1];
    assert_eq!((issuing.entries, issuing.number.as_ref().unwrap().to_string()), (1, "02".into()));
    assert_eq!(issuing.next_update.unwrap(), issuing.this_update.plus_secs(30 * crate::world::DAY));
}

/// Every copy of `der` with one byte changed.
fn damaged(der: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..der.len())
        .map(|at| der.iter().enumerate().map(|(i, b)| if i == at { b ^ 0x55 } else { *b }).collect())
}

#[test]
fn no_damaged_list_is_taken() {
    let world = World::new();
    let list = CertificateRevocationListDer::from_pem_slice(&world.issuing_list(now(), &[], 1)).unwrap();
    for list in damaged(&list) {
        assert_ne!(world.snapshot_of(&[list]).1, []);
    }
}

#[test]
fn no_damaged_certificate_is_believed() {
    let world = World::new();
    let snapshot = world.snapshot(&[]);
    for leaf in damaged(&chain(&world.client.chain_pem)[0]) {
        assert!(snapshot.judge(&[leaf.into()], Usage::Client, UnixTime::now()).is_err());
    }
}

#[test]
fn a_list_past_its_date_counts_for_the_grace_and_not_a_second_longer() {
    let world = World::new();
    let outdated = world.issuing_list(days_ago(31), &[], 3);
    let snapshot = || world.snapshot_of(&[world.root_list(), outdated.clone()]).0;
    let hour = 3_600;
    let state = |grace| revocation(&snapshot().with_grace_secs(grace), &world.client);
    assert_eq!(state(24 * hour + 60), RevocationState::Good);
    assert!(matches!(state(24 * hour - 60), RevocationState::Unknown(_)));
    assert!(matches!(state(0), RevocationState::Unknown(_)));
}

#[test]
fn the_identity_names_the_list_it_was_looked_up_in() {
    let world = World::new();
    let number = |lists: &[Vec<u8>]| judge(&world.snapshot_of(lists).0, &world.client).unwrap().crl_number;
    assert_eq!(number(&[world.root_list(), world.issuing_list(now(), &[], 0x1a2)]).as_deref(), Some("01a2"));
    assert_eq!(number(&[world.issuing_list(days_ago(60), &[], 7)]).as_deref(), Some("07"));
    assert_eq!(number(&[world.root_list()]), None);
}

#[test]
fn a_chain_that_was_good_once_is_still_held_to_its_dates_and_use() {
    let world = World::new();
    let app = world.pki.issue_application(&subject("LOGICIEL"), "app@ch.example", now()).unwrap();
    let (snapshot, chain) = (world.snapshot(&[]), chain(&app.chain_pem));
    let in_days = |days: u64| {
        UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs() + days * 86_400))
    };
    let judge = |usage, at| snapshot.judge(&chain, usage, at).map(|peer| peer.revocation);
    for _ in 0..2 {
        assert_eq!(judge(Usage::Client, UnixTime::now()), Ok(RevocationState::Good));
        assert!(matches!(judge(Usage::Client, in_days(60)), Ok(RevocationState::Unknown(_))));
        assert_eq!(judge(Usage::Client, in_days(4 * 365)), Err(Rejection::Expired));
        assert_eq!(
            judge(Usage::Client, UnixTime::since_unix_epoch(Duration::ZERO)),
            Err(Rejection::NotYetValid)
        );
        assert_eq!(judge(Usage::Server, UnixTime::now()), Err(Rejection::WrongUsage));
        assert_eq!(snapshot.judge(&chain[..1], Usage::Server, UnixTime::now()), Err(Rejection::WrongUsage));
    }
    // The same octets are worth nothing where their authority is not trusted, and nothing once they are revoked.
    let foreign = World::new().snapshot(&[]);
    assert_eq!(foreign.judge(&chain, Usage::Client, UnixTime::now()), Err(Rejection::Untrusted));
    let (revoking, _) = world.snapshot(from_ref(&app.serial)).replacing(&snapshot);
    assert_eq!(revoking.judge(&chain, Usage::Client, UnixTime::now()), Err(Rejection::Revoked));
}

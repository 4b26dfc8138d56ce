//! What an answer must be to count.

use super::*;

#[test]
fn good_revoked_and_unknown_are_told_apart() {
    let world = World::new();
    let leaf = world.server();
    assert_eq!(world.ask(&leaf, Entry::Valid, None), Ok(CertificateStatus::Good));
    assert_eq!(world.ask(&leaf, Entry::Revoked, None), Ok(CertificateStatus::Revoked));
    assert_eq!(world.ask(&leaf, Entry::Absent, None), Err(OcspFault::CertificateUnknown));
}

#[test]
fn a_delegated_responder_needs_the_usage_the_dates_and_the_issuer() {
    let world = World::new();
    let leaf = world.server();
    let ask = |signer: &Leaf| world.ask(&leaf, Entry::Valid, Some(signer));
    assert_eq!(ask(&world.responder()), Ok(CertificateStatus::Good));
    assert_eq!(ask(&world.server()), Err(OcspFault::ResponderNotAuthorised));
    let old = world.issue(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.not_after = time::OffsetDateTime::from_unix_timestamp(now().secs() - HOUR).unwrap();
    });
    assert_eq!(ask(&old), Err(OcspFault::ResponderNotAuthorised));
    // An authority with the same name and another key: its responder answers for its own certificates only.
    assert_eq!(ask(&World::new().responder()), Err(OcspFault::ResponderNotAuthorised));
}

#[test]
fn a_delegated_responder_must_not_be_revoked_nor_in_doubt() {
    let world = World::new();
    let (leaf, vouched) = (world.server(), world.responder());
    let plain = world.issue(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning]);
    let question = world.question(&leaf);
    let (bare, _) = TrustSnapshot::build(&[world.pki.trust_pem().into_bytes()], &[], now()).unwrap();
    for (signer, in_doubt) in
        [(&vouched, Ok(CertificateStatus::Good)), (&plain, Err(OcspFault::ResponderInDoubt))]
    {
        let request = question.request(b"a nonce").unwrap();
        let bytes = world.answer(&leaf, Entry::Valid, Some(signer), &request, &["-nmin", "30"]);
        assert_eq!(read(&bytes, &question, &world.snapshot(&[]), now()), Ok(CertificateStatus::Good));
        assert_eq!(read(&bytes, &question, &bare, now()), in_doubt);
        let revoked = world.snapshot(std::slice::from_ref(&signer.serial));
        assert_eq!(read(&bytes, &question, &revoked, now()), Err(OcspFault::ResponderRevoked));
    }
}

#[test]
fn an_answer_counts_between_its_dates_only() {
    let world = World::new();
    let leaf = world.server();
    let (question, trust) = (world.question(&leaf), world.snapshot(&[]));
    let request = question.request(b"a nonce").unwrap();
    let dated = world.answer(&leaf, Entry::Valid, None, &request, &["-nmin", "30"]);
    let undated = world.answer(&leaf, Entry::Valid, None, &request, &[]);
    for (bytes, later, expected) in [
        (&dated, 30 * 60, Ok(CertificateStatus::Good)),
        (&dated, 40 * 60, Err(OcspFault::Outdated)),
        (&dated, -HOUR, Err(OcspFault::FromTheFuture)),
        (&undated, 30 * 60, Ok(CertificateStatus::Good)),
        (&undated, 2 * HOUR, Err(OcspFault::Outdated)),
    ] {
        assert_eq!(read(bytes, &question, &trust, now().plus_secs(later)), expected, "{later}");
    }
}

#[test]
fn a_responder_that_gives_no_answer_says_why() {
    let world = World::new();
    let (question, trust) = (world.question(&world.server()), world.snapshot(&[]));
    for (status, fault) in [
        (0, OcspFault::Malformed),
        (1, OcspFault::RequestRefused),
        (2, OcspFault::InternalError),
        (3, OcspFault::TryLater),
        (4, OcspFault::Malformed),
        (5, OcspFault::SignatureRequired),
        (6, OcspFault::Unauthorized),
    ] {
        assert_eq!(read(&[0x30, 3, 0x0a, 1, status], &question, &trust, now()), Err(fault), "{status}");
    }
}

#[test]
fn another_nonce_is_refused_and_none_is_tolerated() {
    let world = World::new();
    let leaf = world.server();
    let (question, trust) = (world.question(&leaf), world.snapshot(&[]));
    let other =
        world.answer(&leaf, Entry::Valid, None, &question.request(b"other").unwrap(), &["-nmin", "30"]);
    assert_eq!(read(&other, &question, &trust, now()), Err(OcspFault::OtherNonce));
    // As a staple it was asked for by somebody else.
    assert!(OcspAnswer::read(&other, &question, None, &trust, now()).is_ok());
    let leaf_file = leaf.file("leaf.pem", &leaf.chain_pem);
    let issuer_file = leaf.file("issuer.pem", world.pki.issuing_cert_pem());
    let out = leaf.dir.path().join("request");
    let arguments = ["ocsp", "-no_nonce", "-issuer"];
    let mut command = Command::new("openssl");
    command.args(arguments).arg(issuer_file).arg("-cert").arg(leaf_file).arg("-reqout").arg(&out);
    assert!(command.output().unwrap().status.success());
    let without = world.answer(&leaf, Entry::Valid, None, &std::fs::read(out).unwrap(), &["-nmin", "30"]);
    assert_eq!(read(&without, &question, &trust, now()), Ok(CertificateStatus::Good));
}

#[test]
fn an_answer_about_another_certificate_or_changed_on_its_way_is_refused() {
    let world = World::new();
    let (leaf, other) = (world.server(), world.server());
    let (question, trust) = (world.question(&leaf), world.snapshot(&[]));
    let request = world.question(&other).request(b"a nonce").unwrap();
    let bytes = world.answer(&other, Entry::Valid, None, &request, &["-nmin", "30"]);
    assert_eq!(read(&bytes, &question, &trust, now()), Err(OcspFault::OtherCertificate));
    let request = question.request(b"a nonce").unwrap();
    let bytes = world.answer(&leaf, Entry::Revoked, None, &request, &["-nmin", "30"]);
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end], &question, &trust, now()).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_ne!(read(&changed, &question, &trust, now()), Ok(CertificateStatus::Good), "{at}");
    }
}

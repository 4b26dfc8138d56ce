//! Who may hand us mail: STARTTLS, certificates, revocation lists, white list.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Certificate, ClientTls, Demo, Operator, Wire, get, now, until};

const DAY_SECS: i64 = 86_400;

/// MAIL with a certificate; the beginning of the reply.
async fn mail(port: u16, tls: &ClientTls, reverse_path: &str, beginning: &str) {
    let mut wire = Wire::mx(port, tls).await;
    wire.ask(&format!("MAIL FROM:<{reverse_path}>"), beginning).await;
}

#[tokio::test]
async fn nothing_is_taken_before_starttls() {
    let demo = Demo::shared();
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    let reply = wire.ask("EHLO peer.example", "250").await;
    for extension in ["STARTTLS", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"] {
        assert!(reply.lines.iter().any(|line| line == extension), "{extension} is not offered: {wire:?}");
    }
    assert!(reply.lines.iter().all(|line| !line.starts_with("AUTH")), "AUTH on the MX: {wire:?}");
    wire.ask("MAIL FROM:<a@chu-nord.mssante.test>", "530 5.7.0").await;
    wire.ask("RCPT TO:<a@clinique-sud.mssante.test>", "530 5.7.0").await;
    wire.ask("DATA", "530 5.7.0").await;
    wire.ask("AUTH PLAIN AGEAYg==", "5").await;
}

#[tokio::test]
async fn a_peer_without_certificate_is_refused_at_mail() {
    let demo = Demo::shared();
    let mut wire = Wire::mx(demo.south().ports["smtp"], &demo.anonymous()).await;
    wire.ask("MAIL FROM:<claire.martin@chu-nord.mssante.test>", "550 5.7.1").await;
    wire.ask("MAIL FROM:<>", "550 5.7.1").await;
}

#[tokio::test]
async fn a_listed_pair_is_accepted_and_another_domain_with_it_is_not() {
    let demo = Demo::shared();
    let (port, north) = (demo.south().ports["smtp"], demo.client(&demo.north().certificate()));
    mail(port, &north, "claire.martin@chu-nord.mssante.test", "250 2.1.0").await;
    mail(port, &north, "claire.martin@CHU-Nord.MSSante.TEST", "250 2.1.0").await;
    mail(port, &north, "paul.moreau@clinique-sud.mssante.test", "550 5.7.1").await;
    mail(port, &north, "someone@sub.chu-nord.mssante.test", "550 5.7.1").await;
    mail(port, &north, "someone@unlisted.example", "550 5.7.1").await;
}

#[tokio::test]
async fn the_null_sender_needs_a_listed_certificate() {
    let demo = Demo::shared();
    let port = demo.south().ports["smtp"];
    mail(port, &demo.client(&demo.north().certificate()), "", "250 2.1.0").await;
    mail(port, &demo.client(&demo.certificate("unlisted.example")), "", "550 5.7.1").await;
}

#[tokio::test]
async fn a_valid_certificate_that_is_not_listed_is_refused_at_mail() {
    let demo = Demo::shared();
    let unlisted = demo.client(&demo.certificate("unlisted.example"));
    mail(demo.south().ports["smtp"], &unlisted, "a@unlisted.example", "550 5.7.1").await;
}

#[tokio::test]
async fn an_application_certificate_speaks_for_no_domain() {
    let demo = Demo::shared();
    let application = &demo.north().applications[0];
    let tls = demo.client(&application.certificate());
    mail(demo.south().ports["smtp"], &tls, &application.mailboxes[0], "550 5.7.1").await;
}

#[tokio::test]
async fn a_certificate_of_a_foreign_authority_fails_the_handshake() {
    let demo = Demo::shared();
    // The same names as the listed operator's, by an authority that has the same names as the demo's.
    let foreign = pki::development::DevelopmentPki::generate(now()).unwrap();
    let forged = demo.client(&Certificate::issue(&foreign, "chu-nord.mssante.test", now()));
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    let cause = wire.handshake_is_refused(&forged).await;
    assert!(cause.contains("alert") || cause == "closed", "{cause}");
}

#[tokio::test]
async fn an_expired_certificate_fails_the_handshake() {
    let demo = Demo::shared();
    let four_years_ago = now().plus_secs(-4 * 365 * DAY_SECS);
    let expired = Certificate::issue(&demo.authority(), "expired.example", four_years_ago);
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    let cause = wire.handshake_is_refused(&demo.client(&expired)).await;
    assert!(cause.contains("Expired"), "{cause}");
}

#[tokio::test]
async fn a_certificate_is_refused_from_the_reload_on_that_brings_its_revocation() {
    let demo = Demo::start();
    let third = demo.certificate("third.example");
    demo.list("third.example", &third.subject);
    demo.reload();
    let (port, tls) = (demo.south().ports["smtp"], demo.client(&third));
    mail(port, &tls, "a@third.example", "250 2.1.0").await;
    demo.revoke(&[&third]);
    demo.reload();
    // The same client configuration, with its session tickets: a resumption must not be a way around the list.
    let mut wire = Wire::connect(port).await;
    wire.expect("220").await;
    let cause = wire.handshake_is_refused(&tls).await;
    assert!(cause.contains("Revoked"), "{cause}");
    // An older list put back in its place does not make the revocation forgotten.
    let older = demo.authority().issuing_crl_pem(now().plus_secs(-DAY_SECS), &[], 1).unwrap();
    std::fs::write(demo.pki.crl_dir.join("issuing.pem"), older).unwrap();
    demo.reload();
    let mut wire = Wire::connect(port).await;
    wire.expect("220").await;
    wire.handshake_is_refused(&demo.client(&third)).await;
    mail(port, &demo.client(&demo.north().certificate()), "x@chu-nord.mssante.test", "250 2.1.0").await;
}

#[tokio::test]
async fn a_revocation_list_past_its_date_defers() {
    let demo = Demo::start().restarted(
        |process| {
            process.terminate();
        },
        |description| {
            let issuing = std::fs::read_to_string(&description.pki.issuing_ca_cert_file).unwrap();
            let key = std::fs::read_to_string(&description.pki.issuing_ca_key_file).unwrap();
            let root = std::fs::read_to_string(&description.ca_file).unwrap();
            let authority = pki::development::DevelopmentPki::load(&root, None, &issuing, &key).unwrap();
            let stale = authority.issuing_crl_pem(now().plus_secs(-40 * DAY_SECS), &[], 1).unwrap();
            std::fs::write(description.pki.crl_dir.join("issuing.pem"), stale).unwrap();
        },
    );
    let (port, tls) = (demo.south().ports["smtp"], demo.client(&demo.north().certificate()));
    mail(port, &tls, "claire.martin@chu-nord.mssante.test", "451 4.7.0").await;
    mail(port, &tls, "", "451 4.7.0").await;
    demo.revoke(&[]);
    demo.reload();
    mail(port, &tls, "claire.martin@chu-nord.mssante.test", "250 2.1.0").await;
}

#[tokio::test]
async fn without_any_revocation_list_mail_is_deferred() {
    let mut operator = Operator::init("ville.example");
    operator.edit("crl_files = [\"trust/crl\"]\n", "");
    operator.serve();
    let tls = operator.client("ville.example");
    mail(operator.ports["smtp"], &tls, "a@ville.example", "451 4.7.0").await;
}

#[tokio::test]
async fn without_a_white_list_mail_is_deferred_until_one_is_loaded() {
    let mut operator = Operator::init("ville.example");
    operator.edit("whitelist_file = \"trust/whitelist.txt\"\n", "");
    let peer = Certificate::issue(&operator.authority(), "autre.example", now());
    operator.serve();
    let (port, tls) = (operator.ports["smtp"], ClientTls::with(&operator.ca_file(), &peer));
    mail(port, &tls, "a@autre.example", "451 4.7.0").await;
    std::fs::write(operator.file("list.txt"), format!("autre.example;{}\n", peer.subject)).unwrap();
    operator.edit("[trust]\n", "[trust]\nwhitelist_file = \"list.txt\"\n");
    operator.process().signal("HUP");
    until("the new white list is in force", async || {
        let mut wire = Wire::mx(port, &tls).await;
        wire.send("MAIL FROM:<a@autre.example>").await;
        (wire.reply().await.code == 250).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_reload_brings_new_pairs_and_takes_old_ones_away() {
    let demo = Demo::start();
    let third = demo.certificate("third.example");
    let (port, tls) = (demo.south().ports["smtp"], demo.client(&third));
    mail(port, &tls, "a@third.example", "550 5.7.1").await;
    let before = std::fs::read_to_string(&demo.whitelist_file).unwrap();
    // The order of the attributes and the case of their names do not matter.
    let reversed: Vec<&str> = third.subject.split(',').rev().collect();
    demo.list("Third.Example", &reversed.join(", ").replace("CN=", "cn="));
    demo.reload();
    mail(port, &tls, "a@third.example", "250 2.1.0").await;
    std::fs::write(&demo.whitelist_file, before).unwrap();
    demo.reload();
    mail(port, &tls, "a@third.example", "550 5.7.1").await;
}

#[tokio::test]
async fn a_white_list_that_went_missing_leaves_the_one_in_force() {
    let demo = Demo::start();
    std::fs::remove_file(&demo.whitelist_file).unwrap();
    demo.reload();
    let tls = demo.client(&demo.north().certificate());
    mail(demo.south().ports["smtp"], &tls, "claire.martin@chu-nord.mssante.test", "250 2.1.0").await;
}

#[tokio::test]
async fn a_reload_brings_our_new_certificate() {
    let demo = Demo::start();
    let south = demo.south();
    let foreign = pki::development::DevelopmentPki::generate(now()).unwrap();
    let renewed = Certificate::issue(&foreign, &south.domain, now());
    let ca = south.data_dir.join("new-ca.pem");
    std::fs::write(&ca, foreign.trust_pem()).unwrap();
    // What would not stand under our own trust is not taken.
    let anchors = std::fs::read_to_string(&demo.ca_file).unwrap() + &foreign.trust_pem();
    std::fs::write(&demo.ca_file, anchors).unwrap();
    std::fs::write(&south.server_cert_file, &renewed.chain_pem).unwrap();
    std::fs::write(&south.server_key_file, &renewed.key_pem).unwrap();
    demo.reload();
    let tls = ClientTls::anonymous(&ca);
    for (port, is_clear) in [("smtp", true), ("submission", true), ("submissions", false)] {
        let mut wire = Wire::connect(south.ports[port]).await;
        if is_clear {
            wire.expect("220").await;
            wire.starttls(&tls).await.expect(port);
        } else {
            wire.handshake(&tls).await.expect(port);
        }
    }
    assert_eq!(get(south.ports["https"], &tls, "/healthz").await.0, 200);
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let demo = Demo::shared();
    for (minor, record) in [(2, 21), (3, 22)] {
        let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
        wire.expect("220").await;
        wire.ask("EHLO peer.example", "250").await;
        wire.ask("STARTTLS", "220").await;
        wire.send_raw(&hello_of_tls_1(minor)).await;
        // An alert; for the same hello of TLS 1.2 a ServerHello (RFC 5246 §6.2.1).
        assert_eq!(wire.octets(7).await[0], record, "TLS 1.{} {wire:?}", minor - 1);
    }
}

/// A ClientHello of a client that speaks this version at most.
fn hello_of_tls_1(minor: u8) -> Vec<u8> {
    let extensions: &[u8] = &[
        0, 10, 0, 6, 0, 4, 0, 23, 0, 24, // supported_groups: secp256r1, secp384r1
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0, 13, 0, 6, 0, 4, 4, 3, 8,
        4, // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256
        0, 23, 0, 0, // extended_master_secret
    ];
    let mut body = vec![3, minor];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 6, 0xc0, 0x2b, 0xc0, 0x0a, 0xc0, 0x09, 1, 0]);
    body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend_from_slice(extensions);
    let length = u16::try_from(body.len()).unwrap();
    let handshake = [&[1, 0][..], &length.to_be_bytes(), &body].concat();
    let length = u16::try_from(handshake.len()).unwrap();
    [&[22, 3, 1][..], &length.to_be_bytes(), &handshake].concat()
}

#[tokio::test]
async fn commands_injected_in_clear_behind_starttls_are_not_heard_under_tls() {
    let demo = Demo::shared();
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    wire.ask("EHLO peer.example", "250").await;
    wire.send_raw(b"STARTTLS\r\nEHLO evil.example\r\nNOOP\r\nNOOP\r\n").await;
    wire.expect("220").await;
    wire.handshake(&demo.anonymous()).await.expect("what was injected is discarded, the handshake goes on");
    // The first reply is to our own command, and the injected EHLO is forgotten.
    wire.ask("HELP", "214").await;
    wire.ask("MAIL FROM:<a@b.example>", "503").await;
    let reply = wire.ask("EHLO peer.example", "250").await;
    assert!(reply.lines.iter().all(|line| line != "STARTTLS"), "STARTTLS twice: {wire:?}");
    wire.ask("STARTTLS", "503").await;
}

#[tokio::test]
async fn a_revocation_list_that_goes_away_at_a_reload_defers_and_an_older_one_changes_nothing() {
    let demo = Demo::start();
    let (port, tls) = (demo.south().ports["smtp"], demo.client(&demo.north().certificate()));
    let sender = "claire.martin@chu-nord.mssante.test";
    mail(port, &tls, sender, "250 2.1.0").await;
    let file = demo.pki.crl_dir.join("issuing.pem");
    let stale = demo.authority().issuing_crl_pem(now().plus_secs(-40 * DAY_SECS), &[], 1).unwrap();
    std::fs::write(&file, stale).unwrap();
    demo.reload();
    mail(port, &tls, sender, "250 2.1.0").await;
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(demo.pki.crl_dir.join("root.pem")).unwrap();
    demo.reload();
    mail(port, &tls, sender, "451 4.7.0").await;
}

#[tokio::test]
async fn a_newer_list_with_a_smaller_number_revokes() {
    let demo = Demo::start();
    let third = demo.certificate("third.example");
    demo.list("third.example", &third.subject);
    let list = |number| {
        demo.authority().issuing_crl_pem(now(), std::slice::from_ref(&third.serial), number).unwrap()
    };
    std::fs::write(
        demo.pki.crl_dir.join("zz.pem"),
        demo.authority().issuing_crl_pem(now().plus_secs(-60), &[], 4_000_000_000).unwrap(),
    )
    .unwrap();
    demo.reload();
    mail(demo.south().ports["smtp"], &demo.client(&third), "a@third.example", "250 2.1.0").await;
    std::fs::write(demo.pki.crl_dir.join("issuing.pem"), list(2)).unwrap();
    demo.reload();
    let mut wire = Wire::connect(demo.south().ports["smtp"]).await;
    wire.expect("220").await;
    wire.handshake_is_refused(&demo.client(&third)).await;
}

#[tokio::test]
async fn an_open_connection_ends_when_its_certificate_is_revoked() {
    let demo = Demo::start();
    let third = demo.certificate("third.example");
    demo.list("third.example", &third.subject);
    demo.reload();
    let mut wire = Wire::mx(demo.south().ports["smtp"], &demo.client(&third)).await;
    wire.send("MAIL FROM:<a@third.example>").await;
    wire.expect("250 2.1.0").await;
    wire.send("RSET").await;
    wire.expect("250").await;
    demo.revoke(&[&third]);
    demo.reload();
    wire.send("MAIL FROM:<a@third.example>").await;
    wire.expect("421 4.7.0").await;
    wire.expect_closed().await;
}

#[tokio::test]
async fn an_empty_white_list_leaves_the_one_in_force() {
    let demo = Demo::start();
    std::fs::write(&demo.whitelist_file, "# being written\n").unwrap();
    demo.reload();
    let tls = demo.client(&demo.north().certificate());
    mail(demo.south().ports["smtp"], &tls, "claire.martin@chu-nord.mssante.test", "250 2.1.0").await;
}

#[tokio::test]
async fn postmaster_of_every_domain_is_reached() {
    let demo = Demo::start();
    let tls = demo.client(&demo.north().certificate());
    let mut wire = Wire::mx(demo.south().ports["smtp"], &tls).await;
    wire.send("MAIL FROM:<claire.martin@chu-nord.mssante.test>").await;
    wire.expect("250 2.1.0").await;
    for recipient in ["Postmaster", "postmaster@clinique-sud.mssante.test"] {
        wire.send(&format!("RCPT TO:<{recipient}>")).await;
        wire.expect("250 2.1.5").await;
    }
}

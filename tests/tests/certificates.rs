//! Our own certificates: asked for, entered, renewed; and the inventory on the command line.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use pki::development::DevelopmentPki;
use scenarios::{Certificate, ClientTls, Operator, Wire, get, now, openssl, until};
use std::path::Path;

const DAY_SECS: i64 = 86_400;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Puts a certificate in the place of the operator's, and reloads.
async fn renew(operator: &mut Operator, certificate: &Certificate) {
    std::fs::write(operator.file("tls/server.pem"), &certificate.chain_pem).unwrap();
    std::fs::write(operator.file("tls/server.key"), &certificate.key_pem).unwrap();
    reload(operator).await;
}

async fn reload(operator: &mut Operator) {
    let count = |log: &str| log.matches("reloaded").count();
    let before = count(&operator.process().log());
    operator.process().signal("HUP");
    until("a reload", async || (count(&operator.process().log()) > before).then_some(())).await;
}

/// The serial number of the certificate that the operator presents, in hexadecimal.
fn presented(operator: &Operator) -> String {
    let address = format!("127.0.0.1:{}", operator.ports["imaps"]);
    let printed = openssl(&["s_client", "-connect", &address, "-CAfile", text(&operator.ca_file())]);
    let begin = printed.find("-----BEGIN CERTIFICATE-----").unwrap();
    let file = operator.file("presented.pem");
    std::fs::write(&file, &printed[begin..]).unwrap();
    openssl(&["x509", "-noout", "-serial", "-in", text(&file)]).trim().replace("serial=", "").to_lowercase()
}

fn hex(serial: &[u8]) -> String {
    serial.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn inventory(operator: &Operator, arguments: &[&str]) -> Vec<serde_json::Value> {
    let listed = operator.cli(&[&["certificate", "list", "--json"], arguments].concat());
    listed.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn a_new_certificate_is_taken_at_a_reload_only_if_it_stands() {
    let mut operator = Operator::init("ville.example");
    operator.serve();
    let (authority, first) = (operator.authority(), presented(&operator));
    let expired = Certificate::issue(&authority, "ville.example", now().plus_secs(-4 * 365 * DAY_SECS));
    let foreign = Certificate::issue(&DevelopmentPki::generate(now()).unwrap(), "ville.example", now());
    let revoked = Certificate::issue(&authority, "ville.example", now());
    let list = authority.issuing_crl_pem(now(), std::slice::from_ref(&revoked.serial), 1 << 40).unwrap();
    std::fs::write(operator.file("trust/crl/issuing.pem"), list).unwrap();
    let other_key = Certificate {
        key_pem: foreign.key_pem.clone(),
        ..Certificate::issue(&authority, "x.example", now())
    };
    for (certificate, cause) in [
        (&expired, "expired"),
        (&foreign, "does not lead to a trusted authority"),
        (&revoked, "revoked"),
        (&other_key, "not the key of the first certificate"),
    ] {
        renew(&mut operator, certificate).await;
        assert!(
            operator.process().log().contains(cause),
            "`{cause}` is not in\n{}",
            operator.process().log()
        );
        assert_eq!(presented(&operator), first, "{cause}");
        let checked = operator.cli(&["certificate", "check"]);
        assert!(
            !checked.is_success && (checked.stdout.clone() + &checked.stderr).contains(cause),
            "{checked:?}"
        );
    }
    let renewed = Certificate::issue(&authority, "ville.example", now());
    let (cert, key) = (operator.file("new.pem"), operator.file("new.key"));
    std::fs::write(&cert, &renewed.chain_pem).unwrap();
    std::fs::write(&key, &renewed.key_pem).unwrap();
    operator.cli(&["certificate", "check", text(&cert), "--key", text(&key)]).ok();
    renew(&mut operator, &renewed).await;
    assert_eq!(presented(&operator), hex(&renewed.serial));
    let entered = async || {
        inventory(&operator, &[])
            .iter()
            .any(|row| row["serial"] == hex(&renewed.serial).as_str())
            .then_some(())
    };
    until("the new certificate in the inventory", entered).await;
}

#[tokio::test]
async fn a_certificate_that_does_not_stand_is_served_at_the_start_and_logged() {
    let mut operator = Operator::init("ville.example");
    let expired =
        Certificate::issue(&operator.authority(), "ville.example", now().plus_secs(-4 * 365 * DAY_SECS));
    std::fs::write(operator.file("tls/server.pem"), &expired.chain_pem).unwrap();
    std::fs::write(operator.file("tls/server.key"), &expired.key_pem).unwrap();
    operator.serve();
    let log = operator.process().log();
    assert!(log.contains("our own certificate does not stand") && log.contains("expired"), "{log}");
    let alarm = async || operator.process().log().contains("a certificate has expired").then_some(());
    until("the alarm of the inventory", alarm).await;
}

#[tokio::test]
async fn other_operators_see_the_client_certificate() {
    let mut operator = Operator::init("ville.example");
    operator.edit("[tls]\n", "[tls]\nclient_cert = \"tls/client.pem\"\nclient_key = \"tls/client.key\"\n");
    operator.edit("[routes]\n", "[delivery]\nretry_first_secs = 1\n[routes]\n");
    let client = Certificate::issue(&operator.authority(), "client.example", now());
    std::fs::write(operator.file("tls/client.pem"), &client.chain_pem).unwrap();
    std::fs::write(operator.file("tls/client.key"), &client.key_pem).unwrap();
    operator.serve();
    assert_ne!(presented(&operator), hex(&client.serial));
    let serials: Vec<String> =
        inventory(&operator, &[]).iter().map(|row| row["serial"].as_str().unwrap().to_owned()).collect();
    assert!(serials.contains(&hex(&client.serial)) && serials.contains(&presented(&operator)), "{serials:?}");
    let mut peer = Operator::init("bourg.example");
    let anchors = std::fs::read_to_string(operator.ca_file()).unwrap();
    let own = Certificate::issue(&operator.authority(), "bourg.example", now());
    for (name, content) in [
        ("trust/anchors.pem", anchors),
        ("tls/server.pem", own.chain_pem),
        ("tls/server.key", own.key_pem),
        ("trust/whitelist.txt", format!("ville.example;{}\n", client.subject)),
    ] {
        std::fs::write(peer.file(name), content).unwrap();
    }
    std::fs::remove_dir_all(peer.file("trust/crl")).unwrap();
    std::fs::create_dir(peer.file("trust/crl")).unwrap();
    for name in ["root.pem", "issuing.pem"] {
        std::fs::copy(operator.file(format!("trust/crl/{name}")), peer.file(format!("trust/crl/{name}")))
            .unwrap();
    }
    let (from, to) = (operator.new_mailbox("a"), peer.new_mailbox("b"));
    peer.serve();
    let list = std::fs::read_to_string(operator.file("trust/whitelist.txt")).unwrap();
    let list = format!("{list}bourg.example;{}\n", own.subject);
    std::fs::write(operator.file("trust/whitelist.txt"), list).unwrap();
    let route = format!("bourg.example 127.0.0.1:{}\n", peer.ports["smtp"]);
    std::fs::write(operator.file("trust/routes.txt"), route).unwrap();
    reload(&mut operator).await;
    let letter = scenarios::Letter::new("client", b"a\r\n").by(&from.address);
    let accepted = async || {
        let port = operator.ports["submissions"];
        let mut wire = Wire::try_login(port, &operator.anonymous(), &from).await.unwrap();
        let sent = wire.try_letter(&from.address, std::slice::from_ref(&to.address), &letter.content).await;
        sent.unwrap().text().starts_with("250").then_some(())
    };
    until("the new list in force", accepted).await;
    let mut imap = peer.imap(&to).await;
    until("the letter", async || {
        imap.ok("STATUS INBOX (MESSAGES)")
            .await
            .untagged
            .iter()
            .any(|line| !String::from_utf8_lossy(line).contains("MESSAGES 0"))
            .then_some(())
    })
    .await;
}

#[test]
fn a_request_is_signed_by_its_key_and_nothing_is_overwritten() {
    let operator = Operator::init("ville.example");
    let (out, key) = (operator.file("asked.csr"), operator.file("asked.key"));
    let subject =
        ["--cn", "mx.ville.example", "--ou", "1750000019", "--o", "VILLE \"ÉTÉ\"", "--st", "Paris (75)"];
    let names = ["--san", "mx.ville.example", "--san", "192.0.2.7", "--san", "robot@ville.example"];
    let ask = |more: &[&str]| {
        operator.cli(&[&["certificate", "request", "--out", text(&out)], &subject[..], &names, more].concat())
    };
    for more in [&["--ecdsa", "p256"][..], &["--rsa", "2048"], &["--rsa", "3072"], &[]] {
        ask(more).ok();
        let printed = openssl(&[
            "req",
            "-in",
            text(&out),
            "-verify",
            "-noout",
            "-text",
            "-subject",
            "-nameopt",
            "utf8,sep_comma_plus",
        ]);
        assert!(printed.contains("VILLE \"ÉTÉ\""), "{printed}");
        for part in
            ["DNS:mx.ville.example", "IP Address:192.0.2.7", "email:robot@ville.example", "1750000019"]
        {
            assert!(printed.contains(part), "{part} is not in\n{printed}");
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let again = ask(more);
        assert!(!again.is_success && again.stderr.contains("not overwritten"), "{again:?}");
        std::fs::remove_file(&out).unwrap();
        assert!(ask(&["--key", text(&key)]).is_success, "the key is used again");
        let of_key = openssl(&["pkey", "-in", text(&key), "-pubout"]);
        assert_eq!(openssl(&["req", "-in", text(&out), "-noout", "-pubkey"]), of_key);
        std::fs::remove_file(&out).unwrap();
        std::fs::remove_file(&key).unwrap();
    }
    let refused = ask(&["--c", "France"]);
    assert!(!refused.is_success && refused.stderr.contains("two letters") && !out.exists(), "{refused:?}");
}

#[tokio::test]
async fn the_inventory_is_kept_and_told_by_commands_log_and_metrics() {
    let mut operator = Operator::init("ville.example");
    operator.serve();
    let soon = Certificate::issue(
        &operator.authority(),
        "soon.example",
        now().plus_secs(-(3 * 365 - 20) * DAY_SECS),
    );
    let file = operator.file("soon.pem");
    std::fs::write(&file, &soon.chain_pem).unwrap();
    let added =
        operator.cli(&["certificate", "add", text(&file), "--note", "renewal asked for", "--json"]).json();
    let id = added["id"].to_string();
    assert_eq!((&added["usage"], &added["is_new"]), (&"SERV_SSL".into(), &true.into()));
    assert_eq!(operator.cli(&["certificate", "add", text(&file), "--json"]).json()["is_new"], false);
    let shown = operator.cli(&["certificate", "show", &id, "--json"]).json();
    assert_eq!(
        (&shown["note"], &shown["serial"]),
        (&"renewal asked for".into(), &hex(&soon.serial).as_str().into())
    );
    let listed = operator.cli(&["certificate", "list"]).ok();
    assert!(listed.contains("cn=mx.soon.example") || listed.contains("CN=mx.soon.example"), "{listed}");
    operator.process().terminate();
    operator.serve();
    let fingerprint = shown["fingerprint"].as_str().unwrap()[..16].to_owned();
    let warned = async || {
        let log = operator.process().log();
        (log.contains("a certificate expires within 30 days") && log.contains(&fingerprint)).then_some(())
    };
    until("the alarm", warned).await;
    let tls = ClientTls::anonymous(&operator.ca_file());
    let labels = format!(
        "certificate_expiry_seconds{{certificate=\"{fingerprint}\",holder=\"own\",usage=\"SERV_SSL\"}}"
    );
    let metrics = get(operator.ports["https"], &tls, "/metrics").await.1;
    assert!(metrics.contains(&labels), "{labels} is not in\n{metrics}");
    operator.cli(&["certificate", "withdraw", &id]).ok();
    assert!(inventory(&operator, &[]).iter().all(|row| row["id"] != added["id"]));
    assert!(inventory(&operator, &["--all"]).iter().any(|row| row["id"] == added["id"]));
    let unknown = operator.cli(&["certificate", "withdraw", "4711"]);
    assert!(!unknown.is_success && unknown.stderr.contains("certificate list"), "{unknown:?}");
    Wire::connect(operator.ports["smtp"]).await.expect("220").await;
}

//! With what somebody comes to the REST API, and as what.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, Certificate, Demo};

/// An application of a scenario's own that opens these new mailboxes, by certificate.
fn application(demo: &Demo, name: &str, mailboxes: &[&str]) -> (Certificate, Vec<String>) {
    let site = demo.north();
    let addresses: Vec<String> =
        mailboxes.iter().map(|mailbox| format!("{mailbox}@{}", site.domain)).collect();
    let certificate = Certificate::issue_application(&demo.authority(), name, &addresses[0]);
    site.cli(&["application", "create", name]).ok();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &certificate.chain_pem).unwrap();
    site.cli(&["application", "certificate", "add", name, "--pem", file.path().to_str().unwrap()]).ok();
    for address in &addresses {
        site.cli(&["mailbox", "create", address, "--kind", "applicative"]).ok();
        site.cli(&["application", "grant", name, address]).ok();
    }
    (certificate, addresses)
}

#[tokio::test]
async fn an_application_password_opens_what_is_its_holders_and_administers_nothing() {
    let demo = Demo::shared();
    let mailbox = demo.north().personal(0);
    let (name, password) = (mailbox.username.as_deref().unwrap(), mailbox.password.as_deref().unwrap());
    let nobody = Api::anonymous(&demo, demo.north());
    let holder = nobody.with_password(name, password);
    holder.get("/service").await.expect(200);
    assert_eq!(holder.get("/domains").await.expect(403).code(), "forbidden");
    for (name, password) in [(name, "wrong"), ("nobody@chu-nord.mssante.test", password), (name, "")] {
        let refused = nobody.with_password(name, password).get("/service").await.expect(401);
        assert_eq!(refused.code(), "unauthenticated");
    }
    for value in ["Basic !!", "Basic bm9jb2xvbg==", "Basic", "Digest a", "Bearer", ""] {
        // What fails opens nothing, not even what needs no credential.
        nobody.with_header("Authorization", value).get("/health").await.expect(401);
    }
}

#[tokio::test]
async fn a_certificate_opens_the_mailboxes_of_its_application() {
    let demo = Demo::shared();
    let (one, _) = application(&demo, "rest.un", &["rest.un"]);
    let (two, addresses) = application(&demo, "rest.deux", &["rest.deux", "rest.trois"]);
    let nobody = Api::anonymous(&demo, demo.north());
    let alone = nobody.with_tls(demo.client(&one));
    alone.get("/service").await.expect(200);
    assert_eq!(alone.get("/domains").await.expect(403).code(), "forbidden");
    alone.with_header("Mailbox", &addresses[0]).get("/service").await.expect(400);
    let several = nobody.with_tls(demo.client(&two));
    let unnamed = several.get("/service").await.expect(400);
    assert_eq!((unnamed.code().as_str(), unnamed.fault().as_str()), ("invalid_header", "Mailbox"));
    several.with_header("Mailbox", &addresses[1]).get("/service").await.expect(200);
    // Whoever says who they are is that one or nobody.
    alone.with_key("guessed").get("/service").await.expect(401);
    alone.with_key(&demo.north().admin_token).get("/domains").await.expect(200);
}

#[tokio::test]
async fn a_certificate_that_no_application_has_or_that_is_taken_away_opens_nothing() {
    let demo = Demo::start();
    let (certificate, _) = application(&demo, "rest.parti", &["rest.parti"]);
    let nobody = Api::anonymous(&demo, demo.north());
    let (its, unknown) = (nobody.with_tls(demo.client(&certificate)), demo.certificate("autre.example"));
    its.get("/service").await.expect(200);
    nobody.with_tls(demo.client(&unknown)).get("/service").await.expect(401);
    demo.north().cli(&["application", "delete", "rest.parti"]).ok();
    assert_eq!(its.get("/service").await.expect(401).code(), "unauthenticated");
}

//! What OCSP responders say of other operators, on both ends; and our own answer, shown to clients.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{
    Answering, Certificate, ClientTls, FakeServer, LeafPlan, Letter, Mailbox, OcspResponder,
    OpensslAuthority, Operator, Script, Wire, free_port, get, until,
};
use std::process::{Command, Stdio};

/// An operator whose peers' certificates name one responder.
struct Site {
    operator: Operator,
    mailbox: Mailbox,
    authority: OpensslAuthority,
    responder: OcspResponder,
    /// `WORD.example` of each.
    peers: Vec<(&'static str, Certificate)>,
}

impl Site {
    /// `tls` and `trust` are lines of those sections. A peer for each word; all of them are listed, and none known to the responder.
    async fn start(tls: &str, trust: &str, words: &[&'static str], routes: &str) -> Self {
        let root = OpensslAuthority::root("AC RACINE TEST OCSP");
        let authority = root.authority("AC TEST OCSP ORGANISATIONS");
        let responder = OcspResponder::of(&authority).await;
        let extension = responder.extension();
        let issue = |word: &str| {
            let subject = format!("/C=FR/O=HOPITAL {word}/CN=mx.{word}.example");
            let names = format!("DNS:mx.{word}.example,DNS:localhost,IP:127.0.0.1");
            authority.issue(&LeafPlan {
                subject: &subject,
                names: &names,
                extensions: &extension,
                ..LeafPlan::default()
            })
        };
        let peers: Vec<_> = words.iter().map(|word| (*word, issue(word))).collect();
        let mut operator = Operator::init("ville.example");
        operator.edit("[tls]\n", &format!("[tls]\n{tls}\n"));
        operator.edit("[trust]\n", &format!("[trust]\n{trust}\n"));
        operator.edit("[routes]\n", "[delivery]\nretry_first_secs = 1\nretry_max_secs = 1\n[routes]\n");
        let own = issue("ville");
        responder.vouch(&own);
        let list: String = peers
            .iter()
            .map(|(word, certificate)| format!("{word}.example;{}\n", certificate.subject))
            .collect();
        std::fs::remove_file(operator.file("trust/crl/issuing.pem")).unwrap();
        for (name, content) in [
            ("trust/anchors.pem", root.cert_pem() + &authority.cert_pem()),
            ("tls/server.pem", own.chain_pem),
            ("tls/server.key", own.key_pem),
            ("trust/crl/root.pem", root.list(&[], 1)),
            ("trust/crl/authority.pem", authority.list(&[], 1)),
            ("trust/whitelist.txt", list),
            ("trust/routes.txt", routes.to_owned()),
        ] {
            std::fs::write(operator.file(name), content).unwrap();
        }
        let mailbox = operator.new_mailbox("a");
        operator.serve();
        Self { operator, mailbox, authority, responder, peers }
    }

    fn peer(&self, word: &str) -> &Certificate {
        &self.peers.iter().find(|(known, _)| *known == word).unwrap().1
    }

    /// The beginning of the reply to MAIL, or what became of the connection.
    async fn mail(&self, word: &str) -> String {
        let tls = ClientTls::with(&self.operator.ca_file(), self.peer(word));
        match Wire::try_mx(self.operator.ports["smtp"], &tls).await {
            Ok(mut wire) => {
                let sent = wire
                    .try_letter(
                        &format!("x@{word}.example"),
                        std::slice::from_ref(&self.mailbox.address),
                        b"a\r\n",
                    )
                    .await;
                sent.unwrap().text().chars().take(9).collect()
            }
            Err(error) => format!("closed: {:?}", error.kind()),
        }
    }

    async fn submit(&self, to: &str) {
        let letter = Letter::new("ocsp", b"a\r\n").by(&self.mailbox.address);
        let mut wire = self.operator.submission(&self.mailbox).await;
        let reply = wire.letter(&self.mailbox.address, &[to], &letter.content).await;
        assert!(reply.text().starts_with("250"), "{wire:?}");
    }

    fn queue(&self) -> serde_json::Value {
        self.operator.cli(&["queue", "list", "--all", "--json"]).json()
    }
}

const SILENT: [(&str, Answering); 5] = [
    ("closed", Answering::Closed),
    ("later", Answering::TryLater),
    ("error", Answering::HttpError),
    ("huge", Answering::Huge),
    ("signer", Answering::WrongSigner),
];

fn words() -> Vec<&'static str> {
    let silent = SILENT.iter().map(|(word, _)| *word);
    silent.chain(["good", "undated", "revoked", "unknown"]).collect()
}

#[tokio::test]
async fn a_peer_is_taken_only_with_an_answer_where_one_is_required() {
    let site = Site::start("", "ocsp = \"require\"", &words(), "").await;
    site.responder.vouch(site.peer("good"));
    site.responder.vouch(site.peer("undated"));
    site.responder.revoke(site.peer("revoked"));
    assert_eq!(site.mail("good").await, "250 2.0.0");
    assert_eq!(site.mail("good").await, "250 2.0.0");
    assert_eq!(site.responder.asked(), 1, "the answer is remembered");
    assert!(site.mail("revoked").await.starts_with("closed"));
    assert!(site.mail("revoked").await.starts_with("closed"));
    assert_eq!(site.mail("unknown").await, "451 4.7.0");
    for (word, answering) in SILENT {
        site.responder.answer(answering);
        assert_eq!(site.mail(word).await, "451 4.7.0", "{word}");
    }
    site.responder.answer(Answering::Undated);
    assert_eq!(site.mail("undated").await, "250 2.0.0");
    let metrics = get(site.operator.ports["https"], &site.operator.anonymous(), "/metrics").await.1;
    for (outcome, count) in
        [("good", 2), ("revoked", 1), ("certificate_unknown", 1), ("try_later", 1), ("unreachable", 3)]
    {
        let value = format!("ocsp_answers{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&value), "{value} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn the_lists_speak_where_an_answer_is_preferred_and_does_not_come() {
    let site = Site::start("", "ocsp = \"prefer\"", &words(), "").await;
    site.responder.revoke(site.peer("revoked"));
    assert!(site.mail("revoked").await.starts_with("closed"));
    assert_eq!(site.mail("unknown").await, "250 2.0.0");
    for (word, answering) in SILENT {
        site.responder.answer(answering);
        assert_eq!(site.mail(word).await, "250 2.0.0", "{word}");
    }
    let list = site.authority.list(&[site.peer("good")], 2);
    std::fs::write(site.operator.file("trust/crl/authority.pem"), list).unwrap();
    site.responder.answer(Answering::Truly);
    site.responder.vouch(site.peer("good"));
    let refused = async || site.mail("good").await.starts_with("closed").then_some(());
    until("the list to speak, whatever the responder says", refused).await;
}

#[tokio::test]
async fn nobody_is_asked_where_ocsp_is_off() {
    let site = Site::start("", "ocsp = \"off\"", &["revoked"], "").await;
    site.responder.revoke(site.peer("revoked"));
    assert_eq!(site.mail("revoked").await, "250 2.0.0");
    assert_eq!(site.responder.asked(), 0);
}

#[tokio::test]
async fn mail_waits_while_the_next_hop_cannot_be_asked_after() {
    let ports = [free_port(), free_port()];
    let routes = format!("good.example 127.0.0.1:{}\nrevoked.example 127.0.0.1:{}\n", ports[0], ports[1]);
    let site = Site::start("", "ocsp = \"require\"", &["good", "revoked"], &routes).await;
    site.responder.answer(Answering::TryLater);
    site.responder.vouch(site.peer("good"));
    site.responder.revoke(site.peer("revoked"));
    let good = FakeServer::start_at(ports[0], site.peer("good"), Script::default()).await;
    let revoked = FakeServer::start_at(ports[1], site.peer("revoked"), Script::default()).await;
    site.submit("b@good.example").await;
    let told = async |to: &str, word: &str| {
        let queue = site.queue();
        let entry = queue.as_array().unwrap().iter().find(|entry| entry["recipient"] == to).unwrap();
        entry["lastReply"].as_str().is_some_and(|reply| reply.contains(word)).then_some(())
    };
    until("a deferral", async || told("b@good.example", "revocation_unknown").await).await;
    assert!(good.commands().iter().all(|command| !command.starts_with("MAIL")), "{:?}", good.commands());
    site.responder.answer(Answering::Truly);
    site.submit("b@revoked.example").await;
    until("an attempt at the revoked server", async || told("b@revoked.example", "revoked").await).await;
    let retry = async || {
        site.operator.cli(&["queue", "retry"]);
        (!good.received().is_empty()).then_some(())
    };
    until("the message, once the responder answers and the failure is forgotten", retry).await;
    assert!(
        revoked.commands().iter().all(|command| !command.starts_with("MAIL")),
        "{:?}",
        revoked.commands()
    );
    assert!(revoked.received().is_empty());
}

/// What `openssl s_client -status` prints of our certificate's answer.
fn stapled(site: &Site) -> String {
    let port = site.operator.ports["imaps"];
    let output = Command::new("openssl")
        .args(["s_client", "-status", "-connect", &format!("127.0.0.1:{port}"), "-CAfile"])
        .arg(site.operator.ca_file())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn our_own_answer_is_shown_to_clients() {
    let site = Site::start("ocsp_staple = true", "", &[], "").await;
    let shown = async || {
        let told = stapled(&site);
        (told.contains("OCSP Response Status: successful") && told.contains("Cert Status: good"))
            .then_some(told)
    };
    let told = until("a stapled answer", shown).await;
    assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
    let without = Site::start("", "", &[], "").await;
    assert!(stapled(&without).contains("OCSP response: no response sent"));
    assert_eq!(without.responder.asked(), 0);
}

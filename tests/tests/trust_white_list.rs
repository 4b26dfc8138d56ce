//! The national white list over HTTPS: taken when it is to be believed, and only then; the good one stays.

use scenarios::{
    Certificate, ClientTls, ListSigner, NationalList, Operator, Page, SignerProfile, WebServer, Wire, now,
    until,
};
use serde_json::Value;

const DOMAIN: &str = "ville.example";

/// An operator that fetches its white list each second from a server of its own authority.
struct Scene {
    operator: Operator,
    web: WebServer,
    signer: ListSigner,
    peer: Certificate,
}

impl Scene {
    fn start() -> Self {
        let mut operator = Operator::init(DOMAIN);
        let authority = operator.authority();
        let web = WebServer::start_tls(&Certificate::issue(&authority, "list.example", now()));
        let signer = ListSigner::issue(
            authority.issuing_cert_pem(),
            authority.issuing_key_pem().expose(),
            &SignerProfile::default(),
        );
        operator.edit(
            "whitelist_file = \"trust/whitelist.txt\"\nwhitelist_format = \"pairs\"\n",
            &format!(
                "whitelist_url = \"{}\"\nwhitelist_signer = \"alb.test.example\"\nwhitelist_refresh_secs = 1\n",
                web.url("/list.xml")
            ),
        );
        let peer = Certificate::issue(&authority, "d1.example", now());
        operator.serve();
        Self { operator, web, signer, peer }
    }

    /// A signed list of the domains `d1.example` to so many.
    fn list(&self, generated_at: &str, domains: usize) -> Vec<u8> {
        let names: Vec<String> = (1..=domains).map(|n| format!("d{n}.example")).collect();
        let pairs = names.iter().map(|name| (name.as_str(), self.peer.subject.as_str()));
        NationalList::new(generated_at, pairs).sign(&self.signer)
    }

    fn publish(&self, list: Vec<u8>) {
        self.web.serve("/list.xml", Page::Whole(list));
    }

    fn status(&self) -> Value {
        self.operator.cli(&["trust", "status", "--json"]).json()["white_list"].take()
    }

    async fn until_status(&self, what: &str, says: impl Fn(&Value) -> bool) -> Value {
        until(what, async || Some(self.status()).filter(&says)).await
    }

    async fn code(&self) -> u16 {
        let tls = ClientTls::with(&self.operator.ca_file(), &self.peer);
        let mut wire = Wire::mx(self.operator.ports["smtp"], &tls).await;
        wire.send("MAIL FROM:<a@d1.example>").await;
        wire.reply().await.code
    }
}

#[tokio::test]
async fn a_signed_list_is_taken_over_https_and_only_a_better_one_replaces_it() {
    let mut scene = Scene::start();
    assert_eq!(scene.code().await, 451, "no list yet");
    scene.publish(scene.list("2026-11-02T08:00:00Z", 10));
    scene.until_status("the first list", |list| list["domains"] == 10).await;
    assert_eq!(scene.code().await, 250);
    until("a conditional request", async || {
        scene.web.asked("/list.xml").iter().any(|asked| asked.status == 304).then_some(())
    })
    .await;
    let altered = String::from_utf8(scene.list("2026-11-03T08:00:00Z", 10))
        .unwrap()
        .replace("d10.example", "d11.example");
    let authority = scene.operator.authority();
    let stranger = SignerProfile {
        common_name: "other.test.example".into(),
        mail: "o@test.example".into(),
        ..SignerProfile::default()
    };
    let stranger =
        ListSigner::issue(authority.issuing_cert_pem(), authority.issuing_key_pem().expose(), &stranger);
    let of_stranger =
        NationalList::new("2026-11-03T08:00:00Z", [("d1.example", scene.peer.subject.as_str())])
            .sign(&stranger);
    let whole = scene.list("2026-11-03T08:00:00Z", 10);
    for (label, page) in [
        ("bad_digest", Page::Whole(altered.into_bytes())),
        ("other_signer", Page::Whole(of_stranger)),
        ("rollback", Page::Whole(scene.list("2026-11-01T08:00:00Z", 10))),
        ("same_date_other_content", Page::Whole(scene.list("2026-11-02T08:00:00Z", 11))),
        ("truncated", Page::Whole(whole[..whole.len() / 2].to_vec())),
        ("cut_off", Page::CutOff(whole.clone())),
        ("status", Page::Status(503)),
    ] {
        scene.web.serve("/list.xml", page);
        let told = scene.until_status(label, |list| list["last_error_label"] == label).await;
        assert_eq!((&told["domains"], &told["is_in_force"]), (&10.into(), &true.into()), "{label}: {told}");
        assert_eq!(scene.code().await, 250, "{label}");
    }
    scene.web.serve("/list.xml", Page::Down);
    scene.operator.process().terminate();
    scene.operator.serve();
    assert_eq!(scene.code().await, 250, "the list that was kept is in force again");
    scene.publish(whole);
    scene
        .until_status("a newer list", |list| {
            list["last_error"].is_null() && list["generated_at_ms"] == 1_793_692_800_000_i64
        })
        .await;
}

#[tokio::test]
async fn a_list_that_lost_much_waits_for_a_confirmation_by_command() {
    let scene = Scene::start();
    scene.publish(scene.list("2026-11-02T08:00:00Z", 10));
    scene.until_status("the first list", |list| list["domains"] == 10).await;
    scene.publish(scene.list("2026-11-03T08:00:00Z", 5));
    let told = scene.until_status("the refusal", |list| list["last_error_label"] == "shrinkage").await;
    assert!(told["last_error"].as_str().unwrap().contains("trust sync whitelist --confirm"), "{told}");
    let again = scene.operator.cli(&["trust", "sync", "whitelist"]);
    assert!(!again.is_success && again.stdout.contains("5 of 10"), "{again:?}");
    let waiting = scene.operator.cli(&["trust", "diff", "--json"]).json();
    assert_eq!(waiting["waits_for_confirmation"], true, "{waiting}");
    assert_eq!(waiting["domains_removed"].as_array().unwrap().len(), 5, "{waiting}");
    let confirmed = scene.operator.cli(&["trust", "sync", "whitelist", "--confirm", "--json"]).json();
    assert_eq!(
        confirmed["white_list"]["diff"]["domains_removed"].as_array().unwrap().len(),
        5,
        "{confirmed}"
    );
    scene
        .until_status("the running server has it", |list| {
            list["domains"] == 5 && list["last_error"].is_null()
        })
        .await;
    let adopted = scene.operator.cli(&["trust", "diff", "--json"]).json();
    assert_eq!(adopted["waits_for_confirmation"], false, "{adopted}");
    let status = scene.operator.cli(&["trust", "status", "--json"]).json();
    assert_eq!(status["departures"].as_array().unwrap().len(), 5, "{status}");
}

#[tokio::test]
async fn a_list_from_a_server_that_the_health_pki_does_not_vouch_for_is_not_asked_for() {
    let scene = Scene::start();
    let foreign = pki::development::DevelopmentPki::generate(now()).unwrap();
    let impostor = WebServer::start_tls(&Certificate::issue(&foreign, "list.example", now()));
    impostor.serve("/list.xml", Page::Whole(scene.list("2026-11-02T08:00:00Z", 10)));
    scene.operator.edit(&scene.web.url("/list.xml"), &impostor.url("/list.xml"));
    let refused = scene.operator.cli(&["trust", "sync", "whitelist", "--json"]);
    let refused: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(refused["white_list"]["label"], "unreachable", "{refused}");
    assert!(impostor.asked("/list.xml").is_empty());
}

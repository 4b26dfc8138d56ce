//! Two persons who have one password and may both open one mailbox: nobody is taken for the other.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scenarios::{Api, Demo, Imap, Mailbox, Wire, until};
use serde_json::{Value, json};

/// Short enough to be chosen twice.
const PASSWORD: &str = "Printemps-2026";

/// Two persons with one password, and the mailbox of a service.
struct Ward {
    demo: Demo,
    persons: [Mailbox; 2],
    address: String,
    admin: Api,
}

impl Ward {
    fn new() -> Self {
        let demo = Demo::start();
        let north = demo.north();
        let persons = ["amel.roux", "bruno.roux"].map(|name| north.new_mailbox_with(name, "1G", PASSWORD));
        let (address, admin) = (north.mailbox("organizational").address.clone(), Api::admin(&demo, north));
        Self { demo, persons, address, admin }
    }

    async fn give(&self, person: usize) {
        let new = json!({"login": self.persons[person].address, "role": "write"});
        self.admin.post(&format!("/mailboxes/{}/delegations", self.address), &new).await.expect(201);
    }

    /// What each door says to a name and a password.
    async fn doors(&self, name: &str, password: &str) -> [String; 3] {
        let (ports, tls) = (&self.demo.north().ports, self.demo.anonymous());
        let mut imap = Imap::connect(ports["imaps"], &tls).await;
        let imap = imap.command(&format!("LOGIN {name} {password}")).await.status;
        let mut wire = Wire::implicit(ports["submissions"], &tls).await;
        wire.expect("220").await;
        wire.ask("EHLO client.example", "250").await;
        let plain = BASE64.encode(format!("\0{name}\0{password}"));
        let smtp = wire.ask(&format!("AUTH PLAIN {plain}"), "").await.text();
        let rest = Api::anonymous(&self.demo, self.demo.north()).with_password(name, password);
        let rest = rest.get("/folders").await;
        let code = if rest.status == 200 { String::new() } else { rest.code() };
        [imap, smtp, format!("{} {code}", rest.status)]
    }

    async fn opens(&self, name: &str) -> [bool; 3] {
        let [imap, smtp, rest] = self.doors(name, PASSWORD).await;
        [imap.starts_with("OK"), smtp.starts_with("235"), rest.starts_with("200")]
    }

    /// Rows of logins with this outcome in the trail, the latest first, but those of the administrator who looks.
    async fn logins(&self, outcome: &str) -> Vec<Value> {
        let page = self.admin.get(&format!("/audit?action=login&outcome={outcome}&limit=100")).await;
        let mut rows = page.expect(200).json()["items"].as_array().unwrap().clone();
        rows.retain(|row| {
            !row["credential"].as_str().is_some_and(|credential| credential.starts_with("key:"))
        });
        rows
    }

    /// Doors at which a login was refused since several persons have the password.
    async fn refused_for_several(&self) -> Vec<String> {
        let rows = self.logins("refused").await;
        let rows =
            rows.iter().filter(|row| row["detail"].as_str().unwrap().starts_with("reason=several_persons "));
        let mut doors: Vec<String> = rows.map(|row| row["via"].as_str().unwrap().to_owned()).collect();
        doors.sort();
        doors.dedup();
        doors
    }
}

#[tokio::test]
async fn who_has_the_password_of_another_is_refused_as_a_wrong_one_and_gets_in_by_a_name_of_their_own() {
    let ward = Ward::new();
    ward.give(0).await;
    ward.give(1).await;
    let wrong = ward.doors(&ward.address, "Automne-2026").await;
    assert_eq!(ward.doors(&ward.address, PASSWORD).await, wrong);
    let doors = ["imap", "rest", "submission"];
    until("a row of each door", async || (ward.refused_for_several().await == doors).then_some(())).await;
    assert!(ward.logins("ok").await.is_empty(), "somebody was taken");
    for person in &ward.persons {
        assert_eq!(ward.opens(&person.address).await, [true; 3], "{}", person.address);
    }
    assert_eq!(ward.logins("ok").await.len(), 6);
    assert!(ward.demo.log().contains("a password is that of two persons"));
}

#[tokio::test]
async fn who_was_let_in_a_moment_ago_is_looked_at_again_once_another_has_the_password_too() {
    let ward = Ward::new();
    ward.give(0).await;
    for _ in 0..2 {
        assert_eq!(ward.opens(&ward.address).await, [true; 3]);
    }
    let actors: Vec<Value> = ward.logins("ok").await.iter().map(|row| row["actor"].clone()).collect();
    assert!(!actors.is_empty() && actors.iter().all(|actor| *actor == actors[0]), "{actors:?}");
    ward.give(1).await;
    assert_eq!(ward.opens(&ward.address).await, [false; 3]);
    // A password of one's own, and everybody is known again.
    let path = format!("/users/{}/passwords", ward.persons[1].address);
    let made = ward.admin.post(&path, &json!({"label": "own"})).await.expect(201).json();
    let own = made["password"].as_str().unwrap();
    assert!(ward.doors(&ward.address, own).await[0].starts_with("OK"));
    let rows = ward.admin.get(&path).await.expect(200).json();
    let shared = rows["items"].as_array().unwrap().iter().find(|row| row["id"] != made["id"]).unwrap();
    let shared = format!("{path}/{}", shared["id"].as_str().unwrap());
    ward.admin.request("DELETE", &shared, None).await.expect(204);
    assert_eq!(ward.opens(&ward.address).await, [true; 3]);
}

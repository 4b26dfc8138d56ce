//! How many of very many open sessions ask the store because of one change.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use auth::{AuthError, AuthMetrics, Authenticator, Login, Settings, Via, Whence};
use mail_types::{ActorId, MailboxId, MailboxKind, Role, Secret, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use store::{BodyOptions, Clock, NewMailbox, Store, StoreOptions};

const PERSONS: usize = 20;
const SESSIONS_OF_EACH: usize = 50;

struct House {
    store: Store,
    clock: Clock,
    authenticator: Authenticator,
    registry: Registry,
    people: Vec<(MailboxId, ActorId)>,
    sessions: Vec<Login>,
    _dir: tempfile::TempDir,
}

impl House {
    /// A thousand sessions of twenty persons, of whom the second also reads the first one's mailbox.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(Timestamp::from_secs(1_900_000_000));
        let options = StoreOptions {
            url: "sqlite:store.db".to_owned(),
            data_dir: dir.path().join("data"),
            bodies: BodyOptions::default(),
            key_dir: dir.path().join("keys"),
            writers: 1,
            clock: clock.clone(),
            audits_mail: true,
        };
        Store::create(&options).await.unwrap();
        let store = Store::open(&options).await.unwrap();
        store.add_domain("ch.example".parse().unwrap()).await.unwrap();
        let mut registry = Registry::default();
        let metrics = AuthMetrics::register(&mut registry);
        let authenticator = Authenticator::new(store.clone(), Settings::default(), metrics);
        let (people, sessions) = (Vec::new(), Vec::new());
        let mut house = Self { store, clock, authenticator, registry, people, sessions, _dir: dir };
        for person in 0..PERSONS {
            house.person(person).await;
        }
        let (first, second) = (house.people[0], house.people[1]);
        house.store.grant(first.0, second.1, Role::Reader).await.unwrap();
        let following = house.authenticator.clone();
        tokio::spawn(async move { following.follow().await });
        house.followed().await;
        for person in 0..PERSONS {
            let login = house.login(person, person).await.unwrap();
            house.sessions.extend(std::iter::repeat_n(login, SESSIONS_OF_EACH));
        }
        house
    }

    async fn person(&mut self, number: usize) {
        let name = format!("user{number}");
        let address = format!("{name}@ch.example").parse().unwrap();
        let new = NewMailbox { address, kind: MailboxKind::Personal, owner: None, quota_bytes: 1000 };
        let (mailbox, _) = self.store.create_mailbox(new).await.unwrap().unwrap();
        let actor = self.store.user(&format!("{name}@ch.example")).await.unwrap().unwrap().actor;
        self.people.push((mailbox, actor));
        self.password(number, "first").await;
    }

    async fn password(&self, person: usize, word: &str) {
        let hashed = auth::hash_password(&Secret::new(format!("{word} of {person}"))).unwrap();
        self.store.set_application_password(self.people[person].1, "phone", &hashed).await.unwrap();
    }

    /// Somebody opens somebody's mailbox.
    async fn login(&self, who: usize, whose: usize) -> Result<Login, AuthError> {
        let whence = Whence { via: Via::Imap, ip: IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let (name, secret) = (format!("user{whose}@ch.example"), Secret::new(format!("first of {who}")));
        self.authenticator.password(whence, "", &name, &secret).await
    }

    /// What was changed is seen, within the second in which the directory is looked at.
    async fn followed(&self) {
        let mut changes = self.authenticator.changes();
        let is_at = self.store.revision(store::Revision::Directory).await.unwrap().unsigned_abs();
        let seen = changes.wait_for(|revision| *revision == is_at);
        tokio::time::timeout(Duration::from_secs(5), seen).await.unwrap().unwrap();
    }

    /// Judges every open session again: how many asked the store, and how many were ended.
    async fn judged(&mut self) -> (u64, usize) {
        let before = self.asked();
        let mut standing = Vec::new();
        let sessions = std::mem::take(&mut self.sessions);
        let count = sessions.len();
        for mut login in sessions {
            match self.authenticator.still_stands(&mut login, None).await {
                Ok(()) => standing.push(login),
                Err(error) => assert!(matches!(error, AuthError::Refused(_))),
            }
        }
        assert!(!standing.iter().any(|login| self.authenticator.may_have_changed(login)));
        self.sessions = standing;
        (self.asked() - before, count - self.sessions.len())
    }

    fn asked(&self) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with("logins_asked_again_total"));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn one_change_makes_those_ask_whom_it_concerns() {
    let mut house = House::new().await;
    let delegate = house.login(1, 0).await.unwrap();
    house.sessions.extend([delegate.clone(), delegate]);
    assert_eq!(house.sessions.len(), PERSONS * SESSIONS_OF_EACH + 2);

    // A password is replaced: those sessions of its holder ask, and end.
    house.password(7, "second").await;
    house.followed().await;
    assert_eq!(house.judged().await, (50, 50));
    // A grant is changed: those who opened the mailbox ask.
    house.store.grant(house.people[0].0, house.people[1].1, Role::Editor).await.unwrap();
    house.followed().await;
    assert_eq!(house.judged().await, (52, 0));
    assert!(house.sessions.last().unwrap().principal.may_send);
    // Two changes between two looks; the mailbox that goes has its holder's sessions and the delegate's.
    house.store.revoke_grant(house.people[0].0, house.people[1].1).await.unwrap();
    assert!(house.store.delete_mailbox(house.people[0].0).await.unwrap());
    house.followed().await;
    assert_eq!(house.judged().await, (52, 52));
    // What concerns nobody here makes nobody ask.
    house
        .store
        .set_api_key("console", store::hash_token("one"), mail_types::AdminRole::Operator)
        .await
        .unwrap();
    let key = house.store.keys(0, 1).await.unwrap().remove(0);
    let secret = store::KeySecret { hash: store::hash_token("two"), prefix: String::new() };
    assert!(house.store.rotate_key(key.id, secret).await.unwrap());
    house.followed().await;
    assert_eq!(house.judged().await, (0, 0));
    // With nothing changed somebody asks because it is time, and everybody does when it was long ago.
    assert_eq!(house.judged().await, (900, 0));
    house.clock.set(house.clock.now().plus_secs(3_000));
    house.password(3, "second").await;
    house.followed().await;
    assert_eq!(house.judged().await, (900, 50));
}

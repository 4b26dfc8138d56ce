//! What a guess at a mailbox costs that many open.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use auth::{AuthError, AuthMetrics, Authenticator, Settings, Via, Whence};
use mail_types::{ActorId, MailboxKind, Protocols, Role, Secret, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::net::{IpAddr, Ipv4Addr};
use store::{BodyOptions, Clock, HashedPassword, NewMailbox, NewPassword, Store, StoreOptions};

const SHARED: &str = "accueil@ch.example";
const DELEGATES: u8 = 20;

/// Argon2id of something that nobody types.
const OTHER: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AQAAAAAAAAAAAAAAAAAAAA$AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct House {
    authenticator: Authenticator,
    registry: Registry,
    last: ActorId,
    _dir: tempfile::TempDir,
}

impl House {
    /// A shared mailbox with twenty delegates, each of whom has two passwords; one of the last one's is `horse battery`.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            url: "sqlite:store.db".to_owned(),
            data_dir: dir.path().join("data"),
            bodies: BodyOptions::default(),
            key_dir: dir.path().join("keys"),
            writers: 1,
            clock: Clock::fixed(Timestamp::from_secs(1_900_000_000)),
            audits_mail: true,
        };
        Store::create(&options).await.unwrap();
        let store = Store::open(&options).await.unwrap();
        store.add_domain("ch.example".parse().unwrap()).await.unwrap();
        let (address, kind) = (SHARED.parse().unwrap(), MailboxKind::Organizational);
        let new = NewMailbox { address, kind, owner: None, quota_bytes: 1000 };
        let (shared, _) = store.create_mailbox(new).await.unwrap().unwrap();
        let mut last = ActorId(0);
        for person in 0..DELEGATES {
            last = store.create_user(&format!("user{person}"), "", None).await.unwrap().actor;
            store.grant(shared, last, Role::Editor).await.unwrap();
            for label in ["phone", "desk"] {
                let secret = Secret::new(format!("{label} of {person}"));
                password(&store, last, label, HashedPassword::new(secret, OTHER.to_owned())).await;
            }
        }
        let known = auth::hash_password(&Secret::new("horse battery".to_owned())).unwrap();
        password(&store, last, "known", known).await;
        let mut registry = Registry::default();
        let metrics = AuthMetrics::register(&mut registry);
        let authenticator = Authenticator::new(store, Settings::default(), metrics);
        Self { authenticator, registry, last, _dir: dir }
    }

    async fn login(&self, name: &str, secret: &str, last: u8) -> Result<ActorId, AuthError> {
        let whence = Whence { via: Via::Imap, ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)) };
        let login = self.authenticator.password(whence, "", name, &Secret::new(secret.to_owned())).await?;
        Ok(login.principal.actor.id)
    }

    /// Passwords that were compared slowly until now.
    fn compared(&self) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with("passwords_compared_total"));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap()
    }
}

async fn password(store: &Store, actor: ActorId, label: &str, password: HashedPassword) {
    let new = NewPassword {
        actor,
        label: label.to_owned(),
        password,
        mailbox: None,
        protocols: Protocols::ALL,
        expires_at: None,
    };
    store.create_password(new).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_guess_costs_one_comparison_however_many_open_the_mailbox() {
    let house = House::new().await;
    for (guess, name) in [SHARED, SHARED, "nobody@ch.example"].into_iter().enumerate() {
        let before = house.compared();
        let refused = house.login(name, &format!("guess {guess}"), u8::try_from(guess).unwrap()).await;
        assert!(matches!(refused, Err(AuthError::Refused(_))));
        let cost = house.compared() - before;
        // Among 41 tags of twelve bits two fit by chance once in twenty thousand guesses.
        assert!((1..=2).contains(&cost), "{cost} for {name}");
    }
    let before = house.compared();
    assert_eq!(house.login(SHARED, "horse battery", 9).await.unwrap(), house.last);
    assert!((1..=2).contains(&(house.compared() - before)));
    // What was verified a moment ago costs nothing.
    let before = house.compared();
    assert_eq!(house.login(SHARED, "horse battery", 9).await.unwrap(), house.last);
    assert_eq!(house.compared(), before);
}

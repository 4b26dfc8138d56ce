//! What a certificate opens, and what no authorization identity makes it open.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use auth::{AuthError, AuthMetrics, Authenticator, CertificateRefusal, Settings, Via, Whence};
use mail_types::{
    ActorId, Address, CertificateCriteria, DistinguishedName, MailboxId, MailboxKind, PeerIdentity,
    RevocationState, Role, Secret, Timestamp,
};
use proptest::prelude::*;
use std::time::Duration;
use store::{BodyOptions, Clock, NewMailbox, Store, StoreOptions};

const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

const WHENCE: Whence = Whence { via: Via::Imap, ip: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) };

struct House {
    store: Store,
    authenticator: Authenticator,
    lims: ActorId,
    _dir: tempfile::TempDir,
}

fn dn(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}

fn peer(serial: u8) -> PeerIdentity {
    PeerIdentity {
        subject: dn("CN=app"),
        issuer: dn("CN=AC"),
        serial: vec![serial],
        dns_names: Vec::new(),
        mail_names: vec!["claire@ch.example".to_owned()],
        ip_names: Vec::new(),
        policies: Vec::new(),
        not_after: NOW.plus_secs(1000),
        crl_number: None,
        key_pin: [serial; 32],
        revocation: RevocationState::Good,
    }
}

fn by_serial(serial: u8) -> CertificateCriteria {
    CertificateCriteria::new(Some(dn("CN=AC")), None, None, Some(vec![serial]), None).unwrap()
}

fn by_key(serial: u8) -> CertificateCriteria {
    CertificateCriteria::new(None, None, None, None, Some([serial; 32])).unwrap()
}

impl House {
    /// Mailboxes claire (a person's), labo, radio, archives; the application lims with the certificate 1.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            url: "sqlite:store.db".to_owned(),
            data_dir: dir.path().join("data"),
            bodies: BodyOptions::default(),
            key_dir: dir.path().join("keys"),
            writers: 1,
            clock: Clock::fixed(NOW),
            audits_mail: true,
        };
        Store::create(&options).await.unwrap();
        let store = Store::open(&options).await.unwrap();
        store.add_domain("ch.example".parse().unwrap()).await.unwrap();
        for (name, kind) in [
            ("claire", MailboxKind::Personal),
            ("labo", MailboxKind::Applicative),
            ("radio", MailboxKind::Applicative),
            ("archives", MailboxKind::Applicative),
        ] {
            let address = format!("{name}@ch.example").parse().unwrap();
            let new = NewMailbox { address, kind, owner: None, quota_bytes: 1000 };
            store.create_mailbox(new).await.unwrap().unwrap();
        }
        let authenticator = Authenticator::new(store.clone(), Settings::default(), AuthMetrics::default());
        let (lims, _) = store.create_application("lims").await.unwrap().unwrap();
        store.add_certificate_rule(lims, &by_serial(1), None, None).await.unwrap().unwrap();
        Self { store, authenticator, lims, _dir: dir }
    }

    async fn mailbox(&self, name: &str) -> MailboxId {
        self.store.mailbox(&format!("{name}@ch.example").parse().unwrap()).await.unwrap().unwrap().id
    }

    async fn grant(&self, name: &str) {
        self.store.grant(self.mailbox(name).await, self.lims, Role::Manager).await.unwrap();
    }

    async fn login(&self, authzid: &str, peer: &PeerIdentity) -> Result<String, CertificateRefusal> {
        match self.authenticator.certificate(WHENCE, authzid, peer).await {
            Ok(login) => Ok(login.principal.address.to_string()),
            Err(AuthError::Certificate(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_identity_chooses_among_what_the_certificate_opens() {
    let house = House::new().await;
    assert_eq!(house.login("", &peer(1)).await, Err(CertificateRefusal::NoMailbox));
    house.grant("labo").await;
    assert_eq!(house.login("", &peer(1)).await.as_deref(), Ok("labo@ch.example"));
    assert_eq!(house.login("LABO@CH.example", &peer(1)).await.as_deref(), Ok("labo@ch.example"));
    for other in ["claire@ch.example", "radio@ch.example", "nobody@ch.example", "lims", "anonymous", "*"] {
        assert_eq!(house.login(other, &peer(1)).await, Err(CertificateRefusal::OtherMailbox), "{other}");
    }
    house.grant("radio").await;
    assert_eq!(house.login("", &peer(1)).await, Err(CertificateRefusal::SeveralMailboxes));
    assert_eq!(house.login("radio@ch.example", &peer(1)).await.as_deref(), Ok("radio@ch.example"));
    assert_eq!(house.login("labo@ch.example", &peer(2)).await, Err(CertificateRefusal::NoRule));
}

#[tokio::test]
async fn what_cannot_be_known_now_is_no_refusal_for_good_and_lets_nobody_in() {
    let house = House::new().await;
    house.grant("labo").await;
    let doubtful = PeerIdentity { revocation: RevocationState::Unknown("no list"), ..peer(1) };
    let outcome = house.authenticator.certificate(WHENCE, "", &doubtful).await;
    assert!(matches!(outcome, Err(AuthError::Unavailable(_))), "{outcome:?}");
    let expired = PeerIdentity { not_after: NOW.plus_millis(-1), ..peer(1) };
    assert_eq!(house.login("", &expired).await, Err(CertificateRefusal::Expired));
}

#[tokio::test]
async fn a_certificate_of_two_applications_is_nobody_s() {
    let house = House::new().await;
    house.grant("labo").await;
    let (robot, _) = house.store.create_application("robot").await.unwrap().unwrap();
    let rule = house.store.add_certificate_rule(robot, &by_key(1), None, None).await.unwrap().unwrap();
    for authzid in ["", "labo@ch.example"] {
        assert_eq!(house.login(authzid, &peer(1)).await, Err(CertificateRefusal::Ambiguous));
    }
    house.store.remove_certificate_rule(robot, rule, false).await.unwrap().unwrap();
    assert!(house.login("", &peer(1)).await.is_ok());
    // Two rules of one application are no contradiction.
    house.store.add_certificate_rule(house.lims, &by_key(1), None, None).await.unwrap().unwrap();
    assert!(house.login("", &peer(1)).await.is_ok());
}

#[tokio::test]
async fn a_login_stands_for_as_long_as_what_it_rests_on() {
    let house = House::new().await;
    house.grant("labo").await;
    let stands = |peer: PeerIdentity, login: auth::Login| {
        let authenticator = house.authenticator.clone();
        async move {
            let mut login = login;
            authenticator.still_stands(&mut login, Some(&peer)).await.map(|()| login)
        }
    };
    let login = house.authenticator.certificate(WHENCE, "", &peer(1)).await.unwrap();
    assert!(login.is_by_certificate());
    assert_eq!(stands(peer(1), login.clone()).await.unwrap(), login);
    // A second mailbox makes the choice ambiguous for a new login, not for this one.
    house.grant("radio").await;
    assert!(stands(peer(1), login.clone()).await.is_ok());
    house.store.grant(house.mailbox("labo").await, house.lims, Role::Reader).await.unwrap();
    let narrowed = stands(peer(1), login.clone()).await.unwrap();
    assert!(!narrowed.principal.may_send && narrowed.principal.rights == Role::Reader.rights());
    assert!(house.authenticator.still_stands(&mut login.clone(), None).await.is_err());
    house.store.revoke_grant(house.mailbox("labo").await, house.lims).await.unwrap();
    assert!(matches!(stands(peer(1), login).await, Err(AuthError::Certificate(_))));
}

#[tokio::test]
async fn a_password_that_was_replaced_ends_its_login() {
    let house = House::new().await;
    let claire = house.store.user("claire@ch.example").await.unwrap().unwrap().actor;
    let set = async |secret: &str| {
        let hash = auth::hash_password(&Secret::new(secret.to_owned())).unwrap();
        house.store.set_application_password(claire, "phone", &hash).await.unwrap();
    };
    set("first secret").await;
    let secret = Secret::new("first secret".to_owned());
    let mut login = house.authenticator.password(WHENCE, "", "claire@ch.example", &secret).await.unwrap();
    assert!(!login.is_by_certificate());
    // A certificate beside a password changes nothing about who it is.
    house.authenticator.still_stands(&mut login, Some(&peer(1))).await.unwrap();
    set("second secret").await;
    assert!(matches!(house.authenticator.still_stands(&mut login, None).await, Err(AuthError::Refused(_))));
}

#[tokio::test]
async fn a_change_by_another_process_is_told_within_seconds() {
    let house = House::new().await;
    house.grant("labo").await;
    let mut changes = house.authenticator.changes();
    let authenticator = house.authenticator.clone();
    let following = tokio::spawn(async move { authenticator.follow().await });
    changes.changed().await.unwrap();
    let login = house.authenticator.certificate(WHENCE, "", &peer(1)).await.unwrap();
    assert!(!house.authenticator.may_have_changed(&login));
    house.store.revoke_grant(house.mailbox("labo").await, house.lims).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    assert!(house.authenticator.may_have_changed(&login));
    following.abort();
}

/// Names around those that exist: other letters, spaces, look-alikes, pieces, anything.
fn identities() -> impl Strategy<Value = String> {
    let near = prop::sample::select(vec![
        "claire@ch.example",
        "labo@ch.example",
        "archives@ch.example",
        "radio@ch.example",
        "lims",
        "",
        "@ch.example",
        "ｌabo@ch.example",
        "\"labo\"@ch.example",
        "labo@ch.example.",
        "labo@ch.example,claire@ch.example",
        "labo@ch.example\0claire@ch.example",
        "claire@ch.example' OR '1'='1",
        "%@ch.example",
    ]);
    let dressed =
        (near, "[ \t<>]{0,2}", "[ \t<>%_*]{0,2}", any::<bool>()).prop_map(|(name, before, after, upper)| {
            let name = if upper { name.to_uppercase() } else { name.to_owned() };
            format!("{before}{name}{after}")
        });
    prop_oneof![dressed, any::<String>(), "[a-z]{1,8}@ch\\.example"]
}

#[test]
fn no_identity_opens_a_mailbox_that_the_certificate_s_application_was_not_granted() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let house = runtime.block_on(House::new());
    runtime.block_on(async {
        house.grant("labo").await;
        house.grant("radio").await;
    });
    let granted = runtime.block_on(async { [house.mailbox("labo").await, house.mailbox("radio").await] });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
    runner
        .run(&(identities(), 0_u8..4), |(authzid, serial)| {
            let outcome = runtime.block_on(house.authenticator.certificate(WHENCE, &authzid, &peer(serial)));
            match outcome {
                Ok(login) => {
                    prop_assert_eq!(serial, 1);
                    prop_assert!(granted.contains(&login.principal.mailbox));
                    prop_assert_eq!(login.principal.actor.id, house.lims);
                    let named: Address = authzid.parse().unwrap();
                    prop_assert_eq!(login.principal.address.canonical(), named.canonical());
                }
                Err(AuthError::Certificate(_)) => {}
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
            Ok(())
        })
        .unwrap();
}

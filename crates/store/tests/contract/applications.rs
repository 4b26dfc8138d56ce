//! Applications, their certificate rules and their mailboxes.

use crate::support::{Fixture, START, hashed, on_both_engines};
use mail_types::{
    ActorId, ActorKind, Address, CertificateCriteria, CertificateFacts, CertificateUsage, DistinguishedName,
    Fingerprint, MailboxId, MailboxKind, MailboxStatus, PeerIdentity, RevocationState, Role, Timestamp,
};
use store::{CERTIFICATE_RULES_MAX, CertificateHolder, Concern, DirectoryError, NewMailbox, Revision};

on_both_engines!(
    an_application_is_made_once_and_its_name_is_free_after_it,
    an_application_is_renamed_by_who_read_it_to_a_name_that_is_free,
    a_certificate_is_found_by_whatever_a_rule_names,
    a_rule_ends_by_removal_by_its_date_and_with_its_application,
    a_rule_is_in_force_for_as_long_as_its_certificate_stands_in_the_inventory,
    a_rule_belongs_to_one_application,
    an_application_opens_what_it_was_granted_and_nothing_else,
    of_several_applications_the_one_with_role_admin_holds_an_applicative_mailbox,
    an_application_opens_a_mailbox_until_its_grant_ends,
    what_takes_away_is_counted_and_what_adds_is_not,
    what_takes_away_says_whom_it_concerns,
);

fn dn(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}

fn peer() -> PeerIdentity {
    PeerIdentity {
        subject: dn("CN=labo,OU=1,O=CHU"),
        issuer: dn("CN=AC,O=ASIP"),
        serial: vec![0x1a, 0x2b],
        dns_names: vec!["lims.example".to_owned()],
        mail_names: vec!["labo@ch.example".to_owned()],
        ip_names: Vec::new(),
        policies: Vec::new(),
        not_after: Timestamp(i64::MAX),
        crl_number: None,
        key_pin: [7; 32],
        revocation: RevocationState::Good,
    }
}

fn by_serial(serial: &[u8]) -> CertificateCriteria {
    CertificateCriteria::new(Some(dn("O=asip, CN=ac")), None, None, Some(serial.to_vec()), None).unwrap()
}

async fn application(store: &Fixture, name: &str) -> ActorId {
    store.create_application(name).await.unwrap().unwrap().0
}

async fn an_application_is_made_once_and_its_name_is_free_after_it(store: &Fixture) {
    let (lims, is_new) = store.create_application("LIMS").await.unwrap().unwrap();
    assert!(is_new);
    assert_eq!(store.create_application("lims").await.unwrap(), Ok((lims, false)));
    assert_eq!(store.application("Lims").await.unwrap().unwrap().actor, lims);
    for bad in ["", "a b", "é", &"x".repeat(65)] {
        assert_eq!(store.create_application(bad).await.unwrap(), Err(DirectoryError::ApplicationName));
    }
    let robot = application(store, "robot").await;
    let names = |rows: Vec<store::ApplicationRow>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names(store.applications("", 10).await.unwrap()), ["lims", "robot"]);
    assert_eq!(names(store.applications("lims", 10).await.unwrap()), ["robot"]);
    assert!(store.delete_application(lims, false).await.unwrap().unwrap());
    assert!(!store.delete_application(lims, false).await.unwrap().unwrap());
    assert_eq!(store.application("lims").await.unwrap(), None);
    assert_ne!(application(store, "lims").await, lims);
    // A user is no application.
    let user = store.create_user("marie", "", None).await.unwrap();
    assert!(!store.delete_application(user.actor, false).await.unwrap().unwrap());
    assert!(store.application("robot").await.unwrap().is_some_and(|row| row.actor == robot));
}

async fn an_application_is_renamed_by_who_read_it_to_a_name_that_is_free(store: &Fixture) {
    let (lims, robot) = (application(store, "lims").await, application(store, "robot").await);
    let read = store.application_of(lims).await.unwrap().unwrap();
    let rename = async |expected, name: &str| store.rename_application(lims, expected, name).await.unwrap();
    assert_eq!(rename(Some(read.revision), "a b").await, Err(DirectoryError::ApplicationName));
    assert_eq!(rename(Some(read.revision), "Robot").await, Err(DirectoryError::ApplicationTaken));
    assert_eq!(rename(Some(read.revision), "LIMS").await, Ok(()));
    assert_eq!(rename(Some(read.revision), "Labo").await, Ok(()));
    assert_eq!(rename(Some(read.revision), "other").await, Err(DirectoryError::Changed));
    assert_eq!(store.application("labo").await.unwrap().unwrap().actor, lims);
    assert_eq!(store.application("lims").await.unwrap(), None);
    assert_eq!(rename(None, "lab").await, Ok(()));
    // Neither a person nor what is out of service has a name that could change.
    let user = store.create_user("marie", "", None).await.unwrap();
    assert!(store.delete_application(robot, false).await.unwrap().unwrap());
    for other in [user.actor, robot] {
        let renamed = store.rename_application(other, None, "anna").await.unwrap();
        assert_eq!(renamed, Err(DirectoryError::Changed));
    }
    assert_eq!(rename(None, "robot").await, Ok(()));
}

async fn a_certificate_is_found_by_whatever_a_rule_names(store: &Fixture) {
    let lims = application(store, "lims").await;
    let issuer = || Some(dn("O=asip, CN=ac"));
    let rules = [
        CertificateCriteria::new(None, None, None, None, Some([7; 32])),
        CertificateCriteria::new(issuer(), None, None, Some(vec![0, 0x1a, 0x2b]), None),
        CertificateCriteria::new(issuer(), Some(dn("cn=LABO, ou=1, o=chu")), None, None, None),
        CertificateCriteria::new(issuer(), None, Some("email:LABO@ch.example".parse().unwrap()), None, None),
        CertificateCriteria::new(issuer(), None, Some("DNS:lims.example".parse().unwrap()), None, None),
        // Found by the key, refused for the rest.
        CertificateCriteria::new(issuer(), Some(dn("CN=other")), None, None, Some([7; 32])),
        CertificateCriteria::new(issuer(), Some(dn("CN=other")), None, Some(vec![0x1a, 0x2b]), None),
        CertificateCriteria::new(Some(dn("CN=AC 2")), None, None, Some(vec![0x1a, 0x2b]), None),
    ];
    let mut ids = Vec::new();
    for criteria in rules {
        ids.push(store.add_certificate_rule(lims, &criteria.unwrap(), None, None).await.unwrap().unwrap());
    }
    let mut found = store.certificate_rules_for(&peer(), START).await.unwrap();
    found.sort_by_key(|rule| rule.id);
    assert_eq!(found.iter().map(|rule| rule.id).collect::<Vec<_>>(), ids[..5]);
    assert!(found.iter().all(|rule| rule.actor == lims && rule.application == "lims"));
    let nameless = PeerIdentity { dns_names: Vec::new(), mail_names: Vec::new(), ..peer() };
    assert_eq!(store.certificate_rules_for(&nameless, START).await.unwrap().len(), 3);
    let stranger = PeerIdentity { issuer: dn("CN=AC 3"), key_pin: [8; 32], ..peer() };
    assert_eq!(store.certificate_rules_for(&stranger, START).await.unwrap(), []);
    assert_eq!(store.certificate_rules(lims, START).await.unwrap().len(), 8);
}

async fn a_rule_ends_by_removal_by_its_date_and_with_its_application(store: &Fixture) {
    let lims = application(store, "lims").await;
    let robot = application(store, "robot").await;
    let rule =
        store.add_certificate_rule(lims, &by_serial(&[0x1a, 0x2b]), None, None).await.unwrap().unwrap();
    assert!(!store.remove_certificate_rule(robot, rule, false).await.unwrap().unwrap(), "another's rule");
    assert_eq!(store.certificate_rules_for(&peer(), START).await.unwrap().len(), 1);
    assert!(store.remove_certificate_rule(lims, rule, false).await.unwrap().unwrap());
    assert!(!store.remove_certificate_rule(lims, rule, false).await.unwrap().unwrap());
    assert_eq!(store.certificate_rules_for(&peer(), START).await.unwrap(), []);
    let until = Some(START.plus_secs(60));
    store.add_certificate_rule(lims, &by_serial(&[0x1a, 0x2b]), None, until).await.unwrap().unwrap();
    assert_eq!(store.certificate_rules_for(&peer(), START.plus_secs(59)).await.unwrap().len(), 1);
    assert_eq!(store.certificate_rules_for(&peer(), START.plus_secs(60)).await.unwrap(), []);
    store.delete_application(lims, false).await.unwrap().unwrap();
    assert_eq!(store.certificate_rules_for(&peer(), START).await.unwrap(), []);
}

async fn a_rule_is_in_force_for_as_long_as_its_certificate_stands_in_the_inventory(store: &Fixture) {
    let lims = application(store, "lims").await;
    let facts = CertificateFacts {
        fingerprint: Fingerprint([1; 32]),
        usage: CertificateUsage::OrgAuthCli,
        subject: peer().subject,
        issuer: peer().issuer,
        serial: peer().serial,
        key_pin: peer().key_pin,
        not_before: START,
        not_after: START.plus_secs(1000),
        der: vec![0x30, 0],
    };
    let holder = CertificateHolder::Application(lims);
    let (certificate, _) = store.add_certificate(holder, facts.clone()).await.unwrap().unwrap();
    let rule = by_serial(&[0x1a, 0x2b]);
    store.add_certificate_rule(lims, &rule, Some(certificate), None).await.unwrap().unwrap();
    assert_eq!(store.certificate_rules_for(&peer(), START).await.unwrap().len(), 1);
    let before = store.revision(Revision::Directory).await.unwrap();
    store.withdraw_certificate(certificate, false).await.unwrap().unwrap();
    assert_eq!(store.certificate_rules_for(&peer(), START).await.unwrap(), []);
    assert_eq!(store.revision(Revision::Directory).await.unwrap(), before + 1);
    store.add_certificate(holder, facts).await.unwrap().unwrap();
    assert_eq!(store.certificate_rules_for(&peer(), START).await.unwrap().len(), 1);
}

async fn a_rule_belongs_to_one_application(store: &Fixture) {
    let lims = application(store, "lims").await;
    let robot = application(store, "robot").await;
    let rule = store.add_certificate_rule(lims, &by_serial(&[1]), None, None).await.unwrap().unwrap();
    let again = store.add_certificate_rule(robot, &by_serial(&[0, 1]), None, None).await.unwrap();
    assert_eq!(again, Err(DirectoryError::SameRule("lims".to_owned())));
    store.remove_certificate_rule(lims, rule, false).await.unwrap().unwrap();
    store.add_certificate_rule(robot, &by_serial(&[1]), None, None).await.unwrap().unwrap();
    for serial in 2..=CERTIFICATE_RULES_MAX {
        let serial = u8::try_from(serial).unwrap();
        store.add_certificate_rule(robot, &by_serial(&[serial]), None, None).await.unwrap().unwrap();
    }
    let one_more = store.add_certificate_rule(robot, &by_serial(&[200]), None, None).await.unwrap();
    assert_eq!(one_more, Err(DirectoryError::TooManyRules));
}

async fn an_application_opens_what_it_was_granted_and_nothing_else(store: &Fixture) {
    let (marie, labo) = (store.personal("marie").await, store.personal("labo").await);
    let lims = application(store, "lims").await;
    let all = |now| store.application_mailboxes(lims, None, &[MailboxStatus::Active], now, 10);
    assert_eq!(all(START).await.unwrap(), []);
    store.grant(labo.mailbox, lims, Role::Manager).await.unwrap();
    let opened = all(START).await.unwrap();
    assert_eq!(opened.len(), 1);
    let (mailbox, actor) = (&opened[0], &opened[0].actors[0]);
    assert_eq!((mailbox.id, actor.actor.id, actor.actor.kind), (labo.mailbox, lims, ActorKind::Application));
    assert!(actor.may_send && actor.rights == Role::Manager.rights());
    let named = |address: &str| {
        let address: Address = address.parse().unwrap();
        async move {
            store
                .application_mailboxes(lims, Some(&address), &[MailboxStatus::Active], START, 10)
                .await
                .unwrap()
                .len()
        }
    };
    assert_eq!((named("LABO@ch.example").await, named(&marie.address).await), (1, 0));
    // No password of hers opens it: an application is nobody who logs in by one.
    let login = store.login_mailbox("labo@ch.example", START).await.unwrap().unwrap();
    assert!(login.actors.iter().all(|actor| actor.actor.id != lims));
    let grants = store.application_grants(lims).await.unwrap();
    assert_eq!((grants[0].address.as_str(), grants[0].role), ("labo@ch.example", Some(Role::Manager)));
    assert!(store.revoke_grant(labo.mailbox, lims).await.unwrap());
    assert!(!store.revoke_grant(labo.mailbox, lims).await.unwrap());
    assert_eq!(all(START).await.unwrap(), []);
    store.grant(marie.mailbox, lims, Role::Reader).await.unwrap();
    store.delete_mailbox(marie.mailbox).await.unwrap();
    assert_eq!(all(START).await.unwrap(), []);
    store.grant(labo.mailbox, lims, Role::Reader).await.unwrap();
    store.raw.execute(&format!("UPDATE grants SET expires_at_ms = {}", START.0 + 1000)).await;
    assert_eq!(all(START).await.unwrap().len(), 1);
    assert_eq!(all(START.plus_secs(1)).await.unwrap(), []);
}

/// An applicative mailbox, which nobody owns.
async fn applicative(store: &Fixture, name: &str) -> MailboxId {
    store.add_domain("ch.example".parse().unwrap()).await.unwrap();
    let address = format!("{name}@ch.example").parse().unwrap();
    let new = NewMailbox { address, kind: MailboxKind::Applicative, owner: None, quota_bytes: 1 << 30 };
    store.create_mailbox(new).await.unwrap().unwrap().0
}

async fn of_several_applications_the_one_with_role_admin_holds_an_applicative_mailbox(store: &Fixture) {
    let robot = applicative(store, "robot").await;
    let (lims, reader) = (application(store, "lims").await, application(store, "reader").await);
    let marie = store.personal("marie").await.mailbox;
    let holds = async |actor, now| -> Vec<bool> {
        let opened = store.application_mailboxes(actor, None, &[MailboxStatus::Active], now, 10).await;
        opened.unwrap().iter().map(|mailbox| mailbox.actors[0].is_holder).collect()
    };
    store.grant(robot, reader, Role::Reader).await.unwrap();
    assert_eq!(holds(reader, START).await, [true], "alone, whatever its role");
    let until = START.plus_secs(60);
    store.grant_until(robot, lims, Role::Administrator, Some(until)).await.unwrap();
    assert_eq!((holds(lims, START).await, holds(reader, START).await), (vec![true], vec![false]));
    assert_eq!(holds(reader, until).await, [true], "alone again");
    store.grant(robot, lims, Role::Manager).await.unwrap();
    assert_eq!((holds(lims, START).await, holds(reader, START).await), (vec![false], vec![false]));
    store.grant(marie, reader, Role::Administrator).await.unwrap();
    assert_eq!(holds(reader, START).await, [false, false], "a person's mailbox is no application's");
}

async fn an_application_opens_a_mailbox_until_its_grant_ends(store: &Fixture) {
    let labo = applicative(store, "labo").await;
    let lims = application(store, "lims").await;
    let until = START.plus_secs(60);
    store.grant_until(labo, lims, Role::Manager, Some(until)).await.unwrap();
    let opened = async |now| {
        let opened = store.application_mailboxes(lims, None, &[MailboxStatus::Active], now, 10).await;
        opened.unwrap().iter().map(|mailbox| mailbox.actors[0].until).collect::<Vec<_>>()
    };
    assert_eq!(opened(START).await, [Some(until)]);
    assert!(opened(until).await.is_empty());
    assert_eq!(store.application_grants(lims).await.unwrap()[0].expires_at, Some(until));
    store.grant(labo, lims, Role::Manager).await.unwrap();
    assert_eq!(opened(until).await, [None]);
}

async fn what_takes_away_is_counted_and_what_adds_is_not(store: &Fixture) {
    let labo = store.personal("labo").await;
    let lims = application(store, "lims").await;
    let trust = store.revision(Revision::Trust).await.unwrap();
    let mut seen = store.revision(Revision::Directory).await.unwrap();
    let rule = store.add_certificate_rule(lims, &by_serial(&[1]), None, None).await.unwrap().unwrap();
    store.grant(labo.mailbox, lims, Role::Manager).await.unwrap();
    store.set_application_password(labo.actor, "phone", &hashed("hash")).await.unwrap();
    assert_eq!(store.revision(Revision::Directory).await.unwrap(), seen);
    for step in 0..6 {
        match step {
            0 => store.grant(labo.mailbox, lims, Role::Reader).await.unwrap(),
            1 => store.set_application_password(labo.actor, "phone", &hashed("other")).await.unwrap(),
            2 => assert!(store.remove_certificate_rule(lims, rule, false).await.unwrap().unwrap()),
            3 => assert!(store.revoke_grant(labo.mailbox, lims).await.unwrap()),
            4 => assert!(store.delete_application(lims, false).await.unwrap().unwrap()),
            _ => assert!(store.delete_mailbox(labo.mailbox).await.unwrap()),
        }
        let now = store.revision(Revision::Directory).await.unwrap();
        assert_eq!(now, seen + 1, "step {step}");
        seen = now;
    }
    assert_eq!(store.revision(Revision::Trust).await.unwrap(), trust);
}

async fn what_takes_away_says_whom_it_concerns(store: &Fixture) {
    let labo = store.personal("labo").await;
    let lims = application(store, "lims").await;
    store.grant(labo.mailbox, lims, Role::Manager).await.unwrap();
    store.set_application_password(labo.actor, "phone", &hashed("one")).await.unwrap();
    let begin = store.revision(Revision::Directory).await.unwrap();
    assert_eq!(store.directory_concerns(begin, begin).await.unwrap(), Some(Vec::new()));
    store.grant(labo.mailbox, lims, Role::Reader).await.unwrap();
    store.set_application_password(labo.actor, "phone", &hashed("two")).await.unwrap();
    assert!(store.delete_mailbox(labo.mailbox).await.unwrap());
    let end = store.revision(Revision::Directory).await.unwrap();
    let concerns =
        [Concern::Mailbox(labo.mailbox), Concern::Actor(labo.actor), Concern::Mailbox(labo.mailbox)];
    let told = store.directory_concerns(begin, end).await.unwrap().unwrap();
    assert_eq!(told, (begin + 1..).zip(concerns).collect::<Vec<_>>());
    assert_eq!(store.directory_concerns(end - 1, end).await.unwrap().unwrap(), told[2..]);
    // A move of which nothing is said may concern anybody, and so may what is too long ago.
    store.raw.execute("UPDATE revisions SET revision = revision + 1 WHERE name = 'directory'").await;
    assert_eq!(store.directory_concerns(begin, end + 1).await.unwrap(), None);
    store.raw.execute("UPDATE revisions SET revision = revision + 1000 WHERE name = 'directory'").await;
    assert_eq!(store.directory_concerns(begin, end + 1001).await.unwrap(), None);
    assert_eq!(store.directory_concerns(end, begin).await.unwrap(), None);
    // The oldest are forgotten.
    store.revoke_grant(labo.mailbox, lims).await.unwrap();
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM directory_moves").await, 1);
}

//! Domains, users, mailboxes, grants, logins.

use crate::support::{Fixture, START, hashed, on_both_engines};
use mail_types::{MailboxKind, MailboxStatus, Rights, Role};
use store::{DirectoryError, NewMailbox, hash_token};

on_both_engines!(
    a_domain_is_added_once,
    a_user_is_made_once_whatever_the_case,
    a_mailbox_is_made_once_with_its_default_folders,
    a_mailbox_that_cannot_be_is_refused,
    a_deleted_address_is_never_given_again,
    a_holder_logs_in_by_address_and_by_login,
    an_administrator_logs_in_to_the_mailbox_of_a_service,
    a_grant_replaces_the_one_before,
    a_grant_ends_at_its_time,
    mailboxes_are_listed_in_pages,
    secrets_are_replaced_by_their_label,
);

fn new_mailbox(address: &str, kind: MailboxKind, owner: Option<&str>) -> NewMailbox {
    NewMailbox { address: address.parse().unwrap(), kind, owner: owner.map(str::to_owned), quota_bytes: 1000 }
}

async fn a_domain_is_added_once(store: &Fixture) {
    assert!(store.add_domain("B.example".parse().unwrap()).await.unwrap());
    assert!(!store.add_domain("b.example".parse().unwrap()).await.unwrap());
    assert!(store.add_domain("a.example".parse().unwrap()).await.unwrap());
    assert_eq!(store.domains().await.unwrap(), ["a.example", "b.example"]);
    assert!(store.is_local_domain(&"b.example".parse().unwrap()).await.unwrap());
    assert!(!store.is_local_domain(&"c.example".parse().unwrap()).await.unwrap());
}

async fn a_user_is_made_once_whatever_the_case(store: &Fixture) {
    let first = store.create_user("Marie.Curie", "Marie Curie", Some("10001234567")).await.unwrap();
    let second = store.create_user("marie.curie", "Somebody else", None).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(store.user("MARIE.curie").await.unwrap(), Some(first));
    assert_eq!(store.user("pierre").await.unwrap(), None);
    // The RPPS number of another user: the unit fails, the store goes on.
    assert!(store.create_user("pierre", "", Some("10001234567")).await.is_err());
    assert_eq!(store.user("pierre").await.unwrap(), None);
    store.create_user("pierre", "", None).await.unwrap();
}

async fn a_mailbox_is_made_once_with_its_default_folders(store: &Fixture) {
    let marie = store.personal("marie").await;
    let again = new_mailbox("MARIE@ch.example", MailboxKind::Personal, None);
    assert_eq!(store.create_mailbox(again).await.unwrap(), Ok((marie.mailbox, false)));
    let folders = store.folders(marie.mailbox).await.unwrap();
    let names: Vec<_> = folders.iter().map(|folder| folder.name.as_str()).collect();
    assert_eq!(names, ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
    assert_eq!(folders[0].special_use.as_deref(), Some("\\Archive"));
    assert!(folders.iter().all(|folder| folder.selectable));
    assert_eq!(store.subscriptions(marie.mailbox, marie.actor).await.unwrap(), names);
    assert_eq!(store.raw.int("SELECT COUNT(DISTINCT uid_validity) FROM folders").await, 6);
    let row = store.usage(&marie).await;
    assert_eq!(
        (row.status, row.owner.as_deref(), row.used_bytes),
        (MailboxStatus::Active, Some("marie@ch.example"), 0)
    );
    store.set_quota(marie.mailbox, 77).await.unwrap();
    let recipient = store.recipient(&"Marie@ch.example".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((recipient.mailbox, recipient.inbox, recipient.quota_bytes), (marie.mailbox, marie.inbox, 77));
}

async fn a_mailbox_that_cannot_be_is_refused(store: &Fixture) {
    store.personal("marie").await;
    store.create_user("pierre", "", None).await.unwrap();
    for (new, refusal) in [
        (new_mailbox("x@elsewhere.example", MailboxKind::Personal, None), DirectoryError::UnknownDomain),
        (new_mailbox("x@ch.example", MailboxKind::Personal, Some("nobody")), DirectoryError::UnknownUser),
        (
            new_mailbox("marie@ch.example", MailboxKind::Organizational, None),
            DirectoryError::OtherKind(MailboxKind::Personal),
        ),
        (new_mailbox("marie@ch.example", MailboxKind::Personal, Some("pierre")), DirectoryError::OtherOwner),
    ] {
        assert_eq!(store.create_mailbox(new).await.unwrap(), Err(refusal));
    }
    // A refusal enters nobody.
    store.holder("ward", MailboxKind::Organizational, Some("pierre")).await;
    let ward = new_mailbox("ward@ch.example", MailboxKind::Personal, None);
    let other_kind = Err(DirectoryError::OtherKind(MailboxKind::Organizational));
    assert_eq!(store.create_mailbox(ward).await.unwrap(), other_kind);
    assert!(store.user("ward@ch.example").await.unwrap().is_none());
    let owned = new_mailbox("app@ch.example", MailboxKind::Applicative, Some("pierre"));
    assert!(matches!(store.create_mailbox(owned).await.unwrap(), Err(DirectoryError::Owner(_))));
}

async fn a_deleted_address_is_never_given_again(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.pass(5_000);
    assert!(store.delete_mailbox(marie.mailbox).await.unwrap());
    assert!(!store.delete_mailbox(marie.mailbox).await.unwrap());
    let again = new_mailbox("marie@ch.example", MailboxKind::Personal, None);
    assert_eq!(store.create_mailbox(again).await.unwrap(), Err(DirectoryError::Tombstone));
    let recipient = store.recipient(&"marie@ch.example".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(recipient.status, MailboxStatus::Deleted);
    assert_eq!(store.raw.int("SELECT status_at_ms FROM mailboxes").await, START.0 + 5_000);
}

async fn a_holder_logs_in_by_address_and_by_login(store: &Fixture) {
    store.create_user("mcurie", "Marie Curie", None).await.unwrap();
    let marie = store.holder("marie", MailboxKind::Personal, Some("MCurie")).await;
    for name in ["marie@ch.example", "Marie@CH.example", "mcurie", "MCURIE"] {
        let login = store.login_mailbox(name, START).await.unwrap().unwrap();
        assert_eq!((login.id, login.kind, login.private_seen), (marie.mailbox, MailboxKind::Personal, false));
        assert_eq!(login.actors.len(), 1, "{name}");
        assert_eq!(
            (login.actors[0].actor.id, login.actors[0].rights, login.actors[0].may_send),
            (marie.actor, Rights::ALL, true)
        );
    }
    for name in ["pierre", "pierre@ch.example"] {
        assert!(store.login_mailbox(name, START).await.unwrap().is_none());
    }
    store.raw.execute("UPDATE users SET disabled_at_ms = 1").await;
    let login = store.login_mailbox("mcurie", START).await.unwrap();
    assert!(login.is_none_or(|login| login.actors.is_empty()));
}

async fn an_administrator_logs_in_to_the_mailbox_of_a_service(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    store.grant(ward.mailbox, nurse.actor, Role::Reader).await.unwrap();
    let by_address = store.login_mailbox("ward@ch.example", START).await.unwrap().unwrap();
    assert!(by_address.private_seen);
    let actors: Vec<_> = by_address.actors.iter().map(|a| (a.actor.id, a.rights, a.may_send)).collect();
    // What a reader has seen is theirs alone here: they may say so.
    let reader = Rights::from_letters("lrs");
    assert_eq!(actors, [(ward.actor, Role::Administrator.rights(), true), (nurse.actor, reader, false)]);
    let by_login = store.login_mailbox("chief", START).await.unwrap().unwrap();
    assert_eq!(
        (by_login.id, by_login.actors.len(), by_login.actors[0].actor.id),
        (ward.mailbox, 1, ward.actor)
    );
    assert!(store.login_mailbox("nurse", START).await.unwrap().is_none());
    assert_eq!(store.usage(&ward).await.owner, None);
}

async fn a_grant_replaces_the_one_before(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap();
    let ward = store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    for role in [Role::Reader, Role::Editor, Role::Manager] {
        store.grant(ward.mailbox, nurse.actor, role).await.unwrap();
    }
    let login = store.login_mailbox("ward@ch.example", START).await.unwrap().unwrap();
    assert_eq!(login.actors[1].rights, Role::Manager.rights());
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM grants").await, 2);
}

async fn a_grant_ends_at_its_time(store: &Fixture) {
    store.create_user("chief", "", None).await.unwrap();
    store.holder("ward", MailboxKind::Organizational, Some("chief")).await;
    let lab = store.holder("lab", MailboxKind::Organizational, Some("chief")).await;
    store
        .raw
        .execute(&format!(
            "UPDATE grants SET expires_at_ms = {} WHERE mailbox_id <> {}",
            START.0 + 10,
            lab.mailbox
        ))
        .await;
    let before = store.login_mailbox("ward@ch.example", START).await.unwrap().unwrap();
    assert_eq!(before.actors.len(), 1);
    let after = store.login_mailbox("ward@ch.example", START.plus_millis(10)).await.unwrap().unwrap();
    assert!(after.actors.is_empty());
    let by_login = store.login_mailbox("chief", START.plus_millis(10)).await.unwrap().unwrap();
    assert_eq!((by_login.id, by_login.actors.len()), (lab.mailbox, 1));
}

async fn mailboxes_are_listed_in_pages(store: &Fixture) {
    for name in ["b-2", "a", "b.1", "c"] {
        store.personal(name).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.mailboxes(&after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.address.clone();
        seen.extend(page.into_iter().map(|row| row.address));
    }
    assert_eq!(seen, ["a@ch.example", "b-2@ch.example", "b.1@ch.example", "c@ch.example"]);
}

async fn secrets_are_replaced_by_their_label(store: &Fixture) {
    let marie = store.create_user("marie", "", None).await.unwrap();
    for (label, hash) in [("phone", "$1"), ("desk", "$2"), ("phone", "$3")] {
        store.set_application_password(marie.actor, label, &hashed(hash)).await.unwrap();
    }
    let hashes: Vec<_> =
        store.application_passwords(marie.actor, START).await.unwrap().into_iter().map(|p| p.hash).collect();
    assert_eq!(hashes, ["$3", "$2"]);
    for token in ["one", "two"] {
        store.set_api_key("console", hash_token(token), mail_types::AdminRole::Operator).await.unwrap();
    }
    assert_eq!(
        store.raw.blobs("SELECT hash FROM api_keys WHERE revoked_at_ms IS NULL").await,
        [hash_token("two")]
    );
}

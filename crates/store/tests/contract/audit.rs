//! The audit trail: chained, without gaps, whatever failed beside it.

use crate::support::DAY_MS;
use crate::support::{Fixture, audit_entry, on_both_engines};
use aws_lc_rs::digest::{Context, SHA256};
use mail_types::{FolderId, UserId};
use std::collections::HashMap;
use std::net::IpAddr;
use store::{Act, AuditEntry, Category, Subject, Via};

on_both_engines!(
    rows_are_chained_by_hash,
    a_failing_unit_leaves_no_gap_in_the_chain,
    each_process_begins_a_chain_of_its_own,
    a_changed_row_breaks_the_chain,
    a_month_begins_new_chains,
    what_is_personal_stands_in_no_row,
    each_subject_has_one_key_whichever_writer_makes_it,
    who_acts_is_told_apart_from_what_it_was_done_to,
    rows_of_a_message_say_what_proved_its_sender_and_which_request_it_was,
    rows_without_another_write_are_kept,
    judgements_are_chained_and_read_newest_first,
);

/// A row as an auditor reads it.
#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) chain_id: Vec<u8>,
    pub(crate) seq: i64,
    pub(crate) at_ms: i64,
    pub(crate) category: String,
    pub(crate) action: String,
    pub(crate) outcome: String,
    pub(crate) actor_id: Option<i64>,
    pub(crate) credential: Option<String>,
    pub(crate) via: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) mailbox_id: Option<i64>,
    pub(crate) unit_id: Option<Vec<u8>>,
    pub(crate) request: Option<String>,
    pub(crate) detail: String,
    pub(crate) subject_id: Option<Vec<u8>>,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) prev_hash: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) month: String,
    pub(crate) started_at_ms: i64,
}

pub(crate) async fn rows(store: &Fixture) -> Vec<Row> {
    store.raw.rows("SELECT r.*, c.month, c.started_at_ms FROM audit_rows r JOIN audit_chains c ON c.id = chain_id ORDER BY chain_id, seq").await
}

/// Parts preceded by their length; one that is not there has a length of its own.
fn hash_of_parts(parts: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.as_ref().map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        context.update(part.as_deref().unwrap_or_default());
    }
    context.finish().as_ref().to_vec()
}

/// The hash as an auditor computes it, from the columns alone.
pub(crate) fn hash_of(row: &Row) -> Vec<u8> {
    let id = |id: Option<i64>| id.map(|id| id.to_be_bytes().to_vec());
    let text = |text: &Option<String>| text.clone().map(String::into_bytes);
    hash_of_parts(&[
        Some(vec![2]),
        Some(row.chain_id.clone()),
        id(Some(row.seq)),
        id(Some(row.at_ms)),
        Some(row.category.clone().into_bytes()),
        Some(row.action.clone().into_bytes()),
        Some(row.outcome.clone().into_bytes()),
        id(row.actor_id),
        text(&row.credential),
        text(&row.via),
        text(&row.target),
        id(row.mailbox_id),
        row.unit_id.clone(),
        text(&row.request),
        Some(row.detail.clone().into_bytes()),
        row.subject_id.clone(),
        row.sealed.clone(),
        Some(row.prev_hash.clone()),
    ])
}

/// What the first row of a chain is linked to.
fn beginning(row: &Row) -> Vec<u8> {
    hash_of_parts(&[
        Some(vec![2]),
        Some(b"chain".to_vec()),
        Some(row.chain_id.clone()),
        Some(row.category.clone().into_bytes()),
        Some(row.month.clone().into_bytes()),
        Some(row.started_at_ms.to_be_bytes().to_vec()),
    ])
}

/// How many rows each chain has, if all of them are linked.
fn chains(rows: &[Row]) -> Option<Vec<i64>> {
    let mut heads: HashMap<&[u8], (i64, Vec<u8>)> = HashMap::new();
    for row in rows {
        let (seq, hash) = heads.entry(&row.chain_id).or_insert_with(|| (0, beginning(row)));
        if row.seq != *seq + 1 || row.prev_hash != *hash || row.hash != hash_of(row) {
            return None;
        }
        (*seq, *hash) = (row.seq, row.hash.clone());
    }
    let mut lengths: Vec<_> = heads.values().map(|(seq, _)| *seq).collect();
    lengths.sort_unstable();
    Some(lengths)
}

async fn rows_are_chained_by_hash(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..3 {
        store.pass(7);
        store.deliver(&marie, b"content").await;
    }
    // Three messages, accepted and delivered; domain, user and mailbox.
    assert_eq!(chains(&rows(store).await), Some(vec![3, 6]));
    let categories = store.raw.texts("SELECT category FROM audit_chains ORDER BY category").await;
    assert_eq!(categories, ["admin", "mail"]);
}

async fn rows_of_a_message_say_what_proved_its_sender_and_which_request_it_was(store: &Fixture) {
    let marie = store.personal("marie").await;
    let acceptance = store.acceptance(b"content", &[&marie]).await;
    let act = Act {
        credential: Some("password:7".to_owned()),
        request: Some("1-a".to_owned()),
        reason: Some("asked by the holder".to_owned()),
        ..Act::via(Via::Rest)
    };
    store.acting(act).accept(acceptance).await.unwrap();
    let mut told: Vec<Row> =
        rows(store).await.into_iter().filter(|row| row.action.starts_with("message.")).collect();
    told.sort_by_key(|row| row.seq);
    let said: Vec<_> = told
        .iter()
        .map(|row| {
            (row.action.as_str(), row.credential.as_deref(), row.request.as_deref(), row.via.as_deref())
        })
        .collect();
    let by = |action| (action, Some("password:7"), Some("1-a"), Some("rest"));
    assert_eq!(said, ["message.accepted", "message.delivered"].map(by));
    assert!(told[0].sealed.is_some(), "the reason is sealed");
    // The next message of the same writer is nobody's.
    store.deliver(&marie, b"content").await;
    let nobodys = rows(store)
        .await
        .into_iter()
        .filter(|row| row.action.starts_with("message.") && row.credential.is_none());
    assert_eq!(nobodys.count(), 2);
}

async fn judgements_are_chained_and_read_newest_first(store: &Fixture) {
    let entry = |detail: &str| AuditEntry {
        outcome: "rejected",
        detail: detail.to_owned(),
        ..AuditEntry::new(Category::Trust, "trust.judged")
    };
    let peer: IpAddr = "192.0.2.7".parse().unwrap();
    store.record_audit(vec![entry("{\"n\":1}"), entry("{\"n\":2}").whence(peer)]).await.unwrap();
    store.pass(1);
    let lost = AuditEntry::new(Category::Trust, "trust.judgements_lost");
    let lost = AuditEntry { detail: "{\"count\":7}".to_owned(), ..lost };
    store.record_audit(vec![entry("{\"n\":3}"), lost]).await.unwrap();
    let latest = store.judgements(None, 3).await.unwrap();
    let details: Vec<&str> = latest.iter().map(|row| row.detail.as_str()).collect();
    assert_eq!(details, ["{\"count\":7}", "{\"n\":3}", "{\"n\":2}"]);
    assert_eq!([latest[0].peer, latest[2].peer], [None, Some(peer)]);
    store.forget_subject(&Subject::Operator).await.unwrap();
    assert_eq!(store.judgements(None, 3).await.unwrap()[2].peer, None);
    assert_eq!((latest[1].action.as_str(), latest[1].outcome.as_str()), ("trust.judged", "rejected"));
    assert_eq!(chains(&rows(store).await), Some(vec![4]));
    let categories = store.raw.texts("SELECT category FROM audit_chains").await;
    assert_eq!(categories, ["trust"]);
}

async fn a_failing_unit_leaves_no_gap_in_the_chain(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..30 {
        let mut acceptance = store.acceptance(b"content", &[&marie]).await;
        // The audit row of a bad one is written before its failure in other units' batch.
        if i % 7 == 3 {
            let mut nowhere = marie.delivery();
            nowhere.folder = FolderId(4711);
            acceptance.local.push(nowhere);
        }
        let store = store::Store::clone(store);
        tasks.spawn(async move { store.accept(acceptance).await.is_ok() });
    }
    let outcomes = tasks.join_all().await;
    let stored = i64::try_from(outcomes.into_iter().filter(|is_stored| *is_stored).count()).unwrap();
    assert_eq!((stored, chains(&rows(store).await)), (26, Some(vec![3, 52])));
    store.deliver(&marie, b"after").await;
    assert_eq!(chains(&rows(store).await), Some(vec![3, 54]));
}

async fn each_process_begins_a_chain_of_its_own(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"first").await;
    let other = store.open_again().await.unwrap();
    for writer in [&other, store, &other] {
        let acceptance = store.acceptance(b"more", &[&marie]).await;
        writer.accept(acceptance).await.unwrap();
    }
    other.close().await;
    assert_eq!(chains(&rows(store).await), Some(vec![3, 4, 4]));
}

async fn a_changed_row_breaks_the_chain(store: &Fixture) {
    let marie = store.personal("marie").await;
    let mut acceptance = store.acceptance(b"content", &[&marie]).await;
    acceptance.audit = store::AuditEntry {
        actor: Some(marie.actor),
        mailbox: Some(marie.mailbox),
        ..audit_entry(acceptance.unit)
    };
    store.accept(acceptance).await.unwrap();
    store.deliver(&marie, b"after").await;
    assert!(chains(&rows(store).await).is_some());
    store.raw.execute("UPDATE audit_rows SET actor_id = actor_id + 1 WHERE actor_id IS NOT NULL AND action = 'message.accepted'").await;
    assert_eq!(chains(&rows(store).await), None);
}

async fn a_month_begins_new_chains(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"content").await;
    store.pass(31 * DAY_MS);
    store.deliver(&marie, b"content").await;
    store.deliver(&marie, b"content").await;
    assert_eq!(chains(&rows(store).await), Some(vec![2, 3, 4]));
    let months = store.raw.texts("SELECT DISTINCT month FROM audit_chains ORDER BY month").await;
    assert_eq!(months, ["2030-03", "2030-04"]);
}

async fn what_is_personal_stands_in_no_row(store: &Fixture) {
    let entry = || {
        let entry = AuditEntry::new(Category::Access, "login")
            .subject(Subject::Address("Paul@ch.example".to_owned()));
        entry.personal("name", "paul@ch.example").whence(IpAddr::from([198, 51, 100, 7])).why("secret cause")
    };
    store.record_audit(vec![entry(), entry()]).await.unwrap();
    let rows = rows(store).await;
    assert_eq!(chains(&rows), Some(vec![2]));
    for row in &rows {
        let sealed = row.sealed.as_deref().unwrap();
        for word in ["paul", "198.51", "secret"] {
            assert!(!sealed.windows(word.len()).any(|window| window == word.as_bytes()));
        }
    }
    assert_ne!(rows[0].sealed, rows[1].sealed);
    assert_eq!(rows[0].subject_id, rows[1].subject_id);
}

async fn each_subject_has_one_key_whichever_writer_makes_it(store: &Fixture) {
    let other = store.open_again().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..20 {
        let store = if i % 2 == 0 { store::Store::clone(store) } else { other.clone() };
        tasks.spawn(async move {
            let entry = |n: i64| AuditEntry::new(Category::Access, "login").on("user", n).why("test");
            store.record_audit((0..10).map(|n| entry((i + n) % 13)).collect()).await.unwrap();
        });
    }
    tasks.join_all().await;
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_subjects").await, 13);
    assert_eq!(store.raw.int("SELECT COUNT(DISTINCT subject_id) FROM audit_rows").await, 13);
    assert!(store.forget_subject(&Subject::User(UserId(4))).await.unwrap());
    assert!(!store.forget_subject(&Subject::User(UserId(4))).await.unwrap());
    assert!(chains(&rows(store).await).is_some());
    other.close().await;
}

async fn who_acts_is_told_apart_from_what_it_was_done_to(store: &Fixture) {
    let marie = store.personal("marie").await;
    let act = Act {
        actor: Some(marie.actor),
        whence: Some(IpAddr::from([192, 0, 2, 1])),
        credential: Some("key:3".to_owned()),
        reason: Some("moved to another ward".to_owned()),
        request: Some("1-a".to_owned()),
        ..Act::via(Via::Rest)
    };
    store.acting(act).set_quota(marie.mailbox, 5).await.unwrap();
    let row = rows(store).await.into_iter().find(|row| row.action == "mailbox.quota_set").unwrap();
    assert_eq!((row.actor_id, row.mailbox_id), (Some(marie.actor.0), Some(marie.mailbox.0)));
    assert_eq!(row.target, Some(format!("mailbox:{}", marie.mailbox)));
    assert_eq!((row.via.as_deref(), row.credential.as_deref()), (Some("rest"), Some("key:3")));
    assert_eq!(row.request.as_deref(), Some("1-a"));
    assert!(row.sealed.is_some());
}

async fn rows_without_another_write_are_kept(store: &Fixture) {
    let entries = (0..2_500).map(|n| AuditEntry::new(Category::Access, "login").on("user", n)).collect();
    store.record_audit(entries).await.unwrap();
    assert_eq!(chains(&rows(store).await), Some(vec![2_500]));
}

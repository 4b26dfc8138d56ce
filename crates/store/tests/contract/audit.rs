//! The audit trail: chained, without gaps, whatever failed beside it.

use crate::support::{Fixture, audit_entry, on_both_engines};
use aws_lc_rs::digest::{Context, SHA256};
use mail_types::FolderId;
use std::collections::HashMap;
use store::JudgementEntry;

on_both_engines!(
    rows_are_chained_by_hash,
    a_failing_unit_leaves_no_gap_in_the_chain,
    each_process_begins_a_chain_of_its_own,
    a_changed_row_breaks_the_chain,
    judgements_are_chained_and_read_newest_first,
);

type Row = (
    Vec<u8>,
    i64,
    i64,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    String,
    Vec<u8>,
    Vec<u8>,
    String,
);

async fn rows(store: &Fixture) -> Vec<Row> {
    let columns = "SELECT chain_id, seq, at_ms, action, outcome, actor_id, mailbox_id, unit_id, detail, prev_hash, hash, category FROM audit_rows JOIN audit_chains ON audit_chains.id = chain_id ORDER BY chain_id, seq";
    store.raw.rows(columns).await
}

/// The hash as an auditor computes it, from the columns alone.
fn hash_of(row: &Row) -> Vec<u8> {
    let (chain, seq, at, action, outcome, actor, mailbox, unit, detail, prev, _, category) = row;
    let id = |id: &Option<i64>| id.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec());
    let parts = [
        vec![1],
        category.clone().into_bytes(),
        prev.clone(),
        chain.clone(),
        seq.to_be_bytes().to_vec(),
        at.to_be_bytes().to_vec(),
        action.clone().into_bytes(),
        outcome.clone().into_bytes(),
        id(actor),
        id(mailbox),
        unit.clone().unwrap_or_default(),
        detail.clone().into_bytes(),
    ];
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(&part);
    }
    context.finish().as_ref().to_vec()
}

/// How many rows each chain has, if all of them are linked.
fn chains(rows: &[Row]) -> Option<Vec<i64>> {
    let mut heads: HashMap<&[u8], (i64, Vec<u8>)> = HashMap::new();
    for row in rows {
        let (seq, hash) = heads.entry(&row.0).or_insert_with(|| (0, vec![0; 32]));
        if row.1 != *seq + 1 || row.9 != *hash || row.10 != hash_of(row) {
            return None;
        }
        (*seq, *hash) = (row.1, row.10.clone());
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
    // Three deliveries; domain, user and mailbox.
    assert_eq!(chains(&rows(store).await), Some(vec![3, 3]));
    let categories = store.raw.texts("SELECT category FROM audit_chains ORDER BY category").await;
    assert_eq!(categories, ["admin", "mail"]);
}

async fn judgements_are_chained_and_read_newest_first(store: &Fixture) {
    let entry = |detail: &str| JudgementEntry {
        action: "trust.judged",
        outcome: "rejected",
        actor: None,
        detail: detail.to_owned(),
    };
    store.record_judgements(vec![entry("{\"n\":1}"), entry("{\"n\":2}")]).await.unwrap();
    store.pass(1);
    store.record_judgements(vec![entry("{\"n\":3}"), JudgementEntry::lost(7)]).await.unwrap();
    let latest = store.judgements(3).await.unwrap();
    let details: Vec<&str> = latest.iter().map(|row| row.detail.as_str()).collect();
    assert_eq!(details, ["{\"count\":7}", "{\"n\":3}", "{\"n\":2}"]);
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
    assert_eq!((stored, chains(&rows(store).await)), (26, Some(vec![3, 26])));
    store.deliver(&marie, b"after").await;
    assert_eq!(chains(&rows(store).await), Some(vec![3, 27]));
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
    assert_eq!(chains(&rows(store).await), Some(vec![2, 2, 3]));
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

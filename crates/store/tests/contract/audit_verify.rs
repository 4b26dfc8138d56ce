//! The audit trail against somebody who writes into the database: what was changed, removed, cut off or forged is found, and located.

use crate::audit::{hash_of, rows};
use crate::support::{Fixture, on_both_engines};
use mail_types::ActorId;
use store::{AuditEntry, AuditFault, AuditSeal, Category, ChainId, SealMark, Verification};

on_both_engines!(
    an_untouched_trail_is_sound_and_says_what_no_seal_covers,
    every_octet_of_a_row_is_covered,
    removed_rows_are_located,
    a_tail_that_was_cut_off_is_found_by_its_seal,
    a_removed_chain_is_found_by_its_seal,
    swapped_rows_are_located,
    a_chain_that_was_hashed_anew_is_found_by_its_seal,
    what_no_seal_covers_is_counted_and_not_vouched_for,
    a_changed_or_removed_seal_is_located,
    a_removed_last_seal_is_missed,
    a_tail_cut_off_with_its_seals_is_found_by_a_seal_kept_elsewhere,
    a_beginning_that_was_changed_is_found,
    a_chain_that_was_settled_alive_is_sealed_all_the_same,
    a_chain_that_was_kept_out_of_the_seals_is_found,
    several_nodes_make_one_seal_each_interval,
    seals_of_several_nodes_are_one_sequence,
);

/// Eight rows of one chain in two seals, and a login in another.
async fn trail(store: &Fixture) -> (ChainId, AuditSeal) {
    let entry = |n: i64| {
        let entry =
            AuditEntry { actor: Some(ActorId(n)), ..AuditEntry::new(Category::Admin, "user.changed") };
        AuditEntry { detail: format!("n={n}"), request: Some("1-a".to_owned()), ..entry }
            .on("user", n)
            .before("a")
            .after("b")
    };
    store.record_audit((1..=4).map(entry).collect()).await.unwrap();
    store.seal_audit().await.unwrap().unwrap();
    store.pass(60_000);
    store.record_audit((5..=8).map(entry).collect()).await.unwrap();
    store.record_audit(vec![AuditEntry::new(Category::Access, "login")]).await.unwrap();
    let seal = store.seal_audit().await.unwrap().unwrap();
    let chains =
        store.raw.blobs("SELECT id FROM audit_chains WHERE category = 'admin' ORDER BY started_at_ms").await;
    let chain = ChainId(chains.last().unwrap().as_slice().try_into().unwrap());
    (chain, seal)
}

async fn verified(store: &Fixture, known: Option<SealMark>) -> Verification {
    store.examine_audit(known, |_| ()).await.unwrap()
}

async fn faults(store: &Fixture) -> Vec<AuditFault> {
    verified(store, None).await.faults
}

/// The chain as SQL has it.
fn literal(store: &Fixture, octets: &[u8]) -> String {
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    match store.raw {
        crate::support::Raw::Sqlite(_) => format!("x'{digits}'"),
        crate::support::Raw::Postgres(_) => format!("'\\x{digits}'::bytea"),
    }
}

async fn an_untouched_trail_is_sound_and_says_what_no_seal_covers(store: &Fixture) {
    let (_, seal) = trail(store).await;
    assert!(store.seal_audit().await.unwrap().is_none(), "nothing happened since");
    store.record_audit(vec![AuditEntry::new(Category::Access, "login")]).await.unwrap();
    assert_eq!(store.audit_rows_unsealed().await.unwrap(), 1);
    let mut told = Vec::new();
    let found = store.examine_audit(Some(seal.mark()), |rows| told.push(rows)).await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!((found.rows, found.chains, found.seals, found.unsealed), (10, 2, 2, 1));
    assert_eq!(found.latest, Some(seal.mark()));
    assert_eq!(told.last(), Some(&10));
    assert!(verified(store, Some(SealMark { hash: [1; 32], ..seal.mark() })).await.faults_total == 1);
}

async fn every_octet_of_a_row_is_covered(store: &Fixture) {
    let (chain, _) = trail(store).await;
    store.raw.execute("CREATE TABLE saved AS SELECT * FROM audit_rows").await;
    let other = |length: usize| literal(store, &vec![7; length]);
    let flipped = match store.raw {
        crate::support::Raw::Sqlite(_) => {
            "substr(sealed, 1, 20) || CAST(CASE substr(sealed, 21, 1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) || substr(sealed, 22)"
        }
        crate::support::Raw::Postgres(_) => "set_byte(sealed, 20, (get_byte(sealed, 20) + 1) % 256)",
    };
    let changes = [
        "at_ms = at_ms + 1".to_owned(),
        "category = 'trust'".to_owned(),
        "action = 'user.changee'".to_owned(),
        "outcome = 'failed'".to_owned(),
        "actor_id = actor_id + 1".to_owned(),
        "actor_id = NULL".to_owned(),
        "credential = 'key:1'".to_owned(),
        "credential = ''".to_owned(),
        "via = 'imap'".to_owned(),
        "target = 'user:7'".to_owned(),
        "mailbox_id = 1".to_owned(),
        format!("unit_id = {}", other(16)),
        "request = '1-b'".to_owned(),
        "request = NULL".to_owned(),
        "detail = detail || ' '".to_owned(),
        format!("subject_id = {}", other(16)),
        "subject_id = NULL".to_owned(),
        format!("sealed = {flipped}"),
        "sealed = NULL".to_owned(),
        format!("prev_hash = {}", other(32)),
        format!("hash = {}", other(32)),
    ];
    for change in changes {
        let whole = literal(store, &chain.0);
        let touched = store
            .raw
            .execute(&format!("UPDATE audit_rows SET {change} WHERE chain_id = {whole} AND seq = 3"))
            .await;
        assert_eq!(touched, 1, "{change}");
        let found = faults(store).await;
        assert_eq!(found.first(), Some(&AuditFault::RowChanged { chain, seq: 3 }), "{change}");
        store.raw.execute("DELETE FROM audit_rows").await;
        store.raw.execute("INSERT INTO audit_rows SELECT * FROM saved").await;
        assert_eq!(faults(store).await, [], "{change}");
    }
}

async fn removed_rows_are_located(store: &Fixture) {
    let (chain, _) = trail(store).await;
    let whole = literal(store, &chain.0);
    store.raw.execute(&format!("DELETE FROM audit_rows WHERE chain_id = {whole} AND seq = 6")).await;
    assert_eq!(faults(store).await, [AuditFault::RowsMissing { chain, first: 6, last: 6 }]);
    store.raw.execute(&format!("DELETE FROM audit_rows WHERE chain_id = {whole} AND seq < 4")).await;
    let first = AuditFault::RowsMissing { chain, first: 1, last: 3 };
    assert_eq!(faults(store).await, [first, AuditFault::RowsMissing { chain, first: 6, last: 6 }]);
}

async fn a_tail_that_was_cut_off_is_found_by_its_seal(store: &Fixture) {
    let (chain, _) = trail(store).await;
    let whole = literal(store, &chain.0);
    store.raw.execute(&format!("DELETE FROM audit_rows WHERE chain_id = {whole} AND seq > 5")).await;
    assert_eq!(faults(store).await, [AuditFault::TailMissing { chain, last: 5, sealed: 8 }]);
    store.raw.execute(&format!("DELETE FROM audit_rows WHERE chain_id = {whole}")).await;
    assert_eq!(faults(store).await, [AuditFault::TailMissing { chain, last: 0, sealed: 4 }]);
}

async fn a_removed_chain_is_found_by_its_seal(store: &Fixture) {
    let (chain, _) = trail(store).await;
    let whole = literal(store, &chain.0);
    store.raw.execute(&format!("DELETE FROM audit_rows WHERE chain_id = {whole}")).await;
    store.raw.execute(&format!("DELETE FROM audit_chains WHERE id = {whole}")).await;
    assert_eq!(faults(store).await, [AuditFault::ChainMissing { chain, sealed: 4 }]);
}

async fn swapped_rows_are_located(store: &Fixture) {
    let (chain, _) = trail(store).await;
    let whole = literal(store, &chain.0);
    for (from, to) in [(2, 900), (3, 2), (900, 3)] {
        store
            .raw
            .execute(&format!("UPDATE audit_rows SET seq = {to} WHERE chain_id = {whole} AND seq = {from}"))
            .await;
    }
    let found = faults(store).await;
    assert_eq!(
        found[..2],
        [AuditFault::RowChanged { chain, seq: 2 }, AuditFault::RowChanged { chain, seq: 3 }]
    );
}

/// Changes a row of the chain, and hashes it and every later one anew.
async fn rewrite(store: &Fixture, chain: ChainId, from: i64) {
    let whole = literal(store, &chain.0);
    store
        .raw
        .execute(&format!("UPDATE audit_rows SET actor_id = 99 WHERE chain_id = {whole} AND seq = {from}"))
        .await;
    let mut prev = None;
    for mut row in rows(store).await.into_iter().filter(|row| row.chain_id == chain.0 && row.seq >= from) {
        row.prev_hash = prev.unwrap_or(row.prev_hash);
        let hash = hash_of(&row);
        let (new_prev, new_hash) = (literal(store, &row.prev_hash), literal(store, &hash));
        let sql = format!(
            "UPDATE audit_rows SET prev_hash = {new_prev}, hash = {new_hash} WHERE chain_id = {whole} AND seq = {}",
            row.seq
        );
        store.raw.execute(&sql).await;
        prev = Some(hash);
    }
}

async fn a_chain_that_was_hashed_anew_is_found_by_its_seal(store: &Fixture) {
    let (chain, _) = trail(store).await;
    rewrite(store, chain, 6).await;
    assert_eq!(faults(store).await, [AuditFault::SealedRowChanged { chain, seq: 8, seal: 2 }]);
    rewrite(store, chain, 2).await;
    let both = [(4, 1), (8, 2)].map(|(seq, seal)| AuditFault::SealedRowChanged { chain, seq, seal });
    assert_eq!(faults(store).await, both);
}

async fn what_no_seal_covers_is_counted_and_not_vouched_for(store: &Fixture) {
    let (chain, _) = trail(store).await;
    store.record_audit(vec![AuditEntry::new(Category::Admin, "user.changed"); 2]).await.unwrap();
    rewrite(store, chain, 9).await;
    let found = verified(store, None).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!(found.unsealed, 2);
}

async fn a_changed_or_removed_seal_is_located(store: &Fixture) {
    trail(store).await;
    store.record_audit(vec![AuditEntry::new(Category::Access, "login")]).await.unwrap();
    store.seal_audit().await.unwrap().unwrap();
    store.raw.execute("CREATE TABLE saved AS SELECT * FROM audit_seals").await;
    let zeros = literal(store, &[0; 64]);
    let short = literal(store, &[0; 5]);
    for change in [
        "at_ms = at_ms + 1".to_owned(),
        "heads = ''".to_owned(),
        "heads = 'x'".to_owned(),
        "key_id = 'x'".to_owned(),
        format!("signature = {zeros}"),
        format!("hash = {short}"),
        format!("prev_hash = {}", literal(store, &[3; 32])),
    ] {
        store.raw.execute(&format!("UPDATE audit_seals SET {change} WHERE seq = 2")).await;
        assert!(faults(store).await.contains(&AuditFault::SealForged { seal: 2 }), "{change}");
        store.raw.execute("DELETE FROM audit_seals").await;
        store.raw.execute("INSERT INTO audit_seals SELECT * FROM saved").await;
        assert_eq!(faults(store).await, [], "{change}");
    }
    store.raw.execute("DELETE FROM audit_seals WHERE seq = 2").await;
    assert!(faults(store).await.contains(&AuditFault::SealsMissing { first: 2, last: 2 }));
}

async fn a_removed_last_seal_is_missed(store: &Fixture) {
    let (chain, _) = trail(store).await;
    store.raw.execute("DELETE FROM audit_seals WHERE seq = 2").await;
    let found = faults(store).await;
    assert!(found.contains(&AuditFault::SealTailMissing { chain, sealed: 8 }), "{found:?}");
}

async fn a_tail_cut_off_with_its_seals_is_found_by_a_seal_kept_elsewhere(store: &Fixture) {
    let (chain, seal) = trail(store).await;
    let whole = literal(store, &chain.0);
    store.raw.execute(&format!("DELETE FROM audit_rows WHERE NOT (chain_id = {whole} AND seq <= 4)")).await;
    store.raw.execute(&format!("DELETE FROM audit_chains WHERE id <> {whole}")).await;
    store.raw.execute("UPDATE audit_chains SET sealed_seq = 4").await;
    store.raw.execute("DELETE FROM audit_seals WHERE seq > 1").await;
    assert_eq!(faults(store).await, [], "nothing in the database knows better");
    let found = verified(store, Some(seal.mark())).await;
    assert_eq!(found.faults, [AuditFault::KnownSealAbsent { mark: seal.mark() }]);
}

async fn a_beginning_that_was_changed_is_found(store: &Fixture) {
    let (chain, _) = trail(store).await;
    let whole = literal(store, &chain.0);
    for change in ["month = '2031-01'", "category = 'mail'", "started_at_ms = started_at_ms - 1"] {
        store.raw.execute("CREATE TABLE saved AS SELECT * FROM audit_chains").await;
        store.raw.execute(&format!("UPDATE audit_chains SET {change} WHERE id = {whole}")).await;
        assert_eq!(faults(store).await, [AuditFault::ChainChanged { chain }], "{change}");
        let back = "UPDATE audit_chains SET month = (SELECT month FROM saved WHERE saved.id = audit_chains.id), \
                    category = (SELECT category FROM saved WHERE saved.id = audit_chains.id), started_at_ms = (SELECT started_at_ms FROM saved WHERE saved.id = audit_chains.id)";
        store.raw.execute(back).await;
        store.raw.execute("DROP TABLE saved").await;
    }
    assert_eq!(faults(store).await, []);
}

async fn a_chain_that_was_settled_alive_is_sealed_all_the_same(store: &Fixture) {
    trail(store).await;
    store.raw.execute("UPDATE audit_chains SET is_settled = 1").await;
    store.record_audit(vec![AuditEntry::new(Category::Access, "login")]).await.unwrap();
    assert_eq!(store.audit_rows_unsealed().await.unwrap(), 1);
    store.seal_audit().await.unwrap().unwrap();
    let found = verified(store, None).await;
    assert_eq!((found.faults, found.unsealed), (vec![], 0));
}

async fn a_chain_that_was_kept_out_of_the_seals_is_found(store: &Fixture) {
    let (chain, _) = trail(store).await;
    let whole = literal(store, &chain.0);
    store.record_audit(vec![AuditEntry::new(Category::Admin, "user.changed")]).await.unwrap();
    store.raw.execute(&format!("UPDATE audit_chains SET sealed_seq = 1000 WHERE id = {whole}")).await;
    store.pass(11 * 60_000);
    store.record_audit(vec![AuditEntry::new(Category::Access, "login")]).await.unwrap();
    store.seal_audit().await.unwrap().unwrap();
    store.raw.execute(&format!("UPDATE audit_chains SET sealed_seq = 8 WHERE id = {whole}")).await;
    assert_eq!(faults(store).await, [AuditFault::SealOmits { chain, seq: 9 }]);
}

async fn several_nodes_make_one_seal_each_interval(store: &Fixture) {
    let interval = std::time::Duration::from_secs(60);
    let node = store.open_again().await.unwrap();
    let grow = || store.record_audit(vec![AuditEntry::new(Category::Access, "login")]);
    grow().await.unwrap();
    assert!(store.seal_audit_each(interval).await.unwrap().is_some());
    store.pass(30_000);
    grow().await.unwrap();
    assert!(node.seal_audit_each(interval).await.unwrap().is_none(), "another node sealed this minute");
    store.pass(30_000);
    assert!(store.seal_audit_each(interval).await.unwrap().is_some());
    grow().await.unwrap();
    assert!(node.seal_audit().await.unwrap().is_some(), "a node that stops does not wait");
    node.close().await;
}

async fn seals_of_several_nodes_are_one_sequence(store: &Fixture) {
    let nodes =
        [store.open_again().await.unwrap(), store.open_again().await.unwrap(), store::Store::clone(store)];
    for _ in 0..5 {
        let mut tasks = tokio::task::JoinSet::new();
        for node in nodes.clone() {
            tasks.spawn(async move {
                node.record_audit(vec![AuditEntry::new(Category::Access, "login")]).await.unwrap();
                node.seal_audit().await.unwrap();
            });
        }
        tasks.join_all().await;
        store.seal_audit().await.unwrap();
    }
    let found = verified(store, None).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!((found.rows, found.unsealed), (15, 0));
    for node in &nodes[..2] {
        node.close().await;
    }
}

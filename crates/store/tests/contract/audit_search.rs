//! Reading the audit trail: search, export, retention, holds.

use crate::support::{DAY_MS, Fixture, on_both_engines};
use mail_types::ActorId;
use serde_json::Value;
use std::net::IpAddr;
use store::{
    Act, AuditEntry, AuditFilter, AuditKeepDays, AuditKey, AuditRow, Category, ExportError, ExportFormat,
    ExportVerifier, NewHold, Opened, Subject, Via,
};

on_both_engines!(
    rows_are_found_newest_first_page_by_page,
    pages_give_every_row_once_while_rows_are_added,
    a_rare_row_is_found_however_far_back_it_is,
    each_filter_leaves_out_what_it_does_not_match,
    an_address_leads_to_its_rows_and_to_those_of_its_mailbox,
    reading_the_trail_leaves_a_row,
    verifying_the_trail_leaves_a_row_with_how_it_ended,
    a_destroyed_key_erases_and_the_trail_stays_sound,
    an_export_verifies_until_an_octet_changes,
    a_spreadsheet_sees_no_formula,
    what_had_its_time_goes_and_the_trail_stays_sound,
    a_hold_keeps_what_had_its_time,
    a_forged_expiry_is_found,
    a_chain_that_is_only_said_to_be_old_is_kept_and_told_of,
    what_goes_goes_a_bounded_number_of_rows_at_a_time,
    a_hold_ordered_after_a_chain_was_dropped_keeps_what_rows_are_left,
    others_who_open_a_mailbox_are_shown_to_its_holder,
);

async fn found(store: &Fixture, filter: AuditFilter) -> Vec<AuditRow> {
    store.search_audit(&filter, None, 100).await.unwrap().rows
}

fn login(n: i64) -> AuditEntry {
    AuditEntry {
        actor: Some(ActorId(n)),
        detail: format!("n={n}"),
        ..AuditEntry::new(Category::Access, "login")
    }
}

fn details(rows: &[AuditRow]) -> Vec<&str> {
    rows.iter().map(|row| row.detail.as_str()).collect()
}

async fn rows_are_found_newest_first_page_by_page(store: &Fixture) {
    for n in 1..=7 {
        store.record_audit(vec![login(n)]).await.unwrap();
        store.pass(if n % 2 == 0 { 1 } else { 0 });
    }
    let filter = AuditFilter { action: Some("login".to_owned()), ..AuditFilter::default() };
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.search_audit(&filter, after, 3).await.unwrap();
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(details(&all), ["n=7", "n=6", "n=5", "n=4", "n=3", "n=2", "n=1"]);
}

async fn pages_give_every_row_once_while_rows_are_added(store: &Fixture) {
    for n in 1..=6 {
        store.record_audit((1..=4).map(|m| login(10 * n + m)).collect()).await.unwrap();
        store.pass(n % 2);
    }
    let mut there: Vec<String> =
        (1..=6).flat_map(|n| (1..=4).map(move |m| format!("n={}", 10 * n + m))).collect();
    let filter = AuditFilter { action: Some("login".to_owned()), ..AuditFilter::default() };
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.search_audit(&filter, after, 5).await.unwrap();
        all.extend(page.rows.into_iter().map(|row| row.detail));
        // At the same instant as what was read, and later.
        store.record_audit(vec![login(1000)]).await.unwrap();
        store.pass(1);
        store.record_audit(vec![login(2000)]).await.unwrap();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.retain(|detail| detail != "n=1000" && detail != "n=2000");
    there.reverse();
    assert_eq!(all, there);
}

async fn a_rare_row_is_found_however_far_back_it_is(store: &Fixture) {
    let rare = |n| login(n).on("folder", 9);
    let mut wanted = Vec::new();
    for n in 0..7 {
        store.record_audit(vec![rare(n)]).await.unwrap();
        wanted.insert(0, format!("n={n}"));
        let others = if n == 3 { 5_200 } else { 300 };
        store.record_audit((0..others).map(|_| login(5)).collect()).await.unwrap();
        store.pass(1);
    }
    let filter = AuditFilter { target: Some("folder:9".to_owned()), ..AuditFilter::default() };
    for limit in [1, 3, 7, 100] {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let page = store.search_audit(&filter, after, limit).await.unwrap();
            assert!(
                page.rows.len() == limit as usize || page.next.is_none(),
                "a page is short before the end"
            );
            all.extend(page.rows.into_iter().map(|row| row.detail));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, wanted, "{limit}");
    }
}

async fn each_filter_leaves_out_what_it_does_not_match(store: &Fixture) {
    let marie = store.personal("marie").await;
    let act = Act { request: Some("1-a".to_owned()), ..Act::via(Via::Rest) };
    let entry = AuditEntry { outcome: "refused", mailbox: Some(marie.mailbox), ..login(5) }.on("folder", 9);
    store.acting(act).record_audit(vec![entry]).await.unwrap();
    store.pass(1000);
    store.record_audit(vec![login(6)]).await.unwrap();
    let all = AuditFilter { category: Some(Category::Access), ..AuditFilter::default() };
    let text = |text: &str| Some(text.to_owned());
    for filter in [
        AuditFilter { outcome: text("refused"), ..all.clone() },
        AuditFilter { actor: Some(ActorId(5)), ..all.clone() },
        AuditFilter { mailbox: Some(marie.mailbox), action: text("log*"), ..all.clone() },
        AuditFilter { target: text("folder:9"), ..AuditFilter::default() },
        AuditFilter { via: text("rest"), ..all.clone() },
        AuditFilter { request: text("1-a"), ..all.clone() },
        AuditFilter { action: text("login"), to: Some(store.now()), ..all.clone() },
        AuditFilter { not_actor: Some(ActorId(6)), action: text("login"), ..all.clone() },
    ] {
        assert_eq!(details(&found(store, filter.clone()).await), ["n=5"], "{filter:?}");
    }
    let later = AuditFilter { from: Some(store.now()), action: text("login"), ..all };
    assert_eq!(details(&found(store, later).await), ["n=6"]);
}

async fn an_address_leads_to_its_rows_and_to_those_of_its_mailbox(store: &Fixture) {
    let marie = store.personal("marie").await;
    let elsewhere = Subject::Address("Paul@other.example".to_owned());
    let entry = AuditEntry::new(Category::Mail, "message.queued").subject(elsewhere);
    store.record_audit(vec![entry.personal("to", "paul@other.example"), login(1)]).await.unwrap();
    let address = |address: &str| AuditFilter { address: Some(address.to_owned()), ..AuditFilter::default() };
    let rows = found(store, address("paul@other.example")).await;
    assert_eq!(rows.len(), 1);
    let Opened::Fields(fields) = &rows[0].personal else { panic!("{:?}", rows[0].personal) };
    assert_eq!(fields["to"], "paul@other.example");
    let rows = found(store, address(&marie.address)).await;
    assert!(rows.iter().any(|row| row.action == "mailbox.created"), "{rows:?}");
    assert!(rows.iter().all(|row| row.mailbox == Some(marie.mailbox)), "{rows:?}");
}

async fn reading_the_trail_leaves_a_row(store: &Fixture) {
    store.record_audit(vec![login(1)]).await.unwrap();
    let auditor = store.acting(Act { actor: Some(ActorId(77)), ..Act::via(Via::Rest) });
    let filter = AuditFilter {
        action: Some("login".to_owned()),
        address: Some("marie@ch.example".to_owned()),
        ..AuditFilter::default()
    };
    auditor.search_audit(&filter, None, 10).await.unwrap();
    let looks = found(store, AuditFilter { actor: Some(ActorId(77)), ..AuditFilter::default() }).await;
    assert_eq!(looks.len(), 1);
    assert_eq!(
        (looks[0].action.as_str(), looks[0].detail.as_str()),
        ("audit.searched", "action=\"login\" rows=0")
    );
    let Opened::Fields(fields) = &looks[0].personal else { panic!("{:?}", looks[0].personal) };
    assert_eq!(fields["address"], "marie@ch.example");
    let place = looks[0].place;
    assert!(auditor.audit_row(place.chain, place.seq).await.unwrap().is_some());
    assert!(auditor.audit_row(place.chain, 4711).await.unwrap().is_none());
    let shown = AuditFilter { action: Some("audit.shown".to_owned()), ..AuditFilter::default() };
    assert_eq!(found(store, shown).await.len(), 1);
}

async fn verifying_the_trail_leaves_a_row_with_how_it_ended(store: &Fixture) {
    store.record_audit(vec![login(1)]).await.unwrap();
    let seal = store.seal_audit().await.unwrap().unwrap().mark();
    let auditor = store.acting(Act { actor: Some(ActorId(77)), ..Act::via(Via::CommandLine) });
    assert!(auditor.verify_audit(Some(seal), |_| ()).await.unwrap().is_sound());
    store.raw.execute("UPDATE audit_rows SET detail = 'n=2' WHERE action = 'login'").await;
    assert!(!auditor.verify_audit(None, |_| ()).await.unwrap().is_sound());
    let verified = AuditFilter { action: Some("audit.verified".to_owned()), ..AuditFilter::default() };
    let rows = found(store, verified).await;
    let told: Vec<_> = rows.iter().map(|row| (row.outcome.as_str(), row.detail.clone())).collect();
    let sound = format!("rows=1 seals=1 unsealed=0 faults=0 seal={seal}");
    assert_eq!(told[1], ("ok", sound));
    assert_eq!(told[0].0, "unsound");
    assert!(rows.iter().all(|row| row.actor == Some(ActorId(77)) && row.via.as_deref() == Some("cli")));
}

async fn a_destroyed_key_erases_and_the_trail_stays_sound(store: &Fixture) {
    let paul = || Subject::Address("paul@other.example".to_owned());
    store.record_audit(vec![login(1).subject(paul()).why("secret")]).await.unwrap();
    store.seal_audit().await.unwrap();
    assert!(store.forget_subject(&paul()).await.unwrap());
    let filter = AuditFilter { action: Some("login".to_owned()), ..AuditFilter::default() };
    assert_eq!(found(store, filter).await[0].personal, Opened::Erased);
    let verified = store.examine_audit(None, |_| ()).await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
}

async fn exported(store: &Fixture, format: ExportFormat) -> String {
    store.pass(1);
    let mut export = store.export_audit(AuditFilter::default(), format).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = export.next().await.unwrap() {
        text += &piece;
    }
    text + &export.sign()
}

fn verified(text: &str, key: Option<AuditKey>) -> Result<u64, ExportError> {
    let mut verifier = ExportVerifier::default();
    text.as_bytes().chunks(777).for_each(|octets| verifier.push(octets));
    verifier.finish(key).map(|signature| signature.rows)
}

async fn an_export_verifies_until_an_octet_changes(store: &Fixture) {
    store.record_audit((1..=2_100).map(login).collect()).await.unwrap();
    for format in [ExportFormat::JsonLines, ExportFormat::Csv] {
        let text = exported(store, format).await;
        assert_eq!(
            verified(&text, Some(store.audit_key())),
            Ok(if format == ExportFormat::Csv { 2_101 } else { 2_100 })
        );
        assert_eq!(verified(&text.replacen("n=1", "n=2", 1), None), Err(ExportError::Changed));
        assert_eq!(verified(&text.replacen("\n", "\n\n", 1), None), Err(ExportError::Changed));
        let other = Some(AuditKey([9; 32]));
        assert!(matches!(verified(&text, other), Err(ExportError::OtherKey(_))));
        let end = text.trim_end().rfind('\n').unwrap();
        let (rows, line) = text.split_at(end);
        let forged = format!("{rows}{}", line.replace("2100,", "2099,").replace("2101,", "2099,"));
        assert_eq!(verified(&forged, None), Err(ExportError::Forged));
        assert_eq!(verified(&format!("{rows}\n"), None), Err(ExportError::Unsigned));
        assert_eq!(verified("", None), Err(ExportError::Unsigned));
    }
    let text = exported(store, ExportFormat::JsonLines).await;
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&first["detail"], &first["category"]), (&"n=1".into(), &"access".into()));
}

async fn a_spreadsheet_sees_no_formula(store: &Fixture) {
    let entry = AuditEntry { detail: "=HYPERLINK(\"x\";1)".to_owned(), ..login(1) };
    store.record_audit(vec![entry.whence(IpAddr::from([192, 0, 2, 1])).why("-1+1")]).await.unwrap();
    let text = exported(store, ExportFormat::Csv).await;
    assert!(text.starts_with("\u{feff}at;category;action;"), "{text}");
    let line = text.lines().nth(1).unwrap();
    assert!(line.contains(";\"'=HYPERLINK(\"\"x\"\";1)\";192.0.2.1;'-1+1;"), "{line}");
    // A head, a row and the signature.
    assert_eq!(text.matches("\r\n").count(), 3);
    assert_eq!(verified(&text, None), Ok(1));
}

const KEEP: AuditKeepDays = AuditKeepDays { mail: 30, access: 1_096, admin: 1_096, trust: 1_096 };

/// Chains and rows that go.
async fn gone(store: &Fixture) -> (u64, u64) {
    let expiry = store.expire_audit(KEEP).await.unwrap();
    assert_eq!((expiry.unproven.len(), expiry.is_more), (0, false));
    (expiry.chains, expiry.rows)
}

async fn what_had_its_time_goes_and_the_trail_stays_sound(store: &Fixture) {
    let marie = store.personal("marie").await;
    for _ in 0..3 {
        store.deliver(&marie, b"content").await;
    }
    assert_eq!(gone(store).await, (0, 0));
    store.pass(70 * DAY_MS);
    assert_eq!(gone(store).await, (0, 0), "nothing is dropped that no seal covers");
    store.seal_audit().await.unwrap();
    assert_eq!(gone(store).await, (1, 6));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_rows WHERE category = 'mail'").await, 0);
    assert!(store.raw.int("SELECT COUNT(*) FROM audit_rows WHERE category = 'admin'").await >= 3);
    store.seal_audit().await.unwrap();
    let verified = store.examine_audit(None, |_| ()).await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
    assert_eq!(verified.dropped, 1);
    let told = AuditFilter { action: Some("audit.expired".to_owned()), ..AuditFilter::default() };
    assert_eq!(details(&found(store, told).await), ["category=mail month=2030-03 rows=6"]);
}

async fn a_hold_keeps_what_had_its_time(store: &Fixture) {
    let marie = store.personal("marie").await;
    let paul = store.personal("paul").await;
    store.deliver(&marie, b"content").await;
    let hold = |mailbox| NewHold {
        category: None,
        mailbox: Some(mailbox),
        reason: "a complaint".to_owned(),
        until: None,
    };
    let kept = store.add_hold(hold(marie.mailbox)).await.unwrap();
    let until = NewHold { until: Some(store.now().plus_millis(60 * DAY_MS)), ..hold(paul.mailbox) };
    let over = store.add_hold(until).await.unwrap();
    store.pass(70 * DAY_MS);
    store.seal_audit().await.unwrap();
    assert!(kept.is_in_force(store.now()) && !over.is_in_force(store.now()));
    assert_eq!(gone(store).await, (0, 0));
    assert!(!store.end_hold(kept.id, Some(kept.revision + 1)).await.unwrap(), "it is not as it was read");
    assert!(store.end_hold(kept.id, Some(kept.revision)).await.unwrap());
    assert!(!store.end_hold(kept.id, None).await.unwrap());
    assert_eq!(gone(store).await.0, 1);
    assert_eq!(store.holds(0, 10).await.unwrap().len(), 2);
}

async fn a_forged_expiry_is_found(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"content").await;
    store.seal_audit().await.unwrap();
    store.raw.execute("UPDATE audit_chains SET dropped_at_ms = 1, dropped_seq = 2, dropped_hash = id, dropped_signature = id WHERE category = 'mail'").await;
    store.raw.execute("DELETE FROM audit_rows WHERE category = 'mail'").await;
    let verified = store.examine_audit(None, |_| ()).await.unwrap();
    assert_eq!(verified.faults.iter().map(|fault| fault.kind()).collect::<Vec<_>>(), ["drop_forged"]);
}

async fn a_chain_that_is_only_said_to_be_old_is_kept_and_told_of(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"content").await;
    store.seal_audit().await.unwrap();
    let count = "SELECT COUNT(*) FROM audit_rows";
    let rows = store.raw.int(count).await;
    store.raw.execute("CREATE TABLE saved AS SELECT * FROM audit_chains").await;
    let chains = store.raw.int("SELECT COUNT(*) FROM audit_chains").await;
    for change in ["month = '2000-01'", "month = '2000-01', started_at_ms = 946684800000"] {
        store.raw.execute(&format!("UPDATE audit_chains SET is_settled = 1, {change}")).await;
        let expiry = store.expire_audit(KEEP).await.unwrap();
        assert_eq!((expiry.chains, expiry.rows), (0, 0), "{change}");
        assert_eq!(i64::try_from(expiry.unproven.len()).unwrap(), chains, "{change}");
        assert_eq!(store.raw.int(count).await, rows, "{change}");
    }
    // The chain is old, and so says a seal that the operator's key did not sign.
    store.raw.execute("UPDATE audit_chains SET month = (SELECT month FROM saved WHERE saved.id = audit_chains.id), started_at_ms = (SELECT started_at_ms FROM saved WHERE saved.id = audit_chains.id)").await;
    store.pass(70 * DAY_MS);
    store.raw.execute("UPDATE audit_seals SET signature = hash").await;
    let expiry = store.expire_audit(KEEP).await.unwrap();
    assert_eq!((expiry.chains, expiry.unproven.len()), (0, 1));
}

async fn what_goes_goes_a_bounded_number_of_rows_at_a_time(store: &Fixture) {
    let entries = vec![AuditEntry::new(Category::Mail, "message.accepted"); 10_700];
    store.record_audit(entries).await.unwrap();
    store.pass(70 * DAY_MS);
    store.seal_audit().await.unwrap();
    let expiry = store.expire_audit(KEEP).await.unwrap();
    assert_eq!((expiry.chains, expiry.rows, expiry.is_more), (1, 10_000, true));
    let expiry = store.expire_audit(KEEP).await.unwrap();
    assert_eq!((expiry.chains, expiry.rows, expiry.is_more), (0, 700, false));
}

async fn a_hold_ordered_after_a_chain_was_dropped_keeps_what_rows_are_left(store: &Fixture) {
    let entries = vec![AuditEntry::new(Category::Mail, "message.accepted"); 10_700];
    store.record_audit(entries).await.unwrap();
    store.pass(70 * DAY_MS);
    store.seal_audit().await.unwrap();
    assert!(store.expire_audit(KEEP).await.unwrap().is_more);
    let hold = NewHold {
        category: Some(Category::Mail),
        mailbox: None,
        reason: "a complaint".to_owned(),
        until: None,
    };
    let hold = store.add_hold(hold).await.unwrap();
    assert_eq!(gone(store).await, (0, 0));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM audit_rows WHERE category = 'mail'").await, 700);
    assert!(store.end_hold(hold.id, None).await.unwrap());
    assert_eq!(gone(store).await, (0, 700));
}

async fn others_who_open_a_mailbox_are_shown_to_its_holder(store: &Fixture) {
    let marie = store.personal("marie").await;
    let opened = |n: i64| AuditEntry { mailbox: Some(marie.mailbox), ..login(n) };
    store.record_audit(vec![opened(5), opened(marie.actor.0), login(8)]).await.unwrap();
    let page = store.accesses(marie.mailbox, Some(marie.actor), None, 10).await.unwrap();
    assert_eq!(details(&page.rows), ["n=5"]);
}

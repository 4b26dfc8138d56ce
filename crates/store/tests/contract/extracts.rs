//! What messages are searched by: sealed with the body, read by UID, gone with the body.

use crate::support::{Fixture, noise, on_both_engines};
use mail_types::{SystemFlags, Uid};
use store::{Error, FlagAction, SealedBody, SearchRow, Searched};

on_both_engines!(
    what_a_message_is_searched_by_comes_back,
    a_body_without_a_text_has_none,
    a_long_header_comes_with_the_text_and_not_among_many,
    nothing_of_a_text_stands_in_clear,
    what_belongs_to_another_body_does_not_open,
    what_a_message_is_searched_by_goes_with_its_body,
);

const HEADER: &[u8] = b"SUBJECT: COMPTE RENDU";
const TEXT: &[u8] = b"LE COMPTE RENDU D'HOSPITALISATION ";

async fn searchable(store: &Fixture, signature: &[u8], extract: &[u8]) -> SealedBody {
    let mut writer = store.begin_body(10).unwrap();
    writer.write(b"content").await.unwrap();
    writer.make_searchable(signature, HEADER, extract).unwrap();
    writer.finish(b"structure").await.unwrap()
}

/// Delivers a message that is searched by its UID and by that text.
async fn delivered(store: &Fixture, to: &crate::support::Holder, uid: u8, extract: &[u8]) {
    let body = searchable(store, &[uid; 100], extract).await;
    let acceptance = store.acceptance(b"", &[to]).await;
    store.accept(store::Acceptance { body, ..acceptance }).await.unwrap();
}

async fn rows(store: &Fixture, of: &crate::support::Holder, uids: &[u32], kind: Searched) -> Vec<SearchRow> {
    let uids: Vec<Uid> = uids.iter().map(|uid| Uid(*uid)).collect();
    store.search_rows(of.inbox, &uids, kind).await.unwrap()
}

async fn what_a_message_is_searched_by_comes_back(store: &Fixture) {
    let marie = store.personal("marie").await;
    let large = noise(500_000);
    for (uid, text) in [(1, TEXT), (2, b""), (3, &large)] {
        delivered(store, &marie, uid, text).await;
    }
    for (uid, text) in [(1, TEXT), (2, b""), (3, &large)] {
        let signatures = rows(store, &marie, &[uid, 9], Searched::Signatures).await;
        let extracts = rows(store, &marie, &[uid, 9], Searched::Extracts).await;
        assert_eq!((signatures.len(), extracts.len()), (1, 1));
        let key = marie.key.unwrap(extracts[0].body(), extracts[0].wrapped_key()).unwrap();
        let headers = rows(store, &marie, &[uid, 9], Searched::Headers).await;
        assert_eq!(signatures[0].signature(&key).unwrap().unwrap(), [uid as u8; 100]);
        assert_eq!(headers[0].header(&key).unwrap().unwrap(), HEADER);
        assert!(
            headers[0].body_text(&key).unwrap().is_none() && headers[0].signature(&key).unwrap().is_none()
        );
        assert_eq!(extracts[0].header(&key).unwrap().unwrap(), HEADER);
        assert_eq!(extracts[0].body_text(&key).unwrap().unwrap(), text);
    }
    let uids: Vec<u32> =
        rows(store, &marie, &[3, 1, 7], Searched::Extracts).await.iter().map(|row| row.uid.0).collect();
    assert_eq!(uids, [1, 3]);
}

async fn a_body_without_a_text_has_none(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"content").await;
    let row = rows(store, &marie, &[1], Searched::Extracts).await.remove(0);
    let key = marie.key.unwrap(row.body(), row.wrapped_key()).unwrap();
    assert!(!row.is_there() && row.header(&key).unwrap().is_none() && row.body_text(&key).unwrap().is_none());
}

async fn a_long_header_comes_with_the_text_and_not_among_many(store: &Fixture) {
    let marie = store.personal("marie").await;
    for (uid, octets, is_among_many) in [(1, 65_000, true), (2, 65_536, false), (3, 1_000_000, false)] {
        let mut writer = store.begin_body(10).unwrap();
        writer.write(b"content").await.unwrap();
        let header = noise(octets);
        writer.make_searchable(&[1; 100], &header, TEXT).unwrap();
        let body = writer.finish(b"structure").await.unwrap();
        let acceptance = store.acceptance(b"", &[&marie]).await;
        store.accept(store::Acceptance { body, ..acceptance }).await.unwrap();
        let row = rows(store, &marie, &[uid], Searched::Extracts).await.remove(0);
        let key = marie.key.unwrap(row.body(), row.wrapped_key()).unwrap();
        assert_eq!(row.header(&key).unwrap().unwrap(), header);
        let row = rows(store, &marie, &[uid], Searched::Headers).await.remove(0);
        assert_eq!(row.is_there(), is_among_many, "{octets}");
        assert_eq!(row.header(&key).unwrap().is_some(), is_among_many, "{octets}");
    }
}

async fn nothing_of_a_text_stands_in_clear(store: &Fixture) {
    let marie = store.personal("marie").await;
    delivered(store, &marie, 7, TEXT).await;
    for column in ["signature", "header", "extract"] {
        let sealed = store.raw.blobs(&format!("SELECT {column} FROM extracts")).await.remove(0);
        for clear in [&TEXT[..8], &HEADER[..8], &[7; 8]] {
            assert!(!sealed.windows(8).any(|window| window == clear), "{column}");
        }
    }
}

async fn what_belongs_to_another_body_does_not_open(store: &Fixture) {
    let marie = store.personal("marie").await;
    delivered(store, &marie, 1, TEXT).await;
    delivered(store, &marie, 2, TEXT).await;
    for column in ["signature", "header", "extract"] {
        let other = format!("SELECT o.{column} FROM extracts o WHERE o.body_id <> extracts.body_id");
        let changed = store.raw.execute(&format!("UPDATE extracts SET {column} = ({other})")).await;
        assert_eq!(changed, 2);
    }
    let signed = rows(store, &marie, &[1], Searched::Signatures).await.remove(0);
    let row = rows(store, &marie, &[1], Searched::Extracts).await.remove(0);
    let key = marie.key.unwrap(row.body(), row.wrapped_key()).unwrap();
    for opened in [signed.signature(&key), row.header(&key), row.body_text(&key)] {
        assert!(matches!(opened, Err(Error::Sealed(_))));
    }
}

async fn what_a_message_is_searched_by_goes_with_its_body(store: &Fixture) {
    let marie = store.personal("marie").await;
    delivered(store, &marie, 1, TEXT).await;
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM extracts").await, 1);
    let flags = (SystemFlags::DELETED, Vec::new());
    store.store_flags(marie.inbox, None, vec![(1, 1)], FlagAction::Add, flags.0, flags.1).await.unwrap();
    store.expunge(marie.mailbox, marie.inbox, None).await.unwrap();
    assert_eq!(store.sweep_later().await, 1);
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM extracts").await, 0);
    store.assert_sound().await;
}

//! Bodies there and back, through their rows.

use crate::support::{Fixture, noise, on_both_engines};
use mail_types::Uid;
use store::{Error, WithBody};

on_both_engines!(
    an_inline_body_comes_back_in_ranges,
    a_body_in_a_file_comes_back_in_ranges,
    an_empty_body_comes_back,
    a_body_over_its_bound_is_refused,
    a_row_read_without_content_gives_none,
    a_body_whose_row_was_changed_does_not_open,
);

async fn an_inline_body_comes_back_in_ranges(store: &Fixture) {
    comes_back_in_ranges(store, 200_000, "inline").await;
    assert_eq!(store.body_files().len(), 0);
}

async fn a_body_in_a_file_comes_back_in_ranges(store: &Fixture) {
    comes_back_in_ranges(store, 900_000, "file").await;
    assert_eq!(store.body_files().len(), 1);
}

async fn comes_back_in_ranges(store: &Fixture, size: usize, place: &str) {
    let marie = store.personal("marie").await;
    let content = noise(size);
    store.deliver(&marie, &content).await;
    assert_eq!(store.raw.texts("SELECT place FROM bodies").await, [place]);
    let mut row = store.messages(marie.inbox, Uid(1), Uid(1), 1, WithBody::Content).await.unwrap().remove(0);
    let key = marie.key.unwrap(row.body, &row.wrapped_key).unwrap();
    assert_eq!(row.structure(&key).unwrap(), b"structure");
    let mut reader = store.content(&mut row, &key).await.unwrap();
    assert_eq!(reader.size(), size as u64);
    for (start, end) in [
        (0, 1),
        (65_530, 65_540),
        (0, 65_536),
        (100_000, 100_000),
        (size - 3, size + 9),
        (size, size + 1),
        (0, size),
    ] {
        let mut out = b"before".to_vec();
        reader.read(start as u64, end as u64, &mut out).await.unwrap();
        assert_eq!(&out[6..], &content[start..end.min(size)], "{start}..{end}");
    }
}

async fn an_empty_body_comes_back(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"").await;
    assert_eq!(store.read_all(&marie, marie.inbox, 1).await, b"");
    store.assert_sound().await;
}

async fn a_body_over_its_bound_is_refused(store: &Fixture) {
    let mut writer = store.begin_body(10).unwrap();
    writer.write(b"0123456789").await.unwrap();
    assert_eq!(writer.size(), 10);
    assert!(matches!(writer.write(b"x").await, Err(Error::TooBig)));
}

async fn a_row_read_without_content_gives_none(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"content").await;
    let mut row =
        store.messages(marie.inbox, Uid(1), Uid(1), 1, WithBody::Structure).await.unwrap().remove(0);
    let key = marie.key.unwrap(row.body, &row.wrapped_key).unwrap();
    assert_eq!(row.structure(&key).unwrap(), b"structure");
    assert!(matches!(store.content(&mut row, &key).await, Err(Error::Inconsistent(_))));
    let row = store.messages(marie.inbox, Uid(1), Uid(1), 1, WithBody::No).await.unwrap().remove(0);
    assert!(matches!(row.structure(&key), Err(Error::Inconsistent(_))));
}

async fn a_body_whose_row_was_changed_does_not_open(store: &Fixture) {
    let marie = store.personal("marie").await;
    store.deliver(&marie, b"mine").await;
    store.deliver(&marie, b"hers").await;
    let containers = "SELECT container FROM bodies ORDER BY id";
    let before = store.raw.blobs(containers).await;
    let swap = "UPDATE bodies SET container = (SELECT container FROM bodies ORDER BY id LIMIT 1) WHERE id <> (SELECT id FROM bodies ORDER BY id LIMIT 1)";
    store.raw.execute(swap).await;
    assert_ne!(before, store.raw.blobs(containers).await);
    let mut row = store.messages(marie.inbox, Uid(2), Uid(2), 1, WithBody::Content).await.unwrap().remove(0);
    let key = marie.key.unwrap(row.body, &row.wrapped_key).unwrap();
    let mut reader = store.content(&mut row, &key).await.unwrap();
    assert!(matches!(reader.read(0, 4, &mut Vec::new()).await, Err(Error::Sealed(_))));
}

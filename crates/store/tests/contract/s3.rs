//! Bodies in S3, through their rows. The service is the small one of `body-store`'s own tests, on a real socket.

#[expect(dead_code, reason = "these cases need a part of it")]
#[path = "../../../body-store/tests/endpoint/mod.rs"]
mod endpoint;

use crate::support::{Engine, Fixture, is_wanted, noise};
use body_store::{Credentials, S3Options};
use endpoint::{Asked, Endpoint, Fault};
use mail_types::{SystemFlags, Uid};
use std::time::Duration;
use store::{BodyOptions, Error, FlagAction, WithBody};

fn options(endpoint: &Endpoint) -> Box<S3Options> {
    Box::new(S3Options {
        endpoint: format!("http://{}", endpoint.address).parse().unwrap(),
        region: "here".to_owned(),
        bucket: "bucket".to_owned(),
        prefix: String::new(),
        credentials: Credentials::parse("aws_access_key_id = id\naws_secret_access_key = hush\n").unwrap(),
        authorities: None,
        path_style: true,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        retries_max: 1,
        concurrency: 4,
    })
}

/// A store whose large bodies were in files, and go to S3 from now on.
async fn moved_store() -> Option<(Fixture, Endpoint)> {
    if !is_wanted(Engine::Sqlite) {
        return None;
    }
    let endpoint = Endpoint::start().await;
    let store = Fixture::new(Engine::Sqlite).await;
    let marie = store.personal("marie").await;
    store.deliver(&marie, &noise(400_000)).await;
    let store = store.with_bodies(BodyOptions::S3(options(&endpoint))).await;
    Some((store, endpoint))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_s3_comes_back_in_few_requests() {
    let Some((store, endpoint)) = moved_store().await else { return };
    let pierre = store.personal("pierre").await;
    let content = noise(3_000_000);
    store.deliver(&pierre, &content).await;
    assert_eq!(store.raw.texts("SELECT place FROM bodies ORDER BY size_bytes").await, ["file", "object"]);
    assert_eq!(store.read_all(&pierre, pierre.inbox, 1).await, content);
    // The index, the first frame, then three runs of sixteen frames for the other forty-five.
    assert_eq!(endpoint.count(Asked::Get), 5);
    let mut row = store.messages(pierre.inbox, Uid(1), Uid(1), 1, WithBody::Content).await.unwrap().remove(0);
    let key = pierre.key.unwrap(row.body, &row.wrapped_key).unwrap();
    let mut reader = store.content(&mut row, &key).await.unwrap();
    for (start, end) in [(2_000_000, 2_000_010), (2_999_990, 4_000_000), (65_530, 65_540)] {
        let mut out = Vec::new();
        reader.read(start, end, &mut out).await.unwrap();
        assert_eq!(out, &content[start as usize..(end as usize).min(content.len())]);
    }
    store.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_both_places_are_read_swept_and_checked() {
    let Some((store, endpoint)) = moved_store().await else { return };
    let pierre = store.personal("pierre").await;
    store.deliver(&pierre, &noise(500_000)).await;
    assert_eq!((store.body_files().len(), endpoint.bucket().objects.len()), (1, 1));
    store.assert_sound().await;
    store.pass(25 * 3_600_000);
    assert_eq!(store.sweep_orphans().await.unwrap(), 0, "what has a row stays in either place");
    let (name, object) = endpoint.bucket().objects.pop_first().unwrap();
    let orphan = format!("{}ff{}", &name[..3], &name[5..]);
    endpoint.bucket().objects.insert(orphan, object.clone());
    let report = store.fsck(false).await.unwrap();
    assert_eq!((report.missing_files, report.orphan_files), (1, 1));
    assert_eq!(store.sweep_orphans().await.unwrap(), 1);
    endpoint.bucket().objects.insert(name, object);
    store.assert_sound().await;
    let all = vec![(1, u32::MAX)];
    store
        .store_flags(pierre.inbox, None, all, FlagAction::Add, SystemFlags::DELETED, Vec::new())
        .await
        .unwrap();
    store.expunge(pierre.mailbox, pierre.inbox, None).await.unwrap();
    assert_eq!(store.sweep_later().await, 1);
    assert!(endpoint.bucket().objects.is_empty());
    assert_eq!(store.body_files().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_upload_stores_nothing_and_the_next_one_is_taken() {
    let Some((store, endpoint)) = moved_store().await else { return };
    let pierre = store.personal("pierre").await;
    endpoint.fail(Asked::Put, Fault::Unavailable, 2);
    let mut writer = store.begin_body(1_000_000).unwrap();
    writer.write(&noise(500_000)).await.unwrap();
    assert!(matches!(writer.finish(b"").await, Err(Error::Bodies(_))));
    assert_eq!(store.raw.int("SELECT COUNT(*) FROM bodies").await, 1, "the one in a file");
    assert!(endpoint.bucket().objects.is_empty());
    store.deliver(&pierre, &noise(500_000)).await;
    assert_eq!(store.read_all(&pierre, pierre.inbox, 1).await, noise(500_000));
    endpoint.fail(Asked::Get, Fault::Unavailable, 2);
    let mut row = store.messages(pierre.inbox, Uid(1), Uid(1), 1, WithBody::Content).await.unwrap().remove(0);
    let key = pierre.key.unwrap(row.body, &row.wrapped_key).unwrap();
    assert!(matches!(store.content(&mut row, &key).await, Err(Error::Bodies(_))));
    assert_eq!(store.read_all(&pierre, pierre.inbox, 1).await, noise(500_000));
}

//! Containers in S3: what counts as durable, what a failure leaves behind, how the service recovers. Spoken on a real socket.
#![expect(clippy::unwrap_used, reason = "a case fails by panicking")]

mod endpoint;

use body_store::{BodyStore, Credentials, Error, Opened, Place, S3Options, Stored};
use endpoint::{Asked, Endpoint, Fault};
use mail_types::{BodyId, Timestamp};
use std::time::Duration;

/// More than one part.
const LARGE: usize = 9 * 1024 * 1024;
const SMALL: usize = 300_000;

struct Site {
    endpoint: Endpoint,
    bodies: BodyStore,
    _dir: tempfile::TempDir,
}

fn options(address: std::net::SocketAddr) -> S3Options {
    S3Options {
        endpoint: format!("http://{address}").parse().unwrap(),
        region: "here".to_owned(),
        bucket: "bucket".to_owned(),
        prefix: "chu".to_owned(),
        credentials: Credentials::parse("aws_access_key_id = id\naws_secret_access_key = hush\n").unwrap(),
        authorities: None,
        path_style: true,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        retries_max: 2,
        concurrency: 4,
    }
}

impl Site {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut S3Options)) -> Self {
        let (endpoint, dir) = (Endpoint::start().await, tempfile::tempdir().unwrap());
        let mut options = options(endpoint.address);
        change(&mut options);
        let bodies = BodyStore::open(dir.path(), Some(&options), Place::Object).unwrap();
        Self { endpoint, bodies, _dir: dir }
    }

    async fn settle(&self, id: BodyId, content: &[u8]) -> Result<Stored, Error> {
        let mut spooled = self.bodies.spool(id).unwrap();
        spooled.append(content.to_vec()).await.unwrap();
        self.bodies.settle(spooled).await
    }

    fn is_spool_empty(&self) -> bool {
        std::fs::read_dir(self.bodies.spool_folder()).unwrap().next().is_none()
    }

    /// Nothing in the bucket, no upload begun and not ended, nothing in the spool.
    fn assert_nothing_left(&self) {
        let bucket = self.endpoint.bucket();
        assert!(bucket.objects.is_empty(), "an object is left");
        assert!(bucket.uploads.is_empty(), "an upload is left");
        drop(bucket);
        assert!(self.is_spool_empty(), "a file is left in the spool");
        assert!(self.bodies.in_flight().is_empty());
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7919 % 251) as u8).collect()
}

const ID: BodyId = BodyId([0xab; 16]);

#[tokio::test]
async fn a_settled_container_is_read_back_in_ranges_and_removed() {
    let site = Site::start().await;
    for length in [SMALL, LARGE] {
        let content = content(length);
        let stored = site.settle(ID, &content).await.unwrap();
        assert_eq!(stored.place(), Place::Object);
        stored.claim().keep();
        drop(stored);
        assert!(site.is_spool_empty() && site.endpoint.bucket().uploads.is_empty());
        let name = format!("chu/ab/{ID}");
        assert!(site.endpoint.bucket().objects[&name] == content, "{length}");
        let before = site.endpoint.count(Asked::Get);
        let opened = site.bodies.open_container(Place::Object, ID, 1000).await.unwrap();
        let Opened::Object { reader, tail } = opened else { panic!("an object") };
        assert_eq!((reader.length(), &tail[..]), (length as u64, &content[length - 1000..]));
        assert_eq!(site.endpoint.count(Asked::Get), before + 1, "opened by one request");
        assert_eq!(reader.read(10..70_000).await.unwrap(), content[10..70_000]);
        let listed = site.bodies.list(Place::Object, 0xab).await.unwrap();
        assert_eq!(listed.iter().map(|found| found.id).collect::<Vec<_>>(), [ID]);
        assert!(site.bodies.list(Place::Object, 0xac).await.unwrap().is_empty());
        assert!(site.bodies.exists(Place::Object, ID).await.unwrap());
        site.bodies.remove(Place::Object, &[ID, BodyId([1; 16])]).await.unwrap();
        assert!(!site.bodies.exists(Place::Object, ID).await.unwrap());
        site.assert_nothing_left();
    }
}

#[tokio::test]
async fn what_no_row_keeps_is_removed_from_the_bucket() {
    let site = Site::start().await;
    let stored = site.settle(ID, &content(SMALL)).await.unwrap();
    stored.claim().keep();
    stored.claim().release();
    drop(stored);
    let gone = async {
        while !site.endpoint.bucket().objects.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the object goes");
}

#[tokio::test]
async fn a_service_that_is_overloaded_for_a_moment_is_asked_again() {
    let site = Site::start().await;
    for asked in [Asked::Put, Asked::Head] {
        site.endpoint.fail(asked, Fault::Unavailable, 2);
    }
    site.settle(ID, &content(SMALL)).await.unwrap().claim().keep();
    assert_eq!(site.endpoint.count(Asked::Put), 3);
    site.endpoint.fail(Asked::Part, Fault::Cut, 1);
    site.endpoint.fail(Asked::Complete, Fault::Unavailable, 1);
    site.settle(BodyId([2; 16]), &content(LARGE)).await.unwrap().claim().keep();
    assert_eq!(site.endpoint.bucket().objects.len(), 2);
}

#[tokio::test]
async fn nothing_counts_that_the_service_does_not_confirm() {
    for fault in [Fault::Forgotten, Fault::Halved, Fault::OtherEtag] {
        let site = Site::start().await;
        site.endpoint.fail(Asked::Put, fault, 1);
        let error = site.settle(ID, &content(SMALL)).await.unwrap_err();
        assert!(matches!(error, Error::Unconfirmed(_)), "{fault:?}: {error}");
        site.assert_nothing_left();
        site.settle(ID, &content(SMALL)).await.expect("the next one is taken").claim().keep();
    }
}

#[tokio::test]
async fn an_upload_in_parts_that_fails_is_ended_and_leaves_nothing() {
    for (asked, fault) in [
        (Asked::Part, Fault::Unavailable),
        (Asked::Part, Fault::Cut),
        (Asked::Complete, Fault::Unavailable),
        (Asked::Complete, Fault::OtherEtag),
        (Asked::Part, Fault::Halved),
        (Asked::Head, Fault::Unavailable),
    ] {
        let site = Site::start().await;
        site.endpoint.fail(asked, fault, 3);
        let error = site.settle(ID, &content(LARGE)).await.unwrap_err();
        assert!(!error.to_string().contains("hush"), "{error}");
        site.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_in_time() {
    let site = Site::with(|options| {
        options.timeout = Duration::from_millis(300);
        options.retries_max = 1;
    })
    .await;
    site.endpoint.fail(Asked::Put, Fault::Silence, 5);
    let begun = tokio::time::Instant::now();
    assert!(matches!(site.settle(ID, &content(SMALL)).await, Err(Error::Service(_))));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    site.assert_nothing_left();
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_stands_if_the_object_is_there() {
    let site = Site::with(|options| options.timeout = Duration::from_secs(1)).await;
    site.endpoint.fail(Asked::Complete, Fault::Silence, 1);
    site.settle(ID, &content(LARGE)).await.expect("the object is confirmed").claim().keep();
    assert!(site.is_spool_empty());
    assert_eq!(site.endpoint.bucket().objects.len(), 1);
}

#[tokio::test]
async fn an_upload_that_could_not_be_ended_is_ended_by_the_next_sweep() {
    let site = Site::start().await;
    site.endpoint.fail(Asked::Part, Fault::Unavailable, 3);
    site.endpoint.fail(Asked::Abort, Fault::Unavailable, 3);
    site.settle(ID, &content(LARGE)).await.unwrap_err();
    assert_eq!(site.endpoint.bucket().uploads.len(), 1);
    assert_eq!(site.bodies.sweep_spool(Timestamp(0)).await.unwrap(), 0, "too young");
    assert_eq!(site.bodies.sweep_spool(Timestamp(i64::MAX)).await.unwrap(), 1);
    site.assert_nothing_left();
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bodies = BodyStore::open(dir.path(), Some(&options(closed)), Place::Object).unwrap();
    assert!(matches!(bodies.check().await, Err(Error::Service(_))));
    let mut spooled = bodies.spool(ID).unwrap();
    spooled.append(content(SMALL)).await.unwrap();
    assert!(matches!(bodies.settle(spooled).await, Err(Error::Service(_))));
    assert!(std::fs::read_dir(bodies.spool_folder()).unwrap().next().is_none());
    let site = Site::start().await;
    site.bodies.check().await.unwrap();
}

#[tokio::test]
async fn files_are_read_where_they_are_after_a_move_to_s3() {
    let site = Site::start().await;
    let dir = tempfile::tempdir().unwrap();
    let before = BodyStore::open(dir.path(), None, Place::File).unwrap();
    let mut spooled = before.spool(ID).unwrap();
    spooled.append(content(SMALL)).await.unwrap();
    before.settle(spooled).await.unwrap().claim().keep();
    let after = BodyStore::open(dir.path(), Some(&options(site.endpoint.address)), Place::Object).unwrap();
    assert!(matches!(after.open_container(Place::File, ID, 10).await.unwrap(), Opened::File(_)));
    assert_eq!(after.places(), [Place::File, Place::Object]);
    assert!(after.list(Place::Object, 0xab).await.unwrap().is_empty());
    assert!(matches!(before.open_container(Place::Object, ID, 10).await, Err(Error::Options(_))));
}

#[test]
fn no_secret_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let options = options("127.0.0.1:9".parse().unwrap());
    let bodies = BodyStore::open(dir.path(), Some(&options), Place::Object).unwrap();
    assert!(!format!("{options:?}{bodies:?}").contains("hush"));
}

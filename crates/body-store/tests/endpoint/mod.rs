//! A small S3 service on a loopback port, with a bucket in memory, that can be told to fail.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    Put,
    Part,
    Create,
    Complete,
    Abort,
    Head,
    Get,
    List,
    Delete,
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503, nothing done.
    Unavailable,
    /// Done, and never answered.
    Silence,
    /// The connection ends in the middle of the body; nothing done.
    Cut,
    /// Done, and answered with an ETag that is not the object's.
    OtherEtag,
    /// Answered as if done; nothing done.
    Forgotten,
    /// Done with half of the content, and answered as if with all.
    Halved,
}

#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) uploads: HashMap<String, BTreeMap<u32, Vec<u8>>>,
    pub(crate) asked: Vec<Asked>,
    faults: Vec<(Asked, Fault, usize)>,
    upload_count: usize,
}

/// The running service; it ends when dropped.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    bucket: Arc<Mutex<Bucket>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let served = bucket.clone();
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let bucket = served.clone();
                sessions.spawn(async move { serve(socket, &bucket).await });
            }
        });
        Self { address, bucket, task }
    }

    pub(crate) fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap()
    }

    /// The next `times` requests of this kind fail like this.
    pub(crate) fn fail(&self, asked: Asked, fault: Fault, times: usize) {
        self.bucket().faults.push((asked, fault, times));
    }

    /// How often something was asked for.
    pub(crate) fn count(&self, asked: Asked) -> usize {
        self.bucket().asked.iter().filter(|other| **other == asked).count()
    }
}

struct Request {
    method: String,
    key: String,
    query: HashMap<String, String>,
    range: Option<String>,
    length: usize,
}

impl Request {
    fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ');
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.replace("%2F", "/"))
        });
        Self {
            method,
            key: path.splitn(3, '/').nth(2).unwrap_or_default().to_owned(),
            query: query.collect(),
            range: headers.get("range").and_then(|range| range.strip_prefix("bytes=")).map(str::to_owned),
            length: headers.get("content-length").map_or(0, |length| length.parse().unwrap()),
        }
    }

    fn asked(&self) -> Asked {
        let has = |name: &str| self.query.contains_key(name);
        match self.method.as_str() {
            "PUT" if has("partNumber") => Asked::Part,
            "PUT" => Asked::Put,
            "POST" if has("uploads") => Asked::Create,
            "POST" if has("uploadId") => Asked::Complete,
            "POST" => Asked::Delete,
            "DELETE" if has("uploadId") => Asked::Abort,
            "DELETE" => Asked::Delete,
            "HEAD" => Asked::Head,
            _ if has("list-type") => Asked::List,
            _ => Asked::Get,
        }
    }
}

async fn serve(mut socket: TcpStream, bucket: &Mutex<Bucket>) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|octets| octets == b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        };
        let request = Request::parse(std::str::from_utf8(&read[..end]).unwrap());
        read.drain(..end);
        let asked = request.asked();
        let fault = {
            let mut bucket = bucket.lock().unwrap();
            bucket.asked.push(asked);
            take_fault(&mut bucket.faults, asked)
        };
        while read.len() < request.length {
            if fault == Some(Fault::Cut) && read.len() > request.length / 2 {
                return None;
            }
            if socket.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
        if fault == Some(Fault::Cut) {
            return None;
        }
        let content: Vec<u8> = read.drain(..request.length).collect();
        let answer = answer(&mut bucket.lock().unwrap(), &request, asked, content, fault);
        if fault == Some(Fault::Silence) {
            std::future::pending::<()>().await;
        }
        socket.write_all(&answer).await.ok()?;
    }
}

fn take_fault(faults: &mut Vec<(Asked, Fault, usize)>, asked: Asked) -> Option<Fault> {
    let at = faults.iter().position(|(other, ..)| *other == asked)?;
    faults[at].2 -= 1;
    let fault = faults[at].1;
    if faults[at].2 == 0 {
        faults.remove(at);
    }
    Some(fault)
}

fn answer(
    bucket: &mut Bucket,
    request: &Request,
    asked: Asked,
    content: Vec<u8>,
    fault: Option<Fault>,
) -> Vec<u8> {
    if fault == Some(Fault::Unavailable) {
        return response(503, "", b"<Error><Code>SlowDown</Code></Error>", false);
    }
    let kept = match fault {
        Some(Fault::Halved) => content[..content.len() / 2].to_vec(),
        _ => content.clone(),
    };
    let is_done = fault != Some(Fault::Forgotten);
    let tag = |content: &[u8]| {
        if fault == Some(Fault::OtherEtag) { "\"other\"".to_owned() } else { e_tag(content) }
    };
    match asked {
        Asked::Put => {
            if is_done {
                bucket.objects.insert(request.key.clone(), kept);
            }
            response(200, &format!("ETag: {}\r\n", tag(&content)), b"", false)
        }
        Asked::Create => {
            bucket.upload_count += 1;
            let id = format!("upload-{}", bucket.upload_count);
            bucket.uploads.insert(id.clone(), BTreeMap::new());
            let xml = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            response(200, "", xml.as_bytes(), false)
        }
        Asked::Part => {
            let number = request.query["partNumber"].parse().unwrap();
            match bucket.uploads.get_mut(&request.query["uploadId"]) {
                Some(parts) => parts.insert(number, kept),
                None => return response(404, "", b"<Error><Code>NoSuchUpload</Code></Error>", false),
            };
            response(200, &format!("ETag: {}\r\n", tag(&content)), b"", false)
        }
        Asked::Complete => {
            let Some(parts) = bucket.uploads.remove(&request.query["uploadId"]) else {
                return response(404, "", b"<Error><Code>NoSuchUpload</Code></Error>", false);
            };
            let whole: Vec<u8> = parts.into_values().flatten().collect();
            let xml = format!(
                "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
                tag(&whole).replace('"', "&quot;")
            );
            bucket.objects.insert(request.key.clone(), whole);
            response(200, "", xml.as_bytes(), false)
        }
        Asked::Abort => {
            bucket.uploads.remove(&request.query["uploadId"]);
            response(204, "", b"", false)
        }
        Asked::Head | Asked::Get => found(bucket, request, asked == Asked::Head),
        Asked::List => list(bucket, &request.query["prefix"]),
        Asked::Delete => {
            let text = String::from_utf8(content).unwrap();
            let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            let told: Vec<String> = keys
                .map(|(key, _)| {
                    bucket.objects.remove(key);
                    format!("<Deleted><Key>{key}</Key></Deleted>")
                })
                .collect();
            response(200, "", format!("<DeleteResult>{}</DeleteResult>", told.concat()).as_bytes(), false)
        }
    }
}

fn found(bucket: &Bucket, request: &Request, is_head: bool) -> Vec<u8> {
    let Some(content) = bucket.objects.get(&request.key) else {
        return response(
            404,
            "",
            if is_head { b"" } else { b"<Error><Code>NoSuchKey</Code></Error>" },
            is_head,
        );
    };
    let headers = format!("ETag: {}\r\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n", e_tag(content));
    let Some(range) = &request.range else { return response(200, &headers, content, is_head) };
    let (from, to) = range.split_once('-').unwrap();
    let range = match (from, to) {
        ("", last) => content.len().saturating_sub(last.parse().unwrap())..content.len(),
        (from, to) => from.parse().unwrap()..(to.parse::<usize>().unwrap() + 1).min(content.len()),
    };
    let headers =
        format!("{headers}Content-Range: bytes {}-{}/{}\r\n", range.start, range.end - 1, content.len());
    response(206, &headers, &content[range], is_head)
}

fn list(bucket: &Bucket, prefix: &str) -> Vec<u8> {
    let keys = bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(key, content)| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>{}</Size></Contents>",
            content.len()
        )
    });
    let xml = format!(
        "<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>",
        keys.collect::<String>()
    );
    response(200, "", xml.as_bytes(), false)
}

/// Not MD5: a service that encrypts gives no MD5 either.
fn e_tag(content: &[u8]) -> String {
    let sum = content
        .iter()
        .fold(content.len() as u64, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(*octet)));
    format!("\"{sum:016x}\"")
}

fn response(status: u16, headers: &str, content: &[u8], is_head: bool) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", content.len());
    let mut answer = head.into_bytes();
    if !is_head {
        answer.extend_from_slice(content);
    }
    answer
}

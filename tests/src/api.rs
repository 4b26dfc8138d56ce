//! A client of the REST API.

use crate::demo::{Demo, Site};
use crate::tls::ClientTls;
use crate::wait::within;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// Somebody who asks one operator's REST API, one connection for each request.
#[derive(Clone, Debug)]
pub struct Api {
    port: u16,
    tls: ClientTls,
    from: &'static str,
    headers: Vec<(String, String)>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Api {
    /// Somebody without a credential.
    pub fn anonymous(demo: &Demo, site: &Site) -> Self {
        Self::new(site.ports["https"], demo.anonymous())
    }

    /// The administrator of a site of the demo.
    pub fn admin(demo: &Demo, site: &Site) -> Self {
        Self::anonymous(demo, site).with_key(&site.admin_token)
    }

    /// Somebody at a port.
    pub fn new(port: u16, tls: ClientTls) -> Self {
        Self { port, tls, from: "127.0.0.1", headers: Vec::new() }
    }

    /// The same with an API key.
    pub fn with_key(&self, key: &str) -> Self {
        self.with_header("Authorization", &format!("Bearer {key}"))
    }

    /// The same with an application password.
    pub fn with_password(&self, name: &str, password: &str) -> Self {
        self.with_header("Authorization", &format!("Basic {}", BASE64.encode(format!("{name}:{password}"))))
    }

    /// The same with a client certificate.
    pub fn with_tls(&self, tls: ClientTls) -> Self {
        Self { tls, ..self.clone() }
    }

    /// The same with a header, in place of one of that name.
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut api = self.clone();
        api.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        api.headers.push((name.to_owned(), value.to_owned()));
        api
    }

    /// The same from another address of this machine, `127.0.0.2`.
    pub fn from_address(&self, address: &'static str) -> Self {
        Self { from: address, ..self.clone() }
    }

    /// GET of a path after `/api/v1`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, Some(body.to_string().as_bytes())).await
    }

    /// POST of JSON to a server that may be gone: nothing when no whole answer came.
    pub async fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let octets = body.to_string().into_bytes();
        let (api, path) = (self.clone(), path.to_owned());
        tokio::spawn(async move { api.request("POST", &path, Some(&octets)).await }).await.ok()
    }

    /// PATCH of what had that entity tag.
    pub async fn patch(&self, path: &str, etag: &str, body: &Value) -> Answer {
        self.with_header("If-Match", etag).request("PATCH", path, Some(body.to_string().as_bytes())).await
    }

    /// DELETE of what had that entity tag.
    pub async fn delete(&self, path: &str, etag: &str) -> Answer {
        self.with_header("If-Match", etag).request("DELETE", path, None).await
    }

    /// Any request. A body is sent as JSON unless a header says otherwise.
    pub async fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        let mut head = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                head.push_str("Content-Type: application/json\r\n");
            }
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let request = [head.as_bytes(), body.unwrap_or_default()].concat();
        Answer::read(&within("an answer", self.exchange(&request)).await)
    }

    /// Sends octets as they are, and gives all that comes back.
    pub async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(format!("{}:0", self.from).parse().expect("an address"))
            .expect("an address of this machine");
        let stream =
            socket.connect(([127, 0, 0, 1], self.port).into()).await.expect("the https port answers");
        let name = "localhost".try_into().expect("a name");
        let mut stream = self.tls.connector().connect(name, stream).await.expect("the handshake succeeds");
        // A server that refuses a large body may close before it read all of it.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

impl Answer {
    fn read(octets: &[u8]) -> Self {
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n").expect("an HTTP head");
        let head = String::from_utf8_lossy(&octets[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let is_chunked =
            headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if is_chunked { unchunked(&octets[end + 4..]) } else { octets[end + 4..].to_vec() };
        Self { status: status.expect("an HTTP status"), headers, body }
    }

    /// The answer, when it has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The first header of that name, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The `ETag`.
    pub fn etag(&self) -> &str {
        self.header("etag")
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        self.json()["code"].as_str().expect("a code").to_owned()
    }

    /// Pointer, parameter or header of the first fault of a problem.
    pub fn fault(&self) -> String {
        let fault = &self.json()["errors"][0];
        let place = ["pointer", "parameter", "header"].iter().find_map(|place| fault[*place].as_str());
        place.unwrap_or_default().to_owned()
    }
}

fn unchunked(mut octets: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = octets.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&octets[..end]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .expect("a chunk's size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&octets[end + 2..end + 2 + size]);
        octets = &octets[end + 4 + size..];
    }
    body
}

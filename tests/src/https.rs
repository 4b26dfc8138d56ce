//! One GET over TLS.

use crate::tls::ClientTls;
use crate::wait::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status code and body of a page.
pub async fn get(port: u16, tls: &ClientTls, path: &str) -> (u16, String) {
    within("a page", async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the https port answers");
        let name = "localhost".try_into().expect("a name");
        let mut stream = tls.connector().connect(name, stream).await.expect("the handshake succeeds");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the request can be sent");
        let mut answer = Vec::new();
        // A server may close without close_notify once it said everything.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an HTTP status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        (status, body)
    })
    .await
}

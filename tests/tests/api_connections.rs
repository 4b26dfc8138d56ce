//! Connections to the REST API with a certificate: they end when something changed, and not without an answer to whoever just came.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the scenario")]

use scenarios::{Api, ClientTls, Demo, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

async fn connect(demo: &Demo, tls: &ClientTls) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", demo.north().ports["https"])).await.unwrap();
    tls.connector().connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

async fn ask(stream: &mut TlsStream<TcpStream>, mailbox: &str) {
    let request = format!("GET /api/v1/service HTTP/1.1\r\nHost: localhost\r\nMailbox: {mailbox}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// The answer, up to the end of what the server says before it waits or hangs up.
async fn answer(stream: &mut TlsStream<TcpStream>) -> String {
    let mut octets = vec![0; 64 * 1024];
    let count = within("an answer", stream.read(&mut octets)).await.unwrap_or(0);
    String::from_utf8_lossy(&octets[..count]).into_owned()
}

#[tokio::test]
async fn whoever_just_came_with_a_certificate_is_answered_although_something_changed_meanwhile() {
    let demo = Demo::start();
    let application = &demo.north().applications[0];
    let (tls, mailbox) = (demo.client(&application.certificate()), &application.mailboxes[0]);
    let (mut used, mut new) = (connect(&demo, &tls).await, connect(&demo, &tls).await);
    ask(&mut used, mailbox).await;
    assert!(answer(&mut used).await.starts_with("HTTP/1.1 200"));
    // A change that takes something away from somebody.
    let admin = Api::admin(&demo, demo.north());
    let disable = format!("/users/{}/disable", demo.north().personal(1).address);
    admin.request("POST", &disable, None).await.expect(200);
    // The connection that was used is told to end; the one that is new still has its request to make.
    assert_eq!(answer(&mut used).await, "");
    ask(&mut new, mailbox).await;
    assert!(answer(&mut new).await.starts_with("HTTP/1.1 200"));
    assert_eq!(answer(&mut new).await, "", "one answer, and no more");
}

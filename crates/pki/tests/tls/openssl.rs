//! Sessions that OpenSSL keeps and offers again.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::slice::from_ref;

use pki::{AccessServerTls, ClientCertificates};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{World, identity};

/// One connection of `openssl s_client`, with an application's certificate; what it says of the session.
async fn visit(world: &World, server: &AccessServerTls, folder: &Path, options: &[&str]) -> String {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("cert.pem", &world.client.chain_pem);
    write("key.pem", world.client.key_pem.expose());
    write("ca.pem", world.pki.root_cert_pem());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-CAfile", "ca.pem", "-cert", "cert.pem"])
        .args(["-cert_chain", "cert.pem", "-key", "key.pem", "-ign_eof"])
        .args(options)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    if let Ok(mut accepted) = server.accept(socket).await {
        accepted.stream.write_all(b"good day\r\n").await.unwrap();
        accepted.stream.shutdown().await.unwrap();
        let _ = accepted.stream.read(&mut [0; 16]).await;
    }
    let mut said = String::new();
    client.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    client.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    client.wait().unwrap();
    said
}

#[tokio::test]
async fn a_session_is_offered_again_in_vain_where_certificates_are_asked_for() {
    let world = World::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let folder = tempfile::TempDir::new().unwrap();
        let trust = world.trust();
        let ask = ClientCertificates::Request;
        let server = AccessServerTls::new(identity(&world.server), trust.clone(), ask).unwrap();
        let first = visit(&world, &server, folder.path(), &[version, "-sess_out", "session"]).await;
        assert!(first.contains("good day") && first.contains("New, TLSv1"), "{first}");
        // In TLS 1.3 a session comes as a ticket, and none came.
        let was_kept = folder.path().join("session").exists();
        let again: &[&str] = if was_kept { &[version, "-sess_in", "session"] } else { &[version] };
        let second = visit(&world, &server, folder.path(), again).await;
        assert!(second.contains("good day") && !second.contains("Reused"), "{second}");
        trust.swap(world.snapshot(from_ref(&world.client.serial)));
        let third = visit(&world, &server, folder.path(), again).await;
        assert!(!third.contains("good day") && third.contains("alert certificate revoked"), "{third}");
    }
}

#[tokio::test]
async fn a_session_of_a_listener_without_certificates_ends_with_the_identity_it_was_made_with() {
    let world = World::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let folder = tempfile::TempDir::new().unwrap();
        let off = ClientCertificates::Off;
        let server = AccessServerTls::new(identity(&world.server), world.trust(), off).unwrap();
        visit(&world, &server, folder.path(), &[version, "-sess_out", "session"]).await;
        let again = [version, "-sess_in", "session"];
        let second = visit(&world, &server, folder.path(), &again).await;
        assert!(second.contains("Reused, TLSv1"), "{second}");
        server.replace(identity(&world.server)).unwrap();
        let third = visit(&world, &server, folder.path(), &again).await;
        assert!(third.contains("good day") && third.contains("New, TLSv1"), "{third}");
    }
}

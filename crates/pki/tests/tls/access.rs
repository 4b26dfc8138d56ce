//! Listeners of applications: certificates asked for, required, judged again.

use std::slice::from_ref;
use std::sync::Arc;

use crate::handshakes::{anonymous, attach};
use crate::world::{HOST, World, chain, days_ago, dn, identity, subject};
use mail_types::RevocationState;
use pki::development::IssuedCertificate;
use pki::{
    Accepted, AccessServerTls, ClientCertificates, HandshakeFailure, LastJudgement, Rejection, TlsSettings,
    Trust,
};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// A client that shows this certificate and resumes whenever it may.
fn application(
    world: &World,
    certificate: &IssuedCertificate,
    version: &'static SupportedProtocolVersion,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(chain(world.pki.root_cert_pem()).remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes()).unwrap();
    let config = config.with_root_certificates(roots);
    let config = config.with_client_auth_cert(chain(&certificate.chain_pem), key).unwrap();
    TlsConnector::from(Arc::new(config))
}

fn access(world: &World, trust: &Arc<Trust>, ask: ClientCertificates) -> AccessServerTls {
    AccessServerTls::new(identity(&world.server), trust.clone(), ask).unwrap()
}

/// Both ends of one connection; the client has read one byte, so that it knows of tickets and alerts.
async fn meet(
    server: &AccessServerTls,
    connector: &TlsConnector,
) -> (Result<Accepted<DuplexStream>, HandshakeFailure>, Result<TlsStream<DuplexStream>, String>) {
    let (near, far) = tokio::io::duplex(32 * 1024);
    let server = async {
        let mut accepted = server.accept(near).await?;
        accepted.stream.write_all(b"2").await.unwrap();
        accepted.stream.flush().await.unwrap();
        Ok(accepted)
    };
    let client = async {
        let name = ServerName::try_from(HOST).unwrap();
        let mut stream = connector.connect(name, far).await.map_err(|error| error.to_string())?;
        stream.read_u8().await.map_err(|error| error.to_string())?;
        Ok(stream)
    };
    tokio::join!(server, client)
}

#[tokio::test]
async fn an_application_that_is_asked_is_known() {
    let world = World::new();
    let trust = world.trust();
    for version in VERSIONS {
        for ask in [ClientCertificates::Request, ClientCertificates::Require] {
            let connector = application(&world, &world.client, version);
            let (accepted, _) = meet(&access(&world, &trust, ask), &connector).await;
            let peer = accepted.unwrap().peer.unwrap();
            assert_eq!((peer.subject, peer.revocation), (dn(&world.client), RevocationState::Good));
            assert_eq!(peer.crl_number.as_deref(), Some("02"));
        }
        let off = access(&world, &trust, ClientCertificates::Off);
        let (accepted, _) = meet(&off, &application(&world, &world.client, version)).await;
        assert_eq!(accepted.unwrap().peer, None);
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_gets_in_unless_one_is_required() {
    let world = World::new();
    let trust = world.trust();
    for version in VERSIONS {
        let connector = anonymous(&world, version);
        let (accepted, _) = meet(&access(&world, &trust, ClientCertificates::Request), &connector).await;
        assert_eq!(accepted.unwrap().peer, None);
        let (accepted, client) = meet(&access(&world, &trust, ClientCertificates::Require), &connector).await;
        let failure = accepted.unwrap_err();
        assert_eq!((failure.rejection, &failure.presented), (None, &None));
        let refused = client.unwrap_err();
        assert!(refused.contains("CertificateRequired"), "{refused}");
    }
}

#[tokio::test]
async fn an_invalid_certificate_fails_even_where_none_is_required() {
    let world = World::new();
    let trust = world.trust();
    trust.swap(world.snapshot(from_ref(&world.client.serial)));
    let server = access(&world, &trust, ClientCertificates::Request);
    let old = world.pki.issue_server(&subject("old"), &["old.example"], days_ago(4 * 365)).unwrap();
    let foreign = World::new().client;
    for version in VERSIONS {
        for (certificate, rejection) in [
            (&world.client, Rejection::Revoked),
            (&old, Rejection::Expired),
            (&foreign, Rejection::Untrusted),
        ] {
            let (accepted, client) = meet(&server, &application(&world, certificate, version)).await;
            assert_eq!(accepted.unwrap_err().rejection, Some(rejection));
            assert!(client.is_err());
        }
    }
}

#[tokio::test]
async fn where_certificates_are_asked_for_nothing_is_resumed() {
    let world = World::new();
    let trust = world.trust();
    for ask in [ClientCertificates::Request, ClientCertificates::Require] {
        let server = access(&world, &trust, ask);
        for version in VERSIONS {
            let connector = application(&world, &world.client, version);
            for _ in 0..3 {
                let (_, client) = meet(&server, &connector).await;
                assert_eq!(client.unwrap().get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            }
        }
    }
}

#[tokio::test]
async fn a_session_ticket_of_before_a_revocation_opens_nothing() {
    let world = World::new();
    let trust = world.trust();
    let server = access(&world, &trust, ClientCertificates::Request);
    for version in VERSIONS {
        trust.swap(world.snapshot(&[]));
        let connector = application(&world, &world.client, version);
        assert!(meet(&server, &connector).await.0.is_ok());
        trust.swap(world.snapshot(from_ref(&world.client.serial)));
        let failure = meet(&server, &connector).await.0.unwrap_err();
        assert_eq!(failure.rejection, Some(Rejection::Revoked));
    }
}

#[tokio::test]
async fn an_open_session_is_judged_again_when_trust_changed() {
    let world = World::new();
    let trust = world.trust();
    let server = access(&world, &trust, ClientCertificates::Request);
    let connector = application(&world, &world.client, &rustls::version::TLS13);
    let accepted = meet(&server, &connector).await.0.unwrap();
    let (mut changes, mut last) = (trust.changes(), LastJudgement::default());
    assert!(server.judge_again(&accepted.stream, &mut last).unwrap().is_ok());
    assert!(server.judge_again(&accepted.stream, &mut last).is_none());
    assert!(!changes.has_changed().unwrap());

    trust.note_change();
    changes.changed().await.unwrap();
    assert!(server.judge_again(&accepted.stream, &mut last).unwrap().is_ok());

    trust.swap(world.snapshot(from_ref(&world.client.serial)));
    changes.changed().await.unwrap();
    assert_eq!(server.judge_again(&accepted.stream, &mut last), Some(Err(Rejection::Revoked)));
    assert!(server.judge_again(&accepted.stream, &mut last).is_none());
}

#[tokio::test]
async fn a_session_without_a_certificate_is_not_judged_again() {
    let world = World::new();
    let trust = world.trust();
    let (near, far) = tokio::io::duplex(32 * 1024);
    let server = access(&world, &trust, ClientCertificates::Request);
    let connector = anonymous(&world, &rustls::version::TLS13);
    let (accepted, _client) = tokio::join!(server.accept(near), attach(&connector, far));
    assert!(server.judge_again(&accepted.unwrap().stream, &mut LastJudgement::default()).is_none());
}

#[tokio::test]
async fn suites_and_versions_are_those_that_the_settings_leave() {
    let world = World::new();
    let trust = world.trust();
    let suites =
        ["TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"].map(str::to_owned);
    for ask in [ClientCertificates::Off, ClientCertificates::Request] {
        let server = |only_tls13| {
            let settings = TlsSettings::new(&suites, only_tls13).unwrap();
            access(&world, &trust, ask).with_settings(settings).unwrap()
        };
        for (version, suite) in VERSIONS.into_iter().zip([&suites[1], &suites[0]]) {
            let connector = application(&world, &world.client, version);
            let accepted = meet(&server(false), &connector).await.0.unwrap();
            assert_eq!(accepted.suite, suite);
        }
        let tls12 = application(&world, &world.client, &rustls::version::TLS12);
        assert!(meet(&server(true), &tls12).await.0.is_err());
        // Another identity does not bring the other suites back.
        let server = server(true);
        server.replace(identity(&world.server)).unwrap();
        assert!(meet(&server, &tls12).await.0.is_err());
    }
}

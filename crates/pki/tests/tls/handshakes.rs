//! Whole handshakes over connections in memory.

use std::slice::from_ref;
use std::sync::Arc;

use crate::world::{HOST, World, chain, connect, days_ago, dn, identity, named, now, subject};
use pki::development::DevelopmentPki;
use pki::{
    AccessServerTls, ClientCertificates, IdentityError, MxServerTls, OwnIdentity, ReferenceNames, Rejection,
};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that shows no certificate and resumes whenever it may.
pub(crate) fn anonymous(world: &World, version: &'static rustls::SupportedProtocolVersion) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(chain(world.pki.root_cert_pem()).remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

pub(crate) async fn attach<IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    connector: &TlsConnector,
    io: IO,
) -> TlsStream<IO> {
    connector.connect(ServerName::try_from(HOST).unwrap(), io).await.unwrap()
}

/// How the handshake went, after one byte from the server so that tickets were seen.
async fn kind_at_mx(server: &MxServerTls, connector: &TlsConnector) -> HandshakeKind {
    let (near, far) = tokio::io::duplex(32 * 1024);
    let (accepted, mut client) = tokio::join!(server.accept(near), attach(connector, far));
    let mut accepted = accepted.unwrap();
    assert_eq!(accepted.peer, None);
    accepted.stream.write_all(b"2").await.unwrap();
    accepted.stream.flush().await.unwrap();
    client.read_u8().await.unwrap();
    client.get_ref().1.handshake_kind().unwrap()
}

async fn kind_at_access(server: &AccessServerTls, connector: &TlsConnector) -> HandshakeKind {
    let (near, far) = tokio::io::duplex(32 * 1024);
    let (accepted, mut client) = tokio::join!(server.accept(near), attach(connector, far));
    let mut accepted = accepted.unwrap();
    accepted.stream.write_all(b"2").await.unwrap();
    accepted.stream.flush().await.unwrap();
    client.read_u8().await.unwrap();
    client.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn both_ends_know_one_another() {
    let world = World::new();
    let (accepted, connected) =
        connect(&world.mx(&world.trust()), &world.peer(&world.client), &named(HOST)).await;
    let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
    assert_eq!(accepted.peer.unwrap().subject, dn(&world.client));
    assert_eq!(connected.peer.subject, dn(&world.server));
    assert_eq!((accepted.protocol, accepted.suite), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
    assert_eq!((connected.protocol, connected.suite), (accepted.protocol, accepted.suite));
}

#[tokio::test]
async fn a_bad_certificate_ends_the_handshake_and_the_alert_says_why() {
    let world = World::new();
    let old = world.pki.issue_server(&subject("old"), &["old.example"], days_ago(4 * 365)).unwrap();
    let early = world.pki.issue_server(&subject("early"), &["early.example"], days_ago(-10)).unwrap();
    let foreign = World::new().client;
    let trust = world.trust();
    trust.swap(world.snapshot(from_ref(&world.client.serial)));
    for (certificate, rejection, alert) in [
        (&world.client, Rejection::Revoked, "CertificateRevoked"),
        (&old, Rejection::Expired, "CertificateExpired"),
        (&early, Rejection::NotYetValid, "CertificateExpired"),
        (&foreign, Rejection::Untrusted, "UnknownCA"),
    ] {
        let (accepted, connected) = connect(&world.mx(&trust), &world.peer(certificate), &named(HOST)).await;
        let failure = accepted.unwrap_err();
        assert_eq!(failure.rejection, Some(rejection));
        assert_eq!(failure.presented.as_ref().map(|claim| &claim.subject), Some(&dn(certificate)));
        assert!(!failure.to_string().contains("ch.example"), "{failure}");
        let refused = connected.unwrap().stream.read_u8().await.unwrap_err();
        assert!(refused.to_string().contains(alert), "{refused}");
    }
}

#[tokio::test]
async fn a_self_signed_client_is_refused_not_anonymous() {
    let world = World::new();
    let own = rcgen::generate_simple_self_signed(vec!["mx.example".to_owned()]).unwrap();
    let (cert, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let own = Arc::new(OwnIdentity::from_pem(cert.as_bytes(), key.as_bytes()).unwrap());
    let peer = pki::PeerClientTls::new(own, world.trust());
    let (accepted, _) = connect(&world.mx(&world.trust()), &peer, &named(HOST)).await;
    assert_eq!(accepted.unwrap_err().rejection, Some(Rejection::Untrusted));
}

#[tokio::test]
async fn a_swap_takes_effect_on_the_next_handshake() {
    let world = World::new();
    let trust = world.trust();
    let (mx, peer) = (world.mx(&trust), world.peer(&world.client));
    assert!(connect(&mx, &peer, &named(HOST)).await.0.is_ok());
    trust.swap(world.snapshot(from_ref(&world.client.serial)));
    let failure = connect(&mx, &peer, &named(HOST)).await.0.unwrap_err();
    assert_eq!(failure.rejection, Some(Rejection::Revoked));
}

#[tokio::test]
async fn the_mx_side_never_resumes() {
    let world = World::new();
    let mx = world.mx(&world.trust());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let connector = anonymous(&world, version);
        for _ in 0..3 {
            assert_eq!(kind_at_mx(&mx, &connector).await, HandshakeKind::Full);
        }
    }
}

#[tokio::test]
async fn the_access_side_resumes_until_its_identity_is_replaced() {
    let world = World::new();
    let access =
        AccessServerTls::new(identity(&world.server), world.trust(), ClientCertificates::Off).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let connector = anonymous(&world, version);
        assert_eq!(kind_at_access(&access, &connector).await, HandshakeKind::Full);
        assert_eq!(kind_at_access(&access, &connector).await, HandshakeKind::Resumed);
        access.replace(identity(&world.server)).unwrap();
        assert_eq!(kind_at_access(&access, &connector).await, HandshakeKind::Full);
    }
}

#[tokio::test]
async fn a_server_is_held_to_its_names() {
    let world = World::new();
    let wild = world.pki.issue_server(&subject("wild"), &["*.wild.example"], now()).unwrap();
    let (exact, wild) = (world.mx(&world.trust()), MxServerTls::new(identity(&wild), world.trust()));
    let under = |domain: &str| ReferenceNames { under: Some(domain.into()), ..ReferenceNames::default() };
    let at = |ip: [u8; 4]| ReferenceNames { ips: vec![ip.into()], ..ReferenceNames::default() };
    for (server, names, accepted) in [
        (&exact, named("MX.ch.example."), true),
        (&exact, named("mx2.ch.example"), false),
        (&exact, under("ch.example"), true),
        (&exact, under("h.example"), false),
        (&exact, at([192, 0, 2, 1]), true),
        (&exact, at([192, 0, 2, 2]), false),
        (&wild, named("mx.wild.example"), true),
        (&wild, named("a.mx.wild.example"), false),
        (&wild, under("wild.example"), true),
    ] {
        let (_, connected) = connect(server, &world.peer(&world.client), &names).await;
        match connected {
            Ok(_) => assert!(accepted, "{names:?}"),
            Err(failure) => {
                assert!(!accepted, "{names:?}");
                assert_eq!(failure.rejection, Some(Rejection::NameMismatch));
            }
        }
    }
}

#[tokio::test]
async fn an_https_client_judges_the_server_by_what_is_in_force_and_shows_our_identity() {
    let world = World::new();
    let trust = world.trust();
    let mx = MxServerTls::requiring(identity(&world.server), world.trust());
    let config = pki::PeerClientTls::new(identity(&world.client), trust.clone()).https_config().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let dial = async |host: &str| {
        let (near, far) = tokio::io::duplex(32 * 1024);
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let (accepted, connected) = tokio::join!(mx.accept(near), connector.connect(name, far));
        (accepted.ok(), connected.map(|_| ()).map_err(|error| error.to_string()))
    };
    let (accepted, connected) = dial(HOST).await;
    assert_eq!(connected, Ok(()));
    assert_eq!(accepted.unwrap().peer.unwrap().subject, dn(&world.client));
    assert_eq!(dial("192.0.2.1").await.1, Ok(()));
    assert!(dial("other.example").await.1.unwrap_err().contains("NotValidForName"));
    trust.swap(world.snapshot_of(&[world.root_list()]).0);
    assert!(dial(HOST).await.1.unwrap_err().contains("UnknownRevocationStatus"));
    trust.swap(world.snapshot(from_ref(&world.server.serial)));
    assert!(dial(HOST).await.1.unwrap_err().contains("Revoked"));
}

#[tokio::test]
async fn a_revoked_server_is_refused() {
    let world = World::new();
    let trust = world.trust();
    trust.swap(world.snapshot(from_ref(&world.server.serial)));
    let peer = pki::PeerClientTls::new(identity(&world.client), trust);
    let (_, connected) = connect(&world.mx(&world.trust()), &peer, &named(HOST)).await;
    assert_eq!(connected.unwrap_err().rejection, Some(Rejection::Revoked));
}

#[tokio::test]
async fn without_an_expected_name_nothing_is_sent() {
    let world = World::new();
    let (near, mut far) = tokio::io::duplex(1024);
    let connected = world.peer(&world.client).connect(near, &ReferenceNames::default()).await;
    assert_eq!(connected.unwrap_err().rejection, None);
    assert_eq!(far.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_a_failure_without_rejection() {
    let world = World::new();
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(b"EHLO mx.example\r\n").await.unwrap();
    drop(far);
    let failure = world.mx(&world.trust()).accept(near).await.unwrap_err();
    assert_eq!((failure.rejection, failure.presented), (None, None));
}

#[test]
fn an_identity_is_a_chain_and_its_own_key() {
    let world = World::new();
    let read = |chain: &str, key: &str| OwnIdentity::from_pem(chain.as_bytes(), key.as_bytes());
    let own = read(&world.server.chain_pem, world.server.key_pem.expose()).unwrap();
    assert_eq!(own.subject(), &dn(&world.server));
    assert_eq!(own.dns_names(), [HOST]);
    assert!(own.not_after() > now());
    let error = |chain: &str, key: &str| read(chain, key).unwrap_err();
    assert_eq!(error(&world.server.chain_pem, world.client.key_pem.expose()), IdentityError::KeyMismatch);
    assert_eq!(error("", world.client.key_pem.expose()), IdentityError::NoCertificate);
    assert_eq!(error(&world.server.chain_pem, ""), IdentityError::NoKey);
}

#[test]
fn a_development_pki_goes_on_after_loading() {
    let first = World::new().pki;
    let root_key = first.root_key_pem().map(|key| key.expose().as_str());
    let (issuing, issuing_key) = (first.issuing_cert_pem(), first.issuing_key_pem().expose());
    let keyless = DevelopmentPki::load(first.root_cert_pem(), None, issuing, issuing_key).unwrap();
    let loaded = DevelopmentPki::load(first.root_cert_pem(), root_key, issuing, issuing_key).unwrap();
    let server = keyless.issue_server(&subject(HOST), &[HOST], now()).unwrap();
    let client = loaded.issue_server(&subject("mx.other"), &["mx.other"], now()).unwrap();
    assert!(keyless.root_crl_pem(now()).is_err());
    let world = World { pki: loaded, server, client };
    let snapshot = world.snapshot(&[]);
    let peer = snapshot.judge(
        &chain(&world.client.chain_pem),
        pki::Usage::Client,
        rustls_pki_types::UnixTime::now(),
    );
    assert_eq!(peer.unwrap().revocation, mail_types::RevocationState::Good);
}

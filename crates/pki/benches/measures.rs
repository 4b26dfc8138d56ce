//! Costs of trust, in processor time: `cargo bench -p pki`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]

#[path = "../tests/tls/world.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod world;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use pki::{Trust, TrustSnapshot, UnixTime, Usage};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use world::{HOST, World, chain, connect, named, now};

/// Time that this thread has spent on a processor, which other programs on the machine change little.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn each(rounds: u32, mut work: impl FnMut()) -> Duration {
    let start = busy();
    (0..rounds).for_each(|_| work());
    (busy() - start) / rounds
}

fn serials(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|i| [&[0x41; 12][..], &i.to_be_bytes()].concat()).collect()
}

fn build(world: &World, list: &[u8]) -> TrustSnapshot {
    world.snapshot_of(&[world.root_list(), list.to_vec()]).0
}

fn judgement_with_an_empty_and_a_long_list() {
    let world = World::new();
    let chain = chain(&world.client.chain_pem);
    for count in [0, 200_000] {
        let list = world.issuing_list(now(), &serials(count), 1);
        println!(
            "{count} entries: load {:?} for {} bytes",
            each(5, || drop(build(&world, &list))),
            list.len()
        );
        let snapshot = build(&world, &list);
        let judge = || drop(black_box(snapshot.judge(&chain, Usage::Client, UnixTime::now())));
        println!("{count} entries: judge {:?}", each(2_000, judge));
    }
}

fn configuration_for_one_handshake() {
    // What `MxServerTls` builds for each connection, without its verifier.
    let provider = Arc::new(default_provider());
    let certificate = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let key = provider.key_provider.load_private_key(certificate.signing_key.into()).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![certificate.cert.der().clone()], key);
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let make = || {
        let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver.clone());
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config
    };
    println!("ServerConfig build {:?}", each(10_000, || drop(black_box(make()))));
    let config = make();
    println!("ServerConfig clone {:?}", each(10_000, || drop(black_box(config.clone()))));
}

/// Rounds of handshakes, both ends on one thread: divide by two for the server's share.
async fn handshakes_in_process() {
    const ROUNDS: u32 = 2_000;
    let world = World::new();
    let names = named(HOST);
    for count in [0, 200_000] {
        let list = world.issuing_list(now(), &serials(count), 1);
        let trust = Arc::new(Trust::new(build(&world, &list)));
        let (mx, peer) = (world.mx(&trust), world.peer(&world.client));
        let start = busy();
        for _ in 0..ROUNDS {
            let (accepted, connected) = connect(&mx, &peer, &names).await;
            assert!(accepted.is_ok() && connected.is_ok());
        }
        println!(
            "{count} entries: mutual handshake, both ends on one thread: {:?}",
            (busy() - start) / ROUNDS
        );
    }
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&world, false)));
    let mx = world.mx(&world.trust());
    let start = busy();
    for _ in 0..ROUNDS {
        let (near, far) = tokio::io::duplex(32 * 1024);
        let name = rustls_pki_types::ServerName::try_from(HOST).unwrap();
        let (accepted, connected) = tokio::join!(mx.accept(near), connector.connect(name, far));
        assert!(accepted.is_ok() && connected.is_ok());
    }
    println!("anonymous handshake, both ends on one thread: {:?}", (busy() - start) / ROUNDS);
}

/// What a handshake costs the server alone, over a loopback socket: clients of OpenSSL's habits (X25519) on another thread.
fn handshakes_of_the_server() {
    const ROUNDS: u32 = 3_000;
    let world = World::new();
    for (what, certificate) in [("with a certificate", true), ("without a certificate", false)] {
        let (mx, listener) = (world.mx(&world.trust()), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let config = Arc::new(client_config(&world, certificate));
        let client = std::thread::spawn(move || {
            for _ in 0..ROUNDS {
                let name = rustls_pki_types::ServerName::try_from(HOST).unwrap();
                let mut tls = rustls::ClientConnection::new(config.clone(), name).unwrap();
                let mut socket = std::net::TcpStream::connect(address).unwrap();
                tls.complete_io(&mut socket).unwrap();
                // Its last flight is answered by the end of the connection.
                let _ = std::io::Read::read(&mut socket, &mut [0; 1_024]);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        listener.set_nonblocking(true).unwrap();
        let spent = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let start = busy();
            for _ in 0..ROUNDS {
                let (socket, _) = listener.accept().await.unwrap();
                let accepted = mx.accept(socket).await.unwrap();
                assert_eq!(accepted.peer.is_some(), certificate);
            }
            busy() - start
        });
        client.join().unwrap();
        println!("the server's share of a handshake {what}: {:?}", spent / ROUNDS);
    }
}

fn client_config(world: &World, certificate: bool) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain(world.pki.root_cert_pem()).remove(0)).unwrap();
    let mut provider = default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    if !certificate {
        return config.with_no_client_auth();
    }
    let key = PrivateKeyDer::from_pem_slice(world.client.key_pem.expose().as_bytes()).unwrap();
    config.with_client_auth_cert(chain(&world.client.chain_pem), key).unwrap()
}

fn main() {
    handshakes_of_the_server();
    judgement_with_an_empty_and_a_long_list();
    configuration_for_one_handshake();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(handshakes_in_process());
}

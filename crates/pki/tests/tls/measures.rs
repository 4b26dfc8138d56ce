//! Costs, printed on demand: `cargo test --release -p pki -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pki::{AccessServerTls, TrustSnapshot, UnixTime, Usage};
use rustls::crypto::aws_lc_rs::default_provider;

use crate::world::{HOST, World, chain, connect, identity, named, now};

fn each(rounds: u32, mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..rounds).for_each(|_| work());
    start.elapsed() / rounds
}

fn serials(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|i| [&[0x41; 12][..], &i.to_be_bytes()].concat()).collect()
}

fn build(world: &World, list: &[u8]) -> TrustSnapshot {
    world.snapshot_of(&[world.root_list(), list.to_vec()]).0
}

#[test]
#[ignore = "a measure"]
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

#[test]
#[ignore = "a measure"]
fn configuration_for_one_handshake() {
    // What `MxServerTls` builds for each connection, without its verifier.
    let provider = std::sync::Arc::new(default_provider());
    let certificate = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let key = provider.key_provider.load_private_key(certificate.signing_key.into()).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![certificate.cert.der().clone()], key);
    let resolver = std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let make = || {
        let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver.clone());
        config.session_storage = std::sync::Arc::new(rustls::server::NoServerSessionStorage {});
        config
    };
    println!("ServerConfig build {:?}", each(10_000, || drop(black_box(make()))));
    let config = make();
    println!("ServerConfig clone {:?}", each(10_000, || drop(black_box(config.clone()))));
}

#[tokio::test]
#[ignore = "a measure"]
async fn handshakes_in_process() {
    let world = World::new();
    let (mx, peer, names) = (world.mx(&world.trust()), world.peer(&world.client), named(HOST));
    let start = Instant::now();
    for _ in 0..500 {
        let (accepted, connected) = connect(&mx, &peer, &names).await;
        assert!(accepted.is_ok() && connected.is_ok());
    }
    println!("mutual handshake, both ends on one thread: {:?}", start.elapsed() / 500);
}

#[tokio::test]
#[ignore = "a measure"]
async fn memory_of_idle_connections() {
    let world = World::new();
    let access = AccessServerTls::new(&identity(&world.server)).unwrap();
    let connector = crate::handshakes::anonymous(&world, &rustls::version::TLS13);
    let mut held = Vec::new();
    let before = resident_kib();
    for _ in 0..1_000 {
        let (near, far) = tokio::io::duplex(8 * 1024);
        let (accepted, connected) =
            tokio::join!(access.accept(near), crate::handshakes::attach(&connector, far));
        held.push((accepted.unwrap(), connected));
    }
    let grown = resident_kib() - before;
    println!("1000 idle connections, both ends and the pipe: {grown} KiB");
    let far_ends: Vec<_> = held.into_iter().map(|(near, far)| (near.stream, far)).collect();
    println!("server side stream: {} bytes on its own", size_of_val(&far_ends[0].0));
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

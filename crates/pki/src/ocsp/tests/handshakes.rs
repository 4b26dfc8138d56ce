//! What follows from an answer, on both ends of a connection.

use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};

use mail_types::RevocationState;
use tokio::io::DuplexStream;

use super::*;
use crate::{
    Accepted, HandshakeFailure, LastJudgement, MxServerTls, PeerClientTls, PeerConnected, ReferenceNames,
    Rejection, Trust,
};

type Answering = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync>;

/// A responder within the process; counts who asks.
struct Responder {
    asked: AtomicUsize,
    answer: Answering,
}

impl Responder {
    /// OpenSSL's answers about one certificate.
    fn about(world: &Arc<World>, leaf: &Arc<Leaf>, entry: Entry) -> Arc<Self> {
        let (world, leaf) = (world.clone(), leaf.clone());
        Self::with(move |request| Ok(world.answer(&leaf, entry, None, request, &["-nmin", "30"])))
    }

    fn down() -> Arc<Self> {
        Self::with(|_| Err("connection refused".into()))
    }

    fn with(answer: impl Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), answer: Box::new(answer) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Trust that asks it.
    fn trust(self: &Arc<Self>, world: &World, rule: OcspRule) -> Arc<Trust> {
        let trust = Trust::new(world.snapshot(&[]));
        trust.set_ocsp(Some(Arc::new(OcspClient::new(rule, self.clone()))));
        Arc::new(trust)
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

impl RevocationQuery for Responder {
    fn post(&self, url: String, request: Vec<u8>) -> RevocationAnswer<'_> {
        assert_eq!(url, "http://ocsp.example/");
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready((self.answer)(&request)))
    }
}

type Both =
    (Result<Accepted<DuplexStream>, HandshakeFailure>, Result<PeerConnected<DuplexStream>, HandshakeFailure>);

/// A peer's server and ours meet; each side has its trust.
async fn meet(server: (&Leaf, &Arc<Trust>), client: (&Leaf, &Arc<Trust>)) -> Both {
    meet_as(&MxServerTls::new(server.0.identity(), server.1.clone()), client).await
}

async fn meet_as(server: &MxServerTls, client: (&Leaf, &Arc<Trust>)) -> Both {
    let client = PeerClientTls::new(client.0.identity(), client.1.clone());
    let names = ReferenceNames { hosts: vec![HOST.into()], ..ReferenceNames::default() };
    let (near, far) = tokio::io::duplex(32 * 1024);
    tokio::join!(server.accept(near), client.connect(far, &names))
}

/// What is known of a client's revocation after it connected.
async fn standing(
    world: &World,
    trust: &Arc<Trust>,
    client: &Leaf,
) -> Result<RevocationState, Option<Rejection>> {
    let plain = Arc::new(Trust::new(world.snapshot(&[])));
    let (accepted, _) = meet((&world.server(), trust), (client, &plain)).await;
    accepted.map(|accepted| accepted.peer.unwrap().revocation).map_err(|failure| failure.rejection)
}

const BOTH_RULES: [OcspRule; 2] = [OcspRule::Prefer, OcspRule::Require];

#[tokio::test]
async fn a_good_certificate_is_asked_after_once() {
    let world = Arc::new(World::new());
    for rule in BOTH_RULES {
        let client = Arc::new(world.server());
        let responder = Responder::about(&world, &client, Entry::Valid);
        let trust = responder.trust(&world, rule);
        let ask = || standing(&world, &trust, &client);
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        for standing in [first, second, third, ask().await] {
            assert_eq!(standing, Ok(RevocationState::Good));
        }
        assert_eq!(responder.asked(), 1);
    }
}

#[tokio::test]
async fn a_revoked_certificate_ends_the_connection_before_it_is_handed_on() {
    let world = Arc::new(World::new());
    for rule in BOTH_RULES {
        let (client, server) = (Arc::new(world.server()), Arc::new(world.server()));
        let trust = Responder::about(&world, &client, Entry::Revoked).trust(&world, rule);
        assert_eq!(standing(&world, &trust, &client).await, Err(Some(Rejection::Revoked)));
        let trust = Responder::about(&world, &server, Entry::Revoked).trust(&world, rule);
        let plain = Arc::new(Trust::new(world.snapshot(&[])));
        let failure = meet((&server, &plain), (&client, &trust)).await.1.unwrap_err();
        assert_eq!(failure.rejection, Some(Rejection::Revoked));
        assert!(failure.presented.is_some());
    }
}

#[tokio::test]
async fn without_an_answer_a_peer_is_in_doubt_where_one_is_required() {
    let world = Arc::new(World::new());
    let client = Arc::new(world.server());
    type Made = fn() -> Arc<Responder>;
    let answers: [(Made, OcspFault); 3] = [
        (Responder::down, OcspFault::Unreachable),
        (|| Responder::with(|_| Ok(vec![0x30, 3, 0x0a, 1, 3])), OcspFault::TryLater),
        (|| Responder::with(|_| Ok(vec![0; OCSP_ANSWER_MAX + 1])), OcspFault::Malformed),
    ];
    for (responder, fault) in answers {
        for (rule, expected) in [
            (OcspRule::Prefer, RevocationState::Good),
            (OcspRule::Require, RevocationState::Unknown(fault.cause())),
        ] {
            let responder = responder();
            let trust = responder.trust(&world, rule);
            for _ in 0..2 {
                assert_eq!(standing(&world, &trust, &client).await, Ok(expected.clone()), "{fault:?}");
            }
            assert_eq!(responder.asked(), 1, "a failure is remembered for a while");
            let client = trust.ocsp.load_full().unwrap();
            let outcome = OcspOutcome { word: fault.word(), fault: Some(fault), count: 1 };
            assert_eq!(client.outcomes(), [outcome]);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_names_no_responder_is_in_doubt_where_an_answer_is_required() {
    let world = World::new();
    let silent = world.issue(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let responder = Responder::down();
    let prefer = responder.trust(&world, OcspRule::Prefer);
    assert_eq!(standing(&world, &prefer, &silent).await, Ok(RevocationState::Good));
    let require = responder.trust(&world, OcspRule::Require);
    let doubt = RevocationState::Unknown(OcspFault::NoResponder.cause());
    assert_eq!(standing(&world, &require, &silent).await, Ok(doubt));
    assert_eq!(responder.asked(), 0);
}

#[tokio::test]
async fn a_good_answer_does_not_lift_the_doubt_of_the_lists() {
    let world = Arc::new(World::new());
    let client = Arc::new(world.server());
    let trust = Responder::about(&world, &client, Entry::Valid).trust(&world, OcspRule::Require);
    trust.swap(TrustSnapshot::build(&[world.pki.trust_pem().into_bytes()], &[], now()).unwrap().0);
    assert!(matches!(standing(&world, &trust, &client).await, Ok(RevocationState::Unknown(_))));
}

#[tokio::test]
async fn an_open_session_is_judged_by_what_the_responder_says_later() {
    let world = Arc::new(World::new());
    let client = Arc::new(world.server());
    let trust = Responder::about(&world, &client, Entry::Valid).trust(&world, OcspRule::Prefer);
    let server = MxServerTls::new(world.server().identity(), trust.clone());
    let plain = Arc::new(Trust::new(world.snapshot(&[])));
    let (accepted, _) = meet_as(&server, (&client, &plain)).await;
    let (stream, mut last) = (accepted.unwrap().stream, LastJudgement::default());
    assert!(server.judge_again(&stream, &mut last).unwrap().is_ok());
    assert!(server.judge_again(&stream, &mut last).is_none(), "nothing changed");
    let mut changes = trust.changes();
    trust.set_ocsp(Some(Arc::new(OcspClient::new(
        OcspRule::Prefer,
        Responder::about(&world, &client, Entry::Revoked),
    ))));
    changes.borrow_and_update();
    assert!(server.judge_again(&stream, &mut last).unwrap().is_ok(), "the responder has not answered yet");
    changes.changed().await.unwrap();
    assert_eq!(server.judge_again(&stream, &mut last), Some(Err(Rejection::Revoked)));
}

#[tokio::test]
async fn a_stapled_answer_is_shown_and_taken_as_long_as_it_counts() {
    let world = Arc::new(World::new());
    let (server, client) = (Arc::new(world.server()), world.server());
    let plain = Arc::new(Trust::new(world.snapshot(&[])));
    let identity = server.identity();
    let tls = MxServerTls::new(identity.clone(), plain.clone());
    let responder = Responder::about(&world, &server, Entry::Valid);
    let until = refresh_staple(&identity, &plain, &*responder).await.unwrap();
    assert!(until > now().plus_secs(25 * 60) && until < now().plus_secs(35 * 60), "{until:?}");
    let down = Responder::down();
    let trust = down.trust(&world, OcspRule::Require);
    let (_, connected) = meet_as(&tls, (&client, &trust)).await;
    assert_eq!(connected.unwrap().peer.revocation, RevocationState::Good);
    assert_eq!(down.asked(), 0);
    identity.show(vec![0x30, 0], now().plus_secs(-1));
    let trust = down.trust(&world, OcspRule::Require);
    let (_, connected) = meet_as(&tls, (&client, &trust)).await;
    let doubt = RevocationState::Unknown(OcspFault::Unreachable.cause());
    assert_eq!(connected.unwrap().peer.revocation, doubt);
    let revoked = Responder::about(&world, &server, Entry::Revoked);
    assert_eq!(refresh_staple(&identity, &plain, &*revoked).await, Err(StapleError::Revoked));
}

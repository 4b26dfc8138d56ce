//! Which passwords of a mailbox a guess may be.

use crate::support::{Fixture, START, hashed, on_both_engines};
use mail_types::{ActorId, MailboxId, Protocol, Protocols, Secret};
use store::{NewPassword, PasswordScope};

on_both_engines!(
    a_guess_may_be_few_of_many_passwords,
    a_password_that_opens_something_else_or_nothing_any_more_is_no_candidate,
    a_password_says_by_which_protocols_it_lets_in,
);

async fn candidates(
    store: &Fixture,
    mailbox: MailboxId,
    actors: &[ActorId],
    secret: &str,
) -> Vec<(ActorId, i64)> {
    let secret = Secret::new(secret.to_owned());
    let found = store.password_candidates(mailbox, actors, &secret, store.clock.now()).await.unwrap();
    found.into_iter().map(|(actor, password)| (actor, password.id)).collect()
}

async fn password(store: &Fixture, actor: ActorId, label: &str, secret: &str) -> i64 {
    make(store, actor, label, secret, None, None).await
}

async fn make(
    store: &Fixture,
    actor: ActorId,
    label: &str,
    secret: &str,
    mailbox: Option<MailboxId>,
    seconds: Option<i64>,
) -> i64 {
    let expires_at = seconds.map(|seconds| START.plus_secs(seconds));
    let (label, password) = (label.to_owned(), hashed(secret));
    store
        .create_password(NewPassword {
            actor,
            label,
            password,
            mailbox,
            protocols: Protocols::ALL,
            expires_at,
        })
        .await
        .unwrap()
        .unwrap()
}

async fn a_guess_may_be_few_of_many_passwords(store: &Fixture) {
    let mailbox = store.personal("accueil").await.mailbox;
    let (mut actors, mut made) = (Vec::new(), Vec::new());
    for person in 0..20 {
        let actor = store.create_user(&format!("user{person}"), "", None).await.unwrap().actor;
        actors.push(actor);
        for number in 0..4 {
            let secret = format!("secret {person} {number}");
            made.push((actor, password(store, actor, &number.to_string(), &secret).await, secret));
        }
    }
    for (actor, id, secret) in &made {
        assert!(candidates(store, mailbox, &actors, secret).await.contains(&(*actor, *id)), "{secret}");
    }
    let mut compared = 0;
    for guess in 0..100 {
        compared += candidates(store, mailbox, &actors, &format!("guess {guess}")).await.len();
    }
    // 80 rows and 4096 tags: two are expected in a hundred guesses. Eight thousand without tags.
    assert!(compared <= 20, "{compared}");
    assert_eq!(candidates(store, mailbox, &[], &made[0].2).await, []);
    // Another process has the same tags.
    let other = store.open_again().await.unwrap();
    let (actor, id, secret) = &made[7];
    let found =
        other.password_candidates(mailbox, &actors, &Secret::new(secret.clone()), START).await.unwrap();
    assert!(found.iter().any(|(whose, password)| (whose, &password.id) == (actor, id)));
    other.close().await;
    // Nobody sees in the rows that two persons have the same password.
    for (index, actor) in actors.iter().enumerate() {
        password(store, *actor, &format!("same {index}"), "the same").await;
    }
    let tags = store
        .raw
        .texts("SELECT DISTINCT CAST(tag AS TEXT) FROM application_passwords WHERE label LIKE 'same%'");
    assert!(tags.await.len() > 15);
}

async fn a_password_that_opens_something_else_or_nothing_any_more_is_no_candidate(store: &Fixture) {
    let (here, there) = (store.personal("claire").await, store.personal("labo").await);
    let actors = [here.actor];
    let lasting = password(store, here.actor, "lasting", "lasting").await;
    let of_here = make(store, here.actor, "here", "of here", Some(here.mailbox), None).await;
    make(store, here.actor, "there", "of there", Some(there.mailbox), None).await;
    let ending = make(store, here.actor, "ending", "ending", None, Some(10)).await;
    password(store, there.actor, "other", "of another").await;
    for (secret, expected) in [
        ("lasting", Some(lasting)),
        ("of here", Some(of_here)),
        ("ending", Some(ending)),
        ("of there", None),
        ("of another", None),
    ] {
        let found = candidates(store, here.mailbox, &actors, secret).await;
        let known = [lasting, of_here, ending];
        let found: Vec<_> = found
            .into_iter()
            .map(|(_, id)| id)
            .filter(|id| Some(*id) == expected || !known.contains(id))
            .collect();
        assert_eq!(found, Vec::from_iter(expected), "{secret}");
    }
    store.pass(10_000);
    assert!(store.revoke_password(here.actor, &PasswordScope::All, lasting).await.unwrap());
    for (secret, id) in [("ending", ending), ("lasting", lasting)] {
        assert!(
            !candidates(store, here.mailbox, &actors, secret).await.contains(&(here.actor, id)),
            "{secret}"
        );
    }
    // The latest of two with the same secret is looked at first.
    let first = password(store, here.actor, "first", "twice").await;
    let second = password(store, here.actor, "second", "twice").await;
    let found = candidates(store, here.mailbox, &actors, "twice").await;
    let place = |id| found.iter().position(|(_, known)| *known == id).unwrap();
    assert!(place(second) < place(first));
}

async fn a_password_says_by_which_protocols_it_lets_in(store: &Fixture) {
    let claire = store.personal("claire").await;
    let mail = Protocols::of([Protocol::Imap, Protocol::Submission]);
    let new = |label: &str, protocols| NewPassword {
        actor: claire.actor,
        label: label.to_owned(),
        password: hashed(label),
        mailbox: None,
        protocols,
        expires_at: None,
    };
    for (label, protocols) in [("mail of it", mail), ("all of it", Protocols::ALL)] {
        let id = store.create_password(new(label, protocols)).await.unwrap().unwrap();
        let rows = store.passwords(claire.actor, &PasswordScope::All, id - 1, 1).await.unwrap();
        assert_eq!(rows.first().map(|row| (row.id, row.protocols)), Some((id, protocols)));
        let secret = Secret::new(label.to_owned());
        let found = store.password_candidates(claire.mailbox, &[claire.actor], &secret, START).await.unwrap();
        assert!(found.iter().any(|(_, known)| (known.id, known.protocols) == (id, protocols)), "{label}");
        let in_force = store.application_passwords(claire.actor, START).await.unwrap();
        assert!(in_force.iter().any(|known| (known.id, known.protocols) == (id, protocols)), "{label}");
    }
}

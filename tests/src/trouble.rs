//! Two operators on a PostgreSQL of the scenario's own, and what must hold after any trouble with it.

use crate::demo::{Demo, Mailbox};
use crate::door::Door;
use crate::engine::Engine;
use crate::imap::Imap;
use crate::load::{Heard, Route};
use crate::postgres::Postgres;
use crate::wait::until;
use std::collections::HashMap;
use std::time::Duration;

/// How long anybody may wait for an answer: mail servers and mail clients wait longer (RFC 5321 §4.5.3.2 has five minutes).
pub const PATIENCE: Duration = Duration::from_secs(110);

/// How long trouble lasts: `VAGUEMESTRE_TEST_OUTAGE_SECS`, or long enough to show what is shown.
#[expect(clippy::disallowed_methods, reason = "a run of the scenarios is configured by its environment")]
pub fn outage() -> Duration {
    let told = std::env::var("VAGUEMESTRE_TEST_OUTAGE_SECS").ok();
    Duration::from_secs(told.map_or(8, |secs| secs.parse().expect("a number of seconds")))
}

/// A demo and its PostgreSQL.
#[derive(Debug)]
pub struct Scene {
    /// The operators.
    pub demo: Demo,
    /// Where both keep their rows.
    pub postgres: Postgres,
}

impl Scene {
    /// Nothing when this run is on another engine.
    pub fn start() -> Option<Self> {
        Engine::Postgres.is_of_this_run().then(|| {
            let postgres = Postgres::start();
            Self { demo: Demo::start_on(&postgres), postgres }
        })
    }

    /// The same, with the operators behind a [`Door`].
    pub async fn start_behind_a_door() -> Option<(Self, Door)> {
        if !Engine::Postgres.is_of_this_run() {
            return None;
        }
        let postgres = Postgres::start();
        let door = Door::to(postgres.port()).await;
        Some((Self { demo: Demo::start_through(&postgres, door.port), postgres }, door))
    }

    /// The mailboxes of clinique-sud that everything is sent to.
    pub fn readers(&self) -> Vec<&Mailbox> {
        let south = self.demo.south();
        vec![south.personal(0), south.mailbox("organizational")]
    }

    /// From another operator to clinique-sud.
    pub fn inbound(&self, size: usize) -> Route {
        Route {
            port: self.demo.south().ports["smtp"],
            tls: self.demo.client(&self.demo.north().certificate()),
            login: None,
            ..self.outbound(size)
        }
    }

    /// From a user of chu-nord, by its queue, to clinique-sud.
    pub fn outbound(&self, size: usize) -> Route {
        let sender = self.demo.north().personal(0);
        Route {
            port: self.demo.north().ports["submissions"],
            tls: self.demo.anonymous(),
            login: Some(sender.clone()),
            from: sender.address.clone(),
            to: self.readers().iter().map(|mailbox| mailbox.address.clone()).collect(),
            size,
        }
    }

    /// The name of clinique-sud's database.
    pub fn database(&self) -> String {
        self.postgres.sql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE '%clinique_sud';")
    }

    /// Each reader has each acknowledged message once, nobody was refused for good, and both stores are sound.
    pub async fn everything_acknowledged_is_there_once(&self, heard: &Heard) {
        for refusal in &heard.refusals {
            assert!(refusal.starts_with('4'), "a sender heard {refusal}");
        }
        // What was put off while there was trouble need not wait for its time.
        self.demo.north().cli(&["queue", "retry"]);
        for mailbox in self.readers() {
            let stored =
                until(&format!("{} messages in {}", heard.acknowledged.len(), mailbox.address), async || {
                    let stored = self.stored(mailbox).await;
                    heard.acknowledged.iter().all(|marker| stored.contains_key(marker)).then_some(stored)
                })
                .await;
            let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
            assert!(doubled.is_empty(), "stored more than once: {doubled:?}");
        }
        self.stores_are_sound();
    }

    /// Counters count right, and the audit trail is whole.
    pub fn stores_are_sound(&self) {
        for site in &self.demo.operators {
            site.cli(&["fsck"]).ok();
            site.cli(&["audit", "verify"]).ok();
        }
    }

    /// How often each message of a load is in an INBOX, by its marker.
    async fn stored(&self, mailbox: &Mailbox) -> HashMap<String, u32> {
        let mut imap = Imap::login(&self.demo, self.demo.south(), mailbox).await;
        imap.ok("EXAMINE INBOX").await;
        let subjects = imap.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]").await.literals;
        let mut stored = HashMap::new();
        for subject in subjects {
            let subject = String::from_utf8_lossy(&subject);
            if let Some(marker) = subject.trim().strip_prefix("Subject: ").filter(|text| text.ends_with('.'))
            {
                *stored.entry(marker.to_owned()).or_default() += 1;
            }
        }
        stored
    }
}

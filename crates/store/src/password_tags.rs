//! Which of many application passwords a guess may be: a short keyed tag stands beside each slow hash.
//!
//! A shared mailbox has the passwords of all its delegates, and whoever logs in names none of them. Without a tag one guess would cost one slow
//! hash for each: an amplifier in the hands of whoever guesses.
//!
//! A tag is the beginning of an HMAC-SHA-256 of actor and password, under a key of its own that lies wrapped in `operator_keys`. It has
//! [`BITS`] bits, and each of them gives and costs:
//! * of `n` rows that it is not, a guess is compared slowly with `n / 4096`: a twelfth of one hash more for 320 passwords;
//! * whoever has the rows and not the key folder learns nothing of a password by it. The actor is in it, so that not even two people with the same
//!   password are seen to have it;
//! * whoever has rows *and* the key folder leaves 4095 of 4096 guesses out before the slow hash. A password that was drawn at random (100 bits)
//!   stays out of reach; of one that a person chose, the key folder is worth 12 bits. Mail itself is open to whoever has both. A longer tag would
//!   give away more of them and save next to nothing.

use crate::credentials::{PasswordTuple, password};
use crate::dialect::on;
use crate::{ApplicationPassword, Error, Store};
use aws_lc_rs::hmac;
use mail_types::{ActorId, MailboxId, Secret, Timestamp};
use std::cmp::Reverse;

/// Bits of a tag.
const BITS: u32 = 12;
/// Actors that one statement asks for.
const ACTORS_MAX: usize = 200;

/// A password with its slow hash: what is kept is the hash, and a tag of the secret.
#[derive(Clone, Debug)]
pub struct HashedPassword {
    secret: Secret<String>,
    hash: String,
}

impl HashedPassword {
    /// A secret and its Argon2id, PHC string format. That one is of the other is the caller's word.
    pub fn new(secret: Secret<String>, hash: String) -> Self {
        Self { secret, hash }
    }

    /// Argon2id, PHC string format.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub(crate) fn tag(&self, key: &hmac::Key, actor: ActorId) -> i64 {
        tag(key, actor, &self.secret)
    }
}

fn tag(key: &hmac::Key, actor: ActorId, secret: &Secret<String>) -> i64 {
    let mut context = hmac::Context::with_key(key);
    context.update(&actor.0.to_be_bytes());
    context.update(secret.expose().as_bytes());
    let digest = context.sign();
    let beginning = digest.as_ref().iter().take(4).fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
    i64::from(beginning >> (u32::BITS - BITS))
}

impl Store {
    /// The passwords in force of these actors that open the mailbox and that the secret may be, with whose they are: nearly always the one that
    /// it is, or none. The latest first.
    pub async fn password_candidates(
        &self,
        mailbox: MailboxId,
        actors: &[ActorId],
        secret: &Secret<String>,
        now: Timestamp,
    ) -> Result<Vec<(ActorId, ApplicationPassword)>, Error> {
        let key = self.keyring().password_tag_key();
        let mut candidates: Vec<(ActorId, ApplicationPassword)> = Vec::new();
        for actors in actors.chunks(ACTORS_MAX) {
            let tags: Vec<_> = actors.iter().map(|actor| (*actor, tag(&key, *actor, secret))).collect();
            let sql = statement(&tags);
            let mut reader = self.reader().await?;
            let rows: Vec<PasswordTuple> = on!(reader.conn(), c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).persistent(false)
                .bind(now.0).bind(mailbox.0).fetch_all(&mut *c).await)?;
            candidates.extend(rows.into_iter().map(password));
        }
        candidates.sort_by_key(|(_, password)| Reverse(password.id));
        Ok(candidates)
    }
}

/// Asks for the rows of these tags; each statement is another one. The index of actors is used only where they are named by themselves.
fn statement(tags: &[(ActorId, i64)]) -> String {
    let actors: Vec<String> = tags.iter().map(|(actor, _)| actor.0.to_string()).collect();
    let tags: Vec<String> = tags.iter().map(|(actor, tag)| format!("({}, {tag})", actor.0)).collect();
    format!(
        "SELECT actor_id, id, hash, mailbox_id, protocols, expires_at_ms FROM application_passwords WHERE actor_id IN ({}) AND (actor_id, tag) IN (VALUES {}) \
         AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $1) AND (mailbox_id IS NULL OR mailbox_id = $2)",
        actors.join(", "),
        tags.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection, SqliteConnection};

    const SCHEMA: &str = include_str!("../../../migrations/sqlite/0001_foundation.sql");

    #[tokio::test]
    async fn passwords_of_everybody_else_are_not_looked_through() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut conn).await.unwrap();
        let tags: Vec<_> = (1..=20).map(|actor| (ActorId(actor), actor * 7)).collect();
        let plan = format!("EXPLAIN QUERY PLAN {}", statement(&tags));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(plan)).bind(0).bind(0).fetch_all(&mut conn).await.unwrap();
        let of_table = |word: &str| {
            steps.iter().any(|step| step.3.starts_with(&format!("{word} application_passwords")))
        };
        assert!(of_table("SEARCH") && !of_table("SCAN"), "{steps:?}");
    }

    #[test]
    fn a_tag_is_short_and_depends_on_key_actor_and_secret() {
        let key = |octet: u8| hmac::Key::new(hmac::HMAC_SHA256, &[octet; 32]);
        let secret = |number: u32| Secret::new(format!("secret {number}"));
        let one = |octet, actor, number| tag(&key(octet), ActorId(actor), &secret(number));
        assert!((0..1000).all(|number| (0..4096).contains(&one(1, 1, number))));
        assert_eq!(one(1, 1, 1), one(1, 1, 1));
        let differs =
            |other: &dyn Fn(u32) -> i64| (0..50).filter(|n| other(*n) != one(1, 1, *n)).count() > 40;
        assert!(differs(&|n| one(2, 1, n)) && differs(&|n| one(1, 2, n)) && differs(&|n| one(1, 1, n + 1)));
    }
}

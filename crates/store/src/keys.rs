//! The key hierarchy: generations of the key-encryption key in files, mailbox and operator keys in rows.
//!
//! A generation is a file `YYYY-MM.key` of 64 hexadecimal digits in the key folder, mode 0600, made when the first key of a month is
//! wrapped. The folder is not part of a database backup: destroying an old generation erases what only it can open.

use crate::audit::{AuditSigner, SubjectKeys};
use crate::dialect::{Engine, OwnedConn, on};
use crate::seal::{RawKey, Unwrapping, random, unwrap, unwrap_key, wrap};
use crate::{ContentKey, Error};
use mail_types::{BodyId, MailboxId, Timestamp};
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Mailbox keys kept opened in memory; past it the cache starts again.
const CACHE_MAX: usize = 50_000;

/// The data key of one mailbox, opened.
#[derive(Clone)]
pub struct MailboxKey {
    mailbox: MailboxId,
    key: Arc<RawKey>,
}

impl std::fmt::Debug for MailboxKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[key of mailbox {}]", self.mailbox)
    }
}

impl MailboxKey {
    /// Wraps the key of a body for a message of this mailbox.
    pub fn wrap(&self, body: BodyId, key: &ContentKey) -> Vec<u8> {
        wrap(&self.key, &self.context(body), key.raw())
    }

    /// Opens the key of a body as wrapped in a message row of this mailbox.
    pub fn unwrap(&self, body: BodyId, wrapped: &[u8]) -> Result<ContentKey, Error> {
        Ok(ContentKey::from_raw(unwrap_key(&self.key, &self.context(body), wrapped)?))
    }

    /// Opens the keys of many bodies.
    pub fn unwrapping(&self) -> BodyKeys<'_> {
        BodyKeys { key: self, unwrapping: Unwrapping::with(&self.key) }
    }

    /// Seals the value of an annotation of this mailbox. `context` is bound to it.
    pub(crate) fn seal_annotation(&self, context: &[u8], value: &[u8]) -> Vec<u8> {
        wrap(&self.annotations_key(), context, value)
    }

    /// Opens what [`seal_annotation`](Self::seal_annotation) made with the same context.
    pub(crate) fn open_annotation(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(unwrap(&self.annotations_key(), context, sealed)?.to_vec())
    }

    /// A key of its own, derived from the mailbox's.
    fn annotations_key(&self) -> RawKey {
        let mailbox = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.key.as_slice());
        let mut key = RawKey::default();
        key.copy_from_slice(aws_lc_rs::hmac::sign(&mailbox, b"vaguemestre annotations").as_ref());
        key
    }

    /// What names the content of a message in this mailbox, in whatever folders it is (RFC 8474 EMAILID). Without the key it can be neither guessed nor
    /// compared with that of another mailbox.
    pub fn content_name(&self, body: BodyId) -> u128 {
        self.name(b"vaguemestre name: content", &body.0)
    }

    /// What names a thread in this mailbox, by the Message-ID that it begins with (RFC 8474 THREADID).
    pub fn thread_name(&self, first: &[u8]) -> u128 {
        self.name(b"vaguemestre name: thread", first)
    }

    fn name(&self, label: &[u8], named: &[u8]) -> u128 {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.key.as_slice());
        let mut context = aws_lc_rs::hmac::Context::with_key(&key);
        context.update(label);
        context.update(named);
        let mut first = [0; 16];
        first.iter_mut().zip(context.sign().as_ref()).for_each(|(octet, named)| *octet = *named);
        u128::from_be_bytes(first)
    }

    fn context(&self, body: BodyId) -> [u8; 24] {
        let mut context = [0; 24];
        context[..16].copy_from_slice(&body.0);
        context[16..].copy_from_slice(&self.mailbox.0.to_be_bytes());
        context
    }
}

/// Opens the keys of bodies, one after the other, with the key of a mailbox that is made ready once.
pub struct BodyKeys<'k> {
    key: &'k MailboxKey,
    unwrapping: Unwrapping,
}

impl std::fmt::Debug for BodyKeys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[keys of bodies of mailbox {}]", self.key.mailbox)
    }
}

impl BodyKeys<'_> {
    /// As [`MailboxKey::unwrap`].
    ///
    /// # Errors
    /// [`Error::Sealed`] when it does not open.
    pub fn unwrap(&self, body: BodyId, wrapped: &[u8]) -> Result<ContentKey, Error> {
        Ok(ContentKey::from_raw(self.unwrapping.key(&self.key.context(body), wrapped)?))
    }
}

/// Every key that this process has opened.
pub(crate) struct Keyring {
    dir: PathBuf,
    generations: Mutex<HashMap<String, Arc<RawKey>>>,
    /// The generation that all nodes are known to have in common, of those that wrap: the month's.
    agreed: Mutex<Option<String>>,
    mailboxes: Mutex<HashMap<MailboxId, MailboxKey>>,
    queue: RawKey,
    fingerprint: RawKey,
    password_tags: RawKey,
    subjects: SubjectKeys,
    signer: AuditSigner,
    audits_mail: bool,
}

impl Keyring {
    /// Opens the operator's own keys, making them on the first start.
    pub(crate) async fn open(
        dir: &Path,
        engine: &Engine,
        now: Timestamp,
        audits_mail: bool,
    ) -> Result<Self, Error> {
        let mut keyring = Self {
            dir: dir.to_owned(),
            generations: Mutex::default(),
            agreed: Mutex::default(),
            mailboxes: Mutex::default(),
            queue: Zeroizing::default(),
            fingerprint: Zeroizing::default(),
            password_tags: Zeroizing::default(),
            subjects: SubjectKeys::new(&Zeroizing::default()),
            signer: AuditSigner::new(&Zeroizing::default())?,
            audits_mail,
        };
        // One for all: to be let in costs PostgreSQL and us more than to read a key.
        let mut conn = engine.connect().await?;
        keyring.queue = keyring.operator_key(&mut conn, "queue", now).await?;
        keyring.fingerprint = keyring.operator_key(&mut conn, "fingerprint", now).await?;
        keyring.password_tags = keyring.operator_key(&mut conn, "password-tags", now).await?;
        keyring.signer = AuditSigner::new(&keyring.operator_key(&mut conn, "audit-signature", now).await?)?;
        keyring.subjects = SubjectKeys::new(&keyring.operator_key(&mut conn, "audit-subjects", now).await?);
        Ok(keyring)
    }

    async fn operator_key(
        &self,
        conn: &mut OwnedConn,
        name: &'static str,
        now: Timestamp,
    ) -> Result<RawKey, Error> {
        let select = "SELECT generation, wrapped FROM operator_keys WHERE name = $1";
        let row: Option<(String, Vec<u8>)> =
            on!(conn.conn(), c => sqlx::query_as(select).bind(name).fetch_optional(&mut *c).await)?;
        if row.is_none() {
            self.assure_current(conn.conn(), now).await?;
            let (generation, wrapped) = self.wrap_new(name.as_bytes(), now)?;
            on!(conn.conn(), c => sqlx::query(
                "INSERT INTO operator_keys (name, generation, wrapped, created_at_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
                .bind(name).bind(&generation).bind(&wrapped).bind(now.0).execute(&mut *c).await.map(|_| ()))?;
        }
        let (generation, wrapped): (String, Vec<u8>) =
            on!(conn.conn(), c => sqlx::query_as(select).bind(name).fetch_one(&mut *c).await)?;
        self.unwrap_of(&generation, name.as_bytes(), &wrapped)
    }

    fn wrong_generation(&self, generation: &str) -> String {
        format!(
            "{} is not the key that wrapped this store's keys; put the right file back",
            self.file(generation).display()
        )
    }

    /// A fresh key for a mailbox: its generation and wrapped form, for the row.
    pub(crate) fn wrap_new_mailbox(
        &self,
        mailbox: MailboxId,
        now: Timestamp,
    ) -> Result<(String, Vec<u8>), Error> {
        self.wrap_new(&mailbox.0.to_be_bytes(), now)
    }

    fn wrap_new(&self, context: &[u8], now: Timestamp) -> Result<(String, Vec<u8>), Error> {
        self.wrap_now(context, Zeroizing::new(random::<32>()).as_slice(), now)
    }

    /// Wraps a key with the generation of the month: the generation and the wrapped form.
    pub(crate) fn wrap_now(
        &self,
        context: &[u8],
        key: &[u8],
        now: Timestamp,
    ) -> Result<(String, Vec<u8>), Error> {
        let name = month_name(now);
        let generation = self.generation_or_new(&name)?;
        Ok((name, wrap(&generation, context, key)))
    }

    /// Opens a key that was wrapped with a generation.
    pub(crate) fn unwrap_of(
        &self,
        generation: &str,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<RawKey, Error> {
        let was_opened = self.is_opened(generation);
        unwrap_key(&*self.generation(generation)?, context, wrapped).map_err(|_| {
            if !was_opened {
                // It is read anew once the right file is back, and wraps nothing until then.
                self.forget_generation(generation);
            }
            Error::Key(self.wrong_generation(generation))
        })
    }

    /// What seals personal fields of the audit trail.
    pub(crate) fn subjects(&self) -> &SubjectKeys {
        &self.subjects
    }

    /// What signs seals and exports of the audit trail.
    pub(crate) fn signer(&self) -> &AuditSigner {
        &self.signer
    }

    /// Whether mail is told of in the audit trail: always, but where what that costs is measured.
    pub(crate) fn audits_mail(&self) -> bool {
        self.audits_mail
    }

    /// The key of a mailbox, from memory or from its row.
    pub(crate) async fn mailbox(&self, engine: &Engine, mailbox: MailboxId) -> Result<MailboxKey, Error> {
        if let Some(key) = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner).get(&mailbox) {
            return Ok(key.clone());
        }
        let mut reader = engine.quick_reader().await?;
        let row: Option<(String, Vec<u8>)> = on!(reader.conn(), c =>
            sqlx::query_as("SELECT generation, wrapped FROM mailbox_keys WHERE mailbox_id = $1").bind(mailbox.0).fetch_optional(&mut *c).await)?;
        let (generation, wrapped) = row.ok_or(Error::Inconsistent("a mailbox has no key"))?;
        let raw = self.unwrap_of(&generation, &mailbox.0.to_be_bytes(), &wrapped)?;
        let key = MailboxKey { mailbox, key: Arc::new(raw) };
        let mut cache = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_MAX {
            cache.clear();
        }
        cache.insert(mailbox, key.clone());
        Ok(key)
    }

    /// Lets go of the opened key of a mailbox.
    pub(crate) fn forget(&self, mailbox: MailboxId) {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner).remove(&mailbox);
    }

    /// Wraps the key of a body for queue entries.
    pub(crate) fn wrap_for_queue(&self, body: BodyId, key: &ContentKey) -> Vec<u8> {
        wrap(&self.queue, &body.0, key.raw())
    }

    /// Opens the key of a body as wrapped in a queue entry.
    pub(crate) fn unwrap_from_queue(&self, body: BodyId, wrapped: &[u8]) -> Result<ContentKey, Error> {
        Ok(ContentKey::from_raw(unwrap_key(&self.queue, &body.0, wrapped)?))
    }

    /// Seals the answer to a request.
    pub(crate) fn seal_answer(&self, context: &[u8], answer: &[u8]) -> Vec<u8> {
        wrap(&self.answers_key(), context, answer)
    }

    /// Opens what [`seal_answer`](Self::seal_answer) made.
    pub(crate) fn open_answer(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(unwrap(&self.answers_key(), context, sealed)?.to_vec())
    }

    /// A key of its own, derived from the queue's: answers live for a day.
    fn answers_key(&self) -> RawKey {
        let queue = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.queue.as_slice());
        let mut key = RawKey::default();
        key.copy_from_slice(aws_lc_rs::hmac::sign(&queue, b"answers of requests").as_ref());
        key
    }

    /// HMAC-SHA-256 under the key that recognises a message sent again.
    pub(crate) fn fingerprint_key(&self) -> aws_lc_rs::hmac::Key {
        aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.fingerprint.as_slice())
    }

    /// HMAC-SHA-256 under the key of the tags of passwords.
    pub(crate) fn password_tag_key(&self) -> aws_lc_rs::hmac::Key {
        aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.password_tags.as_slice())
    }

    fn file(&self, generation: &str) -> PathBuf {
        self.dir.join(format!("{generation}.key"))
    }

    fn generation(&self, name: &str) -> Result<Arc<RawKey>, Error> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = generations.get(name) {
            return Ok(key.clone());
        }
        let key = Arc::new(read_generation(&self.file(name))?);
        generations.insert(name.to_owned(), key.clone());
        Ok(key)
    }

    /// A generation in memory needs no file: one made now would be another key under the same name.
    fn generation_or_new(&self, name: &str) -> Result<Arc<RawKey>, Error> {
        let file = self.file(name);
        if !self.is_opened(name) && !self.has_file(name) {
            make_generation(&self.dir, &file)?;
        }
        self.generation(name)
    }

    /// Whether memory has a generation.
    pub(crate) fn is_opened(&self, name: &str) -> bool {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Whether the key folder has a generation.
    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// Lets go of a generation that was opened.
    pub(crate) fn forget_generation(&self, name: &str) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// What tells this key of a generation from another one.
    pub(crate) fn check_value(&self, name: &str) -> Result<Vec<u8>, Error> {
        let generation = self.generation_or_new(name)?;
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, generation.as_slice());
        Ok(aws_lc_rs::hmac::sign(&key, b"vaguemestre key generation").as_ref().to_vec())
    }

    /// Whether the database has the check value of this node's key.
    pub(crate) fn is_agreed(&self, name: &str) -> bool {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(name)
    }

    pub(crate) fn note_agreed(&self, name: &str) {
        *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    }

    /// Says that another node has another key under the same name.
    pub(crate) fn other_generation(&self, name: &str) -> String {
        format!(
            "{} is not the key of that month that another node of this store wraps with; nodes share one key folder: put that node's file in its place, unless keys were wrapped with this one",
            self.file(name).display()
        )
    }

    /// Says that rows need a key file that is not there.
    pub(crate) fn lost_generation(&self, name: &str) -> Error {
        Error::Key(format!(
            "{} is missing although it wraps keys of this store; restore it from the key backup, or copy it from the node that made it, and do not make another in its place; \
             if it is lost for good, so is what it sealed: name it in [store] lost_key_generations to serve without it",
            self.file(name).display()
        ))
    }
}

/// `YYYY-MM` of the instant, UTC.
pub(crate) fn month_name(now: Timestamp) -> String {
    let (year, month, _) = crate::clock::civil(now.secs().div_euclid(86_400));
    format!("{year:04}-{month:02}")
}

fn read_generation(file: &Path) -> Result<RawKey, Error> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|e| {
        Error::Key(format!("{} cannot be read ({e}); restore it from the key backup", file.display()))
    })?;
    let malformed = || {
        Error::Key(format!("{} is not 64 hexadecimal digits; restore it from the key backup", file.display()))
    };
    let text = text.trim();
    let mut key = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.is_ascii() {
        return Err(malformed());
    }
    for (i, octet) in key.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| malformed())?;
    }
    Ok(key)
}

/// Writes a new generation so that it is on stable storage before anything is wrapped with it. Another process may win the race: its file stands.
fn make_generation(dir: &Path, file: &Path) -> Result<(), Error> {
    let key = Zeroizing::new(random::<32>());
    let text = Zeroizing::new(key.iter().map(|b| format!("{b:02x}")).collect::<String>());
    let temporary =
        dir.join(format!(".new-{}", random::<8>().iter().map(|b| format!("{b:02x}")).collect::<String>()));
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    let linked = std::fs::hard_link(&temporary, file);
    std::fs::remove_file(&temporary)?;
    match linked {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e.into()),
        _ => {}
    }
    std::fs::File::open(dir)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_named_by_month() {
        assert_eq!(month_name(Timestamp::from_secs(0)), "1970-01");
        assert_eq!(month_name(Timestamp::from_secs(1_795_248_000)), "2026-11");
        assert_eq!(month_name(Timestamp::from_secs(1_709_164_800)), "2024-02");
        assert_eq!(month_name(Timestamp::from_secs(1_709_251_200)), "2024-03");
    }

    #[test]
    fn a_damaged_generation_says_which_file_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("2026-11.key");
        assert!(read_generation(&file).unwrap_err().to_string().contains("restore it"));
        std::fs::write(&file, "zz").unwrap();
        assert!(read_generation(&file).unwrap_err().to_string().contains("64 hexadecimal"));
    }
}

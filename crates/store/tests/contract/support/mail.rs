//! Mailboxes with somebody in them, and messages for them.

use super::Fixture;
use mail_types::{ActorId, FolderId, MailboxId, MailboxKind, ReversePath, SystemFlags, Uid, UnitId};
use store::{
    Acceptance, Accepted, Append, Appended, AuditEntry, Category, FolderReading, FolderStatus, LocalDelivery,
    MailboxChange, MailboxKey, MailboxRow, NewMailbox, NewMessage, RemoteDelivery, SealedBody, ViewRow,
    WithBody,
};

/// The domain of every fixture mailbox.
const DOMAIN: &str = "ch.example";

/// A mailbox, its INBOX, its key and one actor in it.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) mailbox: MailboxId,
    pub(crate) inbox: FolderId,
    pub(crate) key: MailboxKey,
    pub(crate) actor: ActorId,
    pub(crate) address: String,
}

impl Holder {
    /// Messages for a folder of this mailbox.
    pub(crate) fn append(&self, folder: FolderId, messages: Vec<NewMessage>) -> Append {
        let key = self.key.clone();
        Append { mailbox: self.mailbox, folder, key, messages, actor: None, replaced: None }
    }

    /// As a recipient of an acceptance.
    pub(crate) fn delivery(&self) -> LocalDelivery {
        LocalDelivery { mailbox: self.mailbox, folder: self.inbox, key: self.key.clone() }
    }
}

/// A folder as it was selected.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) status: FolderStatus,
    pub(crate) recent_from: u32,
    pub(crate) keywords: Vec<String>,
    pub(crate) rows: Vec<ViewRow>,
}

/// An audit entry without particulars.
pub(crate) fn audit_entry(unit: UnitId) -> AuditEntry {
    AuditEntry {
        unit: Some(unit),
        detail: "local=1".to_owned(),
        ..AuditEntry::new(Category::Mail, "message.accepted")
    }
}

/// Octets that do not compress, so that `len` of them surely make a container of that size.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

impl Fixture {
    /// A personal mailbox with its holder.
    pub(crate) async fn personal(&self, name: &str) -> Holder {
        self.holder(name, MailboxKind::Personal, None).await
    }

    /// A mailbox of `kind` in the fixture's domain, with `owner` or a user named by its address.
    pub(crate) async fn holder(&self, name: &str, kind: MailboxKind, owner: Option<&str>) -> Holder {
        self.add_domain(DOMAIN.parse().unwrap()).await.unwrap();
        let address = format!("{name}@{DOMAIN}");
        let new = NewMailbox {
            address: address.parse().unwrap(),
            kind,
            owner: owner.map(str::to_owned),
            quota_bytes: 1 << 30,
        };
        let (mailbox, is_new) = self.create_mailbox(new).await.unwrap().unwrap();
        assert!(is_new);
        let inbox = self.folder_id(mailbox, "INBOX").await;
        let key = self.mailbox_key(mailbox).await.unwrap();
        let actor = self.user(owner.unwrap_or(&address)).await.unwrap().unwrap().actor;
        Holder { mailbox, inbox, key, actor, address }
    }

    /// The folder of that name, which must be there.
    pub(crate) async fn folder_id(&self, mailbox: MailboxId, name: &str) -> FolderId {
        self.folder(mailbox, name).await.unwrap().unwrap_or_else(|| panic!("no folder {name}")).id
    }

    /// Seals `content`.
    pub(crate) async fn seal(&self, content: &[u8]) -> SealedBody {
        let mut writer = self.begin_body(content.len() as u64).unwrap();
        writer.write(content).await.unwrap();
        writer.finish(b"structure").await.unwrap()
    }

    /// A message for local mailboxes, from nobody.
    pub(crate) async fn acceptance(&self, content: &[u8], to: &[&Holder]) -> Acceptance {
        let unit = self.new_unit_id();
        Acceptance {
            unit,
            fingerprint: None,
            reverse_path: ReversePath::Null,
            sender_mailbox: None,
            body: self.seal(content).await,
            content_offset: 0,
            eight_bit: false,
            local: to.iter().map(|holder| holder.delivery()).collect(),
            remote: Vec::new(),
            sent_copy: None,
            expires_at: self.now().plus_secs(5 * 86_400),
            ret: None,
            envid: None,
            audit: audit_entry(unit),
        }
    }

    /// Delivers `content` to one mailbox.
    pub(crate) async fn deliver(&self, to: &Holder, content: &[u8]) {
        let acceptance = self.acceptance(content, &[to]).await;
        assert_eq!(self.accept(acceptance).await.unwrap(), Accepted::Stored);
    }

    /// A message from `from` for remote recipients.
    pub(crate) async fn submission(&self, from: &Holder, content: &[u8], to: &[&str]) -> Acceptance {
        let remote = to.iter().map(|address| RemoteDelivery {
            recipient: address.parse().unwrap(),
            original_recipient: Some(format!("rfc822;{address}")),
            notify: Some("FAILURE,DELAY".to_owned()),
        });
        Acceptance {
            reverse_path: ReversePath::Address(from.address.parse().unwrap()),
            sender_mailbox: Some(from.mailbox),
            remote: remote.collect(),
            ret: Some("HDRS".to_owned()),
            envid: Some("QQ314159".to_owned()),
            ..self.acceptance(content, &[]).await
        }
    }

    /// Appends `content` with flags and keywords.
    pub(crate) async fn append_with(
        &self,
        to: &Holder,
        folder: FolderId,
        content: &[u8],
        flags: SystemFlags,
        keywords: &[&str],
    ) -> Option<Appended> {
        let keywords = keywords.iter().map(|&k| k.to_owned()).collect();
        let message = NewMessage { flags, keywords, ..NewMessage::new(self.seal(content).await) };
        let appended = self.append(to.append(folder, vec![message])).await.unwrap();
        appended.ok().and_then(|appended| appended.first().copied())
    }

    /// Whether each reader of a mailbox has a `\Seen` of their own.
    pub(crate) async fn keep_seen_apart(&self, holder: &Holder, private_seen: bool) {
        let change = MailboxChange { private_seen: Some(private_seen), ..MailboxChange::default() };
        self.change_mailbox(holder.mailbox, None, change).await.unwrap().unwrap();
    }

    /// Counters of a folder with the shared `\Seen`.
    pub(crate) async fn status(&self, folder: FolderId) -> FolderStatus {
        self.folder_status(folder, None).await.unwrap().unwrap()
    }

    /// A folder as SELECT, with `claim`, or EXAMINE finds it.
    pub(crate) async fn select(
        &self,
        folder: FolderId,
        private_seen_of: Option<ActorId>,
        claim: bool,
    ) -> Result<Option<Selected>, store::Error> {
        let Some(reading) = self.read_folder(folder, private_seen_of, None).await? else { return Ok(None) };
        let recent_from = self.recent_from(&reading.status, claim).await?;
        let FolderReading { status, keywords, rows, expunged, is_whole, .. } = reading;
        assert!(is_whole && expunged.is_empty(), "who knows nothing reads all");
        Ok(Some(Selected { status, recent_from, keywords, rows }))
    }

    /// UIDs of a folder.
    pub(crate) async fn uids(&self, folder: FolderId) -> Vec<u32> {
        self.select(folder, None, false).await.unwrap().unwrap().rows.iter().map(|row| row.uid.0).collect()
    }

    /// The whole content of a message.
    pub(crate) async fn read_all(&self, holder: &Holder, folder: FolderId, uid: u32) -> Vec<u8> {
        let mut rows = self.messages(folder, Uid(uid), Uid(uid), 1, WithBody::Content).await.unwrap();
        let row = rows.first_mut().unwrap();
        let key = holder.key.unwrap(row.body, &row.wrapped_key).unwrap();
        let mut reader = self.content(row, &key).await.unwrap();
        let mut out = Vec::new();
        reader.read(0, u64::MAX, &mut out).await.unwrap();
        out
    }

    /// The mailbox as an administrator sees it.
    pub(crate) async fn usage(&self, holder: &Holder) -> MailboxRow {
        self.mailbox(&holder.address.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Fails unless every counter equals what it counts and no body is lost.
    pub(crate) async fn assert_sound(&self) {
        let report = self.fsck(false).await.unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

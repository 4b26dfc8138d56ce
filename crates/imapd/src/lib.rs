//! IMAP listeners: 143 with STARTTLS and 993, for the readers of our mailboxes.
//!
//! Drives `imap-session` over sockets and answers each command from the `store`. Passwords are `auth`'s matter, certificates `pki`'s, the
//! structure of messages `message`'s: nothing is parsed at FETCH. It does not know SQL, other operators or the queue.
//!
//! ```text
//!  socket ─▶ Decoder ─▶ session (one task) ─▶ login, folders, select, fetch, store_flags, copy, append, search
//!                             │                              │
//!                             └── idle, sync ◀── change log ─┘
//! ```
//!
//! Choices where the standards leave one:
//! * a section that does not exist is answered with `""`;
//! * a message that another session expunged is passed over; named by number, FETCH, STORE (not `.SILENT`), COPY and MOVE then answer
//!   `NO [EXPUNGEISSUED]` (RFC 2180), COPY and MOVE doing nothing; the EXPUNGE follows when it is allowed;
//! * a message is recent in the first session of this process that is told of it, and in no other;
//! * EXTERNAL is offered to a client that showed a certificate; its authorization identity, the address of a mailbox, chooses among those that the
//!   certificate opens and is needed when there are several;
//! * a session whose certificate or login no longer stands ends with BYE, also in IDLE;
//! * a selected folder that is deleted by another session ends the connection with BYE; deleted by this one, it is closed;
//! * numbers past the last message are BAD, but in an empty folder they name nothing and the command is OK;
//! * SUBSCRIBE asks that the folder exist, which bounds how many names can be kept.
//!
//! Standards: RFC 3501, 7888 (LITERAL-, LITERAL+), 3502 (MULTIAPPEND), 3516 (BINARY), 4469 (CATENATE), 8508 (REPLACE), 7889 (APPENDLIMIT), 7162 (CONDSTORE, QRESYNC), 4959, 4422 appendix A (EXTERNAL), 2971, 5161, 2177, 2342, 4315, 6851, 3691, 5258 (LIST-EXTENDED), 5819 (LIST-STATUS), 6154, 3348, 8438, 4731, 5182, 5032, 8514, 5464 (METADATA), 5465 (NOTIFY), 9208, 5256, 5957, 5267 (ESORT), 6855, 8437, 4978, 9586, 9738 (MESSAGELIMIT, SAVELIMIT); rights are those of RFC 4314, codes
//! those of RFC 5530.
//!
//! Diagnostics: failed logins, failed handshakes and bodies that do not open are logged; never a name, a folder name or a search text.
#![warn(missing_docs)]

mod acl;
mod append;
mod attending;
mod binary;
mod catenate;
mod copy;
mod deflate;
mod enable;
mod fetch;
mod fetch_ahead;
mod fetch_plan;
mod folders;
mod gathering;
mod headings;
mod idle;
mod listed;
mod listing;
mod login;
mod lsub;
mod message_limit;
mod metadata;
mod metrics;
mod notify;
mod pictures;
mod place;
mod preview;
mod quota;
mod resync;
mod search;
mod search_content;
mod search_key;
mod search_memory;
mod search_return;
mod search_text;
mod section;
mod select;
mod session;
mod sets;
mod sort;
mod standing;
mod state;
mod store_flags;
mod sync;
mod thread;
mod transport;

pub use fetch_ahead::ReadAhead;
pub use message::extract::Folding;
pub use metrics::ImapMetrics;
pub use pictures::Pictures;
pub use search_text::SearchEngine;
pub use transport::Tls;

use auth::Authenticator;
use intake::Intake;
use journal::Journal;
use listener::{Bounds, Drain};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Everything that a listener's sessions share.
#[derive(Clone, Debug)]
pub struct Imapd {
    /// Certificates, and whether TLS begins at once.
    pub tls: Tls,
    /// Mailboxes.
    pub store: Store,
    /// Passwords and certificates.
    pub authenticator: Authenticator,
    /// Another number after each change of what certificates are judged by.
    pub trust_changes: watch::Receiver<u64>,
    /// Where judgements of certificates are noted.
    pub journal: Journal,
    /// Writes letters to those concerned by a change of access, where the operator wants that.
    pub notices: Option<Intake>,
    /// What searches share.
    pub search: SearchEngine,
    /// How to reach whoever runs the server, a URI (RFC 5464 `/shared/admin`).
    pub admin: Option<String>,
    /// Folders in memory, for every session that has them open.
    pub pictures: Pictures,
    /// Room for messages that are read ahead of slow clients.
    pub read_ahead: ReadAhead,
    /// Octets of one appended message (APPENDLIMIT).
    pub message_size_max: u64,
    /// Messages that one command may be about (MESSAGELIMIT).
    pub message_limit: Option<u32>,
    /// Messages that one COPY or APPEND may be about (SAVELIMIT): those of MESSAGELIMIT where there is one.
    pub save_limit: u32,
    /// Whether a password is taken; else a certificate only.
    pub passwords: bool,
    /// Whether clients may compress (RFC 4978).
    pub compress: bool,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Counters.
    pub metrics: ImapMetrics,
}

/// Time limits of a session.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a handshake.
    pub handshake: Duration,
    /// From the greeting to a login that succeeds.
    pub login: Duration,
    /// Silence after login, IDLE included; RFC 3501 §5.4 asks for 30 minutes at least.
    pub idle: Duration,
    /// For a client to take some of what is sent to it.
    pub write: Duration,
}

impl Imapd {
    /// Serves until `drain` is asked for and every session has ended.
    pub async fn serve(
        self,
        listener: TcpListener,
        connections_max: usize,
        per_address_max: usize,
        drain: Drain,
    ) {
        let implicit = self.tls.is_implicit();
        let refusal: &[u8] = if implicit { b"" } else { b"* BYE Too many connections; try again later\r\n" };
        let bounds = Bounds { connections_max, per_address_max, refusal };
        let shared = Arc::new(self);
        listener::serve(listener, bounds, drain, move |stream, peer, drain| {
            let shared = shared.clone();
            async move { session::run(shared, stream, peer, drain).await }
        })
        .await;
    }
}

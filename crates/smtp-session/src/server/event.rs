//! What a server session tells or asks the edge.

use super::ContentFault;
use mail_types::{AuthorizationIdentity, ForwardPath, MailParameters, RcptParameters, ReversePath, Secret};
use std::fmt;

/// The next thing that the edge must know or decide.
///
/// `Debug` shows the kind only: events carry addresses, passwords and mail.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// EHLO (`extended`) or HELO was accepted. For trace fields and logs; already answered.
    Hello {
        /// The name given: letters, digits, `-._[]:`, at most 255 octets. It proves nothing.
        name: String,
        /// EHLO.
        extended: bool,
    },
    /// STARTTLS was accepted and 220 queued: flush the output, discard nothing and read nothing, handshake, then
    /// [`tls_established`](super::Server::tls_established). A failed handshake ends the connection.
    StartTls,
    /// Credentials, by SASL PLAIN or LOGIN (then with no `authzid`). **Needs a reply**: 235 2.7.0, 535 5.7.8, 454 4.7.0…
    AuthPlain {
        /// Whom to act as; empty when not given.
        authzid: String,
        /// Who authenticates; not empty.
        authcid: String,
        /// Not empty.
        password: Secret<String>,
    },
    /// SASL EXTERNAL: the certificate that the client showed is the proof. **Needs a reply**, as the above.
    AuthExternal {
        /// Whom to act as; empty when the client leaves it to us.
        authzid: AuthorizationIdentity,
    },
    /// MAIL FROM, well formed and in order. **Needs a reply**: 250 2.1.0 opens a transaction.
    Mail {
        /// Who is told of failures.
        path: ReversePath,
        /// SIZE is within the bound, when given.
        parameters: MailParameters,
    },
    /// RCPT TO, well formed and in order. **Needs a reply**: 250 2.1.5 counts the recipient.
    Rcpt {
        /// The recipient.
        path: ForwardPath,
        /// RFC 3461 parameters, when offered.
        parameters: RcptParameters,
    },
    /// DATA, with a recipient accepted. **Needs a reply**: 354, or a refusal that leaves the transaction open.
    Data,
    /// Octets of the content, dots unstuffed, never empty. May end anywhere, inside a CRLF too.
    Content(Vec<u8>),
    /// The content ended. **Needs a reply**, negative when there is a fault. The transaction is over whatever the reply.
    EndOfContent {
        /// Why the content must not be accepted; what was given as content is then incomplete.
        fault: Option<ContentFault>,
    },
    /// RSET, EHLO or HELO abandoned the transaction. Already answered.
    Reset,
    /// QUIT; 221 is queued. Any transaction is abandoned.
    Quit,
}

impl Event {
    /// Whether the session waits for [`reply`](super::Server::reply).
    pub const fn needs_reply(&self) -> bool {
        match self {
            Self::AuthPlain { .. }
            | Self::AuthExternal { .. }
            | Self::Mail { .. }
            | Self::Rcpt { .. }
            | Self::Data
            | Self::EndOfContent { .. } => true,
            Self::Hello { .. } | Self::StartTls | Self::Content(_) | Self::Reset | Self::Quit => false,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello { .. } => "Hello",
            Self::StartTls => "StartTls",
            Self::AuthPlain { .. } => "AuthPlain",
            Self::AuthExternal { .. } => "AuthExternal",
            Self::Mail { .. } => "Mail",
            Self::Rcpt { .. } => "Rcpt",
            Self::Data => "Data",
            Self::Content(_) => "Content",
            Self::EndOfContent { .. } => "EndOfContent",
            Self::Reset => "Reset",
            Self::Quit => "Quit",
        })
    }
}

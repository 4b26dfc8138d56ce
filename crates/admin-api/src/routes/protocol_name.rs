//! The words of protocols, as the API has them.

use mail_types::Protocol;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A protocol by which a password lets in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProtocolName {
    /// IMAP.
    Imap,
    /// SMTP submission.
    Submission,
    /// This API.
    Rest,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Imap => Self::Imap,
            ProtocolName::Submission => Self::Submission,
            ProtocolName::Rest => Self::Rest,
        }
    }
}

impl From<Protocol> for ProtocolName {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Imap => Self::Imap,
            Protocol::Submission => Self::Submission,
            Protocol::Rest => Self::Rest,
        }
    }
}

//! The envelope of a mail transaction (RFC 5321 §3.3, §4.1.1.2–3; RFC 3461).

use crate::Address;

/// The argument of MAIL FROM: an address, or `<>` for notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: nobody is to be told of a failure.
    Null,
    /// Who is told of a failure.
    Address(Address),
}

impl ReversePath {
    /// The address, unless null.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }
}

impl std::fmt::Display for ReversePath {
    /// The wire form without angle brackets: empty for the null path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address().map_or(Ok(()), |address| address.fmt(f))
    }
}

/// The argument of RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain (RFC 5321 §4.1.1.3).
    Postmaster,
    /// An address.
    Address(Address),
}

/// RFC 6152 BODY parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKind {
    /// `7BIT`, the default.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
}

/// RFC 3461 §4.3 RET parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnRet {
    /// `FULL`: the whole message comes back.
    Full,
    /// `HDRS`: its header only.
    Hdrs,
}

/// Parameters of MAIL FROM that the server understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// RFC 1870 SIZE: octets announced.
    pub size: Option<u64>,
    /// RFC 6152 BODY.
    pub body: BodyKind,
    /// RFC 3461 RET.
    pub ret: Option<DsnRet>,
    /// RFC 3461 ENVID, still as xtext.
    pub envid: Option<String>,
}

/// RFC 3461 §4.1 NOTIFY parameter. All false means NEVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DsnNotify {
    /// Tell of success.
    pub success: bool,
    /// Tell of failure.
    pub failure: bool,
    /// Tell of delay.
    pub delay: bool,
}

/// Parameters of RCPT TO that the server understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// RFC 3461 NOTIFY; none means the default (failure and delay).
    pub notify: Option<DsnNotify>,
    /// RFC 3461 ORCPT, still as written (`rfc822;xtext`).
    pub orcpt: Option<String>,
}

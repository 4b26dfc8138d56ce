//! The Online Certificate Status Protocol (RFC 6960): what an authority says of one certificate now.
//!
//! It complements the revocation lists and never overrules them: a certificate that a list revokes never comes this far, and a doubt that a list leaves
//! stays. It is asked about the leaf; the lists speak of the whole path. It knows nothing of HTTP: requests leave through [`RevocationQuery`].

mod answer;
mod cache;
mod client;
mod query;
mod question;
mod responder;
mod standing;
mod staple;
#[cfg(test)]
mod tests;

pub use answer::OcspFault;
pub use client::{OcspClient, OcspOutcome, OcspRule};
pub use query::{OCSP_ANSWER_MAX, OCSP_TIME_MAX, RevocationAnswer, RevocationQuery};
pub(crate) use question::OcspQuestion;
pub use staple::{StapleError, refresh_staple};

//! The Online Certificate Status Protocol (RFC 6960): what an authority says of one certificate now.
//!
//! It complements the revocation lists and never overrules them: a certificate that a list revokes never comes this far. It knows nothing of
//! HTTP: requests leave through [`RevocationQuery`].

mod query;

pub use query::{OCSP_ANSWER_MAX, OCSP_TIME_MAX, RevocationAnswer, RevocationQuery};

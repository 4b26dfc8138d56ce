//! Every decision of the house: facts in, a verdict out.
//!
//! A verdict has three values, because a cause of ours must never become a permanent refusal: [`Verdict::Accept`], [`Verdict::Defer`],
//! [`Verdict::Reject`]. This crate does no I/O, reads no clock and writes nothing; facts are found by those who ask.
//!
//! Read first: [`Verdict`], [`TrustList`], [`sender`], [`author`], [`recipient`], [`next_hop`].
#![warn(missing_docs)]

mod author;
mod next_hop;
mod recipient;
mod routes;
mod sender;
mod trust_list;
mod verdict;
mod whitelist;
mod whitelist_diff;
mod whitelist_replacement;

pub use author::{AuthorFacts, AuthorRule, AuthorStanding, author};
pub use next_hop::{Dispatch, NextHopFacts, dispatch, next_hop};
pub use recipient::{RecipientFacts, recipient};
pub use routes::{Route, RouteHost, Routes};
pub use sender::{
    Delegated, MxSenderFacts, OriginatorFacts, SendAs, sender, submission_originators, submission_sender,
};
pub use trust_list::{Ages, CertificateMark, Departure, DomainStanding, Overlay, Standing, TrustList};
pub use verdict::{Reason, Verdict};
pub use whitelist::{Bearer, LineFault, WhiteList};
pub use whitelist_diff::WhiteListDiff;
pub use whitelist_replacement::{ReplacementFault, Shrunk, replacement};

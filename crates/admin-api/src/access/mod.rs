//! Who calls, and whether they may.

mod caller;
mod credentials;
mod examinations;
mod gate;
mod permission;

pub use caller::{Caller, Domains, Standing};
pub(crate) use examinations::Examinations;
pub(crate) use gate::{Peer, gate, language};
pub(crate) use permission::rule;
pub use permission::{Permission, RouteRule};

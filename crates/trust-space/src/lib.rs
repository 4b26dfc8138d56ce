//! The trust space, kept up to date: revocation lists and white list are fetched, checked, kept, and put in force.
//!
//! It decides about no message and knows no mail protocol. It knows no configuration file either: [`Settings`] say what it needs. What it keeps
//! lies in one folder, so that a restart without network has the last good lists: `crl/` (each list, and beside it where and when it was
//! fetched), `whitelist/` (the list in force and the one before), `status.json` (for commands).
//!
//! A list is believed by nobody because it is there: what is read from the folder is verified again as if it had just come.
//!
//! Read first: [`TrustSpace::open`], [`TrustSpace::run`], [`Status`].
#![warn(missing_docs)]

mod adoption;
mod alarms;
mod decisions;
mod examine;
mod files;
mod http;
mod lists;
mod metrics;
mod publish;
mod schedule;
mod settings;
mod snapshot;
mod sources;
mod space;
mod status;
mod sync;
mod white_list;

pub use adoption::WhiteListNews;
pub use examine::{Concern, Examination, Fault, examine, kept_white_list, read_white_list};
pub use http::{HttpClient, HttpSetupError};
pub use lists::{ListFetch, ListNews};
pub use metrics::TrustMetrics;
pub use settings::{ListSettings, Settings, WhiteListForm, WhiteListSettings, WhiteListSource};
pub use snapshot::{AnchorsError, ListFileFault};
pub use space::{OpenError, TrustSpace};
pub use status::{
    Alarm, AuthorityStatus, DepartureStatus, FileFaultStatus, ListStatus, RulingStatus, SourceStatus, Status,
    WhiteListStatus,
};
pub use white_list::{Kept, WhiteListFault};

//! The contract of the store: what it promises on SQLite, it promises on PostgreSQL.
//!
//! Each case runs on a fresh store of either engine. `VAGUEMESTRE_TEST_ENGINES` (`sqlite` or `postgres`) leaves the other engine out;
//! without it, a machine that has no PostgreSQL fails.
#![expect(clippy::unwrap_used, reason = "a case fails by panicking")]

mod accept;
mod acl;
mod administrators;
mod annotations;
mod append;
mod applications;
mod audit;
mod audit_search;
mod audit_verify;
mod bodies;
mod certificates;
mod copy;
mod delegations;
mod directory;
mod expunge;
mod extracts;
mod flags;
mod folder_reading;
mod folders;
mod fsck;
mod idempotency;
mod jobs;
mod keys;
mod mailbox_life;
mod mailbox_watch;
mod one_message;
mod passwords;
mod private_seen;
mod queue;
mod queue_held;
mod quotas;
mod reclaim;
mod s3;
mod schema;
mod statistics;
mod support;
mod told_changes;
mod trust;
mod vanished;
mod writer;

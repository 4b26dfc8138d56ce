//! Internet messages (RFC 5322, MIME): what is in one, where its parts lie, and the few that we write ourselves.
//!
//! A message is scanned once, as a stream, by [`structure::StructureScanner`]; the resulting [`structure::Structure`]
//! answers IMAP's ENVELOPE, BODYSTRUCTURE and every `BODY[section]` with byte ranges, so that a store need only unseal
//! the frames asked for. Nothing here changes a message but [`submission::complete_header`], and that only adds
//! Date and Message-ID and removes Bcc.
//!
//! This crate does no I/O and reads no clock. It knows no IMAP command, no SMTP dialogue, no storage.
//!
//! Everything is bounded and iterative: hostile input can make an answer poorer, never make it panic, recurse or
//! grow beyond the stated limits.
//!
//! Read first: [`structure::StructureScanner`], [`structure::Structure`], [`header::fields`].
//!
//! ```
//! use message::structure::{SectionKind, StructureScanner};
//!
//! let mut scanner = StructureScanner::new();
//! scanner.push(b"Subject: bonjour\r\n\r\nte");
//! scanner.push(b"xte\r\n");
//! let structure = scanner.finish();
//! assert_eq!(structure.section(&[1], SectionKind::Content), Some(20..27));
//! ```
#![warn(missing_docs)]

mod address_list;
mod body_decoder;
mod continuations;
mod encoded_word;
mod html;
mod html_names;
mod message_id;
mod mime_fields;
mod transfer;

pub mod date;
pub mod dsn;
pub mod extract;
pub mod header;
pub mod notice;
pub mod originator;
pub mod preview;
pub mod structure;
pub mod subject;
pub mod submission;
pub mod text;
pub mod trace;

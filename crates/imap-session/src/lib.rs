//! IMAP (RFC 3501 and extensions), without sockets: bytes in, commands out; facts in, response bytes out.
//!
//! ```text
//!  socket bytes ─▶ Decoder ─▶ Command ─▶ (the edge: rights, store) ─▶ response::* ─▶ socket bytes
//!                                            │
//!                        change log ─▶ view::View ─▶ EXISTS, EXPUNGE, FETCH FLAGS
//! ```
//!
//! Read first: [`decoder::Decoder`], [`command::CommandBody`], [`view::View`], [`response`].
//!
//! This crate knows no socket, clock, store, account or right. It decides what is grammatical, never what is permitted.
//! It bounds every line, literal, list and nesting, whoever sends them.
//!
//! ```
//! use imap_session::command::CommandBody;
//! use imap_session::decoder::{Decoder, Input, Limits};
//!
//! let mut decoder = Decoder::new(Limits::before_login());
//! decoder.handle_input(b"a1 NO");
//! assert!(decoder.poll().is_none());
//! decoder.handle_input(b"OP\r\n");
//! let Some(Input::Command(command)) = decoder.poll() else { panic!() };
//! assert_eq!((command.tag.as_str(), command.body), ("a1", CommandBody::Noop));
//! ```
//!
//! Standards: RFC 3501; RFC 7888 (LITERAL-, LITERAL+), 4959 (SASL-IR), 2971 (ID), 5161 (ENABLE), 6855 (UTF8=ACCEPT), 2177 (IDLE), 2342 (NAMESPACE),
//! 4315 (UIDPLUS), 6851 (MOVE), 3691 (UNSELECT), 6154 (SPECIAL-USE), 3348 (CHILDREN), 8438 (STATUS=SIZE), 3502 (MULTIAPPEND), 3516 (BINARY),
//! 4469 (CATENATE), 8508 (REPLACE), 8437 (UNAUTHENTICATE), 7889 (APPENDLIMIT), 4731 (ESEARCH), 5182 (SEARCHRES), 5032 (WITHIN), 7162 (CONDSTORE,
//! QRESYNC), 8514 (SAVEDATE), 9208 (QUOTA), 5256 (SORT, THREAD), 5957 (SORT=DISPLAY), 5267 (ESORT). Parsed ahead of being offered: parts of RFC 5258 (LIST-EXTENDED), 5819 (LIST-STATUS).
#![warn(missing_docs)]

pub mod capability;
pub mod charset;
pub mod command;
pub mod decoder;
pub mod mutf7;
pub mod namespace;
pub mod pattern;
pub mod picture;
pub mod response;
pub mod sasl;
pub mod sequence;
pub mod thread;
pub mod url;
pub mod view;

mod parser;

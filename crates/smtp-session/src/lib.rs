//! SMTP (RFC 5321) as state machines: bytes in, events and bytes out, for both ends of a connection.
//!
//! It never opens a socket, reads a clock, decides who may send to whom or stores a message. Grammar, order of
//! commands and bounds live here; decisions are *asked* of the edge by events and *answered* by replies.
//!
//! ```text
//!   wire ──handle_input──► Server ──poll_event──► edge (policy, intake)
//!   wire ◄────output────── Server ◄────reply───── edge
//! ```
//!
//! Read first: [`Server`] and [`Event`]; for the sending side [`client::Transaction`].
//!
//! Standards: RFC 5321, 1870 (SIZE), 2034 (enhanced codes), 2920 (PIPELINING), 3207 (STARTTLS), 3461 (DSN),
//! 4616 (PLAIN), 4954 (AUTH), 6152 (8BITMIME). Not offered: CHUNKING, SMTPUTF8.
//!
//! ```
//! use smtp_session::{Event, Server, ServerOptions, Service, TlsState};
//!
//! let mut server = Server::new(ServerOptions {
//!     hostname: "mx.chu.example".into(),
//!     service: Service::Mx,
//!     passwords: true,
//!     tls: TlsState::Clear { starttls_offered: true },
//!     max_message_size: 10_000_000,
//!     max_recipients: 100,
//!     dsn: false,
//! });
//! server.handle_input(b"EHLO a.example\r\nSTARTTLS\r\n");
//! assert!(matches!(server.poll_event(), Some(Event::Hello { extended: true, .. })));
//! assert!(matches!(server.poll_event(), Some(Event::StartTls)));
//! assert!(server.output().ends_with(b"220 2.0.0 Ready to start TLS\r\n"));
//! ```
#![warn(missing_docs)]

pub mod client;
mod server;

pub use server::{ContentFault, Event, Server, ServerOptions, Service, TlsState};

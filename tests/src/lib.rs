//! The harness of the scenarios: the real program as a black box, and peers that speak to it on the wire.
//!
//! A scenario starts [`Demo`] (two operators) or [`Operator`] (one, set up by hand), opens [`Wire`] (SMTP) and [`Imap`] connections, and
//! becomes a third operator with a [`Certificate`] of the demo's authority and a [`FakeServer`] that follows a script. Every wait has a
//! deadline; a wait that fails panics with what it waited for, and with the dialogue so far. Nothing here knows the program's insides, except
//! that a reload ends with a line in the log.
#![warn(missing_docs)]

mod api;
mod authority;
mod demo;
mod disk;
mod door;
mod engine;
mod fake_clock;
mod fake_dns;
mod fake_server;
mod https;
mod https_door;
mod imap;
mod letter;
mod load;
mod national_list;
mod ocsp_responder;
mod openssl;
mod openssl_client;
mod openssl_server;
mod operator;
mod own_thread;
mod postgres;
mod process;
mod tls;
mod trouble;
mod trust_world;
mod wait;
mod web;
mod wire;

pub use api::{Answer, Api};
pub use authority::{Certificate, now};
pub use demo::{Application, Demo, Description, Mailbox, Site};
pub use disk::Disk;
pub use door::{Cut, Door};
pub use engine::Engine;
pub use fake_clock::FakeClock;
pub use fake_dns::{FakeDns, Name};
pub use fake_server::{FakeServer, Goodbye, Received, Script};
pub use https::get;
pub use https_door::{HttpsDoor, Lost, Passed};
pub use imap::{Imap, Response};
pub use letter::{Letter, without_trace};
pub use load::{Heard, Load, Route, noise_letter};
pub use national_list::{ListEntry, ListSigner, NationalList, SignerProfile};
pub use ocsp_responder::{Answering, OcspResponder};
pub use openssl::{LeafPlan, OpensslAuthority, openssl, self_signed};
pub use openssl_client::{OpensslClient, alert};
pub use openssl_server::{OpensslServers, ServerPlan, ServerSight};
pub use operator::{Operator, free_port};
pub use postgres::{Postgres, Session};
pub use process::{Finished, Process, finish, program, run, run_with_input};
pub use tls::ClientTls;
pub use trouble::{PATIENCE, Scene, outage};
pub use trust_world::TrustWorld;
pub use wait::{DEADLINE, until, within};
pub use web::{Asked, Page, WebServer};
pub use wire::{Reply, Wire};

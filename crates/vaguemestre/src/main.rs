//! `vaguemestre`: one program that lets an organisation be an operator of a secure health mail network.
//!
//! This crate reads the command line, builds each part of the house once, hands them to one another, and listens to signals. It decides
//! nothing and stores nothing itself.

mod allowance;
mod api;
mod audit;
mod bodies;
mod cli;
mod conformance;
mod demo;
mod identity;
mod inventory;
mod life_cycle;
mod log;
mod login;
mod notices;
mod ocsp;
mod operator;
mod presented;
mod routes;
mod server_tls;
mod trust;
mod trust_gauges;
mod watch;

use clap::Parser;
use std::process::ExitCode;

/// The system's allocator keeps what a burst freed (19 MiB for each password that was checked at the same time) in its arenas for good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    without_huge_pages();
    let arguments = cli::Arguments::parse();
    log::begin(arguments.log_level());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vaguemestre: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(cli::run(arguments))
}

/// The allocator asks for pages of 2 MiB, of which each thread touches a few KiB: they took 17 MiB at rest, and half the time of a short command
/// went into clearing them. A system that refuses only keeps them.
fn without_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

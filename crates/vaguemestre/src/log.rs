//! Logs: text on a terminal, JSON lines otherwise, always on standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Begins logging at `level` (`error`, `warn`, `info`, `debug`, `trace`), or by a filter such as `smtpd=debug,info`.
pub(crate) fn begin(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    // The drivers log statements and name servers of their own accord; neither is for an operator's log.
    let filter = ["sqlx=warn", "hickory_resolver=warn", "hickory_net=warn", "rustls=warn", "hyper=warn"]
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}

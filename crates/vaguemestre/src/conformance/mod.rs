//! The auditing operator: plays the audit cases of the national test tool, and more, against a running server, and reports.
//!
//! It stands where a foreign operator stands and knows nothing of the server but its address and what is said on the wire. Each case is an audit
//! domain with a certificate that is as the case says: with it the auditor connects to the server's MX (inbound), and behind it listens an MX that
//! the server is made to deliver to (outbound).

mod case;
mod check;
mod dialogue;
mod hello;
mod inbound;
mod outbound;
mod pack;
mod prepare;
mod report;
mod server;

pub(crate) use inbound::Target;
pub(crate) use outbound::Submission;
pub(crate) use pack::Pack;
pub(crate) use prepare::{Network, Plan, prepare};
pub(crate) use report::Report;

/// Plays everything; what asks for a submission account is left out without one.
pub(crate) async fn play(
    pack: &Pack,
    target: &Target,
    submission: Option<&Submission>,
) -> anyhow::Result<Report> {
    let mut findings = inbound::play(pack, target).await;
    match submission {
        Some(submission) => findings.extend(outbound::play(pack, submission).await?),
        None => findings.extend(outbound::left_out()),
    }
    Ok(Report { findings })
}

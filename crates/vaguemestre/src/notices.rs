//! Letters that nobody's act asks for: access that ends soon, mailboxes and domains that fill up.

use admin_api::Gauge;
use arc_swap::ArcSwap;
use config::Config;
use intake::Intake;
use listener::Drain;
use mail_types::{ActorId, Address, MailboxId};
use message::notice::{Access, Event};
use policy::TrustList;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Error, FilledDomain, FilledMailbox, Store};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at what fills up: one scan of the mailboxes each time, beside the writer.
const FILL: Duration = Duration::from_secs(15);
/// Between two looks at what ends.
const ENDS: Duration = Duration::from_secs(600);
/// How long before its end access is told of.
const AHEAD_MS: i64 = 7 * 86_400_000;

/// The door by which those concerned are told of what a command does, beside a running server or without one.
pub(crate) fn door(config: &Config, store: &Store, hostname: &str) -> anyhow::Result<Option<Intake>> {
    if !config.notices.enabled {
        return Ok(None);
    }
    let settings = crate::operator::intake_settings(config, hostname)?;
    // Nothing enters here but the operator's own letters to its own mailboxes: no other operator is judged.
    Ok(Some(Intake::new(store.clone(), settings, Arc::new(ArcSwap::from_pointee(TrustList::default())))))
}

/// How many mailboxes are past each threshold of their quota, as it was counted last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fills(Arc<[AtomicU64; 2]>);

impl Fills {
    /// For `/metrics`.
    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |percent: &str, value: &AtomicU64| Gauge {
            name: "mailboxes_past_quota_threshold",
            help: "Mailboxes in service whose content is past this share of their quota.",
            labels: vec![("percent", percent.to_owned())],
            value: value.load(Ordering::Relaxed) as f64,
        };
        vec![gauge("80", &self.0[0]), gauge("95", &self.0[1])]
    }
}

/// Looks at what there is to tell until `drain` is asked for. Without a door nobody is told, and what fills up is counted.
pub(crate) async fn watch(store: Store, door: Option<Intake>, fills: Fills, mut drain: Drain) {
    let (mut fill, mut ends) = (interval(FILL), interval(ENDS));
    fill.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let told = tokio::select! {
            () = drain.asked() => return,
            _ = fill.tick() => tell_of_fill(&store, door.as_ref(), &fills).await,
            _ = ends.tick() => tell_of_ends(&store, door.as_ref()).await,
        };
        if let Err(error) = told {
            tracing::warn!(%error, "letters to those concerned could not be written; trying again");
        }
    }
}

async fn tell_of_fill(store: &Store, door: Option<&Intake>, fills: &Fills) -> Result<(), Error> {
    let fill = store.fill().await?;
    fills.0[0].store(fill.past_80, Ordering::Relaxed);
    fills.0[1].store(fill.past_95, Ordering::Relaxed);
    let Some(door) = door else { return Ok(()) };
    for filled in store.filled_mailboxes().await? {
        unless_told(filled.mailbox, tell_of_filled(store, door, &filled).await);
    }
    for filled in store.filled_domains().await? {
        unless_told(&filled.name, tell_of_filled_domain(store, door, &filled).await);
    }
    Ok(())
}

/// One of whom nobody could be told does not keep the others waiting; the next look tries again.
fn unless_told(of: impl std::fmt::Display, told: Result<(), Error>) {
    if let Err(error) = told {
        tracing::warn!(%of, %error, "a letter to those concerned could not be written; trying again");
    }
}

async fn tell_of_filled(store: &Store, door: &Intake, filled: &FilledMailbox) -> Result<(), Error> {
    let event = Event::NearlyFull {
        mailbox: &filled.address,
        percent: filled.percent,
        used_bytes: filled.used_bytes,
        quota_bytes: filled.quota_bytes,
    };
    let letters = door.notices(std::slice::from_ref(&filled.address), &event).await?;
    store.warn_mailbox(filled.mailbox, filled.percent, letters).await?;
    Ok(())
}

async fn tell_of_filled_domain(store: &Store, door: &Intake, filled: &FilledDomain) -> Result<(), Error> {
    let own: Option<Address> = format!("postmaster@{}", filled.name).parse().ok();
    let mut to = Vec::new();
    for address in own.iter().chain(door.postmaster()) {
        if to.is_empty() && store.recipient(address).await?.is_some() {
            to.push(address.clone());
        }
    }
    let event = Event::DomainNearlyFull {
        domain: &filled.name,
        percent: filled.percent,
        used_bytes: filled.used_bytes,
        allocation_bytes: filled.allocation_bytes,
    };
    tracing::warn!(domain = %filled.name, percent = filled.percent, "the mailboxes of a domain fill its allocation");
    let letters = door.notices(&to, &event).await?;
    store.warn_domain(filled.domain, i64::from(filled.percent), filled.percent, letters).await?;
    Ok(())
}

async fn tell_of_ends(store: &Store, door: Option<&Intake>) -> Result<(), Error> {
    let Some(door) = door else { return Ok(()) };
    for (mailbox, actor) in store.ending_grants(store.now().plus_millis(AHEAD_MS)).await? {
        unless_told(mailbox, tell_of_ending(store, door, mailbox, actor).await);
    }
    Ok(())
}

async fn tell_of_ending(
    store: &Store,
    door: &Intake,
    mailbox: MailboxId,
    actor: ActorId,
) -> Result<(), Error> {
    let mut letters = Vec::new();
    if let Some(row) = store.delegation(mailbox, actor).await?
        && let Ok(address) = row.address.parse()
    {
        let grantee = row.grantee.name();
        let access = Access { mailbox: &address, grantee: &grantee, role: row.role, until: row.expires_at };
        let to = store.concerned(mailbox, Some(actor)).await?;
        letters = door.notices(&to, &Event::Ending(access)).await?;
    }
    store.tell_of_end(mailbox, actor, letters).await?;
    Ok(())
}

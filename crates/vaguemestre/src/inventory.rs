//! The certificate inventory while the server runs: our own certificates are entered, and whatever expires soon is told.

use crate::identity::Identities;
use admin_api::Gauge;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use listener::Drain;
use mail_types::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{CertificateExpiry, CertificateHolder, Store};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at the inventory.
const EVERY: Duration = Duration::from_secs(60);
const DAY_MS: i64 = 86_400_000;

/// When the certificates of the inventory expire, as they were when it was looked at last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiries(Arc<ArcSwap<Vec<CertificateExpiry>>>);

impl Expiries {
    /// Looks at the inventory.
    pub(crate) async fn read(&self, store: &Store) -> Result<(), store::Error> {
        self.0.store(Arc::new(store.certificate_expiries().await?));
        Ok(())
    }

    /// One value for each certificate.
    pub(crate) fn gauges(&self, now: Timestamp) -> Vec<Gauge> {
        let gauge = |expiry: &CertificateExpiry| Gauge {
            name: "certificate_expiry_seconds",
            help: "Time until a certificate of the inventory expires",
            labels: vec![
                ("certificate", expiry.fingerprint.short()),
                ("holder", expiry.holder.as_str().to_owned()),
                ("usage", expiry.usage.as_str().to_owned()),
            ],
            value: (expiry.not_after.0 - now.0) as f64 / 1000.0,
        };
        self.0.load().iter().map(gauge).collect()
    }
}

/// Enters what we present. What it renews is withdrawn: a certificate of ours with the same subject and use that does not last longer.
pub(crate) async fn enter(store: &Store, identities: &Identities) -> Result<()> {
    for identity in identities.each() {
        let facts = identity.facts()?;
        let entered = store.add_certificate(CertificateHolder::Own, facts.clone()).await?;
        let (id, is_new) = entered.context("our certificate is not in the inventory")?;
        if !is_new {
            continue;
        }
        for row in store.certificates(false).await? {
            let is_renewed = row.id != id
                && row.holder == CertificateHolder::Own
                && (&row.facts.subject, row.facts.usage) == (&facts.subject, facts.usage)
                && row.facts.not_after <= facts.not_after;
            if is_renewed {
                store.withdraw_certificate(row.id, false).await??;
            }
        }
    }
    Ok(())
}

/// Withdraws what we presented until a replacement, and present no more.
pub(crate) async fn leave(store: &Store, former: &Identities, now: &Identities) -> Result<()> {
    let fingerprints = |identities: &Identities| -> Result<Vec<_>> {
        identities.each().map(|identity| Ok(identity.facts()?.fingerprint)).collect()
    };
    let (former, now) = (fingerprints(former)?, fingerprints(now)?);
    for row in store.certificates(false).await? {
        let fingerprint = row.facts.fingerprint;
        if former.contains(&fingerprint) && !now.contains(&fingerprint) {
            store.withdraw_certificate(row.id, false).await??;
        }
    }
    Ok(())
}

/// Looks at the inventory now and then, until `drain` is asked for.
pub(crate) async fn watch(store: Store, expiries: Expiries, mut drain: Drain) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = HashMap::new();
    loop {
        tokio::select! {
            () = drain.asked() => return,
            _ = every.tick() => {}
        }
        match expiries.read(&store).await {
            Ok(()) => expiries.0.load().iter().for_each(|expiry| tell(expiry, store.now(), &mut told)),
            Err(error) => tracing::warn!(%error, "the certificate inventory cannot be read; trying again"),
        }
    }
}

/// How soon a certificate expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Alarm {
    Within90Days,
    Within30Days,
    Expired,
}

impl Alarm {
    fn of(expiry: &CertificateExpiry, now: Timestamp) -> Option<Self> {
        match expiry.not_after.0 - now.0 {
            left if left < 0 => Some(Self::Expired),
            left if left <= 30 * DAY_MS => Some(Self::Within30Days),
            left if left <= 90 * DAY_MS => Some(Self::Within90Days),
            _ => None,
        }
    }
}

/// Once a day for each certificate and alarm.
fn tell(expiry: &CertificateExpiry, now: Timestamp, told: &mut HashMap<(i64, Alarm), Timestamp>) {
    let Some(alarm) = Alarm::of(expiry, now) else { return };
    let last = told.get(&(expiry.id, alarm));
    if last.is_some_and(|last| now.0 - last.0 < DAY_MS) {
        return;
    }
    told.insert((expiry.id, alarm), now);
    let (id, certificate) = (expiry.id, expiry.fingerprint.short());
    let (holder, usage) = (expiry.holder.as_str(), expiry.usage.as_str());
    let days = (expiry.not_after.0 - now.0).div_euclid(DAY_MS);
    match alarm {
        Alarm::Within90Days => tracing::warn!(
            id,
            certificate,
            holder,
            usage,
            days,
            "a certificate expires within 90 days: ask for its renewal (`certificate request`)"
        ),
        Alarm::Within30Days => tracing::error!(
            id,
            certificate,
            holder,
            usage,
            days,
            "a certificate expires within 30 days: renew it now (`certificate request`), or `certificate withdraw` it when it is used no more"
        ),
        Alarm::Expired => tracing::error!(
            id,
            certificate,
            holder,
            usage,
            days,
            "a certificate has expired: replace it, or `certificate withdraw` it when it is used no more"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{CertificateUsage, Fingerprint};

    const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

    fn expiry(days: i64) -> CertificateExpiry {
        CertificateExpiry {
            id: 7,
            holder: CertificateHolder::Own,
            usage: CertificateUsage::ServSsl,
            fingerprint: Fingerprint([0xab; 32]),
            not_after: NOW.plus_millis(days * DAY_MS),
        }
    }

    #[test]
    fn alarms_begin_at_90_and_at_30_days() {
        for (days, alarm) in [
            (91, None),
            (90, Some(Alarm::Within90Days)),
            (31, Some(Alarm::Within90Days)),
            (30, Some(Alarm::Within30Days)),
            (0, Some(Alarm::Within30Days)),
            (-1, Some(Alarm::Expired)),
        ] {
            assert_eq!(Alarm::of(&expiry(days), NOW), alarm, "{days}");
        }
    }

    #[test]
    fn an_alarm_is_told_once_a_day() {
        let (mut told, expiry) = (HashMap::new(), expiry(20));
        let mut at = |hours: i64| {
            tell(&expiry, NOW.plus_secs(hours * 3_600), &mut told);
            told[&(7, Alarm::Within30Days)]
        };
        assert_eq!((at(0), at(23)), (NOW, NOW));
        assert_eq!(at(24), NOW.plus_secs(86_400));
    }

    #[test]
    fn a_gauge_names_the_certificate_its_holder_and_its_use() {
        let expiries = Expiries::default();
        expiries.0.store(Arc::new(vec![expiry(1)]));
        let gauge = expiries.gauges(NOW).remove(0);
        assert_eq!(gauge.value, 86_400.0);
        let labels: Vec<String> =
            gauge.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(labels, ["certificate=abababababababab", "holder=own", "usage=SERV_SSL"]);
    }
}

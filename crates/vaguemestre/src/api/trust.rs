//! The trust space for the API: the one of this server, or what a command finds beside a running one.

use crate::identity::Identities;
use admin_api::trust::{
    Alarm, Authority, Crl, CrlFileFault, CrlSource, CrlState, Departure, ListSync, TrustState,
    WhiteListState, WhiteListSync,
};
use admin_api::{Answering, Comparison, InForce, Unable, instant};
use config::Config;
use mail_types::Timestamp;
use pki::PeerClientTls;
use policy::WhiteListDiff;
use std::path::Path;
use std::sync::Arc;
use store::Store;
use tokio::sync::OnceCell;
use trust_space::{
    HttpClient, Kept, ListFetch, ListNews, Status, TrustMetrics, TrustSpace, WhiteListFault, WhiteListNews,
};

/// The trust space of a running server.
pub(super) struct Serving {
    pub(super) space: TrustSpace,
    pub(super) http: HttpClient,
}

/// What a command sees: opened when something is asked, and written so that a running server notices.
pub(super) struct Beside {
    config: Config,
    store: Store,
    opened: OnceCell<Serving>,
}

impl Beside {
    pub(super) fn new(config: Config, store: Store) -> Self {
        Self { config, store, opened: OnceCell::new() }
    }

    async fn opened(&self) -> Result<&Serving, Unable> {
        self.opened.get_or_try_init(|| self.open()).await.map_err(|error| Unable(format!("{error:#}")))
    }

    async fn open(&self) -> anyhow::Result<Serving> {
        let settings = crate::trust::settings(&self.config);
        let space = TrustSpace::look(settings, self.store.clone(), TrustMetrics::default()).await?;
        let identities = Identities::load(&self.config.tls)?;
        space.note_own_list_points(identities.list_points());
        let settings = crate::server_tls::settings(&self.config.tls)?;
        let peer = PeerClientTls::new(identities.client, space.pki.clone()).with_settings(settings);
        Ok(Serving { http: crate::trust::http_client(&peer)?, space })
    }

    fn is_served(&self) -> bool {
        crate::operator::is_served(&self.config.store.data_dir)
    }
}

impl admin_api::TrustSpace for Serving {
    fn in_force(&self) -> Answering<'_, Result<InForce, Unable>> {
        Box::pin(async { Ok(in_force(&self.space)) })
    }

    fn state(&self) -> Answering<'_, Result<TrustState, Unable>> {
        Box::pin(async { Ok(state(&self.space.status())) })
    }

    fn sync_lists(&self) -> Answering<'_, Result<Vec<ListSync>, Unable>> {
        Box::pin(async {
            let fetched = self.space.sync_lists(&self.http).await;
            self.space.publish(true);
            Ok(fetched.into_iter().map(list_sync).collect())
        })
    }

    fn sync_white_list(&self, is_confirmed: bool) -> Answering<'_, Result<WhiteListSync, Unable>> {
        Box::pin(async move {
            let outcome = self.space.sync_white_list(&self.http, is_confirmed).await;
            self.space.publish(true);
            Ok(white_list_sync(outcome))
        })
    }

    fn compare_white_lists(&self) -> Answering<'_, Result<Option<Comparison>, Unable>> {
        Box::pin(async { compare(self.space.configured()).await })
    }
}

impl admin_api::TrustSpace for Beside {
    fn in_force(&self) -> Answering<'_, Result<InForce, Unable>> {
        Box::pin(async { Ok(in_force(&self.opened().await?.space)) })
    }

    fn state(&self) -> Answering<'_, Result<TrustState, Unable>> {
        Box::pin(async {
            let folder = crate::trust::settings(&self.config).folder;
            match Status::kept(&folder).filter(|_| self.is_served()) {
                Some(status) => Ok(state(&status)),
                None => Ok(state(&self.opened().await?.space.status())),
            }
        })
    }

    fn sync_lists(&self) -> Answering<'_, Result<Vec<ListSync>, Unable>> {
        Box::pin(async {
            let Serving { space, http } = self.opened().await?;
            let fetched = space.sync_lists(http).await;
            // The server keeps its own status; what was kept here it notices within seconds.
            space.publish(!self.is_served());
            Ok(fetched.into_iter().map(list_sync).collect())
        })
    }

    fn sync_white_list(&self, is_confirmed: bool) -> Answering<'_, Result<WhiteListSync, Unable>> {
        Box::pin(async move {
            let Serving { space, http } = self.opened().await?;
            let outcome = space.sync_white_list(http, is_confirmed).await;
            space.publish(!self.is_served());
            Ok(white_list_sync(outcome))
        })
    }

    fn compare_white_lists(&self) -> Answering<'_, Result<Option<Comparison>, Unable>> {
        Box::pin(compare(Arc::new(crate::trust::settings(&self.config))))
    }
}

/// What a trust space has in force now.
pub(crate) fn in_force(space: &TrustSpace) -> InForce {
    InForce { pki: space.pki.load(), list: space.list.load_full() }
}

/// Reads two kept lists again, as they were judged when they were taken.
async fn compare(settings: Arc<trust_space::Settings>) -> Result<Option<Comparison>, Unable> {
    let compared = tokio::task::spawn_blocking(move || {
        let kept = |which| trust_space::kept_white_list(&settings, which);
        let is_waiting = kept(Kept::Offered).exists();
        let (from, to) = if is_waiting {
            (kept(Kept::Current), kept(Kept::Offered))
        } else {
            (kept(Kept::Previous), kept(Kept::Current))
        };
        if !from.exists() {
            return Ok(None);
        }
        let now = store::Clock::system().now();
        let read = |path: &Path| trust_space::read_white_list(&settings, path, now);
        let diff = WhiteListDiff::between(&read(&from)?, &read(&to)?);
        Ok::<_, WhiteListFault>(Some(Comparison { diff, is_waiting }))
    });
    match compared.await {
        Ok(compared) => compared.map_err(|fault| Unable(fault.to_string())),
        Err(error) => Err(Unable(error.to_string())),
    }
}

fn at(ms: i64) -> String {
    instant(Timestamp(ms))
}

fn state(status: &Status) -> TrustState {
    let list = &status.white_list;
    TrustState {
        at: at(status.at_ms),
        authorities: status
            .authorities
            .iter()
            .map(|authority| Authority {
                subject: authority.subject.clone(),
                is_anchor: authority.is_anchor,
                valid_until: at(authority.not_after_ms),
            })
            .collect(),
        crls: crls(status),
        whitelist: WhiteListState {
            source: list.source.clone(),
            format: list.format.clone(),
            is_in_force: list.is_in_force,
            standing: list.standing.clone(),
            generated_at: list.generated_at_ms.map(at),
            adopted_at: list.adopted_at_ms.map(at),
            confirmed_at: list.confirmed_at_ms.map(at),
            age_seconds: list.confirmed_at_ms.map(|ms| (status.at_ms - ms) / 1000),
            sha256: list.sha256.clone(),
            domains: list.domains,
            pairs: list.pairs,
            certificates: list.certificates,
            left_out: list.left_out,
            next_fetch_at: list.next_fetch_at_ms.map(at),
            failures: list.failures,
            last_error_code: list.last_error_label.clone(),
            last_error: list.last_error.clone(),
            last_error_at: list.last_error_at_ms.map(at),
        },
        departures: status
            .departures
            .iter()
            .map(|departure| Departure {
                domain: departure.domain.clone(),
                standing: departure.standing.clone(),
                first_absent_at: at(departure.first_absent_at_ms),
                latest_absent_at: at(departure.latest_absent_at_ms),
                is_given_up: departure.is_given_up,
            })
            .collect(),
        alarms: status
            .alarms
            .iter()
            .map(|alarm| Alarm {
                kind: alarm.kind.clone(),
                about: alarm.about.clone(),
                text: alarm.text.clone(),
            })
            .collect(),
    }
}

fn crls(status: &Status) -> CrlState {
    CrlState {
        lists: status
            .lists
            .iter()
            .map(|list| Crl {
                issuer: list.issuer.clone(),
                issuer_name: list.issuer_cn.clone(),
                number: list.number.clone(),
                this_update: at(list.this_update_ms),
                next_update: list.next_update_ms.map(at),
                entries: list.entries,
                standing: list.standing.clone(),
            })
            .collect(),
        sources: status
            .sources
            .iter()
            .map(|source| CrlSource {
                url: source.url.clone(),
                origin: source.origin.clone(),
                issuer: source.issuer.clone(),
                number: source.number.clone(),
                fetched_at: source.fetched_at_ms.map(at),
                next_fetch_at: at(source.next_fetch_at_ms),
                failures: source.failures,
                last_error: source.last_error.clone(),
                last_error_at: source.last_error_at_ms.map(at),
            })
            .collect(),
        file_faults: status
            .file_faults
            .iter()
            .map(|fault| CrlFileFault { file: fault.file.display().to_string(), cause: fault.cause.clone() })
            .collect(),
    }
}

fn list_sync(fetch: ListFetch) -> ListSync {
    let sync = ListSync {
        url: fetch.url,
        outcome: "unchanged",
        issuer: None,
        number: None,
        entries: None,
        error: None,
    };
    match fetch.outcome {
        Ok(ListNews::Unchanged) => sync,
        Ok(ListNews::Taken(facts)) => ListSync {
            outcome: "taken",
            issuer: Some(facts.issuer.to_string()),
            number: facts.number.as_ref().map(ToString::to_string),
            entries: Some(facts.entries),
            ..sync
        },
        Err(cause) => ListSync { outcome: "failed", error: Some(cause), ..sync },
    }
}

fn white_list_sync(outcome: Result<WhiteListNews, WhiteListFault>) -> WhiteListSync {
    let sync = WhiteListSync {
        outcome: "confirmed",
        domains: None,
        domains_added: None,
        domains_removed: None,
        code: None,
        error: None,
    };
    match outcome {
        Ok(WhiteListNews::Confirmed) => sync,
        Ok(WhiteListNews::Adopted { domains, diff }) => WhiteListSync {
            outcome: "adopted",
            domains: Some(domains),
            domains_added: diff.as_ref().map(|diff| diff.domains_added.len()),
            domains_removed: diff.as_ref().map(|diff| diff.domains_removed.len()),
            ..sync
        },
        Err(fault) => WhiteListSync {
            outcome: "failed",
            code: Some(fault.label().to_owned()),
            error: Some(fault.to_string()),
            ..sync
        },
    }
}

//! Putting white lists in force, whoever brings them: a fetch, a file, a command beside us, a restart.

use crate::files::{self, Mark};
use crate::http::{Answer, HttpClient, Validators};
use crate::schedule;
use crate::settings::{WhiteListForm, WhiteListSettings, WhiteListSource};
use crate::space::{TrustSpace, blocking};
use crate::white_list::{self, InForce, Kept, WhiteListFault};
use ::white_list::Occasion;
use mail_types::Timestamp;
use policy::{ReplacementFault, WhiteList, WhiteListDiff};
use std::sync::Arc;
use store::Adoption;

/// A confirmation is written down when the one before is so old.
const CONFIRMATION_SECS: i64 = 60;
/// Octets of a diff in the log.
const DOMAINS_LOGGED_MAX: usize = 50;

/// What is known of the white list beside its content.
#[derive(Debug, Default)]
pub(crate) struct WhiteListState {
    pub(crate) in_force: Option<InForce>,
    /// The list of another source that was in force until a reload: a domain that the new source lacks left all the same.
    of_other_source: Option<Arc<WhiteList>>,
    pub(crate) failures: u32,
    pub(crate) last_error: Option<LastError>,
    pub(crate) next_at: Option<Timestamp>,
    source_mark: Option<Mark>,
    kept_mark: Option<Mark>,
}

/// Why the latest list was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastError {
    pub(crate) at: Timestamp,
    pub(crate) label: &'static str,
    pub(crate) text: String,
    hangs_on_lists: bool,
}

/// What came of a list that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhiteListNews {
    /// It is the one in force.
    Confirmed,
    /// It is now in force, with what changed. The first list has no diff.
    Adopted {
        /// Domains in it.
        domains: usize,
        /// What changed.
        diff: Option<WhiteListDiff>,
    },
}

/// A list on its way.
struct Offer {
    bytes: Vec<u8>,
    validators: Validators,
    is_confirmed: bool,
}

impl TrustSpace {
    /// Puts the kept list of the configured source in force, from nothing.
    pub(crate) async fn begin_white_list(&self) {
        {
            let known = &mut self.state().white_list;
            let former = known.in_force.take().map(|list| list.list).or(known.of_other_source.take());
            *known = WhiteListState { of_other_source: former, ..WhiteListState::default() };
        }
        self.change_list(|list| list.white_list = None);
        match &self.settings().white_list {
            None => tracing::error!(
                "no white list is configured: mail from and to other operators is deferred; set [trust] whitelist_url or whitelist_file"
            ),
            Some(_) => self.look_at_kept_white_list().await,
        }
    }

    /// Loads the kept list when it changed: a command beside us adopted or confirmed it.
    pub(crate) async fn look_at_kept_white_list(&self) {
        let Some(configured) = self.settings().white_list.clone() else { return };
        let folder = self.settings().folder.clone();
        let mark = files::mark(&white_list::about_path(&Kept::Current.path(&folder)));
        if mark.is_none() || self.state().white_list.kept_mark == mark {
            return;
        }
        let _one = self.inner.adopting.lock().await;
        let signers = self.signers();
        let loaded = blocking(move || white_list::load(&folder, &configured, &signers)).await;
        self.state().white_list.kept_mark = mark;
        match loaded {
            None => {}
            Some(Ok(in_force)) => {
                // Which domains left comes first, here too; a store that does not answer leaves the list for the next look.
                if let Err(error) = self.read_decisions().await {
                    tracing::error!(%error, "a white list that was kept is not taken yet: which domains left cannot be read");
                    self.state().white_list.kept_mark = None;
                    return;
                }
                self.put_white_list_in_force(in_force);
            }
            Some(Err(fault)) => {
                tracing::error!(%fault, "the white list that was kept is not taken; its source is asked");
                self.white_list_failed(&WhiteListFault::List(fault));
            }
        }
    }

    /// Offers the configured file when it changed, or anyhow.
    pub(crate) async fn look_at_white_list_file(&self, anyhow: bool) {
        let Some(configured) = self.settings().white_list.clone() else { return };
        let WhiteListSource::File(path) = &configured.source else { return };
        let mark = files::mark(path);
        if !anyhow && mark == self.state().white_list.source_mark {
            if mark.is_some() && configured.form == WhiteListForm::Pairs {
                self.confirm_as_read(&configured).await;
            }
            return;
        }
        self.state().white_list.source_mark = mark;
        // The outcome is in the log and in the status.
        let _ = self.offer_file(&configured, false).await;
    }

    /// The file of pairs is there, as it was read: it says today what it said then.
    async fn confirm_as_read(&self, configured: &WhiteListSettings) {
        let (due, is_well) = {
            let state = self.state();
            let confirmed_at = state.white_list.in_force.as_ref().map(|list| list.about.confirmed_at_ms);
            let due = confirmed_at.is_some_and(|at| self.now().0 - at >= CONFIRMATION_SECS * 1000);
            (due, state.white_list.last_error.is_none())
        };
        if due && is_well {
            self.confirm(configured, None).await;
        }
    }

    pub(crate) async fn offer_file(
        &self,
        configured: &WhiteListSettings,
        is_confirmed: bool,
    ) -> Result<WhiteListNews, WhiteListFault> {
        let WhiteListSource::File(path) = configured.source.clone() else {
            return Err(WhiteListFault::NoSource);
        };
        let size_max = configured.size_max;
        let read = blocking(move || {
            files::read(&path, size_max).map_err(|cause| WhiteListFault::File { path, cause })
        });
        let offered = match read.await {
            Ok(bytes) => {
                let offer = Offer { bytes, validators: Validators::default(), is_confirmed };
                self.offer(configured, offer).await
            }
            Err(fault) => Err(fault),
        };
        if offered.as_ref().is_err_and(|fault| !fault.is_refusal()) {
            // The cause is ours or passes: the next look offers the file again.
            self.state().white_list.source_mark = None;
        }
        self.note_outcome(&offered);
        offered
    }

    pub(crate) fn is_white_list_due(&self) -> bool {
        let settings = self.settings();
        let is_url = matches!(settings.white_list.as_ref().map(|l| &l.source), Some(WhiteListSource::Url(_)));
        is_url && self.state().white_list.next_at.is_none_or(|at| at <= self.now())
    }

    /// Fetches the list from its URL and offers it.
    pub(crate) async fn fetch_white_list_once(
        &self,
        http: &HttpClient,
        is_confirmed: bool,
    ) -> Result<WhiteListNews, WhiteListFault> {
        let Some(configured) = self.settings().white_list.clone() else {
            return Err(WhiteListFault::NoSource);
        };
        let WhiteListSource::Url(url) = &configured.source else { return Err(WhiteListFault::NoSource) };
        let known = {
            let state = self.state();
            state.white_list.in_force.as_ref().map(|list| list.about.validators.clone()).unwrap_or_default()
        };
        let fetched = http.get(url, configured.size_max, &known).await;
        let offered = match fetched {
            Ok(Answer::NotModified) => {
                self.confirm(&configured, None).await;
                Ok(WhiteListNews::Confirmed)
            }
            Ok(Answer::Body(bytes, validators)) => {
                self.offer(&configured, Offer { bytes, validators, is_confirmed }).await
            }
            Err(fault) => Err(fault.into()),
        };
        self.note_outcome(&offered);
        offered
    }

    fn note_outcome(&self, offered: &Result<WhiteListNews, WhiteListFault>) {
        match offered {
            Ok(_) => {
                let refresh_secs = self.refresh_secs();
                let mut state = self.state();
                let next_at = schedule::refresh(self.now(), refresh_secs, None);
                let white_list = &mut state.white_list;
                (white_list.failures, white_list.last_error, white_list.next_at) = (0, None, Some(next_at));
            }
            Err(fault) => self.white_list_failed(fault),
        }
    }

    fn refresh_secs(&self) -> i64 {
        self.settings().white_list.as_ref().map_or(3_600, |list| list.refresh_secs)
    }

    fn white_list_failed(&self, fault: &WhiteListFault) {
        let (now, refresh_secs, text) = (self.now(), self.refresh_secs(), fault.to_string());
        self.inner.metrics.white_list_failed(fault.label());
        let mut state = self.state();
        let white_list = &mut state.white_list;
        let is_known = white_list.last_error.as_ref().is_some_and(|error| error.text == text);
        if is_known {
            tracing::debug!(cause = text, "a white list was not taken");
        } else if fault.is_refusal() || white_list.in_force.is_none() {
            tracing::error!(
                cause = text,
                is_in_force = white_list.in_force.is_some(),
                "a white list was not taken"
            );
        } else {
            tracing::warn!(cause = text, "the white list could not be obtained; the one in force stays");
        }
        white_list.failures = white_list.failures.saturating_add(1);
        let hangs_on_lists = fault.hangs_on_lists();
        white_list.last_error = Some(LastError { at: now, label: fault.label(), text, hangs_on_lists });
        let wait = if fault.is_refusal() && !hangs_on_lists {
            schedule::refresh(now, refresh_secs, None)
        } else {
            schedule::retry(now, refresh_secs, white_list.failures, None)
        };
        white_list.next_at = Some(wait.min(schedule::refresh(now, refresh_secs, None)));
    }

    /// Other revocation lists are in force: a signer that could not be judged is judged again.
    pub(crate) fn white_list_may_be_judged_again(&self) {
        let mut state = self.state();
        if state.white_list.last_error.as_ref().is_some_and(|error| error.hangs_on_lists) {
            (state.white_list.next_at, state.white_list.source_mark) = (None, None);
        }
    }

    async fn offer(
        &self,
        configured: &WhiteListSettings,
        offer: Offer,
    ) -> Result<WhiteListNews, WhiteListFault> {
        // What a command adopted beside us meanwhile is what the list is measured by.
        self.look_at_kept_white_list().await;
        let _one = self.inner.adopting.lock().await;
        let folder = self.settings().folder.clone();
        let lock = blocking(move || white_list::lock(&folder)).await.map_err(WhiteListFault::Keep)?;
        let sha256 = files::sha256(&offer.bytes);
        let in_force = self.state().white_list.in_force.clone();
        if in_force.as_ref().is_some_and(|list| list.about.sha256 == sha256) {
            self.confirm(configured, Some(offer.validators)).await;
            return Ok(WhiteListNews::Confirmed);
        }
        let now = self.now();
        let (list, left_out, bytes) = self.read_offered(configured, offer.bytes).await?;
        let former = in_force.map(|in_force| in_force.list);
        let judged =
            policy::replacement(former.as_deref(), &list, configured.shrink_max_percent, offer.is_confirmed);
        let waits = matches!(judged, Err(ReplacementFault::Shrinkage { .. })).then(|| bytes.clone());
        let folder = self.settings().folder.clone();
        let kept = blocking(move || white_list::keep_offered(&folder, waits.as_deref())).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a white list that waits for a confirmation could not be kept for `trust diff`");
        }
        judged?;
        let about = white_list::about(configured, &list, sha256, offer.validators, now);
        let former = former.or_else(|| self.state().white_list.of_other_source.clone());
        let diff = former.as_ref().map(|former| WhiteListDiff::between(former, &list));
        // The store first: after a crash in between, the former list is in force and the departures are known.
        self.note_in_store(&list, diff.as_ref(), &about).await?;
        let folder = self.settings().folder.clone();
        let (told, size_max) = (about.clone(), configured.size_max);
        let kept = blocking(move || white_list::keep(&folder, &told, &bytes, size_max)).await;
        kept.map_err(WhiteListFault::Keep)?;
        self.note_kept_mark();
        drop(lock);
        let domains = list.domain_count();
        log_diff(domains, diff.as_ref());
        // Which domains left is in force before the list that lacks them: otherwise their queued mail would bounce in between.
        if let Err(error) = self.read_decisions().await {
            self.state().white_list.kept_mark = None;
            return Err(error.into());
        }
        self.put_white_list_in_force(InForce { list: Arc::new(list), about, left_out });
        self.inner.metrics.white_list_adopted();
        Ok(WhiteListNews::Adopted { domains, diff })
    }

    async fn read_offered(
        &self,
        configured: &WhiteListSettings,
        bytes: Vec<u8>,
    ) -> Result<(WhiteList, usize, Vec<u8>), WhiteListFault> {
        let (configured, signers, now) = (configured.clone(), self.signers(), self.now());
        let read = blocking(move || {
            let read = white_list::examine(&configured, &signers, &bytes, Occasion::Fetched, now);
            read.map(|(list, faults)| (list, faults, bytes))
        });
        let (list, faults, bytes) = read.await?;
        for fault in &faults {
            tracing::warn!(%fault, "an entry of the white list was left out");
        }
        Ok((list, faults.len(), bytes))
    }

    /// The audit row, and which domains left or came back.
    async fn note_in_store(
        &self,
        list: &WhiteList,
        diff: Option<&WhiteListDiff>,
        about: &white_list::AboutWhiteList,
    ) -> Result<(), WhiteListFault> {
        let known = self.inner.store.departures().await?;
        let (returned, mut absent): (Vec<_>, Vec<_>) =
            known.into_iter().map(|row| row.domain).partition(|domain| list.lists_domain(domain));
        absent.extend(diff.into_iter().flat_map(|diff| diff.domains_removed.iter().cloned()));
        absent.sort();
        absent.dedup();
        let at = list.generation().unwrap_or(Timestamp(about.adopted_at_ms));
        let (added, removed) = diff.map_or((0, 0), |d| (d.domains_added.len(), d.domains_removed.len()));
        let detail = format!(
            "sha256={} format={} at_ms={} domains={} pairs={} domains_added={added} domains_removed={removed}",
            about.sha256,
            about.format,
            at.0,
            list.domain_count(),
            list.pair_count(),
        );
        Ok(self.inner.store.adopt_white_list(Adoption { at, absent, returned, detail }).await?)
    }

    /// The source has the list in force, now or, for a copied file, when it was copied.
    async fn confirm(&self, configured: &WhiteListSettings, validators: Option<Validators>) {
        let confirmed_at = white_list::confirmed_at(configured, self.now());
        let about = {
            let mut state = self.state();
            let Some(in_force) = &mut state.white_list.in_force else { return };
            in_force.about.confirmed_at_ms = in_force.about.confirmed_at_ms.max(confirmed_at.0);
            if let Some(validators) = validators {
                in_force.about.validators = validators;
            }
            in_force.about.clone()
        };
        let confirmed_at = Timestamp(about.confirmed_at_ms);
        self.list.rcu(|list| {
            let mut list = policy::TrustList::clone(list);
            if let Some((_, at)) = &mut list.white_list {
                *at = confirmed_at;
            }
            list
        });
        let folder = self.settings().folder.clone();
        // The source has this list again: what it offered meanwhile waits for nobody.
        let kept = blocking(move || {
            white_list::keep_offered(&folder, None)?;
            white_list::keep_about(&folder, &about)
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the confirmation of the white list could not be kept");
        }
        self.note_kept_mark();
    }

    fn note_kept_mark(&self) {
        let path = white_list::about_path(&Kept::Current.path(&self.settings().folder));
        self.state().white_list.kept_mark = files::mark(&path);
    }

    fn put_white_list_in_force(&self, in_force: InForce) {
        let (list, confirmed_at) = (in_force.list.clone(), Timestamp(in_force.about.confirmed_at_ms));
        let is_other = {
            let mut state = self.state();
            let white_list = &mut state.white_list;
            let is_other =
                white_list.in_force.as_ref().is_none_or(|known| known.about.sha256 != in_force.about.sha256);
            if is_other {
                (white_list.failures, white_list.last_error) = (0, None);
            }
            white_list.in_force = Some(in_force);
            white_list.of_other_source = None;
            is_other
        };
        if is_other {
            tracing::info!(
                domains = list.domain_count(),
                pairs = list.pair_count(),
                "a white list is in force"
            );
        }
        self.change_list(|known| known.white_list = Some((list.clone(), confirmed_at)));
    }
}

/// Domain names only: what else a list says is of persons.
fn log_diff(domains: usize, diff: Option<&WhiteListDiff>) {
    let Some(diff) = diff else { return };
    let names = |domains: &[mail_types::Domain]| {
        let names: Vec<&str> =
            domains.iter().take(DOMAINS_LOGGED_MAX).map(|domain| domain.as_str()).collect();
        names.join(" ")
    };
    tracing::info!(
        domains,
        added = diff.domains_added.len(),
        removed = diff.domains_removed.len(),
        pairs_added = diff.pairs_added.len(),
        pairs_removed = diff.pairs_removed.len(),
        domains_added = names(&diff.domains_added),
        domains_removed = names(&diff.domains_removed),
        "the white list changed"
    );
}

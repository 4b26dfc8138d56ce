//! One operator, running: store, trust, listeners, queue runner, housekeeping. `serve` runs one, `demo` runs two.

use crate::audit::SealState;
use crate::identity::Identities;
use crate::inventory::Expiries;
use crate::notices::Fills;
use crate::presented::Presented;
use crate::server_tls::ServerTls;
use admin_api::{AdminApi, Api, Gauges, Ports};
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use auth::Authenticator;
use config::{Config, Listener, ListenerTls, Protocol};
use delivery::{Delivery, DeliveryMetrics, NextHops, Runner, Schedule};
use imapd::{Folding, ImapMetrics, Imapd, Pictures, ReadAhead, SearchEngine};
use intake::{Intake, Settings};
use journal::{Journal, JournalMetrics};
use listener::{Drain, DrainSwitch};
use pki::{OcspClient, PeerClientTls};
use policy::Routes;
use prometheus_client::registry::Registry;
use smtpd::{Service, SmtpMetrics, Smtpd};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Clock, Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use trust_space::{HttpClient, TrustMetrics, TrustSpace};

/// How long sessions and attempts may take to end.
const DRAIN_MAX: Duration = Duration::from_secs(6);
/// How long the last units may take to commit.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Between two looks for bodies to free.
const SWEEP: Duration = Duration::from_secs(5);
/// Between two looks for orphans of a crash and rows that had their time.
const ORPHANS: Duration = Duration::from_secs(3600);

/// Results of jobs are kept for so long.
const JOBS_KEEP_DAYS: u32 = 30;
/// UIDs of messages that are gone are kept for so long: a client that was away for a season still catches up by what changed.
const EXPUNGED_KEEP_DAYS: u32 = 90;

/// A running operator.
pub(crate) struct Operator {
    config: Config,
    store: Store,
    parts: Parts,
    journal: Journal,
    drain: DrainSwitch,
    tasks: JoinSet<()>,
    runner: Option<Runner>,
    expiries: Expiries,
    seals: SealState,
    /// Bound address of each listener, by name.
    pub(crate) addresses: BTreeMap<String, SocketAddr>,
    /// Held for as long as this process serves this folder.
    _lock: File,
}

/// What a reload replaces.
struct Parts {
    trust: TrustSpace,
    routes: Arc<ArcSwap<Routes>>,
    http: HttpClient,
    presented: Arc<Presented>,
    ocsp: Arc<OcspClient>,
    authenticator: Authenticator,
    search: SearchEngine,
    pictures: Pictures,
    read_ahead: ReadAhead,
}

/// The store of a configuration.
pub(crate) fn store_options(config: &Config) -> Result<StoreOptions> {
    Ok(StoreOptions {
        url: config.store.url.clone(),
        data_dir: config.store.data_dir.clone(),
        bodies: crate::bodies::options(&config.store)?,
        key_dir: config.store.key_dir.clone(),
        writers: config.store.writers,
        clock: Clock::system(),
        audits_mail: config.audit.mail,
    })
}

/// What all searches share.
fn search_engine(section: &config::Search) -> SearchEngine {
    let folding = if section.is_unaccented { Folding::Unaccented } else { Folding::Casemap };
    SearchEngine::new(folding, section.memory_max, section.concurrency)
}

/// What the door asks of the configuration.
pub(crate) fn intake_settings(config: &Config, hostname: &str) -> Result<Settings> {
    let postmaster = config.server.postmaster.as_ref().map(|address| address.parse()).transpose();
    Ok(Settings {
        hostname: hostname.to_owned(),
        message_size_max: config.limits.message_size_max,
        postmaster: postmaster.context("[server] postmaster")?,
        lifetime_secs: i64::try_from(config.delivery.lifetime_secs).unwrap_or(i64::MAX),
        author_rule: match config.trust.header_from {
            config::HeaderFrom::Tag => policy::AuthorRule::Tag,
            config::HeaderFrom::Reject => policy::AuthorRule::Reject,
        },
        life_cycle: crate::life_cycle::rules(config),
    })
}

impl Operator {
    /// Builds every part, binds every listener, starts every task.
    pub(crate) async fn start(config: Config) -> Result<Self> {
        let lock = lock(&config.store.data_dir)?;
        let store = Store::open(&store_options(&config)?).await.context("[store]")?;
        store.check_keys(&config.store.lost_key_generations).await.context("[store]")?;
        let released = store.release_leases_of_the_dead().await.context("[store]")?;
        if released > 0 {
            tracing::info!(released, "attempts that a crash cut off are made again");
        }
        let interrupted = store.interrupt_jobs_of_the_dead().await.context("[store]")?;
        if interrupted > 0 {
            tracing::warn!(interrupted, "jobs that the last stop cut off are marked so; ask for them again");
        }
        let hostname = hostname(&config, &store).await?;
        let identities = Identities::load(&config.tls)?;
        let settings = crate::server_tls::settings(&config.tls)?;
        let mut registry = Registry::default();
        let metrics = TrustMetrics::register(&mut registry);
        let trust = TrustSpace::open(crate::trust::settings(&config), store.clone(), metrics).await?;
        trust.note_own_list_points(identities.list_points());
        // Clinicians must get in, and an administrator must be able to repair it: a certificate that others would refuse is served nevertheless.
        for (key, rejection) in identities.faults(&trust.pki.load()) {
            tracing::error!(
                key,
                cause = rejection.cause(),
                "our own certificate does not stand: replace it and reload"
            );
        }
        crate::inventory::enter(&store, &identities).await.context("[tls] cert")?;
        let routes = crate::routes::configured(&config).unwrap_or_else(|error| {
            let error = format!("{error:#}");
            tracing::error!(error, "no routes are in force: every domain is looked up by DNS");
            Routes::default()
        });
        let expiries = Expiries::default();
        expiries.read(&store).await.context("[store]")?;
        let peer = PeerClientTls::new(identities.client.clone(), trust.pki.clone());
        let peer = Arc::new(peer.with_settings(settings.clone()));
        let http = crate::trust::http_client(&peer)?;
        let ocsp = Arc::new(OcspClient::new(pki::OcspRule::Prefer, Arc::new(http.clone())));
        crate::ocsp::apply(config.trust.ocsp, &ocsp, &trust.pki);
        let tls = ServerTls::new(&identities.server, &trust.pki, &settings)?;
        let presented = Presented::new(config.tls.clone(), identities, tls, peer, trust.clone());
        let parts = Parts {
            presented: Arc::new(presented),
            http,
            ocsp,
            routes: Arc::new(ArcSwap::from_pointee(routes)),
            authenticator: crate::login::authenticator(&config, &store, &mut registry),
            search: search_engine(&config.search),
            pictures: Pictures::new(config.limits.imap_folders_memory_max),
            read_ahead: ReadAhead::new(config.limits.imap_read_ahead_memory_max),
            trust,
        };
        let journal = Journal::start(store.clone(), JournalMetrics::register(&mut registry));
        let mut operator = Self {
            config,
            store,
            parts,
            journal,
            drain: DrainSwitch::new(),
            tasks: JoinSet::new(),
            runner: None,
            expiries,
            seals: SealState::default(),
            addresses: BTreeMap::new(),
            _lock: lock,
        };
        operator.start_tasks(&hostname, registry).await?;
        tracing::info!(hostname, "ready");
        Ok(operator)
    }

    async fn start_tasks(&mut self, hostname: &str, mut registry: Registry) -> Result<()> {
        let settings = intake_settings(&self.config, hostname)?;
        let intake = Intake::new(self.store.clone(), settings, self.parts.trust.list.clone());
        let smtp_metrics = SmtpMetrics::register(&mut registry);
        let imap_metrics = ImapMetrics::register(&mut registry);
        let delivery_metrics = DeliveryMetrics::register(&mut registry);
        let registry = Arc::new(registry);
        let fills = Fills::default();
        let gauges =
            gauges(&self.parts, self.expiries.clone(), fills.clone(), self.seals.clone(), &self.store);
        for section in self.config.listeners.clone() {
            let listener = bind(&section).await?;
            self.addresses.insert(section.name.clone(), listener.local_addr()?);
            let drain = self.drain.handle();
            match section.protocol {
                Protocol::Smtp | Protocol::Submission => {
                    let smtpd = self.smtpd(&section, hostname, intake.clone(), smtp_metrics.clone());
                    let max = self.config.limits.smtp_connections_max;
                    self.tasks.spawn(smtpd.serve(
                        listener,
                        max,
                        self.config.limits.smtp_connections_per_address_max,
                        drain,
                    ));
                }
                Protocol::Imap => {
                    let imapd = self.imapd(&section, &intake, imap_metrics.clone());
                    let max = self.config.limits.imap_connections_max;
                    self.tasks.spawn(imapd.serve(
                        listener,
                        max,
                        self.config.limits.imap_connections_per_address_max,
                        drain,
                    ));
                }
                Protocol::Https => {
                    let ports = self.ports(hostname, &intake);
                    let api =
                        self.admin_api(&section, hostname, ports, &intake, registry.clone(), gauges.clone());
                    let max = self.config.limits.http_connections_max;
                    self.tasks.spawn(api.serve(
                        listener,
                        max,
                        self.config.limits.http_connections_per_address_max,
                        drain,
                    ));
                }
            }
        }
        let door = self.config.notices.enabled.then(|| intake.clone());
        self.tasks.spawn(crate::notices::watch(self.store.clone(), door, fills, self.drain.handle()));
        self.runner = Some(Runner::new(self.delivery(hostname, intake, delivery_metrics)?));
        let keep_days = self.config.store.queue_keep_days;
        let (seals, drain) = (self.seals.clone(), self.drain.handle());
        self.tasks.spawn(crate::audit::keep(self.store.clone(), self.config.audit, seals, drain));
        self.tasks.spawn(housekeeping(self.store.clone(), keep_days, self.drain.handle()));
        let (authenticator, mut drain) = (self.parts.authenticator.clone(), self.drain.handle());
        let store = self.store.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = drain.asked() => {}
                () = store.follow_mailboxes() => {}
                () = authenticator.follow() => {}
                () = authenticator.keep_refusals() => {}
            }
        });
        let mut drain = self.drain.handle();
        let trust = self.parts.trust.clone();
        self.tasks.spawn(trust.run(self.parts.http.clone(), async move { drain.asked().await }));
        self.tasks.spawn(crate::watch::watch(self.store.clone(), self.drain.handle()));
        self.tasks.spawn(crate::ocsp::report(self.parts.ocsp.clone(), self.drain.handle()));
        self.tasks.spawn(crate::ocsp::keep_stapled(
            self.parts.presented.identities.subscribe(),
            self.parts.trust.pki.clone(),
            self.parts.http.clone(),
            self.store.clone(),
            self.drain.handle(),
        ));
        self.tasks.spawn(crate::inventory::watch(
            self.store.clone(),
            self.expiries.clone(),
            self.drain.handle(),
        ));
        Ok(())
    }

    fn smtpd(&self, section: &Listener, hostname: &str, intake: Intake, metrics: SmtpMetrics) -> Smtpd {
        let limits = &self.config.limits;
        let parts = &self.parts.presented.tls;
        let (service, tls) = match (section.protocol, section.tls) {
            (Protocol::Smtp, _) => (Service::Mx, smtpd::Tls::Mx(parts.mx(section))),
            (_, ListenerTls::Starttls) => (Service::Submission, smtpd::Tls::Starttls(parts.access(section))),
            (_, ListenerTls::Implicit) => (Service::Submission, smtpd::Tls::Implicit(parts.access(section))),
        };
        Smtpd {
            service,
            passwords: section.passwords,
            tls,
            hostname: hostname.into(),
            intake,
            journal: self.journal.clone(),
            authenticator: self.parts.authenticator.clone(),
            trust_changes: self.parts.trust.pki.changes(),
            message_size_max: limits.message_size_max,
            recipients_max: limits.recipients_max,
            timeouts: smtpd::Timeouts {
                handshake: Duration::from_secs(limits.tls_handshake_timeout_secs),
                command: Duration::from_secs(limits.smtp_command_timeout_secs),
                data: Duration::from_secs(limits.smtp_data_timeout_secs),
                data_grace: Duration::from_secs(limits.smtp_data_grace_secs),
                write: Duration::from_secs(limits.smtp_write_timeout_secs),
            },
            data_rate_min: limits.smtp_data_rate_min,
            metrics,
        }
    }

    fn imapd(&self, section: &Listener, intake: &Intake, metrics: ImapMetrics) -> Imapd {
        let limits = &self.config.limits;
        let tls = match section.tls {
            ListenerTls::Starttls => imapd::Tls::Starttls(self.parts.presented.tls.access(section)),
            ListenerTls::Implicit => imapd::Tls::Implicit(self.parts.presented.tls.access(section)),
        };
        Imapd {
            tls,
            store: self.store.clone(),
            authenticator: self.parts.authenticator.clone(),
            trust_changes: self.parts.trust.pki.changes(),
            journal: self.journal.clone(),
            notices: self.config.notices.enabled.then(|| intake.clone()),
            search: self.parts.search.clone(),
            admin: self.config.server.postmaster.as_deref().map(mail_uri),
            pictures: self.parts.pictures.clone(),
            read_ahead: self.parts.read_ahead.clone(),
            message_size_max: limits.message_size_max,
            message_limit: limits.imap_message_limit,
            save_limit: limits.imap_save_limit,
            passwords: section.passwords,
            compress: section.compress,
            timeouts: imapd::Timeouts {
                handshake: Duration::from_secs(limits.tls_handshake_timeout_secs),
                login: Duration::from_secs(limits.login_timeout_secs),
                idle: Duration::from_secs(limits.imap_timeout_secs),
                write: Duration::from_secs(60),
            },
            metrics,
        }
    }

    fn admin_api(
        &self,
        section: &Listener,
        hostname: &str,
        ports: Ports,
        intake: &Intake,
        registry: Arc<Registry>,
        gauges: Gauges,
    ) -> AdminApi {
        AdminApi {
            tls: self.parts.presented.tls.access(section),
            store: self.store.clone(),
            api: Api::new(admin_api::Parts {
                store: self.store.clone(),
                authenticator: self.parts.authenticator.clone(),
                hostname: hostname.to_owned(),
                intake: Some(intake.clone()),
                notices: self.config.notices.enabled.then(|| intake.clone()),
                message_size_max: self.config.limits.message_size_max,
                recipients_max: self.config.limits.recipients_max,
                mailboxes: crate::life_cycle::mailbox_rules(&self.config),
                ports,
            })
            .with_allowance(&crate::allowance::of(&self.config.api)),
            registry,
            gauges,
            handshake_timeout: Duration::from_secs(self.config.limits.tls_handshake_timeout_secs),
            trust_changes: self.parts.trust.pki.changes(),
        }
    }

    /// What the API asks of the parts that run here.
    fn ports(&self, hostname: &str, intake: &Intake) -> Ports {
        crate::api::serving(&self.store, intake, &self.parts.presented, &self.parts.http, hostname)
    }

    fn delivery(&self, hostname: &str, intake: Intake, metrics: DeliveryMetrics) -> Result<Delivery> {
        let section = &self.config.delivery;
        Ok(Delivery {
            store: self.store.clone(),
            intake,
            tls: self.parts.presented.peer.clone(),
            pki: self.parts.trust.pki.clone(),
            journal: self.journal.clone(),
            trust: self.parts.trust.list.clone(),
            routes: self.parts.routes.clone(),
            next_hops: NextHops::new(&section.dns_servers, &section.resolv_conf, section.port),
            hostname: hostname.into(),
            schedule: Schedule { first_secs: section.retry_first_secs, max_secs: section.retry_max_secs },
            concurrency: section.concurrency,
            connect_timeout: Duration::from_secs(section.connect_timeout_secs),
            metrics,
        })
    }

    /// Starts the queue runner, once routes lead where they should.
    pub(crate) fn deliver(&mut self) -> Result<()> {
        let runner = self.runner.take().context("the queue runner runs already")?;
        self.tasks.spawn(runner.run(self.drain.handle()));
        Ok(())
    }

    /// Reads configuration, certificates, revocation lists, white list and routes again. What is at fault stays as it was.
    pub(crate) async fn reload(&mut self) {
        match Config::load(&self.config.file) {
            Ok(config) => {
                self.config.tls = config.tls;
                self.config.trust = config.trust;
                self.config.routes = config.routes;
            }
            Err(faults) => {
                faults.iter().for_each(|fault| tracing::error!(%fault, "the configuration stays as it was"));
            }
        }
        self.parts.trust.reload(crate::trust::settings(&self.config)).await;
        crate::ocsp::apply(self.config.trust.ocsp, &self.parts.ocsp, &self.parts.trust.pki);
        self.parts.presented.files.store(Arc::new(self.config.tls.clone()));
        if let Err(error) = self.parts.presented.renew(&self.store).await {
            tracing::error!(error = format!("{error:#}"), "our certificate stays as it was");
        }
        match crate::routes::configured(&self.config) {
            Ok(routes) => self.parts.routes.store(Arc::new(routes)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the routes stay as they were"),
        }
        tracing::info!(
            "reloaded; listeners, TLS versions and suites, limits and the store change at a restart only"
        );
    }

    /// Lets sessions and attempts end, then closes the store.
    pub(crate) async fn stop(mut self) {
        self.drain.ask();
        let ended =
            tokio::time::timeout(DRAIN_MAX, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("some sessions did not end in time and were cut");
            self.tasks.shutdown().await;
        }
        if tokio::time::timeout(CLOSE_MAX, self.journal.close()).await.is_err() {
            tracing::warn!("the journal of judgements was not written to its end");
        }
        if tokio::time::timeout(CLOSE_MAX, self.parts.authenticator.write_refusals()).await.is_err() {
            tracing::warn!("the last refusals are not in the audit trail");
        }
        if tokio::time::timeout(CLOSE_MAX, self.seals.seal(&self.store)).await.is_err() {
            tracing::warn!("the end of the audit trail is not sealed; the next start seals it");
        }
        if tokio::time::timeout(CLOSE_MAX, self.store.close()).await.is_err() {
            tracing::warn!("the store did not close in time; nothing acknowledged is lost");
        }
        tracing::info!("stopped");
    }
}

/// Whether a process serves this data folder now.
pub(crate) fn is_served(data_dir: &Path) -> bool {
    let lock = File::open(data_dir.join("serve.lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// One process serves a data folder: two would each believe that they hold every lease.
fn lock(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("serve.lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("{} is locked: another `serve` runs on this data folder; stop it first", path.display())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// The name in greetings.
pub(crate) async fn hostname(config: &Config, store: &Store) -> Result<String> {
    if let Some(hostname) = &config.server.hostname {
        return Ok(hostname.clone());
    }
    let domains = store.domains().await?;
    let domain = domains
        .first()
        .context("[server] hostname is not set and there is no domain; run `vaguemestre domain add`")?;
    Ok(format!("mx.{domain}"))
}

async fn bind(section: &Listener) -> Result<TcpListener> {
    let what = || format!("[listeners.{}] bind: {} cannot be bound", section.name, section.bind);
    let socket = if section.bind.is_ipv4() {
        tokio::net::TcpSocket::new_v4()
    } else {
        tokio::net::TcpSocket::new_v6()
    };
    let socket = socket.with_context(what)?;
    socket.set_reuseaddr(true).with_context(what)?;
    socket.bind(section.bind).with_context(what)?;
    socket.listen(1024).with_context(what)
}

fn gauges(parts: &Parts, expiries: Expiries, fills: Fills, seals: SealState, store: &Store) -> Gauges {
    let (trust, ocsp, store) = (parts.trust.clone(), parts.ocsp.clone(), store.clone());
    Gauges(Arc::new(move || {
        let now = store.now();
        let mut gauges = expiries.gauges(now);
        gauges.extend(crate::trust_gauges::gauges(&trust));
        gauges.extend(crate::ocsp::gauges(&ocsp));
        gauges.extend(seals.gauges());
        gauges.extend(fills.gauges());
        gauges
    }))
}

/// Frees bodies that nothing refers to, finds orphans of a crash, forgets what had its time.
async fn housekeeping(store: Store, queue_keep_days: u32, mut drain: Drain) {
    let mut sweep = tokio::time::interval(SWEEP);
    let mut orphans = tokio::time::interval(ORPHANS);
    loop {
        let swept = tokio::select! {
            () = drain.asked() => return,
            _ = sweep.tick() => sweep_all(&store).await,
            _ = orphans.tick() => prune_all(&store, queue_keep_days).await,
        };
        if let Err(error) = swept {
            tracing::warn!(%error, "space could not be reclaimed; trying again");
        }
    }
}

async fn sweep_all(store: &Store) -> Result<(), store::Error> {
    store.trim_log().await?;
    while store.erase_expired().await? {}
    while store.unite_seen().await? {}
    while store.sweep_released().await? > 0 {}
    while store.sweep_grants().await? > 0 {}
    Ok(())
}

async fn prune_all(store: &Store, queue_keep_days: u32) -> Result<(), store::Error> {
    store.sweep_orphans().await?;
    while store.forget_addresses().await? > 0 {}
    while store.prune_queue(queue_keep_days).await? > 0 {}
    while store.prune_requests().await? > 0 {}
    while store.prune_expunged(EXPUNGED_KEEP_DAYS).await? > 0 {}
    while store.prune_counters().await? > 0 {}
    store.interrupt_silent_jobs().await?;
    while store.prune_jobs(JOBS_KEEP_DAYS).await? > 0 {}
    while store.shrink().await? > 0 {}
    Ok(())
}

/// RFC 6068 §2.
fn mail_uri(address: &str) -> String {
    let mut uri = String::from("mailto:");
    for octet in address.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~@!$'*+".contains(&octet) {
            uri.push(char::from(octet));
        } else {
            uri.push_str(&format!("%{octet:02X}"));
        }
    }
    uri
}

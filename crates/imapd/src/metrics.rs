//! Counters of the IMAP listeners. Labels are words of closed lists: never an address, a name or a number from a client.

use imap_session::command::CommandBody;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CommandLabel {
    pub(crate) command: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CauseLabel {
    pub(crate) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SourceLabel {
    pub(crate) source: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct ImapMetrics {
    pub(crate) connections: Gauge,
    pub(crate) idle: Gauge,
    pub(crate) commands: Family<CommandLabel, Counter>,
    pub(crate) handshake_failures: Family<CauseLabel, Counter>,
    pub(crate) unreadable: Counter,
    pub(crate) openings: Family<SourceLabel, Counter>,
}

impl ImapMetrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("imap_connections", "Open IMAP connections", metrics.connections.clone());
        registry.register("imap_idle_sessions", "Sessions in IDLE", metrics.idle.clone());
        registry.register("imap_commands", "Commands, by name", metrics.commands.clone());
        registry.register(
            "imap_handshake_failures",
            "TLS handshakes that failed, by cause",
            metrics.handshake_failures.clone(),
        );
        registry.register(
            "imap_unreadable_messages",
            "Messages that could not be opened when asked for",
            metrics.unreadable.clone(),
        );
        registry.register(
            "imap_folder_openings",
            "Folders opened, by what was read: all rows, the changes since it was in memory, or nothing",
            metrics.openings.clone(),
        );
        metrics
    }

    pub(crate) fn count_opening(&self, source: &'static str) {
        self.openings.get_or_create(&SourceLabel { source }).inc();
    }

    pub(crate) fn count_command(&self, command: &'static str) {
        self.commands.get_or_create(&CommandLabel { command }).inc();
    }
}

/// Holds a gauge one higher until dropped, however the session ends.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The name of a command, as a label.
pub(crate) fn command_word(body: &CommandBody) -> &'static str {
    match body {
        CommandBody::Capability => "CAPABILITY",
        CommandBody::Noop => "NOOP",
        CommandBody::Logout => "LOGOUT",
        CommandBody::StartTls => "STARTTLS",
        CommandBody::Compress(_) => "COMPRESS",
        CommandBody::Unauthenticate => "UNAUTHENTICATE",
        CommandBody::Login { .. } => "LOGIN",
        CommandBody::Authenticate { .. } => "AUTHENTICATE",
        CommandBody::Select { .. } => "SELECT",
        CommandBody::Examine { .. } => "EXAMINE",
        CommandBody::Create { .. } => "CREATE",
        CommandBody::Delete { .. } => "DELETE",
        CommandBody::Rename { .. } => "RENAME",
        CommandBody::Subscribe { .. } => "SUBSCRIBE",
        CommandBody::Unsubscribe { .. } => "UNSUBSCRIBE",
        CommandBody::List(_) => "LIST",
        CommandBody::Lsub { .. } => "LSUB",
        CommandBody::Namespace => "NAMESPACE",
        CommandBody::Status { .. } => "STATUS",
        CommandBody::SetAcl { .. } => "SETACL",
        CommandBody::DeleteAcl { .. } => "DELETEACL",
        CommandBody::GetAcl { .. } => "GETACL",
        CommandBody::ListRights { .. } => "LISTRIGHTS",
        CommandBody::MyRights { .. } => "MYRIGHTS",
        CommandBody::Check => "CHECK",
        CommandBody::Close => "CLOSE",
        CommandBody::Unselect => "UNSELECT",
        CommandBody::Expunge | CommandBody::UidExpunge { .. } => "EXPUNGE",
        CommandBody::GetQuota { .. } => "GETQUOTA",
        CommandBody::GetQuotaRoot { .. } => "GETQUOTAROOT",
        CommandBody::SetQuota => "SETQUOTA",
        CommandBody::Notify(_) => "NOTIFY",
        CommandBody::GetMetadata(_) => "GETMETADATA",
        CommandBody::SetMetadata(_) => "SETMETADATA",
        CommandBody::Search(_) => "SEARCH",
        CommandBody::Sort(_) => "SORT",
        CommandBody::Thread(_) => "THREAD",
        CommandBody::Fetch(_) => "FETCH",
        CommandBody::Store(_) => "STORE",
        CommandBody::Copy { .. } => "COPY",
        CommandBody::Move { .. } => "MOVE",
        CommandBody::Idle => "IDLE",
        CommandBody::Id(_) => "ID",
        CommandBody::Enable(_) => "ENABLE",
        CommandBody::Unknown(_) => "unknown",
    }
}

//! What can go wrong below the house.

/// A failure of the store. To a peer every one of them is temporary: nothing was lost, nothing was promised.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or did not answer.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema is not one that this program knows.
    #[error("schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A file of the body store, the spool or the key folder could not be read or written.
    #[error("file: {0}")]
    File(#[source] std::io::Error),
    /// A body could not be written to, read from or confirmed by the body store.
    #[error("bodies: {0}")]
    Bodies(#[source] body_store::Error),
    /// There is no room for bodies or rows; the text is the system's or the database's own.
    #[error(
        "the disk is full ({0}): free space where [store] data_dir and the database lie; mail is taken again by itself"
    )]
    Full(String),
    /// A key file is missing, unreadable or not of the right length; the text names the file and the remedy.
    #[error("keys: {0}")]
    Key(String),
    /// A sealed container does not open: the key is wrong or the bytes were changed.
    #[error("sealed content does not open: {0}")]
    Sealed(&'static str),
    /// A row that must exist does not, or holds what this program does not write.
    #[error("inconsistent store: {0}")]
    Inconsistent(&'static str),
    /// The message is over the bound given when its body was begun.
    #[error("the message is larger than allowed")]
    TooBig,
    /// A request was taken over by another that bears the same Idempotency-Key: what the first one does must not stand.
    #[error("the request was taken over by another with the same Idempotency-Key")]
    TakenOver,
    /// What many wait for takes so long that they are let go.
    #[error("the database takes too long")]
    TooSlow,
    /// The writer has stopped.
    #[error("the store is closing")]
    Closing,
    /// The batch that held this unit could not be committed: nothing of it stands or, when the database could not be asked for a minute, nobody can say.
    #[error("commit failed: {0}")]
    Commit(String),
    /// The configuration of the store cannot be used.
    #[error("store configuration: {0}")]
    Options(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if is_full(&error) { Self::Full(error.to_string()) } else { Self::File(error) }
    }
}

impl From<body_store::Error> for Error {
    fn from(error: body_store::Error) -> Self {
        match error {
            body_store::Error::File(error) if is_full(&error) => Self::Full(error.to_string()),
            error => Self::Bodies(error),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

//! What can go wrong with a container.

/// A failure of the body store. To a peer every one of them is temporary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the body folder or of the spool could not be read or written.
    #[error("file: {0}")]
    File(#[from] std::io::Error),
    /// The object does not exist.
    #[error("S3: the object is not in the bucket")]
    NotFound,
    /// The service refused or did not answer within the time limit; the text is what it said, cut short.
    #[error("S3: {0}")]
    Service(String),
    /// The service took the upload, and then did not confirm the same object.
    #[error("S3: the upload is not confirmed: {0}")]
    Unconfirmed(&'static str),
    /// The options cannot be used.
    #[error("{0}")]
    Options(String),
    /// The runtime is going down.
    #[error("the body store is closing")]
    Closing,
}

/// Octets of a service's own words that are shown.
const WORDS_MAX: usize = 300;

impl Error {
    /// What a client of the service reports, on one line and cut short: an answer may hold a page of XML.
    pub(crate) fn service(error: &object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Self::NotFound;
        }
        let words: String = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Service(words.chars().take(WORDS_MAX).collect())
    }
}

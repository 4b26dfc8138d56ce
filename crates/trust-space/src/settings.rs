//! What an administrator configured, as this crate understands it.

use pki::{EkuRule, Environment};
use policy::Ages;
use std::path::PathBuf;

/// Where trust comes from, and how much of it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where what was fetched is kept. Made when it is missing.
    pub folder: PathBuf,
    /// Roots and issuing authorities of the health PKI; a folder stands for every file in it.
    pub anchors: Vec<PathBuf>,
    /// Which of the two health PKIs they are of.
    pub environment: Environment,
    /// How the extended key usage of peers is read.
    pub eku_rule: EkuRule,
    /// Revocation lists.
    pub lists: ListSettings,
    /// The white list; without it, mail from and to other operators is deferred.
    pub white_list: Option<WhiteListSettings>,
    /// What the age of the white list means.
    pub ages: Ages,
}

/// Where revocation lists come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSettings {
    /// Files, PEM or DER; a folder stands for every file in it.
    pub files: Vec<PathBuf>,
    /// From where lists are fetched beside the distribution points of certificates.
    pub urls: Vec<String>,
    /// Whether lists are fetched at all.
    pub is_fetched: bool,
    /// Longest time between two fetches of a list, in seconds.
    pub refresh_secs: i64,
    /// How long a list counts past its nextUpdate, in seconds.
    pub grace_secs: i64,
    /// Octets of one list.
    pub size_max: u64,
}

/// Where the white list comes from, and by what it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhiteListSettings {
    /// From where.
    pub source: WhiteListSource,
    /// In which form.
    pub form: WhiteListForm,
    /// Between two fetches, in seconds.
    pub refresh_secs: i64,
    /// A list that lost more than this part waits for a confirmation.
    pub shrink_max_percent: u64,
    /// Octets of one list.
    pub size_max: u64,
}

/// From where a white list comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhiteListSource {
    /// A file, looked at every few seconds.
    File(PathBuf),
    /// An `https` URL, whose server the health PKI vouches for.
    Url(String),
}

impl std::fmt::Display for WhiteListSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// The form of a white list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhiteListForm {
    /// The national signed XML.
    National {
        /// The CN or a subjectAltName of the signer's certificate.
        signer: String,
        /// Files of those that may have issued it; the anchors when empty.
        authorities: Vec<PathBuf>,
    },
    /// The CSV with a header line.
    Csv,
    /// `DOMAIN;SUBJECT-DN` lines.
    Pairs,
}

impl WhiteListForm {
    /// As the configuration writes it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::National { .. } => "national",
            Self::Csv => "csv",
            Self::Pairs => "pairs",
        }
    }
}

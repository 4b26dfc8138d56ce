//! Kinds and states of a mailbox (BAL).
/// A word that is not one of a closed list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {expected}")]
pub struct UnknownWord {
    /// What was read.
    pub word: String,
    /// What could stand there.
    pub expected: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $expected:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word of the API, the command line and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::UnknownWord { word: word.to_owned(), expected: $expected }),
                }
            }
        }
    };
}

pub(crate) use words;

words! {
    /// TRE_R257-TypeBAL: PER, ORG, APP, CAB.
    MailboxKind, "personal, organizational, applicative, cabinet" {
        /// Of one clinician.
        Personal = "personal",
        /// Of a service or structure, opened by several persons.
        Organizational = "organizational",
        /// Of an application, opened by certificate.
        Applicative = "applicative",
        /// Of a practice.
        Cabinet = "cabinet",
    }
}

words! {
    /// The life cycle of a mailbox.
    MailboxStatus, "pending, active, suspended, deleted" {
        /// Requested, not yet open.
        Pending = "pending",
        /// In service.
        Active = "active",
        /// Closed for now; nothing is lost.
        Suspended = "suspended",
        /// Gone; the row stays as a tombstone so that the address is never given to another holder.
        Deleted = "deleted",
    }
}

words! {
    /// How far the creation of a mailbox is.
    #[derive(PartialOrd, Ord)]
    Workflow, "requested, validated, created, published" {
        /// Somebody asked for it.
        Requested = "requested",
        /// What was said of it was found to be right.
        Validated = "validated",
        /// It has its key and its folders.
        Created = "created",
        /// The directory was told of it.
        Published = "published",
    }
}

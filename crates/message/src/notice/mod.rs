//! Letters that the operator itself writes: a grant was given, a mailbox is nearly full. Plain text, in French, then in English.
//!
//! They name mailboxes, persons and dates, and nothing of what any message says. To whom one goes, and whether, is not decided here.

mod wording;

use crate::submission::bracketed;
use crate::{date, encoded_word, transfer};
use mail_types::{Address, Domain, Role, Timestamp};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Somebody was given access to a mailbox.
    Given(Access<'a>),
    /// What somebody may do in a mailbox changed.
    Changed(Access<'a>),
    /// Somebody's access to a mailbox was taken away.
    Taken(Access<'a>),
    /// Somebody's access to a mailbox is about to end.
    Ending(Access<'a>),
    /// Whether a mailbox is in the directory was decided.
    Hidden {
        /// The mailbox.
        mailbox: &'a Address,
        /// Whether it is hidden now.
        is_hidden: bool,
    },
    /// A mailbox was closed for now.
    Suspended {
        /// The mailbox.
        mailbox: &'a Address,
    },
    /// A mailbox is open again.
    Restored {
        /// The mailbox.
        mailbox: &'a Address,
    },
    /// A mailbox is nearly full.
    NearlyFull {
        /// The mailbox.
        mailbox: &'a Address,
        /// How full, in percent: the threshold that was reached.
        percent: u8,
        /// Octets used.
        used_bytes: u64,
        /// Octets that it may hold.
        quota_bytes: u64,
    },
    /// The mailboxes of a domain hold nearly what they may together.
    DomainNearlyFull {
        /// The domain.
        domain: &'a Domain,
        /// How full, in percent: the threshold that was reached.
        percent: u8,
        /// Octets used.
        used_bytes: u64,
        /// Octets of its allocation.
        allocation_bytes: u64,
    },
}

/// Access of somebody to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// The mailbox.
    pub mailbox: &'a Address,
    /// Who may open it.
    pub grantee: &'a str,
    /// As what; none for rights that are no role's.
    pub role: Option<Role>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A letter to be.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// To whom. It comes from the postmaster of their domain.
    pub to: &'a Address,
    /// Its Message-ID.
    pub message_id: &'a str,
    /// Its date.
    pub at: Timestamp,
    /// What it tells.
    pub event: &'a Event<'a>,
}

/// The letter, with CRLF line ends, in 7 bits.
pub fn build(notice: &Notice<'_>) -> Vec<u8> {
    let text = wording::text(notice.event);
    let header = format!(
        "From: postmaster@{}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: {}\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        notice.to.domain(),
        notice.to,
        encoded_word::encode(wording::subject(notice.event)),
        date::rfc5322(notice.at),
        bracketed(notice.message_id),
    );
    let mut out = header.into_bytes();
    out.extend_from_slice(&transfer::quoted_printable_lines(text.as_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_says_in_two_languages_what_happened_and_what_to_do() {
        let (to, mailbox) = ("marie@a.example".parse().unwrap(), "ward@a.example".parse().unwrap());
        let access = Access {
            mailbox: &mailbox,
            grantee: "Marie\r\nBcc: x@y.example",
            role: Some(Role::Editor),
            until: Some(Timestamp(1_795_248_240_000)),
        };
        for event in [Event::Given(access.clone()), Event::Taken(access.clone()), Event::Ending(access)] {
            let at = Timestamp(1_795_000_000_000);
            let letter = build(&Notice { to: &to, message_id: "<1@a.example>", at, event: &event });
            let letter = String::from_utf8(letter).unwrap();
            assert!(letter.is_ascii() && letter.ends_with("\r\n"), "{letter}");
            let (header, body) = letter.split_once("\r\n\r\n").unwrap();
            assert!(header.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{header}");
            assert!(!header.contains("Bcc"), "{header}");
            assert!(body.lines().all(|line| line.len() <= 76), "{body}");
            let text = wording::text(&event);
            assert!(!text.contains("\nBcc"), "{text}");
            assert!(text.contains("(English below)") && text.contains("----------"), "{text}");
            assert_eq!(text.matches("ward@a.example").count(), 2, "{text}");
            assert!(!text.contains('{'), "{text}");
        }
    }

    #[test]
    fn a_full_mailbox_is_told_its_figures() {
        let mailbox = "ward@a.example".parse().unwrap();
        let event = Event::NearlyFull {
            mailbox: &mailbox,
            percent: 80,
            used_bytes: 858_993_460,
            quota_bytes: 1 << 30,
        };
        let text = wording::text(&event);
        assert!(text.contains("80 %") && text.contains("819,2 Mio") && text.contains("819.2 MiB"), "{text}");
        assert!(text.contains("1,0 Gio") && text.contains("1.0 GiB"), "{text}");
    }
}

//! imap-session

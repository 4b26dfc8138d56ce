//! smtp-session

//! What the server says it can do (RFC 3501 §6.1.1), by the state of the connection: one table, read wherever CAPABILITY is due.

/// What decides which capabilities hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionState {
    /// TLS is established.
    pub tls: bool,
    /// A login succeeded.
    pub authenticated: bool,
    /// LOGIN and PLAIN would be refused: in the clear, always.
    pub login_disabled: bool,
    /// The client showed a certificate that was found good.
    pub client_certificate: bool,
}

/// When a capability is advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In every state.
    Always,
    /// Before TLS and before login.
    Clear,
    /// Before login.
    Unauthenticated,
    /// Before login, when a password is refused.
    LoginDisabled,
    /// Before login, when a password is accepted.
    LoginEnabled,
    /// Before login, when the client showed a certificate.
    ClientCertificate,
    /// After login.
    Authenticated,
}

impl When {
    fn holds(self, state: ConnectionState) -> bool {
        match self {
            Self::Always => true,
            Self::Clear => !state.tls && !state.authenticated,
            Self::Unauthenticated => !state.authenticated,
            Self::LoginDisabled => !state.authenticated && state.login_disabled,
            Self::LoginEnabled => !state.authenticated && !state.login_disabled,
            Self::ClientCertificate => !state.authenticated && state.client_certificate,
            Self::Authenticated => state.authenticated,
        }
    }
}

/// The capabilities of the server, in the order in which they are sent.
#[derive(Clone, Debug)]
pub struct CapabilityTable(Vec<(String, When)>);

const STANDARD: &[(&str, When)] = &[
    ("IMAP4rev1", When::Always),
    ("IMAP4rev2", When::Always),
    ("LITERAL-", When::Unauthenticated),
    ("LITERAL+", When::Authenticated),
    ("SASL-IR", When::Always),
    ("ID", When::Always),
    ("ENABLE", When::Always),
    ("UTF8=ACCEPT", When::Authenticated),
    ("IDLE", When::Always),
    ("NOTIFY", When::Always),
    ("STARTTLS", When::Clear),
    ("LOGINDISABLED", When::LoginDisabled),
    ("AUTH=PLAIN", When::LoginEnabled),
    ("AUTH=EXTERNAL", When::ClientCertificate),
    ("NAMESPACE", When::Always),
    ("ACL", When::Always),
    ("RIGHTS=texk", When::Always),
    ("LIST-EXTENDED", When::Always),
    ("LIST-STATUS", When::Always),
    ("LIST-MYRIGHTS", When::Always),
    ("UIDPLUS", When::Always),
    ("MULTIAPPEND", When::Always),
    ("CATENATE", When::Always),
    ("BINARY", When::Always),
    ("REPLACE", When::Always),
    ("MOVE", When::Always),
    ("UNAUTHENTICATE", When::Authenticated),
    ("UNSELECT", When::Always),
    ("SPECIAL-USE", When::Always),
    ("CREATE-SPECIAL-USE", When::Always),
    ("CHILDREN", When::Always),
    ("STATUS=SIZE", When::Always),
    ("ESEARCH", When::Always),
    ("SEARCHRES", When::Always),
    ("WITHIN", When::Always),
    ("CONDSTORE", When::Always),
    ("QRESYNC", When::Always),
    ("UIDONLY", When::Always),
    ("SAVEDATE", When::Always),
    ("METADATA", When::Always),
    ("QUOTA", When::Always),
    ("QUOTA=RES-STORAGE", When::Always),
    ("QUOTA=RES-MESSAGE", When::Always),
    ("SORT", When::Always),
    ("SORT=DISPLAY", When::Always),
    ("ESORT", When::Always),
    ("THREAD=ORDEREDSUBJECT", When::Always),
    ("THREAD=REFERENCES", When::Always),
    ("PARTIAL", When::Always),
    ("PREVIEW", When::Always),
    ("OBJECTID", When::Always),
    ("INPROGRESS", When::Always),
];

impl CapabilityTable {
    /// What this crate parses and writes in full.
    pub fn standard() -> Self {
        Self::from_entries(STANDARD.iter().copied())
    }

    /// A table of the caller's own.
    pub fn from_entries<S: Into<String>>(entries: impl IntoIterator<Item = (S, When)>) -> Self {
        Self(entries.into_iter().map(|(name, when)| (name.into(), when)).collect())
    }

    /// This table and one capability more, `APPENDLIMIT=…` for example.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, when: When) -> Self {
        self.0.push((name.into(), when));
        self
    }

    /// This table without the capability of that name, for what the operator switched off.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The capabilities that hold in `state`.
    pub fn advertised(&self, state: ConnectionState) -> Vec<&str> {
        self.0.iter().filter(|(_, when)| when.holds(state)).map(|(name, _)| name.as_str()).collect()
    }

    /// The same, as the text of a CAPABILITY response or response code, without the word CAPABILITY.
    pub fn text(&self, state: ConnectionState) -> String {
        self.advertised(state).join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(tls: bool, authenticated: bool) -> ConnectionState {
        ConnectionState { tls, authenticated, login_disabled: !tls, client_certificate: false }
    }

    #[test]
    fn external_is_offered_to_who_showed_a_certificate_and_only_before_login() {
        let table = CapabilityTable::standard();
        let shown =
            |authenticated| ConnectionState { client_certificate: true, ..state(true, authenticated) };
        assert!(table.text(shown(false)).contains("AUTH=PLAIN AUTH=EXTERNAL"));
        assert!(!table.text(shown(true)).contains("AUTH="));
        assert!(!table.text(state(true, false)).contains("EXTERNAL"));
    }

    #[test]
    fn a_password_is_asked_for_only_under_tls_and_only_before_login() {
        let table = CapabilityTable::standard();
        let clear = table.advertised(state(false, false));
        assert!(
            clear.contains(&"STARTTLS") && clear.contains(&"LOGINDISABLED") && !clear.contains(&"AUTH=PLAIN")
        );
        let tls = table.advertised(state(true, false));
        assert!(tls.contains(&"AUTH=PLAIN") && !tls.contains(&"STARTTLS") && !tls.contains(&"LOGINDISABLED"));
        let inside = table.text(state(true, true));
        assert!(
            inside.starts_with("IMAP4rev1 IMAP4rev2 LITERAL+ ") && inside.contains(" UTF8=ACCEPT "),
            "{inside}"
        );
        assert!(!["AUTH=", "LITERAL-", "STARTTLS", "LOGINDISABLED"].iter().any(|word| inside.contains(word)));
    }

    #[test]
    fn entries_come_and_go() {
        let table = CapabilityTable::standard().without("move").with("APPENDLIMIT=1", When::Authenticated);
        let inside = table.text(state(true, true));
        assert!(!inside.contains("MOVE") && inside.ends_with("APPENDLIMIT=1"));
    }
}

//! What an administrator may be.

crate::mailbox::words! {
    /// Whom an API key, an application or a person stands for when they administer.
    AdminRole, "operator, domain, auditor, support" {
        /// Everything but the content of mail.
        Operator = "operator",
        /// Mailboxes, persons and grants of certain domains.
        Domain = "domain",
        /// The audit trail, and nothing else.
        Auditor = "auditor",
        /// Sees how things stand, never content or secrets, and says why each time.
        Support = "support",
    }
}

//! Whose own a mailbox is: what others read and change in it is told of in the audit trail.

/// Whether a mailbox `m` is the own one of an actor `a`: of the person whom it belongs to, or of the application that an applicative mailbox serves,
/// the one with role `admin` there, or the only one. An organizational mailbox is nobody's own. For SQL; the argument is the parameter of now.
macro_rules! is_own {
    ($now:literal) => {
        concat!(
            "EXISTS (SELECT 1 WHERE m.kind <> 'organizational' AND (m.owner_user_id = a.user_id OR (m.kind = 'applicative' AND a.kind = 'application' \
             AND (EXISTS (SELECT 1 FROM grants h WHERE h.mailbox_id = m.id AND h.actor_id = a.id AND h.folder_id IS NULL AND h.role = 'admin' \
             AND (h.expires_at_ms IS NULL OR h.expires_at_ms > ", $now, ")) \
             OR NOT EXISTS (SELECT 1 FROM grants h JOIN actors o ON o.id = h.actor_id WHERE h.mailbox_id = m.id AND h.folder_id IS NULL \
             AND h.actor_id <> a.id AND o.kind = 'application' AND (h.expires_at_ms IS NULL OR h.expires_at_ms > ", $now, "))))))"
        )
    };
}

pub(crate) use is_own;

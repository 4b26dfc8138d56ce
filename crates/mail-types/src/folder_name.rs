//! Names of folders (RFC 9051 §5.1): UTF-8, levels apart by `/`.

/// Octets of a folder name.
const NAME_MAX: usize = 512;
/// Levels of a folder name.
const LEVELS_MAX: usize = 32;

/// Where the personal mailboxes of others appear (RFC 2342). No folder of one's own is called so.
pub const OTHER_USERS: &str = "Other Users";
/// Where all other mailboxes appear that somebody was given access to.
pub const SHARED: &str = "Shared";

/// Whether the first level of a name is one under which other mailboxes appear.
pub fn is_others_name(name: &str) -> bool {
    matches!(name.split('/').next(), Some(OTHER_USERS | SHARED))
}

/// Whether a folder may be called so: not as others' mailboxes are, no empty level, no wildcard (a pattern could not name it), no control character, within bounds.
pub fn is_folder_name(name: &str) -> bool {
    let is_refused = |c: char| matches!(c, '*' | '%') || c.is_control();
    name.len() <= NAME_MAX
        && name.split('/').count() <= LEVELS_MAX
        && name.split('/').all(|level| !level.is_empty())
        && !name.contains(is_refused)
        && !is_others_name(name)
}

#[cfg(test)]
mod tests {
    use super::is_folder_name;

    #[test]
    fn names_have_no_empty_level_and_no_wildcard() {
        for good in ["Patients", "Patients/2026", "Été", "Patients/Shared", "shared"] {
            assert!(is_folder_name(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "a*",
            "100%",
            "a\0",
            "a\nb",
            "Shared/x",
            "Other Users",
            &"a/".repeat(40),
            &"x".repeat(600),
        ] {
            assert!(!is_folder_name(bad), "{bad}");
        }
    }
}

//! The key that opens a bucket, as the shared-credentials file of the AWS tools writes it.

use mail_types::Secret;

/// An access key. Only the id of it is ever printed.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: Secret<String>,
    pub(crate) session_token: Option<Secret<String>>,
}

/// Why a credentials file cannot be used; never a word of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A line is neither a comment, nor a section, nor `name = value`.
    #[error("line {0} is not `name = value`")]
    Line(usize),
    /// Two profiles: it would be a guess which one is meant.
    #[error("line {0} begins a second profile; keep one")]
    Profile(usize),
    /// A name is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

impl Credentials {
    /// Reads `aws_access_key_id`, `aws_secret_access_key` and, where there is one, `aws_session_token`, under at most one `[profile]`.
    ///
    /// # Errors
    /// The number of the line, or the name that is missing.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let (mut key_id, mut secret, mut session_token, mut profiles) = (None, None, None, 0);
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('[') && line.ends_with(']') {
                profiles += 1;
                if profiles > 1 {
                    return Err(CredentialsError::Profile(number));
                }
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(CredentialsError::Line(number))?;
            let value = value.trim().to_owned();
            match name.trim() {
                "aws_access_key_id" => key_id = Some(value),
                "aws_secret_access_key" => secret = Some(Secret::new(value)),
                "aws_session_token" => session_token = Some(Secret::new(value)),
                _ => {}
            }
        }
        Ok(Self {
            key_id: key_id.ok_or(CredentialsError::Missing("aws_access_key_id"))?,
            secret: secret.ok_or(CredentialsError::Missing("aws_secret_access_key"))?,
            session_token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_aws_tools_is_read() {
        let read =
            Credentials::parse("# ours\n[default]\naws_access_key_id = AK\naws_secret_access_key=se=cret\n");
        let read = read.unwrap();
        assert_eq!((read.key_id.as_str(), read.secret.expose().as_str()), ("AK", "se=cret"));
        assert!(!format!("{read:?}").contains("se=cret"));
    }

    #[test]
    fn what_is_wrong_is_told_without_its_content() {
        let fault = |text| Credentials::parse(text).unwrap_err();
        assert_eq!(fault("aws_access_key_id = AK\n"), CredentialsError::Missing("aws_secret_access_key"));
        assert_eq!(fault("AK SECRET\n"), CredentialsError::Line(1));
        assert_eq!(fault("[a]\n[b]\n"), CredentialsError::Profile(2));
    }
}

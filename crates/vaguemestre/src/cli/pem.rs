//! Certificates of files, as the API takes them.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt::Write;
use std::path::Path;

/// Characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

/// Every certificate of a file (PEM, DER or P7B), in PEM.
pub(super) fn certificates(file: &Path) -> Result<String> {
    let octets = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let chain = pki::certificate_chain(&octets).with_context(|| file.display().to_string())?;
    let mut text = String::new();
    for certificate in &chain {
        let _ = writeln!(text, "-----BEGIN CERTIFICATE-----");
        let base64 = BASE64_STANDARD.encode(certificate);
        for line in base64.as_bytes().chunks(LINE) {
            let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
        }
        let _ = writeln!(text, "-----END CERTIFICATE-----");
    }
    Ok(text)
}

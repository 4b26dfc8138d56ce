//! The parameters of MAIL FROM and RCPT TO: SIZE (RFC 1870), BODY (RFC 6152), AUTH (RFC 4954 §5), RET, ENVID, NOTIFY and
//! ORCPT (RFC 3461).
//!
//! What EHLO did not offer is 555 5.5.4; what is malformed or given twice is 501 5.5.4.

use mail_types::{BodyKind, DsnNotify, DsnRet, MailParameters, RcptParameters, Reply};

/// What EHLO offered, beyond SIZE and 8BITMIME.
#[derive(Clone, Copy)]
pub(super) struct Offered {
    pub(super) auth: bool,
    pub(super) dsn: bool,
}

/// Octets of an ENVID (RFC 3461 §4.4).
const ENVID_LIMIT: usize = 100;
/// Octets of an ORCPT (RFC 3461 §4.2).
const ORCPT_LIMIT: usize = 500;

/// The parameters of MAIL FROM. The AUTH parameter is checked for form and then ignored, as if it were `AUTH=<>`.
pub(super) fn mail(text: &str, offered: Offered) -> Result<MailParameters, Reply> {
    let mut parameters = MailParameters::default();
    for (keyword, value) in pairs(text)? {
        match keyword.as_str() {
            "SIZE" => parameters.size = Some(size(value).ok_or_else(malformed)?),
            "BODY" => parameters.body = body(value).ok_or_else(malformed)?,
            "AUTH" if offered.auth => is_xtext(value).then_some(()).ok_or_else(malformed)?,
            "RET" if offered.dsn => parameters.ret = Some(ret(value).ok_or_else(malformed)?),
            "ENVID" if offered.dsn && is_xtext(value) && value.len() <= ENVID_LIMIT => {
                parameters.envid = Some(value.to_owned());
            }
            "ENVID" if offered.dsn => return Err(malformed()),
            _ => return Err(unknown()),
        }
    }
    Ok(parameters)
}

/// The parameters of RCPT TO.
pub(super) fn rcpt(text: &str, offered: Offered) -> Result<RcptParameters, Reply> {
    let mut parameters = RcptParameters::default();
    for (keyword, value) in pairs(text)? {
        match keyword.as_str() {
            "NOTIFY" if offered.dsn => parameters.notify = Some(notify(value).ok_or_else(malformed)?),
            "ORCPT" if offered.dsn && is_original_recipient(value) => {
                parameters.orcpt = Some(value.to_owned());
            }
            "ORCPT" if offered.dsn => return Err(malformed()),
            _ => return Err(unknown()),
        }
    }
    Ok(parameters)
}

/// Keywords in upper case with their values, empty where there is no `=`. Each keyword once.
fn pairs(text: &str) -> Result<Vec<(String, &str)>, Reply> {
    let mut pairs: Vec<(String, &str)> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = word.split_once('=').unwrap_or((word, ""));
        let keyword = keyword.to_ascii_uppercase();
        let known_form = keyword.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !keyword.is_empty()
            && value.bytes().all(|b| b.is_ascii_graphic() && b != b'=');
        // More words than there are keywords cannot all be known, and comparing each to each must stay cheap.
        if !known_form || pairs.len() > 16 || pairs.iter().any(|(seen, _)| *seen == keyword) {
            return Err(malformed());
        }
        pairs.push((keyword, value));
    }
    Ok(pairs)
}

/// RFC 1870 `size-value`: 1 to 20 digits. A value over 64 bits is told as the greatest, which no server takes.
fn size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Option<BodyKind> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(BodyKind::SevenBit),
        "8BITMIME" => Some(BodyKind::EightBitMime),
        _ => None,
    }
}

fn ret(value: &str) -> Option<DsnRet> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" => Some(DsnRet::Full),
        "HDRS" => Some(DsnRet::Hdrs),
        _ => None,
    }
}

fn notify(value: &str) -> Option<DsnNotify> {
    let mut notify = DsnNotify { success: false, failure: false, delay: false };
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}

/// RFC 3461 §4.2 `addr-type ";" xtext`.
fn is_original_recipient(value: &str) -> bool {
    let is_type =
        |kind: &str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    value.len() <= ORCPT_LIMIT
        && value.split_once(';').is_some_and(|(kind, text)| is_type(kind) && is_xtext(text))
}

/// RFC 3461 §4 `xtext`, not empty: printable, `+` followed by two upper-case hexadecimal digits.
fn is_xtext(value: &str) -> bool {
    let is_hex = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    let mut octets = value.bytes();
    while let Some(octet) = octets.next() {
        let good = match octet {
            b'+' => is_hex(octets.next()) && is_hex(octets.next()),
            b'=' => false,
            _ => octet.is_ascii_graphic(),
        };
        if !good {
            return false;
        }
    }
    !value.is_empty()
}

fn malformed() -> Reply {
    Reply::new(501, (5, 5, 4), "Malformed or repeated parameter")
}

fn unknown() -> Reply {
    Reply::new(555, (5, 5, 4), "Parameter not recognised")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offered = Offered { auth: true, dsn: true };
    const NONE: Offered = Offered { auth: false, dsn: false };

    #[test]
    fn sizes_never_wrap() {
        assert_eq!(mail(" SIZE=12 body=8bitmime", NONE).unwrap().size, Some(12));
        assert_eq!(mail(" SIZE=99999999999999999999", NONE).unwrap().size, Some(u64::MAX));
        for bad in
            ["SIZE=999999999999999999999", "SIZE=", "SIZE", "SIZE=+1", "SIZE=-1", "SIZE=1x", "SIZE=1=2"]
        {
            assert_eq!(mail(bad, NONE).unwrap_err().code, 501, "{bad}");
        }
    }

    #[test]
    fn repeated_keywords_are_malformed_and_unoffered_ones_unknown() {
        assert_eq!(mail("SIZE=1 size=1", NONE).unwrap_err().code, 501);
        for unknown in ["SMTPUTF8", "RET=FULL", "ENVID=a", "AUTH=<>", "NOTIFY=NEVER"] {
            assert_eq!(mail(unknown, NONE).unwrap_err().code, 555, "{unknown}");
        }
        assert_eq!(rcpt("NOTIFY=NEVER", NONE).unwrap_err().code, 555);
    }

    #[test]
    fn delivery_status_parameters_are_kept_as_written() {
        let parameters = mail("RET=hdrs ENVID=QQ+2B1 AUTH=<>", ALL).unwrap();
        assert_eq!((parameters.ret, parameters.envid.as_deref()), (Some(DsnRet::Hdrs), Some("QQ+2B1")));
        let parameters = rcpt("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b", ALL).unwrap();
        assert_eq!(parameters.notify, Some(DsnNotify { success: true, failure: false, delay: true }));
        assert_eq!(parameters.orcpt.as_deref(), Some("rfc822;a+40b"));
        for bad in
            ["NOTIFY=NEVER,DELAY", "NOTIFY=", "ORCPT=a", "ORCPT=rfc822;a+4", "ORCPT=;a", "ORCPT=rfc822;"]
        {
            assert_eq!(rcpt(bad, ALL).unwrap_err().code, 501, "{bad}");
        }
    }
}

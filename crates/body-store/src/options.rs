//! How an S3-compatible service is reached.

use crate::Credentials;
use std::net::IpAddr;
use std::time::Duration;

/// Where the service listens: `https://HOST[:PORT]`, or `http://` on this machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL of a service.
    #[error("must be https://HOST or https://HOST:PORT")]
    Form,
    /// Bodies and signatures would cross a network in clear.
    #[error(
        "must begin with https://; http:// is for a service on this machine (127.0.0.1, [::1], localhost)"
    )]
    Clear,
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = text.split_once("://").ok_or(EndpointError::Form)?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(is_plain) {
            return Err(EndpointError::Form);
        }
        match scheme {
            "https" => Ok(Self(text.to_owned())),
            "http" if is_loopback(authority) => Ok(Self(text.to_owned())),
            "http" => Err(EndpointError::Clear),
            _ => Err(EndpointError::Form),
        }
    }
}

impl Endpoint {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_clear(&self) -> bool {
        self.0.starts_with("http://")
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An S3-compatible service and a bucket of it.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The service.
    pub endpoint: Endpoint,
    /// Its region; many services of one's own take any word.
    pub region: String,
    /// The bucket, which exists.
    pub bucket: String,
    /// What the name of every object begins with; empty for none. Two operators in one bucket have two prefixes.
    pub prefix: String,
    /// The key.
    pub credentials: Credentials,
    /// PEM of the authorities that may have issued the service's certificate; those of the system where there is none.
    pub authorities: Option<Vec<u8>>,
    /// True for `ENDPOINT/BUCKET/NAME`, false for `BUCKET.ENDPOINT/NAME`.
    pub path_style: bool,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one request and its answer. No request is begun again later than this after the first.
    pub timeout: Duration,
    /// Times that a request is made again after a 5xx, a refused connection or a time-out; the wait doubles from 100 ms.
    pub retries_max: usize,
    /// Requests at one time. An upload holds 8 MiB of memory at most.
    pub concurrency: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_on_this_machine_is_reached_in_clear() {
        for good in [
            "https://s3.chu.example",
            "https://s3.chu.example:9000/",
            "http://127.0.0.1:9000",
            "http://[::1]:9",
            "http://localhost",
        ] {
            assert!(good.parse::<Endpoint>().is_ok(), "{good}");
        }
        for clear in [
            "http://s3.chu.example",
            "http://10.0.0.1:9000",
            "http://localhost.example",
            "http://[2001:db8::1]",
        ] {
            assert_eq!(clear.parse::<Endpoint>(), Err(EndpointError::Clear), "{clear}");
        }
        for bad in ["s3.chu.example", "https://", "ftp://s3", "https://key:secret@s3", "https://s3/bucket"] {
            assert_eq!(bad.parse::<Endpoint>(), Err(EndpointError::Form), "{bad}");
        }
    }
}

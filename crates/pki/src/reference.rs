//! The names under which a peer is expected to present itself (RFC 9525 §3: reference identifiers).

use std::net::IpAddr;

use mail_types::PeerIdentity;
use rustls_pki_types::{DnsName, ServerName};

/// The names sought in the certificate of a server; one match is enough, and an empty set matches nothing.
///
/// The subject's CN is never looked at (RFC 9525 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceNames {
    /// Exact DNS names. A certificate's `*.domain` stands for exactly one label.
    pub hosts: Vec<String>,
    /// Addresses, compared with iPAddress names.
    pub ips: Vec<IpAddr>,
    /// A domain: any dNSName equal to it or below it.
    pub under: Option<String>,
}

impl ReferenceNames {
    /// The one name that an HTTPS client dials.
    pub(crate) fn dialled(name: &ServerName<'_>) -> Self {
        match name {
            ServerName::IpAddress(ip) => Self { ips: vec![IpAddr::from(*ip)], ..Self::default() },
            name => Self { hosts: vec![name.to_str().into_owned()], ..Self::default() },
        }
    }

    pub(crate) fn matches(&self, peer: &PeerIdentity) -> bool {
        peer.ip_names.iter().any(|ip| self.ips.contains(ip))
            || peer.dns_names.iter().any(|presented| self.matches_dns(presented))
    }

    /// The name for the SNI extension: the first host, else the domain, else an address (which is not sent, RFC 6066 §3).
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        let names = self.hosts.iter().chain(&self.under);
        let mut names = names.filter_map(|name| DnsName::try_from(without_final_dot(name).to_owned()).ok());
        let name = names.next().map(ServerName::DnsName);
        name.or_else(|| self.ips.first().map(|ip| ServerName::IpAddress((*ip).into())))
    }

    fn matches_dns(&self, presented: &str) -> bool {
        let presented = without_final_dot(presented);
        self.hosts.iter().any(|host| stands_for(presented, without_final_dot(host)))
            || self.under.as_ref().is_some_and(|domain| is_under(presented, without_final_dot(domain)))
    }
}

/// Whether a certificate's name, possibly `*.domain`, names `host` (RFC 9525 §6.3).
fn stands_for(presented: &str, host: &str) -> bool {
    match presented.strip_prefix("*.") {
        // A wildcard over a single label would cover a whole top-level domain.
        Some(domain) => {
            domain.contains('.')
                && host.split_once('.').is_some_and(|(label, parent)| {
                    !label.is_empty() && label != "*" && parent.eq_ignore_ascii_case(domain)
                })
        }
        None => !presented.is_empty() && presented.eq_ignore_ascii_case(host),
    }
}

/// Whether a certificate's name is `domain` or lies below it. The wildcard of `*.domain` lies below.
fn is_under(presented: &str, domain: &str) -> bool {
    if domain.is_empty() {
        return false;
    }
    let (presented, domain) = (presented.to_ascii_lowercase(), domain.to_ascii_lowercase());
    presented.strip_suffix(&domain).is_some_and(|below| {
        below.is_empty() || below.strip_suffix('.').is_some_and(|labels| !labels.is_empty())
    })
}

fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_on_the_left() {
        assert!(stands_for("*.ch.example", "mx.ch.example"));
        assert!(stands_for("*.ch.example", "MX.CH.example"));
        for host in ["ch.example", "a.mx.ch.example", ".ch.example", "mx.xch.example"] {
            assert!(!stands_for("*.ch.example", host), "{host}");
        }
        assert!(!stands_for("m*.ch.example", "mx.ch.example"));
        assert!(!stands_for("*.example", "ch.example"));
        assert!(!stands_for("", ""));
    }

    #[test]
    fn a_name_under_a_domain_ends_at_a_label_boundary() {
        for name in ["ch.example", "mx.ch.example", "a.b.CH.example", "*.ch.example"] {
            assert!(is_under(name, "ch.example"), "{name}");
        }
        for name in ["example", "xch.example", ".ch.example", "ch.example.attacker", ""] {
            assert!(!is_under(name, "ch.example"), "{name}");
        }
        assert!(!is_under("ch.example", ""));
    }

    #[test]
    fn the_server_name_is_a_host_before_a_domain_before_an_address() {
        let mut names = ReferenceNames { ips: vec![[192, 0, 2, 1].into()], ..ReferenceNames::default() };
        assert!(matches!(names.server_name(), Some(ServerName::IpAddress(_))));
        names.under = Some("ch.example.".into());
        assert_eq!(names.server_name().unwrap().to_str(), "ch.example");
        names.hosts = vec!["not a name".into(), "mx.ch.example".into()];
        assert_eq!(names.server_name().unwrap().to_str(), "mx.ch.example");
        assert_eq!(ReferenceNames::default().server_name(), None);
    }
}

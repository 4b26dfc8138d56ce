//! Where a domain's mail goes: the routes file, then MX records, then the domain's own address (RFC 5321 §5.1).

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use mail_types::Domain;
use pki::ReferenceNames;
use policy::{Route, RouteHost};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Servers tried for one domain, at most.
const TARGETS_MAX: usize = 10;

/// A server to try.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// What its certificate must bear.
    pub(crate) names: ReferenceNames,
    /// Its name, for reports.
    pub(crate) host: String,
}

/// Why there is no server to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTarget {
    /// The domain does not exist.
    NoDomain,
    /// The domain says that it takes no mail (RFC 7505).
    NullMx,
    /// Neither MX nor address.
    NoHost,
    /// DNS did not answer.
    Unanswered,
}

/// The resolver could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the DNS resolver could not be set up: {0}")]
pub struct DnsError(String);

/// Finds servers by DNS.
#[derive(Clone)]
pub struct NextHops {
    resolver: Arc<TokioResolver>,
    port: u16,
}

impl std::fmt::Debug for NextHops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NextHops")
    }
}

impl NextHops {
    /// Asks `servers`, or the system's when there is none; other operators listen on `port`.
    ///
    /// # Errors
    /// [`DnsError`].
    pub fn new(servers: &[SocketAddr], port: u16) -> Result<Self, DnsError> {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|e| DnsError(e.to_string()))?
        } else {
            TokioResolver::builder_with_config(asking(servers), TokioRuntimeProvider::default())
        };
        let resolver = builder.build().map_err(|e| DnsError(e.to_string()))?;
        Ok(Self { resolver: Arc::new(resolver), port })
    }

    /// Servers for a domain, the preferred first.
    pub(crate) async fn find(&self, domain: &Domain, route: Option<&Route>) -> Result<Vec<Target>, NoTarget> {
        if let Some(route) = route {
            return self.routed(domain, route).await;
        }
        let hosts = match self.exchangers(domain).await {
            Ok(hosts) => hosts,
            Err(NoTarget::NoHost) => vec![domain.clone()],
            Err(other) => return Err(other),
        };
        let mut targets = Vec::new();
        let mut is_unanswered = false;
        for host in hosts {
            match self.addresses(&host).await {
                Ok(addresses) => targets.extend(addresses.into_iter().map(|ip| target(&host, ip, self.port))),
                Err(error) => is_unanswered |= error == NoTarget::Unanswered,
            }
        }
        targets.truncate(TARGETS_MAX);
        match (targets.is_empty(), is_unanswered) {
            (false, _) => Ok(targets),
            (true, true) => Err(NoTarget::Unanswered),
            (true, false) => Err(NoTarget::NoHost),
        }
    }

    async fn routed(&self, domain: &Domain, route: &Route) -> Result<Vec<Target>, NoTarget> {
        match &route.host {
            RouteHost::Address(ip) => Ok(vec![routed_address(domain, *ip, route.port)]),
            // No certificate authority vouches for `localhost`: it stands for its address.
            RouteHost::Name(host) if host.as_str() == "localhost" => {
                Ok(vec![routed_address(domain, IpAddr::from([127, 0, 0, 1]), route.port)])
            }
            RouteHost::Name(host) => {
                // Our own routes file leads there: a name that does not resolve is a cause of ours, never a reason to give up.
                let addresses = self.addresses(host).await.map_err(|_| NoTarget::Unanswered)?;
                Ok(addresses.into_iter().map(|ip| target(host, ip, route.port)).collect())
            }
        }
    }

    /// MX hosts by preference. [`NoTarget::NoHost`] when the domain has none.
    async fn exchangers(&self, domain: &Domain) -> Result<Vec<Domain>, NoTarget> {
        let lookup = match self.resolver.mx_lookup(format!("{domain}.")).await {
            Ok(lookup) => lookup,
            Err(error) => return Err(no_target(&error)),
        };
        let mut found: Vec<(u16, String)> = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii())),
                _ => None,
            })
            .collect();
        found.sort();
        if found.len() == 1 && found[0].1 == "." {
            return Err(NoTarget::NullMx);
        }
        let hosts: Vec<Domain> = found.iter().filter_map(|(_, host)| host.parse().ok()).collect();
        if hosts.is_empty() { Err(NoTarget::NoHost) } else { Ok(hosts) }
    }

    async fn addresses(&self, host: &Domain) -> Result<Vec<IpAddr>, NoTarget> {
        match self.resolver.lookup_ip(format!("{host}.")).await {
            Ok(lookup) => Ok(lookup.iter().collect()),
            Err(error) => Err(no_target(&error)),
        }
    }
}

fn asking(servers: &[SocketAddr]) -> ResolverConfig {
    let name_servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.to_vec())
    });
    ResolverConfig::from_parts(None, vec![], name_servers.collect())
}

fn no_target(error: &NetError) -> NoTarget {
    if error.is_nx_domain() {
        NoTarget::NoDomain
    } else if error.is_no_records_found() {
        NoTarget::NoHost
    } else {
        NoTarget::Unanswered
    }
}

fn target(host: &Domain, ip: IpAddr, port: u16) -> Target {
    let names = ReferenceNames { hosts: vec![host.to_string()], ..ReferenceNames::default() };
    Target { address: SocketAddr::new(ip, port), names, host: host.to_string() }
}

/// A route to a bare address: the certificate bears the address, or a name at or under the routed domain.
fn routed_address(domain: &Domain, ip: IpAddr, port: u16) -> Target {
    let names = ReferenceNames { hosts: Vec::new(), ips: vec![ip], under: Some(domain.to_string()) };
    Target { address: SocketAddr::new(ip, port), names, host: format!("[{ip}]") }
}

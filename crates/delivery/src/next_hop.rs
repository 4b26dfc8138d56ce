//! Where a domain's mail goes: the routes file, then MX records, then the domain's own address (RFC 5321 §5.1).

use arc_swap::ArcSwapOption;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::system_conf::parse_resolv_conf;
use mail_types::Domain;
use pki::ReferenceNames;
use policy::{Route, RouteHost};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
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
    /// This machine has no DNS server to ask.
    NoResolver,
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("[delivery] dns_servers is empty and {} gives no DNS server: {cause}", .file.display())]
struct NoResolver {
    file: PathBuf,
    cause: String,
}

/// Finds servers by DNS.
#[derive(Clone)]
pub struct NextHops {
    /// None while this machine has no DNS server; looked for again at each use.
    resolver: Arc<ArcSwapOption<TokioResolver>>,
    servers: Arc<[SocketAddr]>,
    resolv_conf: Arc<Path>,
    port: u16,
}

impl std::fmt::Debug for NextHops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NextHops")
    }
}

impl NextHops {
    /// Asks `servers`, or those of the file `resolv_conf` when there is none; other operators listen on `port`.
    ///
    /// Without anybody to ask it warns, and mail that no route leads waits until there is somebody: mail from outside and mail between our
    /// own mailboxes need no DNS.
    pub fn new(servers: &[SocketAddr], resolv_conf: &Path, port: u16) -> Self {
        let next_hops =
            Self { resolver: Arc::default(), servers: servers.into(), resolv_conf: resolv_conf.into(), port };
        if let Err(error) = next_hops.resolver() {
            tracing::warn!(%error, "mail that no route leads waits until there is a DNS server");
        }
        next_hops
    }

    fn resolver(&self) -> Result<Arc<TokioResolver>, NoResolver> {
        if let Some(resolver) = self.resolver.load_full() {
            return Ok(resolver);
        }
        let built =
            self.build().map_err(|cause| NoResolver { file: self.resolv_conf.to_path_buf(), cause })?;
        let resolver = Arc::new(built);
        self.resolver.store(Some(resolver.clone()));
        Ok(resolver)
    }

    fn build(&self) -> Result<TokioResolver, String> {
        let provider = TokioRuntimeProvider::default();
        let builder = if self.servers.is_empty() {
            let text = std::fs::read(&self.resolv_conf).map_err(|e| e.to_string())?;
            let (config, options) = parse_resolv_conf(text).map_err(|e| e.to_string())?;
            TokioResolver::builder_with_config(config, provider).with_options(options)
        } else {
            TokioResolver::builder_with_config(asking(&self.servers), provider)
        };
        builder.build().map_err(|e| e.to_string())
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
                let addresses = self.addresses(host).await.map_err(|cause| match cause {
                    NoTarget::NoResolver => cause,
                    _ => NoTarget::Unanswered,
                })?;
                Ok(addresses.into_iter().map(|ip| target(host, ip, route.port)).collect())
            }
        }
    }

    /// MX hosts by preference. [`NoTarget::NoHost`] when the domain has none.
    async fn exchangers(&self, domain: &Domain) -> Result<Vec<Domain>, NoTarget> {
        let resolver = self.resolver().map_err(|_| NoTarget::NoResolver)?;
        let lookup = match resolver.mx_lookup(format!("{domain}.")).await {
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
        let resolver = self.resolver().map_err(|_| NoTarget::NoResolver)?;
        match resolver.lookup_ip(format!("{host}.")).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_dns_servers_is_told_of_and_served_once_it_has_one() {
        let folder = std::env::temp_dir().join(format!("vaguemestre-resolv-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("resolv.conf");
        let next_hops = NextHops::new(&[], &file, 25);
        let cause = next_hops.resolver().unwrap_err().to_string();
        assert!(cause.contains("resolv.conf gives no DNS server"), "{cause}");
        for empty in ["", "# nothing\n", "search chu.example\n"] {
            std::fs::write(&file, empty).unwrap();
            assert!(next_hops.resolver().is_err(), "{empty:?}");
        }
        std::fs::write(&file, "nameserver 192.0.2.53\n").unwrap();
        next_hops.resolver().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert!(NextHops::new(&["192.0.2.53:53".parse().unwrap()], &file, 25).resolver().is_ok());
    }
}

//! Routes: domains whose server is not found by DNS. One a line, `DOMAIN HOST:PORT`, with `#` comments.

use crate::LineFault;
use mail_types::Domain;
use std::collections::HashMap;
use std::net::IpAddr;

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteHost {
    /// A host name: the peer's certificate must bear it.
    Name(Domain),
    /// An address: the peer's certificate must bear it, or a name of the routed domain.
    Address(IpAddr),
}

/// A server to deliver to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Host.
    pub host: RouteHost,
    /// TCP port.
    pub port: u16,
}

/// The routes in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    routes: HashMap<Domain, Route>,
}

impl Routes {
    /// Reads the text form. Lines at fault are left out and reported.
    pub fn parse(text: &str) -> (Self, Vec<LineFault>) {
        let mut routes = Self::default();
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match route(line) {
                Some((domain, route)) => {
                    routes.routes.insert(domain, route);
                }
                None => {
                    faults.push(LineFault { line: index + 1, cause: "a line has the form DOMAIN HOST:PORT" });
                }
            }
        }
        (routes, faults)
    }

    /// The route of a domain.
    pub fn route(&self, domain: &Domain) -> Option<&Route> {
        self.routes.get(domain)
    }
}

fn route(line: &str) -> Option<(Domain, Route)> {
    let mut words =
        line.split([' ', '\t', ';', '=', '"', '→', '>']).filter(|word| !word.is_empty() && *word != "-");
    let (domain, target) = (words.next()?.parse().ok()?, words.next()?);
    let (host, port) = target.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let host = match host.parse() {
        Ok(address) => RouteHost::Address(address),
        Err(_) => RouteHost::Name(host.parse().ok()?),
    };
    Some((domain, Route { host, port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_lead_to_names_and_addresses() {
        let (routes, faults) = Routes::parse(
            "a.example mx.a.example:25\nb.example\t127.0.0.1:2525\nc.example = \"[::1]:25\"\nd.example mx\n",
        );
        assert_eq!(faults.len(), 1);
        let to = |domain: &str| routes.route(&domain.parse().unwrap()).cloned();
        assert_eq!(
            to("a.example"),
            Some(Route { host: RouteHost::Name("mx.a.example".parse().unwrap()), port: 25 })
        );
        assert_eq!(
            to("b.example"),
            Some(Route { host: RouteHost::Address([127, 0, 0, 1].into()), port: 2525 })
        );
        assert_eq!(to("c.example").unwrap().port, 25);
        assert_eq!(to("d.example"), None);
    }
}

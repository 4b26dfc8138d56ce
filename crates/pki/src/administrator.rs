//! The client side of an administrator's command line towards our own REST API, from a machine that keeps no trust space.

use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use crate::crypto::TlsSettings;
use crate::handshake::TlsSetupError;
use crate::own::OwnIdentity;

/// A configuration for an HTTPS client of another library: the server must have the name that is dialled and lead to one of `authorities`. An authority
/// that cannot be read is left out. `identity` is presented when it is asked for.
///
/// Revocation is not looked up: a workstation has no lists. Who needs that runs the command on the server, on its store.
///
/// # Errors
/// The provider refuses the versions, or no authority can be used.
pub fn administrator_https_config(
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<&OwnIdentity>,
) -> Result<ClientConfig, TlsSetupError> {
    let settings = TlsSettings::default();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(authorities);
    if taken == 0 {
        return Err(rustls::Error::General("no authority can be used".to_owned()).into());
    }
    let config = ClientConfig::builder_with_provider(settings.provider())
        .with_protocol_versions(settings.versions())?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => {
            let presented: Arc<dyn ResolvesClientCert> = identity.presented();
            config.with_client_cert_resolver(presented)
        }
        None => config.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

//! Both ends of TLS for an auditor, who plays a foreign operator to see how a server behaves.
//!
//! **Never for mail.** An auditor believes nobody: it finishes a handshake with whatever certificate the other side shows, presents what it is
//! told to (an expired certificate, say) and reports what it saw.

use std::fmt;
use std::io;
use std::sync::Arc;

use mail_types::DistinguishedName;
use rustls::client::Resumption;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{ClientConfig, CommonState, Error, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::crypto;
use crate::crypto::handshake_signatures;
use crate::leaf::Leaf;
use crate::own::OwnIdentity;

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A version of TLS that an auditor insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditedVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A stream of octets in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A finished handshake. In TLS 1.3 a server that refuses our certificate says so later: the first read then fails.
pub struct Audited {
    /// The encrypted stream.
    pub stream: Box<dyn Duplex>,
    /// Subject of the certificate that the other side showed: a claim, nothing was verified.
    pub presented: Option<DistinguishedName>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// Cipher suite by its IANA name.
    pub suite: &'static str,
}

impl fmt::Debug for Audited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audited")
            .field("presented", &self.presented)
            .field("protocol", &self.protocol)
            .finish()
    }
}

/// Who the auditor says it is, and the versions that it speaks.
#[derive(Clone, Debug)]
pub struct AuditorTls {
    identity: Option<Arc<OwnIdentity>>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl AuditorTls {
    /// Presents this identity, or none, in both versions.
    pub fn new(identity: Option<Arc<OwnIdentity>>) -> Self {
        Self { identity, versions: BOTH }
    }

    /// The same, in one version.
    #[must_use]
    pub fn only(self, version: AuditedVersion) -> Self {
        let versions = match version {
            AuditedVersion::Tls12 => TLS12,
            AuditedVersion::Tls13 => TLS13,
        };
        Self { versions, ..self }
    }

    /// Does the handshake as a client. It sets no time limit: the caller does.
    ///
    /// # Errors
    /// When the server ends the handshake: see [`alert_of`].
    pub async fn connect<IO>(&self, io: IO, server: &str) -> io::Result<Audited>
    where
        IO: Duplex + 'static,
    {
        let name = ServerName::try_from(server.to_owned()).map_err(io::Error::other)?;
        let builder = ClientConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(self.versions)
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous));
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.presented()),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, io).await?;
        let seen = seen(stream.get_ref().1);
        Ok(Audited { stream: Box::new(stream), presented: seen.0, protocol: seen.1, suite: seen.2 })
    }

    /// Does the handshake as a server, which asks for a certificate and takes any. It sets no time limit: the caller does.
    ///
    /// # Errors
    /// When the client ends the handshake, or the auditor has no identity.
    pub async fn accept<IO>(&self, io: IO) -> io::Result<Audited>
    where
        IO: Duplex + 'static,
    {
        let identity =
            self.identity.as_ref().ok_or_else(|| io::Error::other("a server needs an identity"))?;
        let mut config = ServerConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(self.versions)
            .map_err(io::Error::other)?
            .with_client_cert_verifier(Arc::new(Credulous))
            .with_cert_resolver(identity.presented());
        config.send_tls13_tickets = 0;
        let stream = TlsAcceptor::from(Arc::new(config)).accept(io).await?;
        let seen = seen(stream.get_ref().1);
        Ok(Audited { stream: Box::new(stream), presented: seen.0, protocol: seen.1, suite: seen.2 })
    }
}

/// The alert by which the other side ended a handshake or a session, as RFC 8446 §6 describes it: `CertificateRevoked`.
pub fn alert_of(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

fn seen(connection: &CommonState) -> (Option<DistinguishedName>, &'static str, &'static str) {
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let (protocol, suite) = crypto::negotiated(connection);
    (shown.and_then(|leaf| Leaf::read(leaf)).map(|leaf| leaf.subject), protocol, suite)
}

/// Takes any certificate of either side, of which the other side holds the key.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ClientCertVerifier for Credulous {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

//! The TLS of the listeners, one of each kind: what certificates are asked for is a matter of the listener, what is presented is not.

use anyhow::{Context, Result};
use config::{ClientCertificates, Listener, TlsFiles};
use pki::{AccessServerTls, MxServerTls, OwnIdentity, TlsSettings, TlsSetupError, Trust};
use std::sync::Arc;

/// The versions and suites of `[tls]`.
pub(crate) fn settings(tls: &TlsFiles) -> Result<TlsSettings> {
    TlsSettings::new(&tls.suites, tls.only_tls13).context("[tls] suites")
}

/// Replaced together.
pub(crate) struct ServerTls {
    mx: Arc<MxServerTls>,
    mx_requiring: Arc<MxServerTls>,
    access: Arc<AccessServerTls>,
    access_requesting: Arc<AccessServerTls>,
    access_requiring: Arc<AccessServerTls>,
}

impl ServerTls {
    pub(crate) fn new(
        identity: &Arc<OwnIdentity>,
        trust: &Arc<Trust>,
        settings: &TlsSettings,
    ) -> Result<Self, TlsSetupError> {
        let access = |ask| {
            let access = AccessServerTls::new(identity.clone(), trust.clone(), ask)?;
            access.with_settings(settings.clone()).map(Arc::new)
        };
        let mx = |mx: MxServerTls| Arc::new(mx.with_settings(settings.clone()));
        Ok(Self {
            mx: mx(MxServerTls::new(identity.clone(), trust.clone())),
            mx_requiring: mx(MxServerTls::requiring(identity.clone(), trust.clone())),
            access: access(pki::ClientCertificates::Off)?,
            access_requesting: access(pki::ClientCertificates::Request)?,
            access_requiring: access(pki::ClientCertificates::Require)?,
        })
    }

    /// Presents another identity from the next handshake on.
    pub(crate) fn replace(&self, identity: &Arc<OwnIdentity>) -> Result<(), TlsSetupError> {
        self.mx.replace(identity.clone());
        self.mx_requiring.replace(identity.clone());
        for access in [&self.access, &self.access_requesting, &self.access_requiring] {
            access.replace(identity.clone())?;
        }
        Ok(())
    }

    /// For a listener of other operators.
    pub(crate) fn mx(&self, listener: &Listener) -> Arc<MxServerTls> {
        match listener.client_certificates {
            ClientCertificates::Off | ClientCertificates::Request => self.mx.clone(),
            ClientCertificates::Require => self.mx_requiring.clone(),
        }
    }

    /// For a listener of our users and applications.
    pub(crate) fn access(&self, listener: &Listener) -> Arc<AccessServerTls> {
        match listener.client_certificates {
            ClientCertificates::Off => self.access.clone(),
            ClientCertificates::Request => self.access_requesting.clone(),
            ClientCertificates::Require => self.access_requiring.clone(),
        }
    }
}

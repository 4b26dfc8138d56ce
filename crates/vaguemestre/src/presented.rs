//! What this server presents, and how a reload or an administrator puts another in its place.

use crate::identity::{self, Identities};
use crate::server_tls::ServerTls;
use anyhow::Result;
use arc_swap::ArcSwap;
use config::TlsFiles;
use pki::PeerClientTls;
use std::sync::Arc;
use store::Store;
use tokio::sync::{Mutex, watch};
use trust_space::TrustSpace;

/// Our certificates, and everything that shows them.
pub(crate) struct Presented {
    /// The files that the configuration names now.
    pub(crate) files: ArcSwap<TlsFiles>,
    /// What is presented now.
    pub(crate) identities: watch::Sender<Identities>,
    /// To those who connect to us.
    pub(crate) tls: ServerTls,
    /// To those to whom we connect.
    pub(crate) peer: Arc<PeerClientTls>,
    /// By what they are judged.
    pub(crate) trust: TrustSpace,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Presented {
    pub(crate) fn new(
        files: TlsFiles,
        identities: Identities,
        tls: ServerTls,
        peer: Arc<PeerClientTls>,
        trust: TrustSpace,
    ) -> Self {
        Self {
            files: ArcSwap::from_pointee(files),
            identities: watch::Sender::new(identities),
            tls,
            peer,
            trust,
            changing: Mutex::default(),
        }
    }

    /// Takes the certificates of the files, if they stand under the trust in force. `store` notes them for whom it acts.
    pub(crate) async fn renew(&self, store: &Store) -> Result<()> {
        let _one = self.changing.lock().await;
        self.take(store).await
    }

    /// Puts a pair that was checked in the place of the files, and takes it.
    pub(crate) async fn replace(
        &self,
        store: &Store,
        (cert, key): (&std::path::Path, &std::path::Path),
        (chain, key_pem): (&[u8], &str),
    ) -> Result<()> {
        let _one = self.changing.lock().await;
        let former = self.identities.borrow().clone();
        identity::replace(cert, key, chain, key_pem)?;
        self.take(store).await?;
        let now = self.identities.borrow().clone();
        crate::inventory::leave(store, &former, &now).await
    }

    async fn take(&self, store: &Store) -> Result<()> {
        let identities = Identities::load(&self.files.load())?;
        identities.stand(&self.trust.pki.load())?;
        self.trust.note_own_list_points(identities.list_points());
        self.tls.replace(&identities.server)?;
        self.peer.replace(identities.client.clone());
        if let Err(error) = crate::inventory::enter(store, &identities).await {
            tracing::error!(error = format!("{error:#}"), "our certificate is not in the inventory");
        }
        self.identities.send_replace(identities);
        Ok(())
    }
}

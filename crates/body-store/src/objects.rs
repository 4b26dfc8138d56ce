//! Containers as objects of an S3-compatible service: `prefix/ab/<id>`.

use crate::{Error, Listed, S3Options, named_id};
use futures_util::StreamExt;
use mail_types::{BodyId, Timestamp};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig,
};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The bucket; cheap to clone.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) client: Arc<AmazonS3>,
    prefix: Arc<str>,
    room: Arc<Semaphore>,
    timeout: Duration,
}

impl std::fmt::Debug for Objects {
    /// Without the client, which would print its credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Objects {
    pub(crate) fn new(options: &S3Options) -> Result<Self, Error> {
        let client = builder(options)?.build().map_err(|error| Error::service(&error))?;
        Ok(Self {
            client: Arc::new(client),
            prefix: options.prefix.trim_matches('/').into(),
            room: Arc::new(Semaphore::new(options.concurrency)),
            timeout: options.timeout,
        })
    }

    /// The name of a container. Like the subfolder of a file, its last octet spreads the names.
    pub(crate) fn name(&self, id: BodyId) -> Path {
        Path::from(format!("{}{id}", self.slice(id.0[15])))
    }

    fn slice(&self, slice: u8) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{slice:02x}/", self.prefix)
    }

    /// Room for one more request.
    pub(crate) async fn room(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(self.timeout, self.room.acquire()).await {
            Ok(permit) => permit.map_err(|_| Error::Closing),
            Err(_) => Err(Error::Service("no request could be begun in time: too many wait".to_owned())),
        }
    }

    /// Opens an object by its end: one request tells its length too.
    pub(crate) async fn open_object(
        &self,
        id: BodyId,
        tail_max: u64,
    ) -> Result<(ObjectReader, Vec<u8>), Error> {
        let name = self.name(id);
        let options = GetOptions { range: Some(GetRange::Suffix(tail_max)), ..GetOptions::default() };
        let _room = self.room().await?;
        let answer = self.client.get_opts(&name, options).await.map_err(|error| Error::service(&error))?;
        let length = answer.meta.size;
        let tail = answer.bytes().await.map_err(|error| Error::service(&error))?.to_vec();
        Ok((ObjectReader { objects: self.clone(), name, length }, tail))
    }

    pub(crate) async fn exists(&self, id: BodyId) -> Result<bool, Error> {
        let _room = self.room().await?;
        match self.client.head(&self.name(id)).await.map_err(|error| Error::service(&error)) {
            Ok(_) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes objects, up to a thousand in a request.
    pub(crate) async fn remove(&self, ids: &[BodyId]) -> Result<(), Error> {
        let names: Vec<object_store::Result<Path>> = ids.iter().map(|id| Ok(self.name(*id))).collect();
        let _room = self.room().await?;
        let mut answers = self.client.delete_stream(futures_util::stream::iter(names).boxed());
        let mut failed = None;
        while let Some(answer) = answers.next().await {
            match answer.map_err(|error| Error::service(&error)) {
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    pub(crate) async fn list(&self, slice: u8) -> Result<Vec<Listed>, Error> {
        let prefix = self.slice(slice);
        let (mut listed, mut page_token) = (Vec::new(), None);
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let _room = self.room().await?;
            let page = self.client.list_paginated(Some(&prefix), options).await;
            let page = page.map_err(|error| Error::service(&error))?;
            listed.extend(page.result.objects.iter().filter_map(|object| {
                let id = named_id(object.location.filename()?).filter(|id| id.0[15] == slice)?;
                Some(Listed { id, changed_at: Timestamp(object.last_modified.timestamp_millis()) })
            }));
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(listed);
            }
        }
    }

    /// One listing of at most one name: it needs the bucket, the credentials and the right to list, and changes nothing.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let _room = self.room().await?;
        let page = self.client.list_paginated(Some(&self.slice(0)), options).await;
        page.map(|_| ()).map_err(|error| match Error::service(&error) {
            Error::NotFound => Error::Service("the bucket does not exist".to_owned()),
            other => other,
        })
    }
}

fn builder(options: &S3Options) -> Result<AmazonS3Builder, Error> {
    let mut http = ClientOptions::new()
        .with_allow_http(options.endpoint.is_clear())
        .with_connect_timeout(options.connect_timeout)
        .with_timeout(options.timeout)
        .with_pool_max_idle_per_host(options.concurrency);
    if let Some(pem) = &options.authorities {
        let authorities = Certificate::from_pem_bundle(pem);
        http = authorities
            .map_err(|error| Error::service(&error))?
            .into_iter()
            .fold(http.with_no_system_certificates(true), ClientOptions::with_root_certificate);
    }
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: options.retries_max,
        retry_timeout: options.timeout,
    };
    let mut builder = AmazonS3Builder::new()
        .with_endpoint(options.endpoint.as_str())
        .with_region(&options.region)
        .with_bucket_name(&options.bucket)
        .with_virtual_hosted_style_request(!options.path_style)
        .with_access_key_id(&options.credentials.key_id)
        .with_secret_access_key(options.credentials.secret.expose())
        .with_client_options(http)
        .with_retry(retry);
    if let Some(token) = &options.credentials.session_token {
        builder = builder.with_token(token.expose());
    }
    Ok(builder)
}

/// Reads ranges of one object.
#[derive(Clone, Debug)]
pub struct ObjectReader {
    objects: Objects,
    name: Path,
    length: u64,
}

impl ObjectReader {
    /// Octets of the object.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Exactly the octets of `range`, in one request.
    ///
    /// # Errors
    /// The service does not answer in time, or answers with another number of octets.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let wanted = range.end - range.start;
        let _room = self.objects.room().await?;
        let answer = self.objects.client.get_range(&self.name, range).await;
        let octets = answer.map_err(|error| Error::service(&error))?;
        if octets.len() as u64 == wanted {
            Ok(octets.to_vec())
        } else {
            Err(Error::Service("a range came back with another length".to_owned()))
        }
    }
}

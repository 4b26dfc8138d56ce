//! Where large bodies lie, as the configuration says: the files that `[store.s3]` names, read and checked.

use anyhow::{Context, Result};
use body_store::{BodyStore, Credentials, Place, S3Options};
use config::{S3Section, StoreSection};
use std::path::Path;
use std::time::Duration;
use store::BodyOptions;

/// The body options of a configuration.
pub(crate) fn options(section: &StoreSection) -> Result<BodyOptions> {
    let s3 = section.s3.as_ref().map(s3_options).transpose()?.map(Box::new);
    Ok(match s3 {
        None => BodyOptions::Files,
        Some(s3) if section.bodies_in_s3 => BodyOptions::S3(s3),
        Some(s3) => BodyOptions::FilesAfterS3(s3),
    })
}

fn s3_options(section: &S3Section) -> Result<S3Options> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let credentials = read(&section.credentials_file).context("[store.s3] credentials_file")?;
    let credentials = Credentials::parse(&String::from_utf8_lossy(&credentials))
        .with_context(|| format!("[store.s3] credentials_file: {}", section.credentials_file.display()))?;
    let authorities = section.authorities.as_deref().map(read).transpose();
    Ok(S3Options {
        endpoint: section.endpoint.parse().context("[store.s3] endpoint")?,
        region: section.region.clone(),
        bucket: section.bucket.clone(),
        prefix: section.prefix.clone(),
        credentials,
        authorities: authorities.context("[store.s3] authorities")?,
        path_style: section.path_style,
        connect_timeout: Duration::from_secs(section.connect_timeout_secs),
        timeout: Duration::from_secs(section.timeout_secs),
        retries_max: section.retries_max,
        concurrency: section.requests_max,
    })
}

/// Asks the bucket of a configuration whether it is there and whether our key opens it. True without one.
///
/// # Errors
/// What is wrong with the options, or what the service answered within its time limits.
pub(crate) async fn check(section: &StoreSection) -> Result<()> {
    let Some(s3) = section.s3.as_ref().map(s3_options).transpose()? else { return Ok(()) };
    let bodies = BodyStore::open(&section.data_dir, Some(&s3), Place::Object)?;
    bodies.check().await.with_context(|| {
        format!("[store.s3] bucket {} at {}", s3.bucket, section.s3.as_ref().map_or("", |s3| &s3.endpoint))
    })
}

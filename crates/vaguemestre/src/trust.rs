//! The sections of the configuration about trust, as `trust-space` understands them.

use anyhow::{Context, Result};
use config::{Config, WhiteListFormat};
use pki::EkuRule;
use policy::Ages;
use trust_space::{ListSettings, Settings, WhiteListForm, WhiteListSettings, WhiteListSource};

/// Not `trust`: configurations like to have their own files there.
const FOLDER: &str = "trust-space";

/// What the trust space needs.
pub(crate) fn settings(config: &Config) -> Settings {
    let trust = &config.trust;
    Settings {
        folder: config.store.data_dir.join(FOLDER),
        anchors: trust.anchors.clone(),
        environment: match trust.environment {
            config::Environment::Production => pki::Environment::Production,
            config::Environment::Test => pki::Environment::Test,
        },
        eku_rule: if trust.strict_eku { EkuRule::Strict } else { EkuRule::AnyTlsUsage },
        lists: ListSettings {
            files: trust.crl_files.clone(),
            urls: trust.crl_urls.clone(),
            is_fetched: trust.crl_fetch,
            refresh_secs: signed(trust.crl_refresh_secs),
            grace_secs: signed(trust.crl_grace_secs),
            size_max: trust.crl_size_max,
        },
        white_list: white_list(config),
        ages: Ages {
            stale_secs: signed(trust.whitelist_stale_secs),
            max_secs: signed(trust.whitelist_age_max_secs),
            departure_secs: signed(trust.departure_hold_secs),
        },
    }
}

fn white_list(config: &Config) -> Option<WhiteListSettings> {
    let trust = &config.trust;
    let source = match (&trust.whitelist_file, &trust.whitelist_url) {
        (Some(path), _) => WhiteListSource::File(path.clone()),
        (None, Some(url)) => WhiteListSource::Url(url.clone()),
        (None, None) => return None,
    };
    let form = match trust.whitelist_format {
        WhiteListFormat::National => WhiteListForm::National {
            signer: trust.whitelist_signer.clone().unwrap_or_default(),
            authorities: trust.whitelist_authorities.clone(),
        },
        WhiteListFormat::Csv => WhiteListForm::Csv,
        WhiteListFormat::Pairs => WhiteListForm::Pairs,
    };
    Some(WhiteListSettings {
        source,
        form,
        refresh_secs: signed(trust.whitelist_refresh_secs),
        shrink_max_percent: trust.whitelist_shrink_max_percent,
        size_max: trust.whitelist_size_max,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The client that fetches lists and asks responders, with what our deliveries present and believe.
pub(crate) fn http_client(peer: &pki::PeerClientTls) -> Result<trust_space::HttpClient> {
    let tls = peer.https_config().context("[tls] cert and key")?;
    Ok(trust_space::HttpClient::new(tls)?)
}

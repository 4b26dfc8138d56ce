//! `/certificates/requests`: certificate signing requests, for the authority.

use crate::access::{Caller, Permission, RouteRule, rule};
use crate::api::{Api, Shared};
use crate::json::Json;
use crate::problem::{Code, Problem};
use axum::extract::State;
use mail_types::Secret;
use pki::development::SubjectAttributes;
use pki::{RequestError, RequestKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Who may do what here.
pub(crate) const RULES: &[RouteRule] =
    &[rule("POST", "/certificates/requests", &[Permission::CertificatesWrite])];

/// The operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(request_certificate))
}

/// A key to be made.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NewKey {
    /// ECDSA on P-256.
    #[default]
    P256,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
}

/// What a certificate is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewRequest {
    /// CN: a host name, or the name of the application.
    #[schema(min_length = 1, max_length = 64, example = "mx.chu-nord.example")]
    common_name: String,
    /// OU: `1` and the FINESS number of the structure, or `3` and its SIRET.
    #[serde(default)]
    #[schema(max_length = 64)]
    organizational_unit: String,
    /// O: name of the structure.
    #[serde(default)]
    #[schema(max_length = 64)]
    organization: String,
    /// ST: `Departement (nn)`.
    #[serde(default)]
    #[schema(max_length = 64)]
    state: String,
    /// C: two letters.
    #[serde(default = "france")]
    #[schema(default = "FR", pattern = "^[A-Za-z]{2}$")]
    country: String,
    /// DNS names, addresses and mail addresses that the certificate is to have.
    #[serde(default)]
    #[schema(max_items = 100)]
    names: Vec<String>,
    /// The key that is made for it.
    #[schema(inline)]
    key: Option<NewKey>,
    /// The key (PKCS#8, PEM, not encrypted) to ask with, instead of a new one.
    #[schema(min_length = 1, max_length = 20_000, write_only)]
    private_key: Option<String>,
}

/// A request for the authority.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateRequest {
    /// PKCS#10, PEM.
    request: String,
    /// The new key (PKCS#8, PEM): shown this once, kept nowhere.
    private_key: Option<String>,
}

fn france() -> String {
    "FR".to_owned()
}

/// Makes a certificate signing request
///
/// For the authority. Nothing is kept: a new key is in this answer and nowhere else.
#[utoipa::path(post, path = "/certificates/requests", tag = "certificates", operation_id = "requestCertificate", request_body = NewRequest,
    responses((status = 200, description = "The request, and its key when it was made for it.", body = CertificateRequest)))]
async fn request_certificate(
    State(api): Shared,
    caller: Caller,
    Json(new): Json<NewRequest>,
) -> Result<axum::Json<CertificateRequest>, Problem> {
    if new.key.is_some() && new.private_key.is_some() {
        return Err(Problem::invalid(
            "/key",
            "either a new key or privateKey",
            "soit une nouvelle clé, soit privateKey",
        ));
    }
    if new.names.len() > 100 {
        return Err(Problem::invalid("/names", "at most 100 names", "100 noms au plus"));
    }
    if new.common_name.is_empty() {
        return Err(Problem::invalid("/commonName", "must not be empty", "ne doit pas être vide"));
    }
    // A key takes a second or more to make.
    let made = tokio::task::spawn_blocking(move || make(&new)).await;
    let made = made.map_err(|_| Problem::new(Code::Internal))?.map_err(problem)?;
    api.store_of(&caller).note_administration("certificate.requested", String::new()).await?;
    let private_key = made.new_key_pem.map(|key| key.expose().clone());
    Ok(axum::Json(CertificateRequest { request: made.request_pem, private_key }))
}

fn make(new: &NewRequest) -> Result<pki::CertificateRequest, RequestError> {
    let existing = new.private_key.clone().map(Secret::new);
    let key = match (&existing, new.key.unwrap_or_default()) {
        (Some(key), _) => RequestKey::Existing(key),
        (None, NewKey::P256) => RequestKey::NewP256,
        (None, NewKey::Rsa2048) => RequestKey::NewRsa2048,
        (None, NewKey::Rsa3072) => RequestKey::NewRsa3072,
    };
    let subject = SubjectAttributes {
        common_name: &new.common_name,
        organizational_unit: &new.organizational_unit,
        organization: &new.organization,
        state: &new.state,
        country: &new.country,
    };
    pki::certificate_request(&subject, &new.names, key)
}

fn problem(error: RequestError) -> Problem {
    let text = error.to_string();
    match error {
        RequestError::Country => {
            Problem::invalid("/country", text, "doit être de deux lettres, telles que FR")
        }
        RequestError::Subject(_) => Problem::invalid("/commonName", text, "le sujet ne peut être écrit"),
        RequestError::Name(_) => Problem::invalid(
            "/names",
            text,
            "un nom n'est ni un nom DNS, ni une adresse, ni une adresse de courrier en ASCII",
        ),
        RequestError::Key(_) => Problem::invalid(
            "/privateKey",
            text,
            "la clé n'est pas utilisable : il faut une clé PKCS#8 (PEM) non chiffrée, RSA ou ECDSA",
        ),
        RequestError::Signature(_) => Problem::new(Code::Internal),
    }
}

//! From a certificate to the rule by which an application logs in: what a certificate must have in common with it. It judges no certificate.

use super::members;
use crate::problem::Problem;
use mail_types::{AlternativeName, CertificateCriteria};
use serde::Deserialize;
use utoipa::ToSchema;

/// What a certificate must have in common with the one that a rule is made from.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleBy {
    /// Issuer and serial number: this certificate and no other.
    #[default]
    Serial,
    /// The key, whoever certifies it: survives a renewal with the same key.
    Pin,
    /// Issuer and subject: survives every renewal under the same name.
    Subject,
    /// Issuer and a name of the subjectAltName extension.
    San,
}

/// The criteria that a certificate and the way in which it is meant come to.
pub(super) fn criteria(pem: &[u8], by: RuleBy, san: Option<&str>) -> Result<CertificateCriteria, Problem> {
    let facts = pki::certificate_facts(pem).map_err(members::malformed_certificate)?;
    if san.is_some() && !matches!(by, RuleBy::San) {
        return Err(Problem::invalid("/san", "has a meaning with by=san only", "n'a de sens qu'avec by=san"));
    }
    let criteria = match by {
        RuleBy::Serial => CertificateCriteria::new(Some(facts.issuer), None, None, Some(facts.serial), None),
        RuleBy::Pin => CertificateCriteria::new(None, None, None, None, Some(facts.key_pin)),
        RuleBy::Subject => {
            CertificateCriteria::new(Some(facts.issuer), Some(facts.subject), None, None, None)
        }
        RuleBy::San => {
            let names = pki::certificate_names(pem).map_err(members::malformed_certificate)?;
            let name = chosen(names, san)?;
            CertificateCriteria::new(Some(facts.issuer), None, Some(name), None, None)
        }
    };
    criteria.map_err(|wide| {
        Problem::invalid("/by", wide.to_string(), "cette règle vaudrait pour n'importe quel certificat")
    })
}

/// The name that is meant among those of the certificate.
fn chosen(names: Vec<AlternativeName>, asked: Option<&str>) -> Result<AlternativeName, Problem> {
    let listed = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let asked = asked.map(str::parse::<AlternativeName>).transpose().map_err(|_| {
        Problem::invalid("/san", "must be DNS:name or email:address", "doit être DNS:nom ou email:adresse")
    })?;
    match (asked, names.as_slice()) {
        (Some(asked), names) if names.contains(&asked) => Ok(asked),
        (None, [only]) => Ok(only.clone()),
        _ => Err(Problem::invalid(
            "/san",
            format!("must be one of the certificate's names: {listed}"),
            format!("doit être un des noms du certificat : {listed}"),
        )),
    }
}

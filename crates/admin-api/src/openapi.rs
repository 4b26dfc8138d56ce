//! The description of the API: what the handlers say, with what all of them have in common.

use crate::access::{Permission, RouteRule};
use crate::deprecation::{self, DEPRECATED};
use crate::idempotency::KEY_MAX;
use crate::problem::{Fault, ProblemBody};
use crate::routes;
use std::collections::HashSet;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, ContentBuilder, Deprecated, InfoBuilder, LicenseBuilder, OpenApi, Ref,
    RefOr, Required, ServerBuilder,
};

/// The resources, in the order of the description.
const TAGS: &[(&str, &str)] = &[
    ("service", "What the server is, whether it answers, what its API offers."),
    ("domains", "Domains that this operator runs."),
    ("users", "Persons."),
    ("mailboxes", "Mailboxes (BAL): their identification, creation, life and quota."),
    ("delegations", "Who may open which mailbox, and as what."),
    ("quotas", "How much mailboxes may keep."),
    ("passwords", "Application passwords: made and revoked, never shown again."),
    ("keys", "API keys and admin roles."),
    ("applications", "Applications that log in with a certificate."),
    ("certificates", "Our own certificates and those of applications."),
    ("trust", "The trust space: white list, revocation lists, local decisions."),
    ("queue", "Messages on their way to other operators."),
    ("judgements", "How certificates of others were judged."),
    ("journal", "How certificates of others were judged."),
    ("messages", "Messages of one's own mailbox."),
    ("folders", "Folders of one's own mailbox."),
    ("audit", "The audit trail: read, verified, exported, kept."),
    ("statistics", "Counters of the day."),
    ("jobs", "Long work: how far it is and what came of it."),
];

/// Adds what every operation has: errors, security, its permission.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Vaguemestre")
        .version(crate::changes::version())
        .description(Some(
            "Administration of an operator of a secure health mail network, and one's own mailbox by REST.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .contact(Some(ContactBuilder::new().name(Some("The operator's administrators")).build()))
        .build();
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let mut components = components;
    components.schemas.insert("Problem".to_owned(), ProblemBody::schema());
    components.schemas.insert("Fault".to_owned(), Fault::schema());
    components.add_security_scheme("apiKey", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components
        .add_security_scheme("applicationPassword", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    components.add_security_scheme(
        "clientCertificate",
        SecurityScheme::MutualTls {
            description: Some(
                "The certificate of an application. One that opens several mailboxes names one by the header Mailbox."
                    .to_owned(),
            ),
            deprecated: None,
            extensions: None,
        },
    );
    document.components = Some(components);
    for rule in routes::rules() {
        let path = format!("{}{}", crate::api::BASE, rule.path);
        let Some(item) = document.paths.paths.get_mut(&path) else { continue };
        let operation = match rule.method {
            "GET" => item.get.as_mut(),
            "POST" => item.post.as_mut(),
            "PUT" => item.put.as_mut(),
            "PATCH" => item.patch.as_mut(),
            _ => item.delete.as_mut(),
        };
        if let Some(operation) = operation {
            complete_operation(operation, rule);
            complete_parameters(operation, rule);
        }
    }
    let used: Vec<String> =
        operations(&document).flat_map(|operation| operation.tags.iter().flatten().cloned()).collect();
    let tags = TAGS.iter().filter(|(name, _)| used.iter().any(|used| used == name));
    let tags = tags.map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
    document.tags = Some(tags.collect());
    without_unused(document)
}

/// Schemas that nothing refers to (one that is flattened into another) are left out.
fn without_unused(mut document: OpenApi) -> OpenApi {
    loop {
        let text = serde_json::to_string(&document).unwrap_or_default();
        let used: HashSet<&str> =
            text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let is_used = |name: &str| used.contains(name);
        let Some(components) = &mut document.components else { return document };
        let before = components.schemas.len();
        components.schemas.retain(|name, _| is_used(name));
        if components.schemas.len() == before {
            return document;
        }
    }
}

fn operations(document: &OpenApi) -> impl Iterator<Item = &Operation> {
    document.paths.paths.values().flat_map(|item| {
        [&item.get, &item.post, &item.put, &item.patch, &item.delete].into_iter().filter_map(Option::as_ref)
    })
}

/// Parameters that every operation of its kind takes, and what those of one name have in common.
fn complete_parameters(operation: &mut Operation, rule: &RouteRule) {
    let parameters = operation.parameters.get_or_insert_default();
    for parameter in parameters.iter_mut() {
        let RefOr::T(parameter) = parameter else { continue };
        if parameter.parameter_in == ParameterIn::Query {
            without_nul(parameter);
        }
        let format = match (parameter.name.as_str(), &parameter.parameter_in) {
            ("cursor", ParameterIn::Query) => "cursor",
            ("domain", ParameterIn::Query) => "domain",
            ("If-Match", ParameterIn::Header) => "etag",
            _ => continue,
        };
        if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema {
            schema.format = Some(SchemaFormat::Custom(format.to_owned()));
        }
    }
    let has = |parameters: &[RefOr<Parameter>], name: &str| {
        parameters.iter().any(|known| matches!(known, RefOr::T(known) if known.name == name))
    };
    if !rule.any_of.contains(&Permission::Anybody) && !has(parameters, "Reason") {
        let text = "Why it is done, for the audit trail; a support role must say.";
        parameters.push(RefOr::T(header(
            "Reason",
            text,
            words(500, Some("^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f]+$")),
        )));
    }
    if rule.method == "POST" && !has(parameters, "Idempotency-Key") {
        let text = "A key of the caller's own making: the same request with the same key is carried out once in 24 hours.";
        parameters.push(RefOr::T(header("Idempotency-Key", text, words(KEY_MAX, Some("^[!-~]+$")))));
    }
    if deprecation::find(DEPRECATED, rule.method, rule.path).is_some() {
        operation.deprecated = Some(Deprecated::True);
    }
}

/// No NUL stands in a text, which PostgreSQL would not keep (`faults` refuses it before anything is read).
fn without_nul(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else { return };
    let is_text = match &schema.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    };
    if is_text && schema.pattern.is_none() && schema.format.is_none() && schema.enum_values.is_none() {
        schema.pattern = Some("^[^\\u0000]*$".to_owned());
    }
}

fn header(name: &str, text: &str, schema: Object) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(text))
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

fn words(length_max: usize, pattern: Option<&str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(length_max))
        .pattern(pattern)
        .build()
}

fn complete_operation(operation: &mut Operation, rule: &RouteRule) {
    let problem = |text: &str| {
        RefOr::T(
            ResponseBuilder::new()
                .description(text)
                .content(
                    "application/problem+json",
                    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build(),
                )
                .build(),
        )
    };
    let responses = &mut operation.responses.responses;
    for (status, text) in [
        ("4XX", "The request is at fault; `code` and `errors` say how."),
        ("5XX", "The server is at fault, or cannot just now."),
    ] {
        responses.entry(status.to_owned()).or_insert_with(|| problem(text));
    }
    let is_open = rule.any_of.contains(&Permission::Anybody);
    operation.security = Some(if is_open {
        Vec::new()
    } else {
        vec![
            SecurityRequirement::new("apiKey", [] as [&str; 0]),
            SecurityRequirement::new("applicationPassword", [] as [&str; 0]),
            SecurityRequirement::new("clientCertificate", [] as [&str; 0]),
        ]
    });
    let words: Vec<_> = rule.any_of.iter().map(|permission| permission.as_str()).collect();
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert("x-permission".to_owned(), serde_json::json!(words));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_says_what_it_does_under_a_name_of_its_own() {
        let document = crate::api::document();
        let mut names = BTreeSet::new();
        for operation in operations(&document) {
            let name = operation.operation_id.clone().unwrap();
            let is_said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
            assert!(
                is_said(&operation.summary) && is_said(&operation.description),
                "{name} is not described"
            );
            let tags = operation.tags.clone().unwrap_or_default();
            let is_known = |tag: &String| TAGS.iter().any(|(known, _)| known == tag);
            assert!(
                !tags.is_empty() && tags.iter().all(is_known),
                "{name}: a tag of {tags:?} is not in TAGS"
            );
            assert!(names.insert(name.clone()), "{name} stands twice");
        }
    }
}

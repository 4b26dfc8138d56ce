//! The description of the API: what the handlers say, with what all of them have in common.

use crate::problem::{Fault, ProblemBody};
use crate::routes;
use utoipa::PartialSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr,
    ServerBuilder,
};

/// Adds what every operation has: errors, security, its permission.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Vaguemestre")
        .version(env!("CARGO_PKG_VERSION"))
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
        }
    }
    document
}

fn complete_operation(operation: &mut Operation, rule: &crate::access::RouteRule) {
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
    let is_open = rule.any_of.contains(&crate::access::Permission::Anybody);
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

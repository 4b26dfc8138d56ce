//! A request is held to what the description of the API says of it: lengths, patterns, least and most, whatever stands there. What a value
//! means, and whether it is right just now, is not known here.
//!
//! The types of the handlers read a request first, and say better what is of a wrong type or unknown, and handlers tell all that is wrong with
//! the meaning of a body at once; this is for the bounds of a body, and for whatever is said of a query.

use crate::faults::Faults;
use crate::problem::Problem;
use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// Octets of a body that is looked at again here: a larger one is a letter with its files, whose parts have bounds of their own.
const BODY_MAX: usize = crate::api::BODY_MAX;

/// Where the description keeps what it refers to.
const SCHEMAS: &str = "#/components/schemas/";

/// Faults of one body that are told.
const FAULTS_MAX: usize = 32;

/// What one operation takes.
pub(crate) struct Operation {
    parameters: Vec<Parameter>,
    body: Option<Held>,
}

/// One parameter of a query.
struct Parameter {
    name: String,
    kind: Kind,
    /// Least and most of a number.
    between: Option<(Value, Value)>,
    schema: Held,
}

/// A schema, made ready when something is first held to it: a process holds to few of them, and a command to one.
struct Held {
    schema: Value,
    ready: OnceLock<Option<Validator>>,
}

/// What the text of a parameter is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Flag,
    Text,
}

type Operations = HashMap<(Method, String), Operation>;

static OPERATIONS: LazyLock<Operations> = LazyLock::new(|| {
    let document = serde_json::to_value(crate::api::document()).unwrap_or_default();
    operations(&document)
});

/// Reads the description before the first request needs it.
pub(crate) fn prepare() {
    LazyLock::force(&OPERATIONS);
}

/// Whether the query is as described.
///
/// # Errors
/// The first parameter that is not.
pub(crate) fn query(operation: Option<&Operation>, query: &str) -> Result<(), Problem> {
    let Some(operation) = operation else { return Ok(()) };
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let known = operation.parameters.iter().find(|parameter| parameter.name == name);
        if let Some(error) = known.and_then(|parameter| parameter.error(&text)) {
            let (english, french) = match known.and_then(|parameter| parameter.between.as_ref()) {
                Some((least, most)) => (
                    format!("must be between {least} and {most}"),
                    format!("doit être entre {least} et {most}"),
                ),
                None => sentence(&error),
            };
            return Err(Problem::parameter(name.into_owned(), english, french));
        }
    }
    Ok(())
}

/// Whether the body is within the bounds that are described.
///
/// # Errors
/// The places that are not.
pub(crate) fn body(operation: Option<&Operation>, octets: &[u8]) -> Result<(), Problem> {
    let validator = operation.and_then(|operation| operation.body.as_ref()?.validator());
    let Some(validator) = validator.filter(|_| octets.len() <= BODY_MAX) else { return Ok(()) };
    let Ok(value) = serde_json::from_slice::<Value>(octets) else { return Ok(()) };
    let mut faults = Faults::default();
    for (place, (english, french)) in
        validator.iter_errors(&value).filter_map(|error| bound_passed(&error)).take(FAULTS_MAX)
    {
        faults.add(place, english, french);
    }
    faults.none()
}

/// What the operation of a request takes, if the request is for one.
pub(crate) fn operation(method: &Method, extensions: &Extensions) -> Option<&'static Operation> {
    let path = extensions.get::<MatchedPath>()?;
    // HEAD is answered by GET's handler.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    OPERATIONS.get(&(method.clone(), path.as_str().to_owned()))
}

impl Parameter {
    fn error(&self, text: &str) -> Option<ValidationError<'static>> {
        let value = match self.kind {
            // As Rust reads numbers, with leading zeros or a sign.
            Kind::Number => {
                let whole =
                    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from));
                whole.or_else(|_| serde_json::from_str(text)).unwrap_or_else(|_| json!(text))
            }
            Kind::Flag => text.parse::<bool>().map_or_else(|_| json!(text), Value::Bool),
            Kind::Text => json!(text),
        };
        self.schema.validator()?.validate(&value).err().map(ValidationError::to_owned)
    }
}

impl Held {
    /// A schema within the document, with those of the document's components that it needs.
    fn new(schema: &Value, components: &Value) -> Self {
        let referred = referred(schema, components);
        let schema = match referred.is_empty() {
            true => schema.clone(),
            false => json!({"components": {"schemas": referred}, "allOf": [schema]}),
        };
        Self { schema, ready: OnceLock::new() }
    }

    /// None for what is no schema (a unit test makes them all ready).
    fn validator(&self) -> Option<&Validator> {
        self.ready.get_or_init(|| validator(&self.schema)).as_ref()
    }
}

/// The components that a schema refers to, those that these refer to, and so on.
fn referred(schema: &Value, components: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    let mut waiting = vec![schema];
    while let Some(value) = waiting.pop() {
        waiting.extend(value.as_array().into_iter().flatten());
        for (key, value) in value.as_object().into_iter().flatten() {
            let name = value.as_str().filter(|_| key == "$ref").and_then(|to| to.strip_prefix(SCHEMAS));
            let Some(name) = name else {
                waiting.push(value);
                continue;
            };
            let component = &components["schemas"][name];
            if !found.contains_key(name) {
                found.insert(name.to_owned(), component.clone());
                waiting.push(component);
            }
        }
    }
    found
}

fn operations(document: &Value) -> Operations {
    let mut all = HashMap::new();
    let components = &document["components"];
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, described) in item.as_object().into_iter().flatten() {
            let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else { continue };
            let body = body_schema(described).map(|schema| Held::new(schema, components));
            let operation = Operation { parameters: parameters(described, components), body };
            all.insert((method, path.clone()), operation);
        }
    }
    all
}

fn parameters(described: &Value, components: &Value) -> Vec<Parameter> {
    let all = described["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| {
            Some(Parameter {
                name: parameter["name"].as_str()?.to_owned(),
                kind: kind(&parameter["schema"]),
                between: between(&parameter["schema"]),
                schema: Held::new(&parameter["schema"], components),
            })
        })
        .collect()
}

fn between(schema: &Value) -> Option<(Value, Value)> {
    Some((schema.get("minimum")?.clone(), schema.get("maximum")?.clone()))
}

fn kind(schema: &Value) -> Kind {
    let says = |word: &str| {
        schema["type"] == word || schema["type"].as_array().is_some_and(|types| types.contains(&json!(word)))
    };
    if says("integer") || says("number") {
        Kind::Number
    } else if says("boolean") {
        Kind::Flag
    } else {
        Kind::Text
    }
}

fn body_schema(described: &Value) -> Option<&Value> {
    let contents = described["requestBody"]["content"].as_object()?;
    contents.iter().find(|(kind, _)| kind.ends_with("json")).map(|(_, content)| &content["schema"])
}

fn validator(schema: &Value) -> Option<Validator> {
    // Patterns are matched in a time that the text's length bounds.
    let options =
        jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(PatternOptions::regex());
    options.build(schema).inspect_err(|error| tracing::error!("a schema of the API is none: {error}")).ok()
}

/// Where a length is passed, and which. Of several shapes that none fits, it is that of the one that fits best, which goes deepest.
fn bound_passed(error: &ValidationError<'_>) -> Option<(String, (String, String))> {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::MaxLength { .. } | Kind::MaxItems { .. } | Kind::UniqueItems => {
            Some((error.instance_path().as_str().to_owned(), sentence(error)))
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let inner = context.iter().flatten();
            let is_of_another_type = |error: &&ValidationError<'_>| matches!(error.kind(), Kind::Type { .. });
            let best =
                inner.max_by_key(|error| (error.instance_path().as_str().len(), !is_of_another_type(error)));
            best.and_then(bound_passed)
        }
        _ => None,
    }
}

/// What is wrong, in English and in French.
fn sentence(error: &ValidationError<'_>) -> (String, String) {
    use ValidationErrorKind as Kind;
    let two = |english: String, french: String| (english, french);
    match error.kind() {
        Kind::MaxLength { limit } => {
            two(format!("is longer than {limit} characters"), format!("dépasse {limit} caractères"))
        }
        Kind::MinLength { limit } => {
            two(format!("is shorter than {limit} characters"), format!("a moins de {limit} caractères"))
        }
        Kind::MaxItems { limit } => {
            two(format!("has more than {limit} elements"), format!("a plus de {limit} éléments"))
        }
        Kind::Maximum { limit } => two(format!("is more than {limit}"), format!("est supérieur à {limit}")),
        Kind::Minimum { limit } => two(format!("is less than {limit}"), format!("est inférieur à {limit}")),
        Kind::Pattern { pattern } => {
            two(format!("does not match {pattern}"), format!("ne suit pas le motif {pattern}"))
        }
        Kind::Enum { options } => two(format!("is none of {options}"), format!("n'est aucun de {options}")),
        Kind::UniqueItems => two("has an element twice".to_owned(), "a deux fois le même élément".to_owned()),
        Kind::Type { .. } => two("is of another type".to_owned(), "est d'un autre type".to_owned()),
        _ => two(
            "is not as the description of the API says".to_owned(),
            "n'est pas conforme à la description de l'API".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Language;

    #[test]
    fn every_schema_of_the_description_is_one() {
        let document = serde_json::to_value(crate::api::document()).unwrap();
        let mut bodies = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, described) in item.as_object().unwrap() {
                let key = (Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap(), path.clone());
                let operation = &OPERATIONS[&key];
                assert_eq!(operation.body.is_some(), body_schema(described).is_some(), "{method} {path}");
                assert!(operation.body.iter().all(|body| body.validator().is_some()), "{method} {path}");
                assert!(operation.parameters.iter().all(|parameter| parameter.schema.validator().is_some()));
                bodies += usize::from(operation.body.is_some());
                let parameters = described["parameters"].as_array().into_iter().flatten();
                let in_query = parameters.filter(|parameter| parameter["in"] == "query").count();
                assert_eq!(operation.parameters.len(), in_query, "{method} {path}");
            }
        }
        assert!(bodies > 20, "{bodies}");
    }

    #[test]
    fn what_is_wrong_is_said_of_the_place_that_is_wrong() {
        let schema = json!({
            "type": "object",
            "properties": {"who": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Who"}]}},
        });
        let components = json!({"schemas": {"Who": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 3}},
        }}});
        let held = Held::new(&schema, &components);
        let validator = held.validator().unwrap();
        assert!(validator.is_valid(&json!({"who": null})));
        assert!(validator.is_valid(&json!({"who": {"name": "été"}})));
        let too_long = json!({"who": {"name": "four"}});
        let error = validator.validate(&too_long).unwrap_err();
        let (place, (english, french)) = bound_passed(&error).unwrap();
        assert_eq!(place, "/who/name");
        assert_eq!(english, "is longer than 3 characters");
        assert_eq!(french, "dépasse 3 caractères");
    }

    #[test]
    fn a_parameter_is_held_to_its_bounds() {
        let described = json!({"parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 500}},
            {"name": "q", "in": "query", "schema": {"type": ["string", "null"], "maxLength": 2}},
        ]});
        let all = parameters(&described, &json!({}));
        let is_taken = |at: usize, text: &str| all[at].error(text).is_none();
        assert!(is_taken(0, "500") && !is_taken(0, "501") && !is_taken(0, "x"));
        assert!(is_taken(1, "12") && !is_taken(1, "123"), "digits in a text are a text");
        let (english, french) = sentence(&all[0].error("0").unwrap());
        let problem = Problem::parameter("limit", english, french);
        assert_eq!(problem.body(Language::English).errors[0].detail, "is less than 1");
    }
}

//! What went wrong, as RFC 9457 says it: a stable code, a sentence in the reader's language, and where the fault is.

use crate::limits::RateFields;
use axum::http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What a person reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// French, unless another one is asked for.
    #[default]
    French,
    /// English.
    English,
}

impl Language {
    /// The better one by an `Accept-Language` (RFC 9110 section 12.5.4).
    pub fn of(accept: Option<&str>) -> Self {
        let weight = |wanted: &str| {
            let ranges = accept.unwrap_or_default().split(',').take(32);
            let weights = ranges.filter_map(|range| {
                let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
                let tag = tag.trim().to_ascii_lowercase();
                let is_it = tag.split('-').next() == Some(wanted);
                let weight = parameters.trim().strip_prefix("q=").unwrap_or("1").parse::<f32>();
                is_it.then_some(weight.unwrap_or(0.0))
            });
            weights.fold(0.0_f32, f32::max)
        };
        if weight("en") > weight("fr") { Self::English } else { Self::French }
    }

    /// The sentence of this language.
    pub const fn of_two<T: Copy>(self, english: T, french: T) -> T {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }

    const fn tag(self) -> &'static str {
        self.of_two("en", "fr")
    }
}

/// Declares the codes: word, HTTP status, title in English and in French.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:ident, $english:literal, $french:literal;)*) => {
        /// A stable word for each thing that can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means.
            pub const fn title(self, language: Language) -> &'static str {
                match self { $(Self::$name => language.of_two($english, $french),)* }
            }
        }
    };
}

codes! {
    /// No credential, or one that does not stand.
    Unauthenticated = "unauthenticated", UNAUTHORIZED,
        "A valid API key, certificate or application password is needed", "Une clé d'API, un certificat ou un mot de passe d'application valide est nécessaire";
    /// The credential stands and does not open this.
    Forbidden = "forbidden", FORBIDDEN, "Your role or the scopes of your key do not allow this", "Votre rôle ou les droits de votre clé ne le permettent pas";
    /// A support role without a reason.
    ReasonRequired = "reason_required", FORBIDDEN,
        "Support must say why: send the header Reason", "Le support doit dire pourquoi : envoyez l'en-tête Reason";
    /// No such path, or no such thing that the caller may see.
    NotFound = "not_found", NOT_FOUND, "There is nothing here by that name", "Il n'y a rien ici de ce nom";
    /// The path has no such method.
    Method = "method_not_allowed", METHOD_NOT_ALLOWED, "This method is not offered here; see Allow", "Cette méthode n'est pas offerte ici ; voir Allow";
    /// Not acceptable media type sent.
    MediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json", "Le corps doit être en application/json";
    /// The body is not JSON, or nests too deep.
    Syntax = "malformed_json", BAD_REQUEST, "The body is not well-formed JSON", "Le corps n'est pas du JSON bien formé";
    /// Too large a body.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The body is larger than allowed", "Le corps est plus grand que permis";
    /// A member of the body that is absent, unknown, of a wrong type, or has a value that is not taken; a parameter that is as described and means nothing.
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "A value is not valid", "Une valeur n'est pas valide";
    /// A parameter of the query or the path.
    Parameter = "invalid_parameter", BAD_REQUEST, "A parameter is not valid", "Un paramètre n'est pas valide";
    /// A cursor that was not made here, or not for this list.
    Cursor = "foreign_cursor", UNPROCESSABLE_ENTITY,
        "The cursor is not one of this list: begin again without one", "Le curseur n'est pas de cette liste : recommencez sans curseur";
    /// A header.
    Header = "invalid_header", BAD_REQUEST, "A header is not valid", "Un en-tête n'est pas valide";
    /// An update without If-Match.
    PreconditionRequired = "precondition_required", PRECONDITION_REQUIRED,
        "Send If-Match with the ETag that you read", "Envoyez If-Match avec l'ETag que vous avez lu";
    /// If-Match with an ETag of before.
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED,
        "It changed since you read it: read it again", "Cela a changé depuis votre lecture : relisez";
    /// It is not in a state that allows this, or something of that name is there already.
    Conflict = "conflict", CONFLICT, "It cannot be done in the present state", "Cela ne peut se faire dans l'état présent";
    /// The address belonged to a mailbox that is deleted.
    Tombstone = "tombstone", CONFLICT,
        "This address belonged to a deleted mailbox: restore that one, or choose another address",
        "Cette adresse est celle d'une boîte supprimée : restaurez-la, ou choisissez une autre adresse";
    /// A mailbox would be left without anybody who administers it.
    LastAdministrator = "last_administrator", CONFLICT, "Somebody must stay the administrator", "Il doit rester un administrateur";
    /// More than the domain may come to.
    Allocation = "allocation_exceeded", CONFLICT, "The domain has no room left for this quota", "Le domaine n'a plus de place pour ce quota";
    /// The same key with another request, or the first one is still under way.
    Idempotency = "idempotency_conflict", CONFLICT,
        "This Idempotency-Key was used for another request, or the first one is under way",
        "Cette Idempotency-Key a servi à une autre requête, ou la première est en cours";
    /// Too many requests.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests: wait and try again", "Trop de requêtes : attendez puis réessayez";
    /// The server is as it is started, without what this needs.
    NotOffered = "not_offered", NOT_IMPLEMENTED, "This is not offered here", "Ceci n'est pas offert ici";
    /// A cause of ours that passes.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "It cannot be done just now: try again later", "Momentanément impossible : réessayez plus tard";
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, "A fault of the server; its log tells more", "Une faute du serveur ; son journal en dit plus";
}

/// One fault of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// JSON pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the parameter of the query or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Name of the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Option<(String, String)>,
    faults: Vec<Located>,
    retry_after: Option<u64>,
    /// Which rule of so many requests a second it went past.
    rate: Option<Box<RateFields>>,
}

#[derive(Clone, Debug)]
struct Located {
    place: Place,
    english: String,
    french: String,
}

#[derive(Clone, Debug)]
enum Place {
    Pointer(String),
    Parameter(String),
    Header(String),
}

/// A problem as it is sent (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem, description = "What went wrong (RFC 9457).")]
pub struct ProblemBody {
    /// `urn:vaguemestre:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:vaguemestre:problem:invalid")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// Stable word.
    #[schema(example = "invalid")]
    pub code: String,
    /// What happened this time, and what to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Each fault with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

impl Problem {
    /// A problem of that code.
    pub const fn new(code: Code) -> Self {
        Self { code, detail: None, faults: Vec::new(), retry_after: None, rate: None }
    }

    /// What happened this time, in both languages.
    pub fn detail(mut self, english: impl Into<String>, french: impl Into<String>) -> Self {
        self.detail = Some((english.into(), french.into()));
        self
    }

    /// A member of the body that is not valid: where, and why in both languages.
    pub fn invalid(
        pointer: impl Into<String>,
        english: impl Into<String>,
        french: impl Into<String>,
    ) -> Self {
        Self::new(Code::Invalid).at(Place::Pointer(pointer.into()), english.into(), french.into())
    }

    /// A parameter that is not valid.
    pub fn parameter(name: impl Into<String>, english: impl Into<String>, french: impl Into<String>) -> Self {
        Self::new(Code::Parameter).at(Place::Parameter(name.into()), english.into(), french.into())
    }

    /// A parameter that is as described, and has a value that is not taken.
    pub fn value(name: impl Into<String>, english: impl Into<String>, french: impl Into<String>) -> Self {
        Self::new(Code::Invalid).at(Place::Parameter(name.into()), english.into(), french.into())
    }

    /// A cursor, in the parameter of that name, that is not of the list. It is as described: that is why it is no [`Problem::parameter`].
    pub fn foreign_cursor(name: &str) -> Self {
        Self::new(Code::Cursor).at(
            Place::Parameter(name.to_owned()),
            "is not a cursor of this list; begin again without one".to_owned(),
            "n'est pas un curseur de cette liste ; recommencez sans curseur".to_owned(),
        )
    }

    /// A header that is not valid.
    pub fn header(name: impl Into<String>, english: impl Into<String>, french: impl Into<String>) -> Self {
        Self::new(Code::Header).at(Place::Header(name.into()), english.into(), french.into())
    }

    /// Adds the faults of another problem of the same code.
    pub fn and(mut self, other: Self) -> Self {
        self.faults.extend(other.faults);
        self
    }

    pub(crate) fn at_header(self, name: &str) -> Self {
        let title = |language| self.code.title(language).to_owned();
        let (english, french) = (title(Language::English), title(Language::French));
        self.at(Place::Header(name.to_owned()), english, french)
    }

    fn at(mut self, place: Place, english: String, french: String) -> Self {
        self.faults.push(Located { place, english, french });
        self
    }

    /// When it is worth trying again, in seconds.
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// By which rule, and what is left.
    pub(crate) fn past(mut self, rate: RateFields) -> Self {
        self.rate = Some(Box::new(rate));
        self
    }

    /// Its code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// As it is sent in a language.
    pub fn body(&self, language: Language) -> ProblemBody {
        let two = |(english, french): &(String, String)| {
            language.of_two(english.as_str(), french.as_str()).to_owned()
        };
        ProblemBody {
            kind: format!("urn:vaguemestre:problem:{}", self.code.as_str()),
            title: self.code.title(language).to_owned(),
            status: self.code.status().as_u16(),
            code: self.code.as_str().to_owned(),
            detail: self.detail.as_ref().map(two),
            errors: self.faults.iter().map(|fault| fault.shown(language)).collect(),
        }
    }

    /// The whole answer in a language.
    pub(crate) fn answer(&self, language: Language) -> Response {
        let body = serde_json::to_vec(&self.body(language)).unwrap_or_default();
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(rate) = &self.rate {
            rate.write(headers);
        }
        if self.code == Code::Unauthenticated {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vaguemestre\""));
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"vaguemestre\", charset=\"UTF-8\""),
            );
        }
        response
    }
}

impl Located {
    fn shown(&self, language: Language) -> Fault {
        let detail = language.of_two(&self.english, &self.french).clone();
        let mut fault = Fault { pointer: None, parameter: None, header: None, detail };
        match &self.place {
            Place::Pointer(pointer) => fault.pointer = Some(pointer.clone()),
            Place::Parameter(name) => fault.parameter = Some(name.clone()),
            Place::Header(name) => fault.header = Some(name.clone()),
        }
        fault
    }
}

impl IntoResponse for Problem {
    /// In French; the outermost layer writes it again in the language of the request.
    fn into_response(self) -> Response {
        let mut response = self.answer(Language::default());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "the store did not answer an API request");
        Self::new(Code::Unavailable).retry_after(5)
    }
}

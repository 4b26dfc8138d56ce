//! What the readers of JSON and of queries say is wrong, in both languages, without the names of our types.

/// A fault, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) english: String,
    pub(crate) french: String,
    /// The member that is unknown, absent or there twice, where that is the fault.
    pub(crate) member: Option<String>,
    /// Whether the place that is told of is the object around it.
    pub(crate) is_around: bool,
}

impl Said {
    fn new(english: impl Into<String>, french: impl Into<String>) -> Self {
        Self { english: english.into(), french: french.into(), member: None, is_around: false }
    }
}

/// What serde's sentence means. One that is not known stays as it is, after a French heading.
pub(crate) fn said(sentence: &str) -> Said {
    let sentence = sentence.split(" at line ").next().unwrap_or_default();
    member(sentence)
        .or_else(|| wrong(sentence))
        .or_else(|| fixed(sentence))
        .unwrap_or_else(|| Said::new(sentence, format!("n'est pas comme attendu : {sentence}")))
}

/// Members that are unknown, absent or there twice.
fn member(sentence: &str) -> Option<Said> {
    let (fault, rest) = sentence.split_once(" `")?;
    let (name, rest) = rest.split_once('`')?;
    let expected = rest.strip_prefix(", expected ").map(words).filter(|words| !words.is_empty());
    let one_of = |lead: &str| expected.as_ref().map_or(String::new(), |words| format!("{lead}{words}"));
    let said = match fault {
        "unknown field" => Said::new(
            format!("`{name}` is not known here{}", one_of("; known: ")),
            format!("`{name}` n'est pas connu ici{}", one_of(" ; connus : ")),
        ),
        // A value, not a member.
        "unknown variant" => {
            return Some(Said::new(
                format!("`{name}` is not one of the values{}", one_of(": ")),
                format!("`{name}` n'est pas une des valeurs{}", one_of(" : ")),
            ));
        }
        "duplicate field" => {
            Said::new(format!("`{name}` stands more than once"), format!("`{name}` figure plus d'une fois"))
        }
        "missing field" => Said::new(
            format!("`{name}` is required and absent"),
            format!("`{name}` est obligatoire et absent"),
        ),
        _ => return None,
    };
    Some(Said { member: Some(name.to_owned()), is_around: fault != "unknown field", ..said })
}

/// The words between backquotes.
fn words(text: &str) -> String {
    text.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(", ")
}

/// Values of a wrong type, out of range, or of a wrong length.
fn wrong(sentence: &str) -> Option<Said> {
    let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
    let rest = kinds.iter().find_map(|kind| sentence.strip_prefix(kind))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let (found_english, found_french) = kind(found);
    let (expected_english, expected_french) = self::expected(expected);
    Some(Said::new(
        format!("is {found_english}; expected: {expected_english}"),
        format!("est {found_french} ; attendu : {expected_french}"),
    ))
}

/// What was found, without its value.
fn kind(found: &str) -> (&'static str, &'static str) {
    let word = found.split([' ', ',']).next().unwrap_or_default();
    match word {
        "string" | "str" | "character" => ("this string", "cette chaîne"),
        "integer" => ("this integer", "cet entier"),
        "floating" | "number" => ("this number", "ce nombre"),
        "boolean" => ("a boolean", "un booléen"),
        "null" | "unit" | "Option" => ("null", "null"),
        "sequence" => ("a list", "une liste"),
        "map" => ("an object", "un objet"),
        _ if word.parse::<u64>().is_ok() => ("of this length", "de cette longueur"),
        _ => ("this value", "cette valeur"),
    }
}

fn expected(expected: &str) -> (String, String) {
    let two = |english: &str, french: &str| (english.to_owned(), french.to_owned());
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => {
            two("an integer that is not negative, within bounds", "un entier non négatif, dans les bornes")
        }
        "i8" | "i16" | "i32" | "i64" | "isize" => {
            two("an integer, within bounds", "un entier, dans les bornes")
        }
        "f32" | "f64" => two("a number", "un nombre"),
        "a boolean" => two("a boolean", "un booléen"),
        "a sequence" => two("a list", "une liste"),
        "a map" => two("an object", "un objet"),
        "null" | "unit" => two("null", "null"),
        text if text.contains("string") => two("a string", "une chaîne"),
        text if text.starts_with("struct") || text.starts_with("internally") || text.starts_with("enum") => {
            two("an object", "un objet")
        }
        text if text.starts_with("tuple") || text.starts_with("an array") => two("a list", "une liste"),
        text if text.contains("enum") => two("one of the values", "une des valeurs"),
        text => two(text, text),
    }
}

/// Sentences of the readers of numbers and words, and of JSON itself.
fn fixed(sentence: &str) -> Option<Said> {
    const SENTENCES: &[(&str, &str, &str)] = &[
        (
            "invalid digit found in string",
            "is not an integer in these bounds",
            "n'est pas un entier dans ces bornes",
        ),
        (
            "cannot parse integer from empty string",
            "is empty; an integer is expected",
            "est vide ; un entier est attendu",
        ),
        ("number too large to fit in target type", "is too large", "est trop grand"),
        ("number too small to fit in target type", "is too small", "est trop petit"),
        ("provided string was not `true` or `false`", "is neither true nor false", "n'est ni true ni false"),
        ("recursion limit exceeded", "nests too deep", "est imbriqué trop profond"),
        ("EOF while parsing", "ends too early", "finit trop tôt"),
        ("trailing characters", "has something after its end", "a quelque chose après sa fin"),
        ("number out of range", "has a number out of range", "a un nombre hors des bornes"),
        (
            "lone leading surrogate",
            "has half of a surrogate pair",
            "a la moitié d'une paire de substitution (surrogate)",
        ),
        (
            "unexpected end of hex escape",
            "has half of a surrogate pair",
            "a la moitié d'une paire de substitution (surrogate)",
        ),
        (
            "invalid unicode code point",
            "has an invalid Unicode code point",
            "a un point de code Unicode non valide",
        ),
        (
            "control character",
            "has a control character that is not escaped",
            "a un caractère de contrôle non échappé",
        ),
        ("invalid escape", "has an unknown escape", "a un échappement inconnu"),
        ("expected value", "has no value where one is expected", "n'a pas de valeur où il en faut une"),
        (
            "expected ident",
            "has a word that is not true, false or null",
            "a un mot qui n'est ni true, ni false, ni null",
        ),
        (
            "key must be a string",
            "has a member whose name is not a string",
            "a un membre dont le nom n'est pas une chaîne",
        ),
        ("trailing comma", "has a comma too many", "a une virgule de trop"),
        (
            "expected `:`",
            "lacks a colon after the name of a member",
            "manque d'un deux-points après le nom d'un membre",
        ),
        ("expected `,` or", "lacks a comma or an end", "manque d'une virgule ou d'une fin"),
        ("invalid number", "has an invalid number", "a un nombre non valide"),
    ];
    let known = SENTENCES.iter().find(|(words, ..)| sentence.contains(words));
    known.map(|(_, english, french)| Said::new(*english, *french))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        _name: String,
        _size: Option<u32>,
        _kind: Option<Kind>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Small,
        Large,
    }

    fn french(text: &str) -> String {
        said(&serde_json::from_str::<Sample>(text).unwrap_err().to_string()).french
    }

    #[test]
    fn the_usual_faults_are_told_in_french() {
        let _ = (Kind::Small, Kind::Large);
        assert_eq!(french("{}"), "`_name` est obligatoire et absent");
        assert_eq!(french(r#"{"nom":1}"#), "`nom` n'est pas connu ici ; connus : _name, _size, _kind");
        assert_eq!(french(r#"{"_name":1}"#), "est cet entier ; attendu : une chaîne");
        assert_eq!(
            french(r#"{"_size":-1}"#),
            "est cet entier ; attendu : un entier non négatif, dans les bornes"
        );
        assert_eq!(
            french(r#"{"_size":{}}"#),
            "est un objet ; attendu : un entier non négatif, dans les bornes"
        );
        assert_eq!(french(r#"{"_kind":"x"}"#), "`x` n'est pas une des valeurs : small, large");
        assert_eq!(french(r#"{"_name":"","_name":""}"#), "`_name` figure plus d'une fois");
        assert_eq!(french("5"), "est cet entier ; attendu : un objet");
        assert_eq!(french(r#"{"_name":"\ud800"}"#), "a la moitié d'une paire de substitution (surrogate)");
        assert_eq!(french(r#"{"_name":"#), "finit trop tôt");
        assert_eq!(french("{,}"), "a un membre dont le nom n'est pas une chaîne");
    }

    #[test]
    fn the_name_of_an_absent_member_is_told() {
        let text = serde_json::from_str::<Sample>("{}").unwrap_err().to_string();
        let said = said(&text);
        assert_eq!((said.member.as_deref(), said.is_around), (Some("_name"), true));
    }
}

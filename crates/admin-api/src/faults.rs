//! What is wrong with a body beyond its shape: every fault at once, each with its place.

use crate::problem::Problem;
use mail_types::IdentifierError;

/// Faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Option<Problem>);

impl Faults {
    /// Notes one.
    pub(crate) fn add(
        &mut self,
        pointer: impl Into<String>,
        english: impl Into<String>,
        french: impl Into<String>,
    ) {
        let fault = Problem::invalid(pointer, english, french);
        self.0 = Some(match self.0.take() {
            Some(problem) => problem.and(fault),
            None => fault,
        });
    }

    /// Notes that a member is needed.
    pub(crate) fn needed(&mut self, pointer: &str, english: &str, french: &str) {
        self.add(pointer, format!("is needed: {english}"), format!("est nécessaire : {french}"));
    }

    /// All of them, if there is any.
    ///
    /// # Errors
    /// The problem that tells of them.
    pub(crate) fn none(self) -> Result<(), Problem> {
        self.0.map_or(Ok(()), Err)
    }

    /// Text that a person wrote: without control characters, at most `max` characters, without blanks around it. Empty when at fault or absent.
    pub(crate) fn text(&mut self, pointer: &str, text: Option<&str>, max: usize) -> String {
        let text = text.unwrap_or_default().trim();
        if text.chars().any(char::is_control) {
            self.add(
                pointer,
                "has characters that cannot be written",
                "a des caractères qui ne s'écrivent pas",
            );
            return String::new();
        }
        if text.chars().count() > max {
            self.add(
                pointer,
                format!("has more than {max} characters"),
                format!("a plus de {max} caractères"),
            );
            return String::new();
        }
        text.to_owned()
    }

    /// A national identifier, if there is one.
    pub(crate) fn identifier<T>(
        &mut self,
        pointer: &str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, IdentifierError>,
    ) -> Option<T> {
        match parse(text?) {
            Ok(identifier) => Some(identifier),
            Err(error) => {
                self.add(pointer, error.to_string(), in_french(error));
                None
            }
        }
    }
}

fn in_french(error: IdentifierError) -> String {
    match error {
        IdentifierError::Length(count) => format!("il a {count} caractères"),
        IdentifierError::Character => "il est fait de chiffres".to_owned(),
        IdentifierError::Department => "il commence par un département : 01 à 99, 2A ou 2B".to_owned(),
        IdentifierError::Key => {
            "sa clé est fausse : comparez-le chiffre par chiffre avec sa source".to_owned()
        }
    }
}

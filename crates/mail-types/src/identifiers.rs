//! National identifiers of persons and structures: RPPS, ADELI, FINESS, SIRET.
//!
//! Each is parsed once, into a type of its own. Spaces that people put between groups of digits are dropped, letters become upper case. With
//! [`KeyCheck::Strict`] the key must be right too; with [`KeyCheck::Format`] only length and characters are looked at, for numbers that are made
//! up (those of the examples that go round fail the key).

/// How far an identifier is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyCheck {
    /// Length, characters and key.
    #[default]
    Strict,
    /// Length and characters.
    Format,
}

/// Why a text is no such identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Not as many characters as it has.
    #[error("it has {0} characters")]
    Length(usize),
    /// A character that cannot stand there.
    #[error("it is made of digits")]
    Character,
    /// The first two characters name no département.
    #[error("it begins with a département: 01 to 99, 2A or 2B")]
    Department,
    /// The last digit does not follow from the others: a digit is wrong, or two changed places.
    #[error("its key is wrong: compare it digit by digit with its source")]
    Key,
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident = $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads one.
            ///
            /// # Errors
            /// What it is not.
            pub fn parse(text: &str, check: KeyCheck) -> Result<Self, IdentifierError> {
                let text = compact(text);
                $check(&text, check)?;
                Ok(Self(text))
            }

            /// Without spaces, letters in upper case.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}

identifiers! {
    /// A professional in the Répertoire partagé des professionnels de santé: eleven digits, the last of which is a Luhn key.
    Rpps = rpps;
    /// A professional in the former ADELI lists: the département, then seven digits. How its last digit follows from the others is in no source that
    /// we could read: it is not checked.
    Adeli = adeli;
    /// A structure in the Fichier national des établissements sanitaires et sociaux: the département, then seven digits, the last of which is a Luhn
    /// key. Which digits the letters of 2A and 2B stand for is in no source that we could read: the key of these numbers is not checked.
    Finess = finess;
    /// An establishment in the Sirene register: the nine digits of the enterprise, then five, the last of which is a Luhn key over all. Those of La
    /// Poste (356000000) have a sum of digits that 5 divides instead, except its seat.
    Siret = siret;
}

/// SIREN of La Poste.
const LA_POSTE: &str = "356000000";

fn rpps(text: &str, check: KeyCheck) -> Result<(), IdentifierError> {
    digits(text, 11)?;
    keyed(check == KeyCheck::Format || luhn(text))
}

fn adeli(text: &str, _: KeyCheck) -> Result<(), IdentifierError> {
    after_department(text)
}

fn finess(text: &str, check: KeyCheck) -> Result<(), IdentifierError> {
    after_department(text)?;
    let is_keyed = text.bytes().all(|octet| octet.is_ascii_digit());
    keyed(check == KeyCheck::Format || !is_keyed || luhn(text))
}

fn siret(text: &str, check: KeyCheck) -> Result<(), IdentifierError> {
    digits(text, 14)?;
    let is_of_la_poste =
        text.starts_with(LA_POSTE) && text.bytes().map(|digit| u32::from(digit - b'0')).sum::<u32>() % 5 == 0;
    keyed(check == KeyCheck::Format || luhn(text) || is_of_la_poste)
}

fn keyed(is_right: bool) -> Result<(), IdentifierError> {
    if is_right { Ok(()) } else { Err(IdentifierError::Key) }
}

fn digits(text: &str, length: usize) -> Result<(), IdentifierError> {
    match text {
        _ if text.len() != length => Err(IdentifierError::Length(length)),
        _ if text.bytes().all(|octet| octet.is_ascii_digit()) => Ok(()),
        _ => Err(IdentifierError::Character),
    }
}

/// Nine characters: a département, then digits.
fn after_department(text: &str) -> Result<(), IdentifierError> {
    let (Some(department), Some(rest)) = (text.get(..2), text.get(2..)) else {
        return Err(IdentifierError::Length(9));
    };
    if text.len() != 9 {
        return Err(IdentifierError::Length(9));
    }
    let is_numbered = department != "00" && department.bytes().all(|octet| octet.is_ascii_digit());
    if !is_numbered && department != "2A" && department != "2B" {
        return Err(IdentifierError::Department);
    }
    digits(rest, 7)
}

/// Whether the digits pass the check of Luhn (ISO/IEC 7812-1, annex B): every second one from the right counts double, tens and units added.
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let doubled = u32::from(digit - b'0') << (place % 2);
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Without spaces, in upper case; cut where no identifier is so long.
fn compact(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).take(32).collect::<String>().to_ascii_uppercase()
}

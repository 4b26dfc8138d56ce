//! National identifiers: what is taken, what is refused, and that a slip of the hand is found.

use mail_types::{Adeli, Finess, IdentifierError, KeyCheck, Rpps, Siret};
use proptest::prelude::*;

/// The digits with the key that Luhn gives them.
fn with_key(digits: &str) -> String {
    (0..10).map(|key| format!("{digits}{key}")).find(|text| is_luhn(text)).expect("one of ten keys is right")
}

/// Another way to count than the one under test: from the left, by the parity of the length.
fn is_luhn(text: &str) -> bool {
    let odd = text.len() % 2;
    let digits = text.chars().map(|c| c.to_digit(10).expect("a digit"));
    let value = |(at, digit): (usize, u32)| match (at % 2 == odd, digit * 2) {
        (true, double) if double > 9 => double - 9,
        (true, double) => double,
        (false, _) => digit,
    };
    digits.enumerate().map(value).sum::<u32>() % 10 == 0
}

#[test]
fn identifiers_are_taken_with_their_spaces() {
    assert_eq!(Rpps::parse("1000 1234 565", KeyCheck::Strict).unwrap().as_str(), "10001234565");
    assert_eq!(Siret::parse("552 100 554 00013", KeyCheck::Strict).unwrap().as_str(), "55210055400013");
    assert_eq!(Finess::parse("2a 000001 4", KeyCheck::Strict).unwrap().as_str(), "2A0000014");
    assert_eq!(Adeli::parse("2B 1234567", KeyCheck::Strict).unwrap().as_str(), "2B1234567");
}

#[test]
fn what_is_none_is_refused_with_its_cause() {
    let rpps = |text: &str| Rpps::parse(text, KeyCheck::Strict).unwrap_err();
    assert_eq!(rpps("1000123456"), IdentifierError::Length(11));
    assert_eq!(rpps("1000123456A"), IdentifierError::Character);
    assert_eq!(rpps("10001234567"), IdentifierError::Key);
    assert_eq!(rpps("¹0001234567"), IdentifierError::Length(11));
    assert_eq!(rpps(&"1".repeat(1_000_000)), IdentifierError::Length(11));
    let finess = |text: &str| Finess::parse(text, KeyCheck::Strict).unwrap_err();
    assert_eq!(finess("2C0000014"), IdentifierError::Department);
    assert_eq!(finess("000000014"), IdentifierError::Department);
    assert_eq!(finess("01000123A"), IdentifierError::Character);
    assert_eq!(finess("0é0001234"), IdentifierError::Length(9));
    assert_eq!(finess("010001234"), IdentifierError::Key);
    assert_eq!(Adeli::parse("12345678", KeyCheck::Format).unwrap_err(), IdentifierError::Length(9));
}

#[test]
fn the_samples_that_go_round_pass_by_their_format_alone() {
    for rpps in ["10001234567", "10001234568", "10001234569"] {
        assert_eq!(Rpps::parse(rpps, KeyCheck::Strict), Err(IdentifierError::Key));
        Rpps::parse(rpps, KeyCheck::Format).unwrap();
    }
    Finess::parse("010001234", KeyCheck::Format).unwrap();
}

#[test]
fn la_poste_counts_otherwise() {
    Siret::parse("35600000000048", KeyCheck::Strict).unwrap();
    Siret::parse("35600000049837", KeyCheck::Strict).unwrap();
    assert_eq!(Siret::parse("35600000049838", KeyCheck::Strict), Err(IdentifierError::Key));
    assert_eq!(Siret::parse("55210055400014", KeyCheck::Strict), Err(IdentifierError::Key));
}

proptest! {
    #[test]
    fn any_digits_with_their_key_are_taken(person in "[0-9]{10}", structure in "[1-8][0-9]{7}", place in "[0-9]{13}") {
        prop_assert!(Rpps::parse(&with_key(&person), KeyCheck::Strict).is_ok());
        prop_assert!(Finess::parse(&with_key(&structure), KeyCheck::Strict).is_ok());
        prop_assert!(Siret::parse(&with_key(&place), KeyCheck::Strict).is_ok());
    }

    #[test]
    fn one_wrong_digit_is_found(person in "[0-9]{10}", at in 0_usize..11, by in 1_u32..10) {
        let right = with_key(&person);
        let wrong: String = right.chars().enumerate().map(|(place, c)| {
            let digit = c.to_digit(10).unwrap();
            char::from_digit(if place == at { (digit + by) % 10 } else { digit }, 10).unwrap()
        }).collect();
        prop_assert_eq!(Rpps::parse(&wrong, KeyCheck::Strict), Err(IdentifierError::Key));
    }

    #[test]
    fn nothing_makes_it_panic(text in ".{0,40}") {
        for check in [KeyCheck::Strict, KeyCheck::Format] {
            let _ = (Rpps::parse(&text, check), Adeli::parse(&text, check), Finess::parse(&text, check), Siret::parse(&text, check));
        }
    }
}

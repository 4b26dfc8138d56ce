//! Distinguished names: the quirks of real lists, one a row, and what must never be forgiven.

use mail_types::{DistinguishedName, DnError};
use proptest::prelude::*;

fn dn(text: &str) -> DistinguishedName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// As `pki` reads it from a certificate.
fn certificate(organization: &str) -> DistinguishedName {
    DistinguishedName::from_attributes([
        ("2.5.4.6", "FR"),
        ("2.5.4.8", "Exemple (99)"),
        ("2.5.4.10", organization),
        ("2.5.4.11", "1990000001"),
        ("2.5.4.3", "smtp-1.ch.example"),
    ])
}

#[test]
fn every_quirk_of_a_printer_names_the_certificate() {
    for (quirk, organization, printed) in [
        ("plain", "CH EXEMPLE", "CN=smtp-1.ch.example,OU=1990000001,O=CH EXEMPLE,ST=Exemple (99),C=FR"),
        ("order", "CH EXEMPLE", "C=FR,ST=Exemple (99),O=CH EXEMPLE,OU=1990000001,CN=smtp-1.ch.example"),
        (
            "spaces after commas",
            "CH EXEMPLE",
            "CN=smtp-1.ch.example, OU=1990000001,  O=CH EXEMPLE, ST=Exemple (99), C=FR",
        ),
        (
            "spaces around =",
            "CH EXEMPLE",
            "C = FR, ST = Exemple (99), O = CH EXEMPLE, OU = 1990000001, CN = smtp-1.ch.example",
        ),
        (
            "doubled space in quotes",
            "CH  EXEMPLE",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"CH  EXEMPLE\",ST=Exemple (99),C=FR",
        ),
        (
            "doubled space lost",
            "CH  EXEMPLE",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH EXEMPLE,ST=Exemple (99),C=FR",
        ),
        (
            "NBSP in quotes",
            "CH\u{a0}EXEMPLE",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"CH\u{a0}EXEMPLE\",ST=Exemple (99),C=FR",
        ),
        (
            "NBSP in the certificate only",
            "CH\u{a0}EXEMPLE",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH EXEMPLE,ST=Exemple (99),C=FR",
        ),
        (
            "narrow NBSP, tab, line end",
            "CH\u{202f}EXEMPLE",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH\t\r\n EXEMPLE,ST=Exemple (99),C=FR",
        ),
        (
            "space before the quote",
            "CH EXEMPLE",
            "CN=smtp-1.ch.example,OU=1990000001,O= \"CH EXEMPLE\" ,ST=Exemple (99),C=FR",
        ),
        (
            "comma in quotes",
            "CH EXEMPLE, NORD",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"CH EXEMPLE, NORD\",ST=Exemple (99),C=FR",
        ),
        (
            "comma escaped",
            "CH EXEMPLE, NORD",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH EXEMPLE\\, NORD,ST=Exemple (99),C=FR",
        ),
        (
            "comma as hexadecimal",
            "CH EXEMPLE, NORD",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH EXEMPLE\\2C NORD,ST=Exemple (99),C=FR",
        ),
        ("plus in quotes", "LABO+", "CN=smtp-1.ch.example,OU=1990000001,O=\"LABO+\",ST=Exemple (99),C=FR"),
        (
            "quotes inside, bare",
            "CH \"LES PINS\"",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH \"LES PINS\",ST=Exemple (99),C=FR",
        ),
        (
            "quotes inside, escaped",
            "CH \"LES PINS\"",
            "CN=smtp-1.ch.example,OU=1990000001,O=CH \\\"LES PINS\\\",ST=Exemple (99),C=FR",
        ),
        (
            "quotes inside quotes, escaped",
            "CH \"LES  PINS\"",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"CH \\\"LES  PINS\\\"\",ST=Exemple (99),C=FR",
        ),
        (
            "quotes inside quotes, bare",
            "CH \"LES  PINS\"",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"CH \"LES  PINS\"\",ST=Exemple (99),C=FR",
        ),
        (
            "quotes at the beginning only",
            "\"LES PINS\" SARL",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"LES PINS\" SARL,ST=Exemple (99),C=FR",
        ),
        ("one quote", "ECRAN 5\"", "CN=smtp-1.ch.example,OU=1990000001,O=ECRAN 5\",ST=Exemple (99),C=FR"),
        ("accents", "HÔPITAL ÉTÉ", "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITAL ÉTÉ,ST=Exemple (99),C=FR"),
        (
            "accents decomposed",
            "HÔPITAL ÉTÉ",
            "CN=smtp-1.ch.example,OU=1990000001,O=HO\u{302}PITAL E\u{301}TE\u{301},ST=Exemple (99),C=FR",
        ),
        (
            "accents decomposed in the certificate",
            "HO\u{302}PITAL",
            "CN=smtp-1.ch.example,OU=1990000001,O=Hôpital,ST=Exemple (99),C=FR",
        ),
        (
            "accents as octets",
            "HÔPITAL",
            "CN=smtp-1.ch.example,OU=1990000001,O=H\\C3\\94PITAL,ST=Exemple (99),C=FR",
        ),
        (
            "case, of accents too",
            "HÔPITAL ÉTÉ",
            "cn=SMTP-1.CH.Example,ou=1990000001,o=hôpital été,st=EXEMPLE (99),c=fr",
        ),
        (
            "OIDs",
            "CH EXEMPLE",
            "2.5.4.3=smtp-1.ch.example,OID.2.5.4.11=1990000001,oid.2.5.4.10=CH EXEMPLE,2.5.4.8=Exemple (99),2.5.4.6=FR",
        ),
        (
            "long names",
            "CH EXEMPLE",
            "commonName=smtp-1.ch.example,organizationalUnitName=1990000001,organizationName=CH EXEMPLE,S=Exemple (99),countryName=FR",
        ),
        (
            "one RDN of several attributes",
            "CH EXEMPLE",
            "CN=smtp-1.ch.example+OU=1990000001,O=CH EXEMPLE,ST=Exemple (99),C=FR",
        ),
        ("semicolons", "CH EXEMPLE", "CN=smtp-1.ch.example;OU=1990000001;O=CH EXEMPLE;ST=Exemple (99);C=FR"),
        ("slashes", "CH EXEMPLE", "/C=FR/ST=Exemple (99)/O=CH EXEMPLE/OU=1990000001/CN=smtp-1.ch.example"),
        (
            "slashes, one in a value",
            "CH/EXEMPLE",
            "/C=FR/ST=Exemple (99)/O=CH/EXEMPLE/OU=1990000001/CN=smtp-1.ch.example",
        ),
        (
            "slashes, octets",
            "HÔPITAL",
            "/C=FR/ST=Exemple (99)/O=H\\xC3\\x94PITAL/OU=1990000001/CN=smtp-1.ch.example",
        ),
    ] {
        assert_eq!(dn(printed), certificate(organization), "{quirk}: {printed}");
    }
}

#[test]
fn what_would_trust_another_certificate_is_never_forgiven() {
    let listed = certificate("HÔPITAL ÉTÉ");
    for (difference, printed) in [
        ("L for ST", "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITAL ÉTÉ,L=Exemple (99),C=FR"),
        ("no accent", "CN=smtp-1.ch.example,OU=1990000001,O=HOPITAL ÉTÉ,ST=Exemple (99),C=FR"),
        ("no space", "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITALÉTÉ,ST=Exemple (99),C=FR"),
        ("punctuation", "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITAL-ÉTÉ,ST=Exemple (99),C=FR"),
        ("no ST", "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITAL ÉTÉ,C=FR"),
        ("two OU", "CN=smtp-1.ch.example,OU=1990000001,OU=1990000001,O=HÔPITAL ÉTÉ,ST=Exemple (99),C=FR"),
        ("another OU", "CN=smtp-1.ch.example,OU=199000001,O=HÔPITAL ÉTÉ,ST=Exemple (99),C=FR"),
        ("values swapped", "CN=1990000001,OU=smtp-1.ch.example,O=HÔPITAL ÉTÉ,ST=Exemple (99),C=FR"),
        (
            "a letter that looks alike",
            "CN=smtp-1.ch.example,OU=1990000001,O=HÔPIТAL ÉTÉ,ST=Exemple (99),C=FR",
        ),
        (
            "a compatible character",
            "CN=smtp-1.ch.example,OU=199000000\u{b9},O=HÔPITAL ÉTÉ,ST=Exemple (99),C=FR",
        ),
        (
            "an invisible character",
            "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITAL\u{200b} ÉTÉ,ST=Exemple (99),C=FR",
        ),
        (
            "an attribute in a value",
            "CN=smtp-1.ch.example,OU=1990000001,O=\"HÔPITAL ÉTÉ,ST=Exemple (99)\",C=FR",
        ),
        (
            "an attribute after a slash",
            "CN=smtp-1.ch.example,OU=1990000001,O=HÔPITAL ÉTÉ/ST=Exemple (99),C=FR",
        ),
    ] {
        assert_ne!(dn(printed), listed, "{difference}: {printed}");
    }
}

#[test]
fn what_cannot_be_read_for_certain_is_refused() {
    for text in [
        "",
        " ",
        "nonsense",
        "=a",
        "CN",
        "CN=a,",
        "CN=a,,O=b",
        "CN=a,b",
        "CN=a+b",
        ",CN=a",
        "C N=a",
        "CN =a,O;=b",
        "é=a",
        "/",
        "/nonsense",
        "//CN=a",
        "CN=\"a\",\"b\"",
        "CN=a,O=\"b, c\" d",
    ] {
        assert_eq!(text.parse::<DistinguishedName>(), Err(DnError::Attribute), "{text:?}");
    }
    for text in ["CN=a\\", "CN=\\C3", "CN=\\FF\\FE", "O=b,CN=\"\\C3\""] {
        assert_eq!(text.parse::<DistinguishedName>(), Err(DnError::Escape), "{text:?}");
    }
}

#[test]
fn a_printed_name_shows_what_would_hide() {
    let name = DistinguishedName::from_attributes([("CN", "#a, \"b\"\u{202e}\u{7}"), ("O", "c\nd")]);
    assert_eq!(name.to_string(), "CN=\\#a\\, \\\"b\\\"\\E2\\80\\AE\\07,O=c d");
    assert_eq!(dn(&name.to_string()), name);
}

fn kind() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z][A-Za-z0-9-]{0,8}[a-z0-9]",
        "[0-2](\\.[0-9]{1,6}){1,8}",
        Just("oid.2.5.4.10".to_owned())
    ]
}

/// Any text, and often what has a meaning in one of the forms.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ ,;+\"\\\\=/#<>aÉé\u{301}\u{a0}\u{130}ΣK]{0,12}"]
}

proptest! {
    #[test]
    fn a_printed_name_is_read_as_the_same_name(attributes in prop::collection::vec((kind(), value()), 1..6)) {
        let name = DistinguishedName::from_attributes(attributes);
        prop_assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn no_text_makes_the_reader_panic_and_what_it_reads_is_stable(text in any::<String>(), quirky in "[CNO=, ;+/\"\\\\xA-F0-9é]{0,40}") {
        for text in [text, quirky] {
            if let Ok(name) = text.parse::<DistinguishedName>() {
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
    }
}

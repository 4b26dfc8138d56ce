//! Distinguished names of certificates, decoded from whatever string type the issuer chose.

use mail_types::DistinguishedName;
use x509_parser::asn1_rs::Any;
use x509_parser::x509::X509Name;

const T61_STRING: u32 = 20;
const UNIVERSAL_STRING: u32 = 28;
const BMP_STRING: u32 = 30;
const TEXT_STRINGS: [u32; 6] = [12, 18, 19, T61_STRING, 22, 26];

/// The attributes of a certificate's name, in the order and notation of [`DistinguishedName`].
pub(crate) fn distinguished_name(name: &X509Name<'_>) -> DistinguishedName {
    DistinguishedName::from_attributes(
        name.iter_attributes()
            .map(|attribute| (attribute.attr_type().to_id_string(), text(attribute.attr_value()))),
    )
}

/// UTF-8 where it is valid, Latin-1 otherwise: older authorities put accents into every eight-bit string type.
fn text(value: &Any<'_>) -> String {
    match value.tag().0 {
        tag if TEXT_STRINGS.contains(&tag) => match std::str::from_utf8(value.data) {
            Ok(text) => text.to_owned(),
            Err(_) => value.data.iter().map(|byte| char::from(*byte)).collect(),
        },
        BMP_STRING => {
            let units = value.data.chunks_exact(2).filter_map(|unit| unit.try_into().ok());
            String::from_utf16_lossy(&units.map(u16::from_be_bytes).collect::<Vec<_>>())
        }
        UNIVERSAL_STRING => {
            let units = value.data.chunks_exact(4).filter_map(|unit| unit.try_into().ok());
            units
                .map(|unit| char::from_u32(u32::from_be_bytes(unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        _ => value.data.iter().fold(String::from("#"), |hex, byte| hex + &format!("{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::asn1_rs::FromDer;

    fn decoded(der: &[u8]) -> String {
        text(&Any::from_der(der).unwrap().1)
    }

    #[test]
    fn every_string_type_gives_the_same_text() {
        assert_eq!(decoded(b"\x0c\x03H\xc3\xb4"), "Hô");
        assert_eq!(decoded(b"\x14\x02H\xf4"), "Hô");
        assert_eq!(decoded(b"\x1e\x04\x00H\x00\xf4"), "Hô");
        assert_eq!(decoded(b"\x1c\x08\x00\x00\x00H\x00\x00\x00\xf4"), "Hô");
        assert_eq!(decoded(b"\x13\x02FR"), "FR");
    }

    #[test]
    fn other_types_are_shown_in_hexadecimal() {
        assert_eq!(decoded(b"\x03\x02\x00\xff"), "#00ff");
    }
}

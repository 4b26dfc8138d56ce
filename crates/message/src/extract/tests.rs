//! Extracts, signatures and what is looked for in them; whatever a text holds, its signature never rules out.

use super::*;
use crate::structure::StructureScanner;
use proptest::prelude::*;

const LETTER: &str = "From: =?iso-8859-1?Q?H=E9l=E8ne?= <h@nord.example>\r\nSubject: avis\r\n\tde  passage\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nPHA+aMOpbW88Yj5ncmFtbWU8L2I+PC9wPg==\r\n--b\r\nContent-Type: application/pdf\r\n\
    Content-Disposition: attachment; filename*0*=utf-8''%C3%A9cho; filename*1=graphie.pdf\r\n\r\nSECRET\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: dedans\r\n\r\nau fond\r\n--b--\r\nepilogue\r\n";

fn gathered(raw: &[u8], size: usize) -> (Structure, Gathered) {
    let mut scanner = TextScanner::new();
    raw.chunks(size).for_each(|chunk| scanner.push(chunk));
    scanner.finish()
}

fn extract(raw: &str) -> Extract {
    let (structure, gathered) = gathered(raw.as_bytes(), 7);
    gathered.extract(&structure).unwrap()
}

fn in_body(text: &str) -> Needle {
    Needle::in_body(text, Folding::Unaccented)
}

fn in_header(text: &str) -> Needle {
    Needle::in_header(text, Folding::Unaccented)
}

#[test]
fn what_a_person_reads_is_found_and_nothing_else() {
    let extract = extract(LETTER);
    let signature = extract.signature();
    let opened = extract.clone().opened(Folding::Unaccented);
    for text in
        ["hémogramme", "HEMOGRAMME", "échographie.pdf", "subject: dedans", "au fond", "application/pdf"]
    {
        assert!(opened.body_holds(&in_body(text)) && in_body(text).may_be_in(&signature), "{text}");
    }
    for text in ["secret", "preamble", "epilogue", "helene", "<b>", "PHA+", "avis", "au fondsubject"] {
        assert!(!opened.body_holds(&in_body(text)), "{text}");
    }
    for text in ["helene", "avis de passage", "avis  de\tpassage", "subject: avis", "multipart/mixed", "from"]
    {
        assert!(opened.header_holds(&in_header(text)) && in_header(text).may_be_in(&signature), "{text}");
    }
    assert!(!opened.header_holds(&in_header("dedans")));
    assert!(opened.field_holds("subject", &in_header("AVIS DE")));
    assert!(opened.field_holds("From", &in_header("")));
    for (name, value) in
        [("subject", "helene"), ("subj", "avis"), ("to", ""), ("subject", "subject"), ("from", "avis")]
    {
        assert!(!opened.field_holds(name, &in_header(value)), "{name}: {value}");
    }
}

#[test]
fn accents_count_where_they_are_asked_to() {
    let opened = extract(LETTER).opened(Folding::Casemap);
    let needle = |text| Needle::in_body(text, Folding::Casemap);
    assert!(opened.body_holds(&needle("HÉMOGRAMME")) && opened.body_holds(&needle("he\u{301}mo")));
    assert!(!opened.body_holds(&needle("hemogramme")));
    assert!(needle("hémogramme").may_be_in(&extract(LETTER).signature()));
}

#[test]
fn a_headline_has_the_fields_that_people_search_by_whole_and_no_others() {
    let raw = "Received: from a by b\r\nFrom: Helene <h@nord.example>\r\nSubject:\r\nto: a@b.example\r\nTo: c@d.example\r\nX-To: e@f.example\r\n\r\nau fond\r\n";
    let headline = extract(raw).opened(Folding::Unaccented).headline();
    for (name, value, holds) in [
        ("from", "nord.example", true),
        ("From", "received", false),
        ("subject", "", true),
        ("cc", "", false),
        ("to", "a@b", true),
        ("to", "c@d", true),
        ("to", "e@f", false),
        ("received", "", false),
        ("x-to", "", false),
    ] {
        assert_eq!(headline.field_holds(name, &in_header(value)), holds, "{name}: {value}");
    }
    assert!(!headline.body_holds(&in_body("au fond")));
    assert!(is_in_headline("SUBJECT") && !is_in_headline("received") && !is_in_headline("x-to"));
}

#[test]
fn an_extract_survives_storage_and_damage_is_told() {
    let extract = extract(LETTER);
    let (header, body) = extract.encode();
    assert_eq!(Extract::decode(header.clone(), body.clone()), Ok(extract.clone()));
    let opened = Extract::decode(header.clone(), body).unwrap().opened(Folding::Unaccented);
    assert_eq!(opened, extract.opened(Folding::Unaccented));
    let alone = Extract::decode_header(header.clone()).unwrap();
    assert!(alone.field_holds("subject", &in_header("passage")) && !alone.body_holds(&in_body("dedans")));
    for stored in [&b""[..], b"\x01abc", b"\x03abc"] {
        assert_eq!(Extract::decode_header(stored.to_vec()), Err(DecodeError));
        assert_eq!(Extract::decode(header.clone(), stored.to_vec()), Err(DecodeError));
    }
}

#[test]
fn a_message_with_too_much_text_has_none_and_a_large_attachment_does_not_count() {
    let header = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntexte\r\n--b\r\nContent-Type: image/png\r\n\r\n";
    let line = "0123456789abcdef0123456789abcde\r\n";
    let large = format!("{header}{}--b--\r\n", line.repeat(2 * KEPT_MAX / line.len()));
    let (structure, kept) = gathered(large.as_bytes(), 5000);
    assert!(kept.octets() < 1000);
    assert!(kept.extract(&structure).unwrap().opened(Folding::Unaccented).body_holds(&in_body("texte")));
    let (structure, kept) = gathered(large.replace("image/png", "text/png").as_bytes(), 5000);
    assert_eq!((kept.octets(), kept.extract(&structure)), (0, None));
    // One ligature is eighteen characters.
    let (structure, kept) = gathered(format!("A: b\r\n\r\n{}", "\u{fdfa}".repeat(100_000)).as_bytes(), 5000);
    assert_eq!(kept.extract(&structure), None);
}

/// The extract of a message whose octets are all at hand.
fn whole(raw: &[u8]) -> Extract {
    let mut scanner = StructureScanner::new();
    scanner.push(raw);
    let structure = scanner.finish();
    let mut builder = ExtractBuilder::default();
    for piece in structure.pieces() {
        builder.push(&piece, &raw[piece.range.start as usize..piece.range.end as usize]);
    }
    structure.attachment_names().iter().for_each(|name| builder.push_text(name));
    builder.finish()
}

/// What a reading finds in a message, read so many octets at a time.
fn read<'k>(raw: &[u8], size: usize, sought: &[Sought<'k>], folding: Folding) -> Reading<'k> {
    let mut scanner = StructureScanner::new();
    scanner.push(raw);
    let structure = scanner.finish();
    let mut reading = Reading::new(sought.to_vec(), folding);
    for piece in structure.pieces() {
        reading.begin(&piece);
        raw[piece.range.start as usize..piece.range.end as usize]
            .chunks(size)
            .for_each(|part| reading.push(part));
        reading.end();
    }
    structure.attachment_names().iter().for_each(|name| reading.text(name));
    reading
}

#[test]
fn a_reading_finds_what_stands_past_every_bound_and_across_them() {
    let header = "Subject: loin\r\nContent-Type: text/plain\r\n\r\n";
    let line = "une ligne assez longue pour compter\r\n".repeat(200_000);
    let letter = format!("{header}{line}xanthochromique{line}");
    let (there, absent, across) = (
        in_body("XANTHOchromique"),
        in_body("xanthochromie"),
        in_body("compter\r\nxanthochromiqueune ligne"),
    );
    let sought = [&there, &absent, &across].map(Sought::Body);
    let reading = read(letter.as_bytes(), 65_536, &sought, Folding::Unaccented);
    assert_eq!([&there, &absent, &across].map(|needle| reading.has_found(needle)), [true, false, true]);
}

#[test]
fn a_field_of_any_length_is_read_to_its_end() {
    let words = "mot =?utf-8?Q?=C3=A9t=C3=A9?= =?utf-8?Q?_dernier?=\r\n ".repeat(60_000);
    let letter = format!("To: a@b.fr\r\nX-Long: {words}au bout\r\nSubject: apres\r\n\r\ncorps\r\n");
    let needles = ["au bout", "ete dernier mot", "mot ete dernier mot ete", "apres", "corps"].map(in_header);
    let sought: Vec<_> = needles.iter().map(|needle| Sought::Field("x-long", needle)).collect();
    let reading = read(letter.as_bytes(), 65_536, &sought, Folding::Unaccented);
    assert_eq!(needles.each_ref().map(|needle| reading.has_found(needle)), [true, true, true, false, false]);
    let sought = needles.each_ref().map(Sought::Header);
    let reading = read(letter.as_bytes(), 65_536, &sought, Folding::Unaccented);
    assert_eq!(needles.each_ref().map(|needle| reading.has_found(needle)), [true, true, true, true, false]);
}

#[test]
fn what_is_not_utf8_to_its_end_is_read_as_what_it_looks_like() {
    for (body, text, is_there) in [
        (&b"d\xc3\xa9but et fin"[..], "début", true),
        (b"d\xc3\xa9but et fin \xe9t\xe9", "début", false),
        (b"d\xc3\xa9but et fin \xe9t\xe9", "fin été", true),
        (b"debut et fin \xe9t\xe9", "debut et fin", true),
    ] {
        let letter = [b"Content-Type: text/plain\r\n\r\n", body].concat();
        let needle = Needle::in_body(text, Folding::Casemap);
        let reading = read(&letter, 3, &[Sought::Body(&needle)], Folding::Casemap);
        assert_eq!(reading.has_found(&needle), is_there, "{text}");
        assert_eq!(whole(&letter).body_holds(&needle), is_there, "{text}");
    }
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "--a",
        "--a--",
        "--b",
        "--b--",
        "",
        "Content-Type: multipart/mixed; boundary=a",
        "Content-Type: multipart/digest; boundary=b",
        "Content-Type: text/html",
        "Content-Type: image/png",
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: base64",
        "Subject: été",
        "aGVs bG8",
        "-",
        "x y",
    ]);
    prop::collection::vec((line, prop::sample::select(vec!["\r\n", "\n"])), 0..30)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| format!("{line}{end}")).collect())
}

proptest! {
    #[test]
    fn what_is_kept_of_a_stream_is_all_that_is_read(raw in lines(), size in 1_usize..40) {
        let (structure, kept) = gathered(raw.as_bytes(), size);
        if let Some(extract) = kept.extract(&structure) {
            prop_assert_eq!(extract, whole(raw.as_bytes()));
        }
    }

    #[test]
    fn a_reading_finds_what_the_extract_of_the_whole_holds(
        raw in lines(),
        size in 1_usize..40,
        texts in prop::collection::vec(
            prop::sample::select(vec!["", "x", "-", "subject: ete", "ete", "hello", "content-type", "a", "ag", "e: t", "\r\n", "x y\nx y"]),
            1..6
        ),
    ) {
        let extract = whole(raw.as_bytes()).opened(Folding::Unaccented);
        let needles: Vec<_> = texts.iter().map(|text| (in_body(text), in_header(text), in_header(text))).collect();
        let mut sought = Vec::new();
        for (body, header, field) in &needles {
            sought.extend([Sought::Body(body), Sought::Header(header), Sought::Field("Subject", field)]);
        }
        let reading = read(raw.as_bytes(), size, &sought, Folding::Unaccented);
        for (body, header, field) in &needles {
            prop_assert_eq!(reading.has_found(body), extract.body_holds(body));
            prop_assert_eq!(reading.has_found(header), extract.header_holds(header));
            prop_assert_eq!(reading.has_found(field), extract.field_holds("Subject", field));
        }
    }

    #[test]
    fn a_signature_rules_out_no_text_that_is_there(text in "\\PC{0,300}|[éèÉßœ’a-e ]{0,300}", from in 0.0..1.0, length in 0_usize..20) {
        let mut builder = ExtractBuilder::default();
        builder.push_text(&text);
        let extract = builder.finish();
        let chars: Vec<char> = text.chars().collect();
        let from = (from * chars.len() as f64) as usize;
        let part: String = chars.iter().skip(from).take(length).collect();
        for folding in [Folding::Casemap, Folding::Unaccented] {
            let needle = Needle::in_body(&part.to_uppercase(), folding);
            let is_there = extract.clone().opened(folding).body_holds(&needle);
            prop_assert!(!is_there || needle.may_be_in(&extract.signature()));
            let needle = Needle::in_body(&part, folding);
            prop_assert!(extract.clone().opened(folding).body_holds(&needle), "{:?}", part);
        }
    }
}

#[test]
fn letters_that_decompose_to_small_ones_are_found_in_a_text_without_accents() {
    let letter = "Subject: Traitement eﬃcace\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n5 ㎎ le matin, 2ᵉ ligne, № 7\r\n";
    for folding in [Folding::Unaccented, Folding::Casemap] {
        let extract = extract(letter);
        let (signature, opened) = (extract.signature(), extract.clone().opened(folding));
        for text in ["5 mg", "5 ㎎", "2e ligne", "no 7", "№ 7"] {
            // RFC 5051 alone leaves what it decomposed small, on both sides.
            let needle = Needle::in_body(text, folding);
            let is_there = folding == Folding::Unaccented || text.contains(['㎎', '№']);
            assert_eq!(opened.body_holds(&needle), is_there, "{text} {folding:?}");
            assert!(needle.may_be_in(&signature), "{text} {folding:?}");
            let reading = read(letter.as_bytes(), 7, &[Sought::Body(&needle)], folding);
            assert_eq!(reading.has_found(&needle), is_there, "{text} {folding:?}");
        }
    }
    let opened = extract(letter).opened(Folding::Unaccented);
    assert!(opened.field_holds("subject", &Needle::in_header("efficace", Folding::Unaccented)));
}

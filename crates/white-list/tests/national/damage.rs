//! Lists that were damaged on their way, or badly made by those who may sign.

use mail_types::Timestamp;
use policy::WhiteList;
use white_list::{EntryFaultCause, ListFault, national};

use crate::national_list::NationalList;
use crate::world::{GENERATED_AT, SIGNER, SUBJECT, World, domain, list, now};

fn entries(count: usize, subject: impl Fn(usize) -> String) -> NationalList {
    let pairs: Vec<_> = (0..count).map(|n| (format!("d{n}.example"), subject(n))).collect();
    NationalList::new(GENERATED_AT, pairs.iter().map(|(domain, subject)| (domain.as_str(), subject.as_str())))
}

#[test]
fn no_flipped_bit_makes_another_list() {
    let world = World::new();
    let signed = list().sign(&world.signer);
    let authorities = world.authorities(&[]);
    let read = |bytes: &[u8]| national::read(bytes, &authorities, SIGNER, now());
    let (original, _) = read(&signed).expect("a good list");
    let mut survivors = 0;
    for at in 0..signed.len() {
        for bit in [0x01, 0x20] {
            let mut flipped = signed.clone();
            flipped[at] ^= bit;
            if let Ok((list, faults)) = read(&flipped) {
                assert_eq!((&list, faults.len()), (&original, 0), "octet {at} ^ {bit:#x}");
                survivors += 1;
            }
        }
    }
    // White space of the base64 values, and the like; the rest of the signature and all of the content is covered.
    assert!(survivors < 200, "{survivors} flips did no harm");
}

#[test]
fn a_list_cut_anywhere_is_refused() {
    let world = World::new();
    let signed = list().sign(&world.signer);
    let end = signed.iter().rposition(|octet| *octet == b'>').expect("an end");
    for at in 0..end {
        let refused = world.read(&signed[..at]).expect_err("a part of a list");
        let is_named = matches!(refused, ListFault::Truncated | ListFault::NotXml { .. });
        assert!(is_named, "cut at {at}: {refused}");
    }
    for at in [200, signed.len() / 2, end] {
        assert_eq!(world.label(&signed[..at]), "truncated", "cut at {at}");
    }
}

#[test]
fn what_is_no_list_at_all_is_named() {
    let world = World::new();
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let wide = format!("<a>{}</a>", "<a/>".repeat(3_000_001));
    let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>".to_vec();
    let utf16 = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let declared = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>".to_vec();
    for (what, expected, bytes) in [
        ("nothing", "not_xml", Vec::new()),
        ("a word", "not_xml", b"Maintenance".to_vec()),
        ("JSON", "not_xml", b"{\"error\": 503}".to_vec()),
        ("Latin-1", "not_utf8", latin),
        ("UTF-16", "not_utf8", utf16),
        ("another encoding by its own word", "not_utf8", declared),
        ("another document", "schema", b"<html></html>".to_vec()),
        ("too deep", "schema", deep.into_bytes()),
        ("too wide", "too_many", wide.into_bytes()),
    ] {
        assert_eq!(world.label(&bytes), expected, "{what}");
    }
}

#[test]
fn a_deep_nest_under_the_right_root_overflows_nothing() {
    let world = World::new();
    let nest = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let signed = String::from_utf8(list().sign(&world.signer)).expect("text");
    for place in ["    <ListeDomaines>", "<KeyInfo>", "<SignatureValue>"] {
        let nested = signed.replacen(place, &format!("{nest}{place}"), 1);
        assert_ne!(world.label(nested.as_bytes()), "taken", "{place}");
    }
}

#[test]
fn a_signed_list_of_another_form_is_refused_with_the_line() {
    let world = World::new();
    let template = list().with_signature(NationalList::SIGNATURE);
    for (form, expected, from, to) in [
        ("no date", "schema", "<DateDeGeneration>2026-11-02T08:00:00Z</DateDeGeneration>", ""),
        ("a date that is none", "bad_date", "2026-11-02T08:00:00Z", "02/11/2026"),
        ("a date of two parts", "bad_date", "2026-11-02T08:00:00Z", "2026-11-02<?p?>T08:00:00Z"),
        ("a date to come", "future_date", "2026-11-02T08:00:00Z", "2126-11-02T08:00:00Z"),
        ("no domain name", "schema", "<Nom>labo.example</Nom>", ""),
        ("no date of change", "schema", "<DateMAJ>2026-10-30T09:12:00Z</DateMAJ>", ""),
        (
            "another order",
            "schema",
            "<Nom>labo.example</Nom>\n            <Description>Domaine de test</Description>",
            "<Description>Domaine de test</Description><Nom>labo.example</Nom>",
        ),
        (
            "an element more",
            "schema",
            "<Nom>labo.example</Nom>",
            "<Nom>labo.example</Nom><Nom>evil.example</Nom>",
        ),
        ("an element inside a name", "schema", "labo.example<", "labo<b/>.example<"),
        ("a processing instruction inside a name", "schema", "labo.example<", "labo<?p?>.example<"),
        ("text between entries", "schema", "        <Domaine>", "x<Domaine>"),
        ("another root", "schema", "ListeBlancheMSSante", "ListeNoireMSSante"),
    ] {
        assert!(template.contains(from), "{form}");
        let signed = world.signer.sign(&template.replace(from, to));
        assert_eq!(world.label(&signed), expected, "{form}");
    }
    let without_contact = template.replacen(
        "            <SupportContact>0100000001, support@exemple.invalid</SupportContact>\n",
        "",
        1,
    );
    match world.read(&world.signer.sign(&without_contact)) {
        Err(ListFault::Schema { line, expected }) => {
            assert_eq!(line, 5);
            assert!(expected.contains("SupportContact"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slip_in_one_entry_closes_nothing_and_a_ruined_list_is_refused() {
    let world = World::new();
    let slip = |bad: usize| move |n: usize| if n < bad { "no name".to_owned() } else { format!("CN=c{n}") };
    let (read, faults) =
        world.read(&entries(200, slip(2)).sign(&world.signer)).expect("one in a hundred is forgiven");
    assert_eq!((read.pair_count(), faults.len()), (198, 2));
    assert!(read.lists_domain(&domain("d0.example")), "mail for it waits");
    assert_eq!(
        (faults[0].name.as_str(), faults[0].cause, faults[0].line),
        ("d0.example", EntryFaultCause::Subject, 5)
    );
    assert_eq!(
        faults[1].to_string(),
        "line 13 (\"d1.example\"): the certificate is not a distinguished name"
    );
    let refused = world.read(&entries(200, slip(3)).sign(&world.signer)).expect_err("two in a hundred");
    assert!(matches!(refused, ListFault::TooManyBadEntries { bad: 3, entries: 200, .. }), "{refused}");
    let thousands = entries(6_000, slip(51)).sign(&world.signer);
    assert_eq!(world.label(&thousands), "too_many_bad_entries");
    let mut one = list();
    one.entries[2].domain = "labo exemple".into();
    let (read, faults) = world.read(&one.sign(&world.signer)).expect("one is always forgiven");
    assert_eq!((read.domain_count(), faults[0].cause), (1, EntryFaultCause::Domain));
    assert_eq!(world.label(&entries(0, slip(0)).sign(&world.signer)), "no_domain");
    assert_eq!(world.label(&entries(1, slip(1)).sign(&world.signer)), "no_domain");
}

#[test]
fn contacts_are_not_in_what_is_kept() {
    let world = World::new();
    let (read, _) = world.read(&list().sign(&world.signer)).expect("a good list");
    let all = format!("{read:?}");
    assert!(all.contains("labo.example") && !all.contains("exemple.invalid") && !all.contains("01000000"));
    let mut expected = WhiteList::generated_at(Timestamp::from_secs(1_793_606_400));
    for entry in list().entries {
        expected.add(domain(&entry.domain), entry.subject.parse().expect("a name"));
    }
    assert_eq!(read, expected);
    assert!(read.lists(&domain("ch-exemple.mssante.example"), &SUBJECT.parse().expect("a name")));
}

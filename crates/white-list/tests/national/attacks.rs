//! Lists that were made to be believed, and are not.

use crate::national_list::NationalList;
use crate::world::{World, domain, list};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a list is text")
}

/// The text between two marks, both included.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).expect("the beginning");
    let end = start + text[start..].find(to).expect("the end") + to.len();
    &text[start..end]
}

fn signature(signed: &str) -> &str {
    part(signed, "<Signature ", "</Signature>")
}

/// A list of the attacker's choice, with its end open for what was signed for another.
fn evil() -> String {
    NationalList::new("2026-11-03T08:00:00Z", [("ch-exemple.mssante.example", "CN=mx.attacker.example,C=FR")])
        .unsigned()
}

#[test]
fn a_signature_that_was_moved_or_wrapped_covers_nothing() {
    let world = World::new();
    let signed = text(list().sign(&world.signer));
    assert_eq!(world.label(signed.as_bytes()), "taken");
    let signature = signature(&signed);
    let original = &signed[signed.find("<ListeBlanche").expect("the root")..];
    let evil = evil();
    let root_end = "</ListeBlancheMSSante>";
    let inside = |what: &str| evil.replace(root_end, &format!("{what}{root_end}"));
    let object =
        |what: &str| signature.replace("</Signature>", &format!("<Object>{what}</Object></Signature>"));
    for (attack, expected, list) in [
        ("the signature of one list under another", "bad_digest", inside(signature)),
        ("the whole list inside another", "wrapping", inside(original)),
        (
            "the whole list inside another, before a signature of its own",
            "several_signatures",
            inside(&format!("{original}{signature}")),
        ),
        (
            "the original in an Object of the signature",
            "wrapping",
            inside(&object(&original.replace(signature, ""))),
        ),
        (
            "the original after the signature",
            "wrapping",
            inside(&format!("{signature}{}", original.replace(signature, ""))),
        ),
        (
            "the signature first",
            "wrapping",
            signed
                .replace(signature, "")
                .replace("    <DateDeGeneration>", &format!("{signature}<DateDeGeneration>")),
        ),
        (
            "the signature inside ListeDomaines",
            "wrapping",
            signed
                .replace(signature, "")
                .replace("    </ListeDomaines>", &format!("{signature}</ListeDomaines>")),
        ),
        (
            "an element after the signature",
            "wrapping",
            signed.replace(root_end, &format!("<Domaine/>{root_end}")),
        ),
        (
            "the signature twice",
            "several_signatures",
            signed.replace(root_end, &format!("{signature}{root_end}")),
        ),
        ("the signature removed", "no_signature", signed.replace(signature, "")),
        (
            "an entry added",
            "bad_digest",
            signed.replacen(
                "        <Domaine>",
                &format!("        {}<Domaine>", part(&evil, "<Domaine>", "</Domaine>")),
                1,
            ),
        ),
        ("an entry removed", "bad_digest", signed.replacen(part(&signed, "<Domaine>", "</Domaine>"), "", 1)),
        ("a domain renamed", "bad_digest", signed.replace("labo.example<", "labs.example<")),
        (
            "a second list beside the first",
            "bad_digest",
            signed.replace(
                "    <ListeDomaines>",
                &format!("{}<ListeDomaines>", part(&evil, "<ListeDomaines>", "</ListeDomaines>")),
            ),
        ),
        (
            "a part of a signature elsewhere",
            "wrapping",
            signed.replace(
                "    <ListeDomaines>",
                "<SignedInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"/><ListeDomaines>",
            ),
        ),
    ] {
        assert_eq!(world.label(list.as_bytes()), expected, "{attack}");
    }
}

#[test]
fn a_signature_of_another_shape_is_refused_even_by_the_true_signer() {
    let world = World::new();
    let enveloped = "<Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
    let exclusive = "<Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
    let reference = part(NationalList::SIGNATURE, "<Reference", "</Reference>");
    let key_info = part(NationalList::SIGNATURE, "<KeyInfo>", "</KeyInfo>");
    let xpath = "<Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><XPath>not(ancestor-or-self::*[local-name()='ListeDomaines'])</XPath></Transform>";
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let prefixes = "<Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"><InclusiveNamespaces xmlns=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"xsd\"/></Transform>";
    for (shape, expected, from, to) in [
        ("a reference by identifier", "wrapping", "URI=\"\"", "URI=\"#list\""),
        ("two references", "wrapping", reference, &format!("{reference}{reference}")),
        ("no enveloped-signature but a filter", "wrapping", enveloped, xpath),
        ("a filter beside", "wrapping", enveloped, &format!("{enveloped}{xpath}")),
        ("the default canonicalization", "wrapping", exclusive, ""),
        (
            "comments kept",
            "wrapping",
            "xml-exc-c14n#\"/></Transforms>",
            "xml-exc-c14n#WithComments\"/></Transforms>",
        ),
        ("a list of prefixes", "wrapping", exclusive, prefixes),
        ("an Object", "wrapping", "</KeyInfo>", "</KeyInfo><Object>x</Object>"),
        (
            "SignedInfo in inclusive form",
            "algorithm",
            "<CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>",
            &format!("<CanonicalizationMethod Algorithm=\"{inclusive}\"/>"),
        ),
        (
            "RSA with SHA-1",
            "algorithm",
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        ),
        (
            "a digest by SHA-1",
            "algorithm",
            "http://www.w3.org/2001/04/xmlenc#sha256",
            "http://www.w3.org/2000/09/xmldsig#sha1",
        ),
        ("no certificate", "wrapping", key_info, ""),
        ("a bare key", "no_certificate", "<X509Data><X509Certificate/></X509Data>", "<KeyValue/>"),
        ("a bare key beside", "no_certificate", "<X509Data>", "<KeyValue/><X509Data>"),
        ("SHA-512", "taken", "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha512"),
        ("a digest by SHA-512", "taken", "xmlenc#sha256", "xmlenc#sha512"),
    ] {
        assert!(NationalList::SIGNATURE.contains(from), "{shape}");
        let template = list().with_signature(&NationalList::SIGNATURE.replacen(from, to, 1));
        let template = template.replace("MSSante xmlns=", "MSSante Id=\"list\" xmlns=");
        assert_eq!(world.label(&world.signer.sign(&template)), expected, "{shape}");
    }
}

#[test]
fn the_certificate_in_the_list_is_a_proposal_and_no_proof() {
    let (world, attacker) = (World::new(), World::new());
    let (ours, theirs) = (text(list().sign(&world.signer)), text(list().sign(&attacker.signer)));
    let certificate = |signed: &str| part(signed, "<X509Certificate>", "</X509Certificate>").to_owned();
    let with_ours = theirs.replace(&certificate(&theirs), &certificate(&ours));
    assert_eq!(world.label(with_ours.as_bytes()), "bad_signature");
    let with_theirs = ours.replace(&certificate(&ours), &certificate(&theirs));
    assert_eq!(world.label(with_theirs.as_bytes()), "unknown_signer");
    let both =
        theirs.replace(&certificate(&theirs), &format!("{}{}", certificate(&ours), certificate(&theirs)));
    assert_eq!(world.label(both.as_bytes()), "bad_signature");
    let garbled = ours.replace(&certificate(&ours), "<X509Certificate>AAAA</X509Certificate>");
    assert_eq!(world.label(garbled.as_bytes()), "unknown_signer");
    let digest = part(&ours, "<DigestValue>", "</DigestValue>").to_owned();
    let other = NationalList::new("2026-11-03T08:00:00Z", [("evil.example", "CN=e")]).sign(&attacker.signer);
    let other = text(other);
    let own_digest = part(&other, "<DigestValue>", "</DigestValue>");
    let signature = signature(&ours).replace(&digest, own_digest);
    let fitted = other.replace(part(&other, "<Signature ", "</Signature>"), &signature);
    assert_eq!(
        world.label(fitted.as_bytes()),
        "bad_signature",
        "a digest that fits, under a signature that does not"
    );
}

#[test]
fn nothing_is_expanded() {
    let world = World::new();
    let signed = text(list().sign(&world.signer));
    let after_declaration = |what: &str| signed.replacen("?>", &format!("?>{what}"), 1);
    let bomb = "<!DOCTYPE b [<!ENTITY a0 \"aaaaaaaaaa\"><!ENTITY a1 \"&a0;&a0;&a0;&a0;&a0;&a0;&a0;&a0;&a0;&a0;\"><!ENTITY a2 \"&a1;&a1;&a1;&a1;&a1;&a1;&a1;&a1;&a1;&a1;\">]>";
    for (attack, expected, list) in [
        ("an empty document type", "doctype", after_declaration("<!DOCTYPE ListeBlancheMSSante>")),
        ("a bomb of entities", "doctype", after_declaration(bomb).replace("labo.example<", "&a2;<")),
        (
            "an external entity",
            "doctype",
            after_declaration("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>")
                .replace("labo.example<", "&e;<"),
        ),
        (
            "an external subset",
            "doctype",
            after_declaration("<!DOCTYPE x SYSTEM \"http://127.0.0.1:9/x.dtd\">"),
        ),
        (
            "a document type hidden behind a comment",
            "doctype",
            after_declaration("<?p <!-- ?><!DOCTYPE x><?p --> ?>"),
        ),
        ("a web page", "doctype", "<!DOCTYPE html><html><body>Maintenance</body></html>".to_owned()),
        ("an entity nobody declared", "not_xml", signed.replace("labo.example<", "&e;<")),
    ] {
        assert_eq!(world.label(list.as_bytes()), expected, "{attack}");
    }
}

#[test]
fn two_elements_of_one_identifier_are_refused() {
    let world = World::new();
    let template = list().with_signature(NationalList::SIGNATURE);
    let twice =
        template.replacen("<Domaine>", "<Domaine Id=\"d\">", 1).replacen("<Nom>", "<Nom ID=\"d\">", 1);
    assert_eq!(world.label(&world.signer.sign(&twice)), "duplicate_id");
    let once = template.replacen("<Domaine>", "<Domaine Id=\"d\">", 1);
    assert_eq!(world.label(&world.signer.sign(&once)), "taken");
}

#[test]
fn what_does_not_change_the_signed_text_does_not_change_the_list() {
    let world = World::new();
    let signed = text(list().sign(&world.signer));
    let (read, _) = world.read(signed.as_bytes()).expect("a good list");
    let carriage_returns = |element: &str| {
        let whole = part(&signed, &format!("<{element}>"), &format!("</{element}>"));
        signed.replace(whole, &whole.replace('\n', "&#13;\n"))
    };
    for (change, list) in [
        ("a comment inside a domain", signed.replace("ch-exemple.mssante", "ch-<!-- -->exemple.mssante")),
        (
            "a comment that looks like an end",
            signed.replace("labo.example<", "labo<!--</Nom><Nom>-->.example<"),
        ),
        ("a domain in CDATA", signed.replace("labo.example</Nom>", "<![CDATA[labo.example]]></Nom>")),
        ("a character reference", signed.replace("labo.example</Nom>", "l&#97;bo.e&#x78;ample</Nom>")),
        ("CRLF line ends", signed.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{signed}")),
        ("no declaration", signed[signed.find("<ListeBlanche").expect("the root")..].to_owned()),
        ("carriage returns in the signature value", carriage_returns("SignatureValue")),
        ("carriage returns in the certificate", carriage_returns("X509Certificate")),
        (
            "a comment after the signature",
            signed.replace("</ListeBlancheMSSante>", "<!-- end --></ListeBlancheMSSante>"),
        ),
    ] {
        assert_ne!(list, signed, "{change}");
        let (changed, faults) =
            world.read(list.as_bytes()).unwrap_or_else(|fault| panic!("{change}: {fault}"));
        assert_eq!((changed, faults.len()), (read.clone(), 0), "{change}");
    }
    assert!(
        read.lists_domain(&domain("labo.example")) && !read.lists_domain(&domain("exemple.mssante.example"))
    );
}

/// The same with `ds:` before every element of the signature.
fn prefixed_signature(head: &str, signature: &str) -> String {
    let (signature, end) = signature.split_at(signature.find("</ListeB").expect("the end"));
    let prefixed = signature.replace("</", "<:").replace('<', "<ds:").replace("<ds::", "</ds:");
    format!("{head}{}{end}", prefixed.replacen("xmlns=", "xmlns:ds=", 1))
}

#[test]
fn namespaces_are_read_and_not_guessed() {
    let world = World::new();
    let template = list().with_signature(NationalList::SIGNATURE);
    let (head, signature) = template.split_at(template.find("<Signature").expect("the signature"));
    let prefixed =
        head.replace("</", "<:").replace('<', "<l:").replace("<l::", "</l:").replace("<l:?xml", "<?xml");
    let prefixed =
        format!("{}{}", prefixed.replace("xmlns=", "xmlns:l="), signature.replace("</ListeB", "</l:ListeB"));
    for (form, expected, list) in [
        ("a prefix for every element", "taken", prefixed.clone()),
        ("a prefix for the signature", "taken", prefixed_signature(head, signature)),
        ("a prefix for another namespace", "schema", prefixed.replace("schema\"", "schema2\"")),
        ("no namespace", "schema", template.replace(" xmlns=\"https://listeblanche.mssante.fr/schema\"", "")),
        ("a domain of another namespace", "schema", template.replacen("<Nom>", "<Nom xmlns=\"urn:x\">", 1)),
        (
            "entries of another namespace",
            "schema",
            template.replacen("<ListeDomaines>", "<ListeDomaines xmlns=\"urn:x\">", 1),
        ),
        (
            "a prefix that hides the signature's namespace",
            "no_signature",
            template.replace("http://www.w3.org/2000/09/xmldsig#\"><SignedInfo", "urn:x\"><SignedInfo"),
        ),
    ] {
        // Without a signature to fill there is nothing for xmlsec1 to do.
        let bytes = if expected == "no_signature" { list.into_bytes() } else { world.signer.sign(&list) };
        assert_eq!(world.label(&bytes), expected, "{form}");
    }
}

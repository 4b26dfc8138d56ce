//! Trust files: in which forms they may come, and of which PKI they may be.

use mail_types::RevocationState;
use pki::{Environment, TrustError, TrustSnapshot, UnixTime, Usage};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;

use crate::world::{World, chain, now};

/// What `openssl crl2pkcs7` makes of these files.
fn p7b(certificates: Option<&str>, list: Option<&[u8]>, form: &str) -> Vec<u8> {
    let dir = tempfile::TempDir::new().unwrap();
    let mut command = std::process::Command::new("openssl");
    command.args(["crl2pkcs7", "-outform", form]).current_dir(dir.path());
    if let Some(certificates) = certificates {
        std::fs::write(dir.path().join("certificates.pem"), certificates).unwrap();
        command.args(["-certfile", "certificates.pem"]);
    }
    match list {
        Some(list) => {
            std::fs::write(dir.path().join("list.pem"), list).unwrap();
            command.args(["-in", "list.pem"]);
        }
        None => {
            command.arg("-nocrl");
        }
    }
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

/// Nothing is missing in these files, and nothing is wrong with them.
fn are_complete(world: &World, anchors: &[Vec<u8>], lists: &[Vec<u8>]) {
    let (snapshot, faults) = TrustSnapshot::build(anchors, lists, now()).unwrap();
    assert_eq!(faults, []);
    // The leaf alone, so that the issuing authority must come from the files.
    let leaf = &chain(&world.client.chain_pem)[..1];
    let peer = snapshot.judge(leaf, Usage::Client, UnixTime::now()).unwrap();
    assert_eq!(peer.revocation, RevocationState::Good);
}

#[test]
fn lists_and_anchors_may_be_der() {
    let world = World::new();
    let der = |pem: &[u8]| CertificateRevocationListDer::from_pem_slice(pem).unwrap();
    let lists = [&der(&world.root_list())[..], &der(&world.issuing_list(now(), &[], 1))[..]].concat();
    let anchors: Vec<Vec<u8>> = chain(&world.pki.trust_pem()).iter().map(|c| c.to_vec()).collect();
    are_complete(&world, &anchors, &[lists]);
}

#[test]
fn lists_and_anchors_may_be_p7b() {
    let world = World::new();
    let lists = [world.root_list(), world.issuing_list(now(), &[], 1)];
    for form in ["DER", "PEM"] {
        let anchors = p7b(Some(&world.pki.trust_pem()), None, form);
        are_complete(&world, &[anchors], &lists);
        let bundled = lists.clone().map(|list| p7b(None, Some(&list), form));
        are_complete(&world, &[world.pki.trust_pem().into_bytes()], &bundled);
        // Certificates and a list in one, as a trust file and as a list file.
        let both = p7b(Some(&world.pki.trust_pem()), Some(&lists[0]), form);
        are_complete(&world, std::slice::from_ref(&both), &[both.clone(), lists[1].clone()]);
    }
}

#[test]
fn pem_and_p7b_may_follow_one_another_in_one_file() {
    let world = World::new();
    let lists = [world.root_list(), world.issuing_list(now(), &[], 1)];
    let root = p7b(Some(world.pki.root_cert_pem()), None, "PEM");
    let file = [b"the national anchors\n".to_vec(), root, world.pki.issuing_cert_pem().into()].concat();
    are_complete(&world, &[file], &lists);
}

#[test]
fn a_damaged_p7b_is_unreadable() {
    let world = World::new();
    let whole = p7b(Some(&world.pki.trust_pem()), None, "DER");
    let cut = |length: usize| TrustSnapshot::build(&[whole[..length].to_vec()], &[], now()).map(|_| ());
    for length in [40, 100, whole.len() / 2, whole.len() - 1] {
        assert_eq!(cut(length), Err(TrustError::Unreadable(0)), "{length} octets");
    }
    let pem = String::from_utf8(p7b(Some(&world.pki.trust_pem()), None, "PEM")).unwrap();
    for text in [pem.replace("-----END", "-----ENT"), pem.replacen("MII", "!!!", 1)] {
        let built = TrustSnapshot::build(&[text.into_bytes()], &[], now()).map(|_| ());
        assert_eq!(built, Err(TrustError::Unreadable(0)));
    }
}

#[test]
fn trust_files_hold_authorities_and_an_anchor_among_them() {
    let world = World::new();
    let build = |file: &str| TrustSnapshot::build(&[file.into()], &[], now()).map(|_| ());
    assert_eq!(build(""), Err(TrustError::NoAnchor));
    assert_eq!(build(world.pki.issuing_cert_pem()), Err(TrustError::NoAnchor));
    assert_eq!(build(&world.client.chain_pem), Err(TrustError::NotAnAuthority(0)));
    assert_eq!(build("-----BEGIN CERTIFICATE-----\n%%\n"), Err(TrustError::Unreadable(0)));
}

/// A root with this CN and O.
fn root(common_name: &str, organization: &str) -> Vec<u8> {
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.distinguished_name = rcgen::DistinguishedName::new();
    root.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    root.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
    let key = rcgen::KeyPair::generate().unwrap();
    root.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn the_two_environments_are_never_mixed() {
    let real = root("AC RACINE IGC-SANTE ELEMENTAIRE", "ASIP-SANTE");
    let test = root("TEST AC RACINE IGC-SANTE ELEMENTAIRE", "ASIP-SANTE");
    let elsewhere = root("AC RACINE", "ASIP-SANTE-TEST");
    let alike = root("AC ATTESTATION CONTESTEE", "LE TESTAMENT");
    let check = |files: &[&Vec<u8>], environment| {
        let files: Vec<_> = files.iter().map(|file| (*file).clone()).collect();
        let (snapshot, _) = TrustSnapshot::build(&files, &[], now()).unwrap();
        snapshot.of_environment(environment).map(|_| ()).map_err(|error| (error.file(), error.to_string()))
    };
    assert_eq!(check(&[&real, &alike], Environment::Production), Ok(()));
    assert_eq!(check(&[&test, &elsewhere], Environment::Test), Ok(()));
    let (file, text) = check(&[&real, &test], Environment::Production).unwrap_err();
    assert_eq!(file, Some(1));
    assert!(text.to_uppercase().contains("CN=TEST AC RACINE IGC-SANTE ELEMENTAIRE"), "{text}");
    assert!(check(&[&elsewhere], Environment::Production).is_err());
    let (file, text) = check(&[&test, &elsewhere, &alike], Environment::Test).unwrap_err();
    assert_eq!(file, Some(2));
    assert!(text.contains("does not say TEST"), "{text}");
}

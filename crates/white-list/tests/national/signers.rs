//! Who may sign a list, and when.

use mail_types::Timestamp;
use pki::Rejection;
use policy::WhiteList;
use white_list::{EntryFault, Format, ListFault, Occasion, national};

use crate::national_list::SignerProfile;
use crate::world::{DAY, SIGNER, World, list, now};

type Outcome = Result<(WhiteList, Vec<EntryFault>), ListFault>;

fn fault(outcome: Outcome) -> ListFault {
    outcome.expect_err("the list is refused")
}

#[test]
fn another_authority_signs_no_list_under_the_same_name() {
    let (ours, theirs) = (World::new(), World::new());
    let forged = list().sign(&theirs.signer);
    assert_eq!(fault(ours.read(&forged)), ListFault::UnknownSigner(Rejection::Untrusted));
    assert_eq!(theirs.label(&forged), "taken");
}

#[test]
fn another_certificate_of_the_same_authority_signs_no_list() {
    let world = World::new();
    let other = world.issue(&SignerProfile {
        common_name: "mx.ch-voisin.example".into(),
        mail: "alb@ch-voisin.example".into(),
        ..SignerProfile::default()
    });
    let refused = fault(world.read(&list().sign(&other)));
    assert_eq!(
        refused,
        ListFault::OtherSigner {
            expected: SIGNER.into(),
            found: "mx.ch-voisin.example, alb@ch-voisin.example".into()
        }
    );
    assert!(refused.to_string().contains("whitelist_signer"));
}

#[test]
fn the_signer_is_pinned_by_its_common_name_or_its_mail_address_never_by_its_key() {
    let world = World::new();
    let signed = list().sign(&world.signer);
    let renewed = list().sign(&world.issue(&SignerProfile::default()));
    let authorities = world.authorities(&[]);
    for name in [SIGNER, "ALB.test.Example", "alb@test.example"] {
        for list in [&signed, &renewed] {
            assert!(national::read(list, &authorities, name, now()).is_ok(), "{name}");
        }
    }
    for name in ["", "test.example", "b.test.example", "ANS TEST"] {
        assert_eq!(
            fault(national::read(&signed, &authorities, name, now())).label(),
            "other_signer",
            "{name}"
        );
    }
}

#[test]
fn a_certificate_that_is_not_for_signatures_signs_no_list() {
    let world = World::new();
    for (purpose, key_usage, expected) in [
        ("", "", "taken"),
        ("anyExtendedKeyUsage", "nonRepudiation", "taken"),
        ("serverAuth,emailProtection", "digitalSignature", "taken"),
        ("serverAuth,clientAuth", "digitalSignature", "unknown_signer"),
        ("emailProtection", "keyEncipherment", "unknown_signer"),
    ] {
        let profile = SignerProfile {
            purpose: purpose.into(),
            key_usage: key_usage.into(),
            ..SignerProfile::default()
        };
        let signed = list().sign(&world.issue(&profile));
        assert_eq!(world.label(&signed), expected, "{purpose:?} {key_usage:?}");
    }
}

#[test]
fn a_short_key_signs_no_list() {
    let world = World::new();
    let weak = world.issue(&SignerProfile { key_bits: 1_024, ..SignerProfile::default() });
    assert_eq!(world.label(&list().sign(&weak)), "algorithm");
}

#[test]
fn an_expired_signer_signs_no_new_list_and_leaves_the_one_that_was_adopted() {
    let world = World::new();
    let profile = SignerProfile {
        validity: Some(("20250101000000Z".into(), "20260101000000Z".into())),
        ..SignerProfile::default()
    };
    let mut old = list();
    old.generated_at = "2025-06-01T08:00:00Z".into();
    let signed = old.sign(&world.issue(&profile));
    assert_eq!(fault(world.read(&signed)), ListFault::UnknownSigner(Rejection::Expired));
    let adopted_at = Timestamp::from_secs(1_748_764_900);
    let authorities = world.authorities(&[]);
    let (kept, _) = national::read_kept(&signed, &authorities, SIGNER, adopted_at).expect("it was good then");
    assert_eq!(kept.domain_count(), 2);
    let before = Timestamp::from_secs(1_735_600_000);
    assert_eq!(
        fault(national::read_kept(&signed, &authorities, SIGNER, before)),
        ListFault::UnknownSigner(Rejection::NotYetValid)
    );
}

#[test]
fn a_revoked_signer_is_refused_and_doubt_about_it_is_a_fault_of_its_own() {
    let world = World::new();
    let signed = list().sign(&world.signer);
    let revoked = world.authorities(&[world.signer.serial()]);
    for outcome in [
        national::read(&signed, &revoked, SIGNER, now()),
        national::read_kept(&signed, &revoked, SIGNER, now()),
    ] {
        assert_eq!(fault(outcome), ListFault::UnknownSigner(Rejection::Revoked));
    }
    let without_lists = world.authorities_with(&[]);
    assert_eq!(fault(national::read(&signed, &without_lists, SIGNER, now())).label(), "signer_unverifiable");
    assert!(national::read_kept(&signed, &without_lists, SIGNER, now()).is_ok());
    let outdated = world.pki.issuing_crl_pem(now().plus_secs(-20 * DAY), &[], 2).expect("a list");
    let outdated = world.authorities_with(&[world.pki.root_crl_pem(now()).expect("a list"), outdated]);
    let in_two_weeks = now().plus_secs(14 * DAY);
    assert_eq!(
        fault(national::read(&signed, &outdated, SIGNER, in_two_weeks)).label(),
        "signer_unverifiable"
    );
}

#[test]
fn one_entry_serves_every_form_and_bounds_the_size() {
    let world = World::new();
    let signed = list().sign(&world.signer);
    let authorities = world.authorities(&[]);
    let format = |occasion| Format::National { authorities: &authorities, signer: SIGNER, occasion };
    let size = u64::try_from(signed.len()).expect("a size");
    for occasion in [Occasion::Fetched, Occasion::Kept] {
        assert!(white_list::read(format(occasion), &signed, size, now()).is_ok());
        let refused = fault(white_list::read(format(occasion), &signed, size - 1, now()));
        assert_eq!(refused, ListFault::TooLarge { size_max: size - 1 });
    }
    assert!(white_list::read(Format::Pairs, b"ch.example;CN=a", 100, now()).is_ok());
    let csv = b"domaine;type;finess;date_ajout\nch.example;operateur;990000001;2024-01-15\n";
    assert!(white_list::read(Format::Csv, csv, 100, now()).is_ok());
}

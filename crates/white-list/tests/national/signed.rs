//! Lists that are what they seem.

use mail_types::Timestamp;

use crate::world::{SUBJECT, World, dn, domain, list};

#[test]
fn a_list_signed_by_another_implementation_is_read() {
    let world = World::new();
    let signed = list().sign(&world.signer);
    let (read, faults) = world.read(&signed).unwrap();
    assert_eq!(faults, []);
    assert_eq!(read.generation(), Some(Timestamp::from_secs(1_793_606_400)));
    assert_eq!((read.domain_count(), read.pair_count(), read.certificate_count()), (2, 3, 3));
    assert!(read.lists(&domain("ch-exemple.mssante.example"), &dn(SUBJECT)));
    let second = dn("C=FR,ST=Exemple (99),O=CH EXEMPLE,OU=1990000001,CN=smtp-2.ch-exemple.example");
    assert!(read.lists(&domain("ch-exemple.mssante.example"), &second));
    assert!(!read.lists(&domain("labo.example"), &second));
}

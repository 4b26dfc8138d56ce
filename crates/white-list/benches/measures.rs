//! Costs of the white list in processor time: `cargo bench -p white-list`. Needs openssl and xmlsec1.
#![expect(clippy::print_stdout, reason = "a program for developers")]

#[path = "../../../tests/src/national_list.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the scenarios")]
mod national_list;

use std::hint::black_box;
use std::time::Duration;

use mail_types::{DistinguishedName, Domain, Timestamp};
use national_list::{ListSigner, NationalList, SignerProfile};
use pki::TrustSnapshot;
use pki::UnixTime;
use pki::development::DevelopmentPki;
use policy::{WhiteList, WhiteListDiff, replacement};
use white_list::national;

/// Time of this thread on a processor, which other programs on the machine do not lengthen as they do the time that passes.
fn spent() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells");
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

fn each(rounds: u32, mut work: impl FnMut()) -> Duration {
    let start = spent();
    (0..rounds).for_each(|_| work());
    (spent() - start) / rounds
}

fn pair(n: usize) -> (String, String) {
    let domain = format!("etablissement-{n}.mssante.example");
    let subject = format!(
        "CN=smtp.{domain},OU=1{n:09},O=CENTRE HOSPITALIER \"{n}\",ST=Departement ({:02}),C=FR",
        n % 96
    );
    (domain, subject)
}

fn list(entries: usize) -> NationalList {
    let pairs: Vec<_> = (0..entries).map(pair).collect();
    NationalList::new(
        "2026-11-02T08:00:00Z",
        pairs.iter().map(|(domain, subject)| (domain.as_str(), subject.as_str())),
    )
}

/// Octets of memory in use, as the kernel counts them.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number");
    pages * 4_096
}

fn memory(entries: usize) {
    let before = resident();
    let mut list = WhiteList::default();
    for (domain, subject) in (0..entries).map(pair) {
        list.add(domain.parse().expect("a domain"), subject.parse().expect("a name"));
    }
    println!("{entries} entries: {} KiB resident", (resident() - before) / 1_024);
    assert_eq!(list.pair_count(), entries);
}

fn look_ups(list: &WhiteList, entries: usize) {
    let known: Vec<(Domain, DistinguishedName)> = (0..entries)
        .map(pair)
        .map(|(domain, subject)| (domain.parse().expect("a domain"), subject.parse().expect("a name")))
        .collect();
    let mut at = 0;
    let look_up = each(1_000_000, || {
        at = (at + 7_919) % known.len();
        let (domain, subject) = &known[at];
        assert!(black_box(list.lists(domain, subject)));
    });
    println!("{entries} entries: look-up {look_up:?}");
}

fn main() {
    memory(10_000);
    let now = Timestamp::from_secs(i64::try_from(UnixTime::now().as_secs()).expect("a date"));
    let pki = DevelopmentPki::generate(now.plus_secs(-86_400)).expect("a PKI");
    let lists = [pki.root_crl_pem(now).expect("a list"), pki.issuing_crl_pem(now, &[], 1).expect("a list")];
    let (authorities, _) =
        TrustSnapshot::build(&[pki.trust_pem().into_bytes()], &lists.map(String::into_bytes), now)
            .expect("anchors");
    let profile = SignerProfile::default();
    let signer = ListSigner::issue(pki.issuing_cert_pem(), pki.issuing_key_pem().expose(), &profile);
    for entries in [100, 10_000, 50_000] {
        let rounds = u32::try_from(100_000 / entries).expect("a small number");
        let signed = list(entries).sign(&signer);
        let read =
            || national::read(&signed, &authorities, &profile.common_name, now).expect("a good list").0;
        println!(
            "{entries} entries, {} octets: parse and verify {:?}",
            signed.len(),
            each(rounds, || drop(black_box(read())))
        );
        let read = read();
        look_ups(&read, entries);
        println!(
            "{entries} entries: judged against itself {:?}",
            each(rounds, || {
                replacement(Some(&read), &read, 20, false).expect("the same list");
            })
        );
        println!(
            "{entries} entries: difference {:?}",
            each(rounds, || drop(black_box(WhiteListDiff::between(&read, &read))))
        );
    }
}

//! A trust space that OpenSSL made, and an operator that lives in it: authorities in every state, and a foreign operator for each.
//!
//! A case is a word, `expired`; its foreign operator has the domain `expired.example`, and a certificate that is as the word says.

use crate::authority::Certificate;
use crate::demo::Mailbox;
use crate::openssl::{LeafPlan, OpensslAuthority, self_signed};
use crate::operator::{Operator, free_port};
use crate::wait::DEADLINE;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// An operator, and everybody that it may meet. Its IMAP port asks for certificates.
#[derive(Debug)]
pub struct TrustWorld {
    /// The operator under judgement. It insists on the extended key usage.
    pub operator: Operator,
    /// A mailbox of it.
    pub mailbox: Mailbox,
    /// The authority that is in order.
    pub good: OpensslAuthority,
    /// Its list revokes these.
    pub revoked: Vec<Certificate>,
    certificates: BTreeMap<&'static str, Certificate>,
    /// A root and an authority with the names of those in force, and keys of their own.
    pub twin: (OpensslAuthority, OpensslAuthority),
}

impl TrustWorld {
    /// Makes the world and starts its operator.
    pub fn start() -> Self {
        Self::start_with_crowd(10)
    }

    /// The same; the list of one authority has so many entries.
    pub fn start_with_crowd(crowd: u32) -> Self {
        let names = ["AC RACINE TEST ESSAIS", "AC TEST ESSAIS ORGANISATIONS"];
        let root = OpensslAuthority::root(names[0]);
        let good = root.authority(names[1]);
        let below = |name: &str| root.authority(&format!("AC TEST ESSAIS {name}"));
        let (withdrawn, silent, outdated) = (below("RETIREE"), below("SANS LISTE"), below("LISTE PERIMEE"));
        let (forged, crowded, distant) =
            (below("LISTE FORGEE"), below("LISTE LONGUE"), below("LISTE LOINTAINE"));
        let twin_root = OpensslAuthority::root(names[0]);
        let twin = twin_root.authority(names[1]);
        let foreign = OpensslAuthority::root("AC RACINE TEST ETRANGERE");

        let mut certificates = BTreeMap::new();
        let mut issue = |name: &'static str, authority: &OpensslAuthority, plan: LeafPlan<'_>| {
            let subject = format!("/C=FR/ST=Paris (75)/O=HOPITAL TIERS/OU=1750000019/CN=mx.{name}.example");
            certificates.insert(name, authority.issue(&LeafPlan { subject: &subject, ..plan }));
        };
        let usual = LeafPlan::default();
        for name in [
            "valid",
            "revoked",
            "other-dn",
            "elsewhere",
            "reordered",
            "unlisted",
            "clear",
            "stripped",
            "refused",
            "injecting",
        ] {
            issue(name, &good, usual);
        }
        issue("rsa", &good, LeafPlan { key: "rsa:2048", ..usual });
        issue("expired", &good, LeafPlan { from_day: -400, to_day: -1, ..usual });
        issue("early", &good, LeafPlan { from_day: 1, ..usual });
        issue("server-only", &good, LeafPlan { usages: "serverAuth", ..usual });
        issue("client-only", &good, LeafPlan { usages: "clientAuth", ..usual });
        issue("misnamed", &good, LeafPlan { names: "DNS:mx.somebody-else.example", ..usual });
        issue("under-revoked", &withdrawn, usual);
        issue("foreign", &foreign, usual);
        issue("twin", &twin, usual);
        issue("silent", &silent, usual);
        issue("outdated", &outdated, usual);
        issue("forged", &forged, usual);
        issue("crowded", &crowded, usual);
        issue("crowded-revoked", &crowded, usual);
        // Nobody answers there.
        let point = format!("crlDistributionPoints=URI:http://127.0.0.1:{}/list.crl", free_port());
        issue("distant", &distant, LeafPlan { extensions: &point, ..usual });
        let alone = "/C=FR/ST=Paris (75)/O=HOPITAL TIERS/OU=1750000019/CN=mx.self-signed.example";
        certificates.insert("self-signed", self_signed(alone));

        let operator = Operator::init("ville.example");
        operator.edit("[trust]\n", "[trust]\neku = \"strict\"\n");
        operator.edit("[listeners.imaps]\n", "[listeners.imaps]\nclient_certificates = \"request\"\n");
        operator.edit("[routes]\n", "[delivery]\nretry_first_secs = 3600\n[routes]\n");
        let authorities = [&root, &good, &withdrawn, &silent, &outdated, &forged, &crowded, &distant];
        let anchors: String = authorities.iter().map(|authority| authority.cert_pem()).collect();
        write(&operator, "trust/anchors.pem", &anchors);
        let own = good.issue(&LeafPlan { subject: "/C=FR/O=VILLE/CN=mx.ville.example", ..usual });
        write(&operator, "tls/server.pem", &own.chain_pem);
        write(&operator, "tls/server.key", &own.key_pem);

        let revoked = vec![certificates["revoked"].clone()];
        std::fs::remove_file(operator.file("trust/crl/issuing.pem")).expect("init writes a list");
        // An authority whose signature is forged bears the names of the true one.
        let forger = twin_root.authority("AC TEST ESSAIS LISTE FORGEE");
        for (name, list) in [
            ("root", root.list(&[&withdrawn.certificate()], 7)),
            ("good", good.list(&revoked.iter().collect::<Vec<_>>(), 7)),
            ("withdrawn", withdrawn.list(&[], 7)),
            ("outdated", outdated.list_between(&[], 7, -30, -1)),
            ("forged", forger.list(&[], 7)),
            ("crowded", crowded.huge_list(crowd, &[&certificates["crowded-revoked"]], 7)),
        ] {
            write(&operator, &format!("trust/crl/{name}.pem"), &list);
        }
        write(&operator, "trust/whitelist.txt", &white_list(&certificates));
        let mailbox = operator.new_mailbox("a");
        let mut world = Self { operator, mailbox, good, revoked, certificates, twin: (twin_root, twin) };
        world.operator.serve();
        world
    }

    /// What the foreign operator of a case presents.
    pub fn certificate(&self, case: &str) -> &Certificate {
        self.certificates.get(case).unwrap_or_else(|| panic!("there is no case {case}"))
    }

    /// The anchors of the world.
    pub fn ca_file(&self) -> PathBuf {
        self.operator.ca_file()
    }

    /// Puts a file of the operator in another's place, by its name.
    pub fn replace(&self, name: &str, content: &str) {
        write(&self.operator, name, content);
    }

    /// SIGHUP, until the operator says that it has reloaded.
    pub fn reload(&mut self) {
        let process = self.operator.process();
        let count = |log: &str| log.matches("reloaded").count();
        let before = count(&process.log());
        process.signal("HUP");
        let begin = Instant::now();
        while count(&process.log()) == before {
            assert!(begin.elapsed() < DEADLINE, "no reload after SIGHUP:\n{}", process.log());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Each case's pair, but for those that the list is to be at odds with; the same for its second domain, `old-CASE.example`.
fn white_list(certificates: &BTreeMap<&'static str, Certificate>) -> String {
    let mut lines = format!("its-own.example;{}\n", certificates["elsewhere"].subject);
    for (case, certificate) in certificates {
        let subject = match *case {
            "unlisted" => continue,
            // The same CN, and not the same name.
            "other-dn" => certificate.subject.replace("HOPITAL TIERS", "HOPITAL QUART"),
            "elsewhere" => certificates["valid"].subject.clone(),
            "reordered" => {
                let attributes: Vec<&str> = certificate.subject.split(',').rev().collect();
                attributes.join(" ,  ").replace("CN=", "cn = ")
            }
            _ => certificate.subject.clone(),
        };
        lines += &format!("{case}.example;{subject}\nold-{case}.example;{subject}\n");
    }
    lines
}

fn write(operator: &Operator, name: &str, content: &str) {
    std::fs::write(operator.file(name), content).expect("a file of the operator can be written");
}

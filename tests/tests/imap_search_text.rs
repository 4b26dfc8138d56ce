//! The texts of messages in SEARCH: what counts and what does not, that it is found after a restart and without its extract, and that it stands nowhere in clear.

use scenarios::{Demo, Engine, Imap, Letter, Operator, Process, Wire};

async fn found(imap: &mut Imap, keys: &str) -> String {
    let told = imap.ok(&format!("SEARCH {keys}")).await.text();
    told.strip_prefix("* SEARCH").unwrap_or(&told).trim().to_owned()
}

fn plain(subject: &str, text: &str) -> String {
    let head =
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    format!("From: a@nord.example\r\nSubject: {subject}\r\n{head}\r\n{text}\r\n")
}

/// Base64 of `Bilan hépatique joint` as a text part; a PDF whose name is encoded by RFC 2231; HTML whose tags hold words.
const PARTS: &str = "From: a@nord.example\r\nSubject: =?utf-8?Q?r=C3=A9sultats?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQmlsYW4gaMOpcGF0aXF1ZSBqb2ludA==\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p class=\"invisible\">taux <b>nor</b>mal</p>\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''%C3%A9chographie.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    aGVtb2dsb2JpbmU=\r\n--b--\r\n";

async fn fill(imap: &mut Imap, letters: &[String]) {
    for letter in letters {
        let status = imap.append("INBOX", letter.as_bytes()).await.status;
        assert!(status.starts_with("OK"), "{status}");
    }
    imap.ok("SELECT INBOX").await;
}

fn letters() -> Vec<String> {
    vec![
        plain("été", "Compte rendu d\u{2019}hospitalisation\u{a0}: œdème aigu, e\u{301}volution favorable."),
        plain("ete", "L'OEDEME a disparu, ŒDÈME résolu; hospi\u{ad}talisation inutile."),
        PARTS.to_owned(),
    ]
}

#[tokio::test]
async fn what_stands_in_a_long_header_is_found() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("long-en-tete", "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let long = "X-Long: des mots qui se suivent, et d'autres encore\r\n".repeat(4000);
    let letters =
        [format!("{long}X-Rare: xanthochromique\r\nSubject: long\r\n\r\nx\r\n"), plain("court", "x")];
    fill(&mut imap, &letters).await;
    for (keys, expected) in [
        ("HEADER X-Rare XANTHO", "1"),
        ("SUBJECT long", "1"),
        ("HEADER X-Long autres", "1"),
        ("NOT HEADER X-Rare xantho", "2"),
        ("OR SUBJECT court HEADER X-Rare absent", "2"),
        ("TEXT xanthochromique", "1"),
    ] {
        assert_eq!(found(&mut imap, keys).await, expected, "{keys}");
    }
}

#[tokio::test]
async fn neither_case_nor_accents_nor_their_spelling_count() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("accents", "10M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    fill(&mut imap, &letters()).await;
    for (keys, expected) in [
        ("SUBJECT ete", "1 2"),
        ("SUBJECT \"ÉTÉ\"", "1 2"),
        ("BODY \"oedeme\"", "1 2"),
        ("BODY \"Œdème\"", "1 2"),
        ("BODY \"d'hospitalisation : \"", "1"),
        ("BODY hospitalisation", "1 2"),
        ("BODY \"évolution\"", "1"),
        ("BODY evolution", "1"),
        ("TEXT resultats", "3"),
        ("BODY hepatique", "3"),
        ("BODY \"hépatique joint\"", "3"),
        ("BODY \"taux normal\"", "3"),
        ("BODY invisible", ""),
        ("BODY hemoglobine", ""),
        ("BODY \"échographie.pdf\"", "3"),
        ("NOT BODY oedeme", "3"),
        ("OR SUBJECT resultats BODY aigu", "1 3"),
        ("OR BODY absente LARGER 1", "1 2 3"),
        ("BODY aigu LARGER 1000000", ""),
        ("NOT (OR BODY aigu SMALLER 1)", "2 3"),
        ("OR BODY aigu SENTSINCE 1-Jan-2020", "1"),
        ("TEXT \"é\"", "1 2 3"),
    ] {
        // Twice: what is in memory says the same as what is read.
        for _ in 0..2 {
            assert_eq!(found(&mut imap, keys).await, expected, "{keys}");
        }
    }
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    imap.ok("EXPUNGE").await;
    assert_eq!(found(&mut imap, "BODY oedeme").await, "1");
    assert_eq!(found(&mut imap, "BODY hepatique").await, "2");
}

#[tokio::test]
async fn a_letter_that_was_delivered_is_found() {
    let demo = Demo::shared();
    let mailbox = demo.south().new_mailbox("livre", "10M");
    let fields =
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    let letter = Letter::with_fields("arrivee", fields, "Un mot étrange : xylophène.\r\n".as_bytes());
    let letter = letter.by(&mailbox.address);
    let mut wire = Wire::submission(&demo, demo.south(), &mailbox).await;
    let reply = wire.letter(&mailbox.address, &[&mailbox.address], &letter.content).await;
    assert_eq!(reply.code, 250, "{reply:?}");
    let mut imap = Imap::login(&demo, demo.south(), &mailbox).await;
    imap.ok("SELECT INBOX").await;
    assert_eq!(found(&mut imap, "BODY xylophene").await, "1");
    assert_eq!(found(&mut imap, "TEXT \"étrange : XYLO\"").await, "1");
    assert_eq!(found(&mut imap, "SUBJECT lettre HEADER Received \"\"").await, "1");
}

#[tokio::test]
async fn accents_count_where_the_configuration_says_so() {
    let mut operator = Operator::init("nord.mssante.test");
    let file = operator.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[search]\nfolding = \"casemap\"\n")).unwrap();
    let mailbox = operator.new_mailbox("marie");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    fill(&mut imap, &letters()).await;
    for (keys, expected) in [
        ("SUBJECT ete", "2"),
        ("SUBJECT \"ÉTÉ\"", "1"),
        ("BODY oedeme", "2"),
        ("BODY \"évolution\"", "1"),
        ("BODY hepatique", ""),
        ("BODY \"HÉPATIQUE\"", "3"),
    ] {
        assert_eq!(found(&mut imap, keys).await, expected, "{keys}");
    }
}

#[tokio::test]
async fn what_is_found_is_found_after_a_crash_and_without_its_extract_and_stands_nowhere_in_clear() {
    let mut operator = Operator::init("nord.mssante.test");
    let mailbox = operator.new_mailbox("marie");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    let many = (1..=300)
        .map(|n| plain(&format!("lettre {n}"), &format!("Zygomatique numero-{n}x, côté {}.", n % 7)));
    fill(&mut imap, &many.collect::<Vec<_>>()).await;
    let large =
        format!("{}\r\nau bout: xanthochromique\r\n", "ligne assez longue pour compter\r\n".repeat(40_000));
    fill(&mut imap, &[plain("grand", &large)]).await;
    let some: Vec<String> = (1..=300).filter(|n| n % 7 == 3).map(|n| n.to_string()).collect();
    let keys = [
        ("BODY numero-17x", "17".to_owned()),
        ("BODY \"cote 3.\"", some.join(" ")),
        ("TEXT \"lettre 299\"", "299".to_owned()),
        ("BODY xanthochromique", "301".to_owned()),
        ("BODY \"zygomatique numero-3\" NOT BODY numero-3x SUBJECT \"lettre 30\"", "30 300".to_owned()),
        ("BODY absent", String::new()),
    ];
    for (keys, expected) in &keys {
        assert_eq!(found(&mut imap, keys).await, *expected, "{keys}");
    }
    Process::kill(operator.process());
    // The files of SQLite are at hand; what PostgreSQL keeps is the same octets.
    let files: &[&str] = match Engine::of_this_run() {
        Engine::Sqlite => &["vaguemestre.db", "vaguemestre.db-wal"],
        Engine::Postgres => &[],
    };
    for name in files {
        let rows = std::fs::read(operator.file(name)).unwrap();
        let rows = String::from_utf8_lossy(&rows);
        for clear in ["ygomatique", "YGOMATIQUE", "numero-17", "NUMERO-17", "LETTRE 29", "lettre 29"] {
            assert!(!rows.contains(clear), "{clear} is in {name}");
        }
    }
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    imap.ok("EXAMINE INBOX").await;
    for (keys, expected) in &keys {
        assert_eq!(found(&mut imap, keys).await, *expected, "{keys} after a crash");
    }
    operator.process().terminate();
    operator.sql("DELETE FROM extracts");
    operator.serve();
    let mut imap = operator.imap(&mailbox).await;
    imap.ok("EXAMINE INBOX").await;
    for (keys, expected) in &keys {
        assert_eq!(found(&mut imap, keys).await, *expected, "{keys} without extracts");
    }
}

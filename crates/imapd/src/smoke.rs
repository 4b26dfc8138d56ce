//! temporary
#![cfg(test)]
use crate::{ImapMetrics, Imapd, Timeouts, Tls};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls;
use rustls::pki_types::pem::PemObject;

type S = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

async fn until(s: &mut S, tag: &str) -> String {
    let mut all = Vec::new();
    let mut buf = vec![0; 65536];
    loop {
        let n = tokio::time::timeout(Duration::from_secs(20), s.read(&mut buf)).await.unwrap_or_else(|_| panic!("timeout; so far {}", String::from_utf8_lossy(&all[all.len().saturating_sub(500)..]))).unwrap();
        assert!(n > 0, "eof: {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&buf[..n]);
        let tail = String::from_utf8_lossy(&all[all.len().saturating_sub(400)..]).into_owned();
        if tail.lines().any(|l| l.starts_with(&format!("{tag} ")) ) && tail.ends_with("\r\n") { return String::from_utf8_lossy(&all).into_owned(); }
    }
}
async fn cmd(s: &mut S, line: &str) -> String {
    s.write_all(format!("t {line}\r\n").as_bytes()).await.unwrap();
    let got = until(s, "t").await;
    println!("C: {line}\n{}", if got.len() > 1500 { format!("[{} octets] ...{}", got.len(), &got[got.len()-200..]) } else { got.clone() });
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let options = store::StoreOptions { url: "sqlite:s.db".into(), data_dir: dir.path().into(), key_dir: dir.path().join("keys"), clock: store::Clock::system() };
    store::Store::create(&options).await.unwrap();
    let store = store::Store::open(&options).await.unwrap();
    let address: mail_types::Address = "a@example.org".parse().unwrap();
    store.add_domain(address.domain().clone()).await.unwrap();
    let user = store.create_user("alice", "Alice", None).await.unwrap();
    store.create_mailbox(store::NewMailbox { address: address.clone(), kind: mail_types::MailboxKind::Personal, owner: Some("alice".into()), quota_bytes: 1 << 30 }).await.unwrap().unwrap();
    store.set_application_password(user.actor, "x", &auth::hash_password(&mail_types::Secret::new("secret".to_owned())).unwrap()).await.unwrap();
    let pki = pki::development::DevelopmentPki::generate(store.now()).unwrap();
    let own = pki.issue_server(&pki::development::SubjectAttributes { common_name: "mx.example.org", organizational_unit: "100", organization: "o", state: "Paris (75)", country: "FR" }, &["mx.example.org"], store.now()).unwrap();
    let identity = pki::OwnIdentity::from_pem(own.chain_pem.as_bytes(), own.key_pem.expose().as_bytes()).unwrap();
    let tls = Arc::new(pki::AccessServerTls::new(&identity).unwrap());
    let imapd = Imapd { tls: Tls::Implicit(tls), store: store.clone(), authenticator: auth::Authenticator::new(store.clone(), 2), message_size_max: 30 << 20,
        timeouts: Timeouts { handshake: Duration::from_secs(5), login: Duration::from_secs(60), idle: Duration::from_secs(1860), write: Duration::from_secs(60) }, metrics: ImapMetrics::default() };
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = l.local_addr().unwrap();
    let switch = listener::DrainSwitch::new();
    let server = tokio::spawn(imapd.clone().serve(l, 2000, 2000, switch.handle()));
    let mut roots = rustls::RootCertStore::empty();
    for c in rustls::pki_types::CertificateDer::pem_slice_iter(pki.trust_pem().as_bytes()) { roots.add(c.unwrap()).unwrap(); }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider())).with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connect = || { let c = connector.clone(); async move { let mut s = c.connect("mx.example.org".try_into().unwrap(), tokio::net::TcpStream::connect(at).await.unwrap()).await.unwrap(); println!("{}", until(&mut s, "*").await); s } };
    let mut s = connect().await;
    cmd(&mut s, "CAPABILITY").await;
    cmd(&mut s, "LOGIN a@example.org wrong").await;
    assert!(cmd(&mut s, "LOGIN a@example.org secret").await.contains("t OK [CAPABILITY"));
    cmd(&mut s, "LIST \"\" *").await; cmd(&mut s, "LIST \"\" \"\"").await; cmd(&mut s, "NAMESPACE").await; cmd(&mut s, "ID NIL").await;
    cmd(&mut s, "SELECT INBOX").await; cmd(&mut s, "FETCH 1:* FLAGS").await;
    let m = "From: =?utf-8?q?=C3=89lodie?= <e@example.org>\r\nTo: a@example.org\r\nSubject: Hello\r\nDate: Sat, 21 Nov 2026 08:04:00 +0000\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour le monde\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Bon<b>jour</b></p>\r\n--b--\r\n";
    cmd(&mut s, &format!("APPEND INBOX (\\Flagged urgent) {{{}+}}\r\n{m}", m.len())).await;
    cmd(&mut s, &format!("APPEND INBOX {{{}+}}\r\n{m}", m.len())).await;
    cmd(&mut s, "APPEND Nowhere {3+}\r\nabc").await;
    cmd(&mut s, "FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)").await;
    cmd(&mut s, "FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)] BODY.PEEK[1] BODY.PEEK[9] BODY.PEEK[2.MIME] BODY.PEEK[]<5.10> RFC822.HEADER)").await;
    cmd(&mut s, "UID FETCH 1 BODY[TEXT]").await;
    cmd(&mut s, "STORE 2 +FLAGS (\\Deleted other)").await; cmd(&mut s, "UID STORE 1:2 FLAGS.SILENT (\\Seen)").await;
    for q in ["ALL", "FROM élodie", "TEXT bonjour", "BODY \"le monde\"", "SUBJECT hello UNSEEN", "SENTON 21-Nov-2026", "SINCE 1-Jan-2020 NOT SEEN", "CHARSET X ALL", "OR LARGER 1000 KEYWORD urgent", "HEADER Date \"\""] { cmd(&mut s, &format!("SEARCH {q}")).await; }
    let b: String = cmd(&mut s, "SEARCH CHARSET UTF-8 FROM {6+}\r\nÉlodi").await; let _ = b;
    cmd(&mut s, "UID COPY 1:2 Archive").await; cmd(&mut s, "COPY 1 Nope").await;
    cmd(&mut s, "STATUS Archive (MESSAGES UIDNEXT UNSEEN RECENT UIDVALIDITY)").await;
    let mut i = connect().await;
    cmd(&mut i, "AUTHENTICATE PLAIN AGFAZXhhbXBsZS5vcmcAc2VjcmV0").await; cmd(&mut i, "SELECT INBOX").await;
    i.write_all(b"i IDLE\r\n").await.unwrap(); println!("{}", until(&mut i, "+").await);
    cmd(&mut s, "STORE 1 +FLAGS (\\Answered)").await;
    println!("IDLE: {}", until(&mut i, "*").await);
    cmd(&mut s, "MOVE 1 Archive").await;
    println!("IDLE: {}", until(&mut i, "*").await);
    i.write_all(b"DONE\r\n").await.unwrap(); println!("{}", until(&mut i, "i").await);
    cmd(&mut s, "STORE 1 +FLAGS (\\Deleted)").await; cmd(&mut s, "EXPUNGE").await;
    cmd(&mut s, "CREATE Work/2026").await; cmd(&mut s, "LIST \"\" %").await; cmd(&mut s, "RENAME Work Jobs").await; cmd(&mut s, "SUBSCRIBE Jobs/2026").await; cmd(&mut s, "LSUB \"\" %").await; cmd(&mut s, "DELETE Jobs").await; cmd(&mut s, "DELETE INBOX").await; cmd(&mut s, "FOO").await; cmd(&mut s, "DELETE INBOX").await;
    // big
    let big = format!("Subject: big\r\n\r\n{}", "0123456789abcdef0123456789abcdef0123456789abcdef\r\n".repeat(100_000));
    cmd(&mut s, &format!("APPEND INBOX {{{}+}}\r\n{big}", big.len())).await;
    let got = cmd(&mut s, "FETCH 1 BODY[]").await; assert!(got.contains(&big));
    // many
    let n: usize = std::env::args().len().max(1) * 0 + 3000;
    let t = Instant::now();
    for k in 0..n { s.write_all(format!("t{k} APPEND Sent {{{}+}}\r\n{m}\r\n", m.len()).as_bytes()).await.unwrap(); if k % 50 == 49 { until(&mut s, &format!("t{k}")).await; } }
    println!("appended {n} in {:?}", t.elapsed());
    let t = Instant::now(); cmd(&mut s, "SELECT Sent").await; println!("select {:?}", t.elapsed());
    for q in ["FETCH 1:* (UID FLAGS)", "FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)", "FETCH 1:* (UID ENVELOPE BODYSTRUCTURE)", "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])", "FETCH 1:* BODY.PEEK[]", "SEARCH TEXT zzz", "UID STORE 1:* +FLAGS.SILENT (\\Seen)", "UID FETCH 1:* BODY[]<0.1>"] { let t = Instant::now(); s.write_all(format!("t {q}\r\n").as_bytes()).await.unwrap(); let g = until(&mut s, "t").await; println!("{q}: {:?} {} octets {}", t.elapsed(), g.len(), &g[g.len().saturating_sub(40)..]); }

    { let l2 = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); let c2 = tokio::net::TcpStream::connect(l2.local_addr().unwrap()).await.unwrap(); let (s2, p2) = l2.accept().await.unwrap(); drop(c2);
      println!("connection {} future {}", std::mem::size_of::<crate::state::Connection>(), std::mem::size_of_val(&crate::session::run(Arc::new(imapd.clone()), s2, p2, switch.handle()))); }
    let rss = || std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4;
    let before = rss(); let mut many = Vec::new();
    for _ in 0..400 { let c = connector.clone(); let mut x = c.connect("mx.example.org".try_into().unwrap(), tokio::net::TcpStream::connect(at).await.unwrap()).await.unwrap(); until(&mut x, "*").await;
      x.write_all(b"t LOGIN a@example.org secret\r\n").await.unwrap(); until(&mut x, "t").await; x.write_all(b"t SELECT INBOX\r\n").await.unwrap(); until(&mut x, "t").await; x.write_all(b"t IDLE\r\n").await.unwrap(); until(&mut x, "+").await; many.push(x); }
    println!("400 idle, client and server: {} KiB each", (rss() - before) / 400);
    drop(many);
    // STARTTLS
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); let at3 = l.local_addr().unwrap();
    let Tls::Implicit(t3) = imapd.tls.clone() else { panic!() };
    let clear = Imapd { tls: Tls::Starttls(t3), ..imapd.clone() }; tokio::spawn(clear.serve(l, 10, 10, switch.handle()));
    let mut c = tokio::net::TcpStream::connect(at3).await.unwrap(); let mut b = vec![0; 4096];
    let k = c.read(&mut b).await.unwrap(); println!("{}", String::from_utf8_lossy(&b[..k]));
    for line in ["a LOGIN {1}\r\n", "x \"secret\"\r\n", "a AUTHENTICATE PLAIN\r\n", "a SELECT INBOX\r\n", "a STARTTLS\r\nb NOOP\r\n"] { c.write_all(line.as_bytes()).await.unwrap(); let k = c.read(&mut b).await.unwrap(); println!("C: {line}S: {}", String::from_utf8_lossy(&b[..k])); }
    let mut c = connector.connect("mx.example.org".try_into().unwrap(), c).await.unwrap();
    cmd(&mut c, "CAPABILITY").await;
    c.write_all(b"a AUTHENTICATE PLAIN\r\n").await.unwrap(); println!("{}", until(&mut c, "+").await); c.write_all(b"*\r\n").await.unwrap(); println!("{}", until(&mut c, "a").await);
    c.write_all(b"a AUTHENTICATE PLAIN\r\n").await.unwrap(); until(&mut c, "+").await; c.write_all(b"AGFAZXhhbXBsZS5vcmcAc2VjcmV0\r\n").await.unwrap(); println!("{}", until(&mut c, "a").await);
    c.write_all(b"a APPEND INBOX {4}\r\n").await.unwrap(); println!("{}", until(&mut c, "+").await); c.write_all(b"a: b\r\n").await.unwrap(); println!("{}", until(&mut c, "a").await);
    c.write_all(b"a APPEND INBOX {4}\r\n").await.unwrap(); println!("{}", until(&mut c, "+").await); c.write_all(b"a\0 b\r\n").await.unwrap(); println!("{}", until(&mut c, "a").await);
    c.write_all(b"a APPEND INBOX {99999999}\r\n").await.unwrap(); println!("{}", until(&mut c, "a").await);
    cmd(&mut c, "EXAMINE INBOX").await; cmd(&mut c, "STORE 1 +FLAGS \\Seen").await; cmd(&mut c, "FETCH 99 UID").await; cmd(&mut c, "UID FETCH 99 UID").await; cmd(&mut c, "SELECT Nope").await; cmd(&mut c, "NOOP").await; cmd(&mut c, "FETCH 1 UID").await; cmd(&mut c, "LOGOUT").await;

    i.write_all(b"j IDLE\r\n").await.unwrap(); until(&mut i, "+").await;
    switch.ask();
    println!("drain: {}", until(&mut i, "*").await);
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}

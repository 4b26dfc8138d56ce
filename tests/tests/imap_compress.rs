//! Compression of a connection, where the configuration allows it (RFC 4978).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use scenarios::{Operator, Wire};

/// A client that compresses.
struct Compressed {
    wire: Wire,
    deflate: Compress,
    inflate: Decompress,
    heard: Vec<u8>,
}

impl Compressed {
    async fn send(&mut self, octets: &[u8]) {
        let mut out = Vec::with_capacity(octets.len() + 4096);
        self.deflate.compress_vec(octets, &mut out, FlushCompress::Sync).expect("octets");
        self.wire.send_raw(&out).await;
    }

    /// Hears until a line begins like this.
    async fn until(&mut self, beginning: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            let end = text
                .find(&format!("\r\n{beginning}"))
                .map(|at| at + 2)
                .or(text.starts_with(beginning).then_some(0));
            if let Some(end) = end.and_then(|at| text[at..].find("\r\n").map(|len| at + len + 2)) {
                self.heard.drain(..end);
                return text[..end].to_owned();
            }
            let octet = self.wire.octets(1).await;
            let mut out = vec![0; 64 * 1024];
            let before = self.inflate.total_out();
            self.inflate.decompress(&octet, &mut out, FlushDecompress::None).expect("deflated octets");
            let made = usize::try_from(self.inflate.total_out() - before).expect("a piece");
            self.heard.extend_from_slice(&out[..made]);
        }
    }
}

#[tokio::test]
async fn a_connection_is_compressed_where_that_is_switched_on() {
    let mut operator = Operator::init("compresse.example");
    operator.edit("[listeners.imaps]\n", "[listeners.imaps]\ncompress = true\n");
    operator.serve();
    let mailbox = operator.new_mailbox("serre");
    let mut wire = Wire::implicit(operator.ports["imaps"], &operator.anonymous()).await;
    let (username, password) = (mailbox.username.as_deref().unwrap(), mailbox.password.as_deref().unwrap());
    wire.send(&format!("login LOGIN \"{username}\" \"{password}\"")).await;
    assert!(wire.until("login OK").await.concat().contains(" COMPRESS=DEFLATE"), "{wire:?}");
    wire.send("a CAPABILITY").await;
    assert!(wire.until("a OK").await.concat().contains(" COMPRESS=DEFLATE"), "{wire:?}");
    wire.send("b COMPRESS GZIP").await;
    wire.until("b BAD").await;
    wire.send_raw(b"c COMPRESS DEFLATE\r\nd NOOP\r\n").await;
    wire.until("c BAD").await;
    wire.until("d OK").await;
    wire.send("e COMPRESS DEFLATE").await;
    wire.until("e OK").await;
    let (deflate, inflate) = (Compress::new(Compression::default(), false), Decompress::new(false));
    let mut client = Compressed { wire, deflate, inflate, heard: Vec::new() };
    client.send(b"f CAPABILITY\r\n").await;
    assert!(!client.until("f OK").await.contains("COMPRESS"));
    client.send(b"g COMPRESS DEFLATE\r\nh NOOP\r\n").await;
    client.until("g NO [COMPRESSIONACTIVE]").await;
    client.until("h OK").await;
    // A message that is much smaller on its way than it is.
    let letter = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(3_000_000));
    client.send(format!("i APPEND INBOX {{{}+}}\r\n{letter}\r\n", letter.len()).as_bytes()).await;
    assert!(client.until("i ").await.contains("i OK [APPENDUID"));
    client.send(b"j SELECT INBOX\r\n").await;
    client.until("j OK").await;
    client.send(b"k FETCH 1 BODY.PEEK[]<0.100000>\r\n").await;
    assert!(client.until("k OK").await.contains(&letter[..100_000]));
    client.send(b"l IDLE\r\n").await;
    client.until("+").await;
    client.send(b"DONE\r\nm LOGOUT\r\n").await;
    client.until("m OK").await;
}

#[tokio::test]
async fn nothing_is_compressed_where_nobody_switched_it_on() {
    let demo = scenarios::Demo::shared();
    let mailbox = demo.north().new_mailbox("ample", "50M");
    let mut imap = scenarios::Imap::login(&demo, demo.north(), &mailbox).await;
    assert!(!imap.ok("CAPABILITY").await.text().contains("COMPRESS"));
    assert!(imap.command("COMPRESS DEFLATE").await.status.starts_with("BAD"));
}

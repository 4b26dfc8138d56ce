//! How fast the scanner reads: `cargo run --release -p message --example scan_speed`.

use message::structure::StructureScanner;
use std::io::Write;
use std::time::Instant;

const FRAME: usize = 64 * 1024;

fn main() -> std::io::Result<()> {
    let text = "Le patient est sorti ce jour avec une ordonnance et un courrier pour son medecin.\r\n";
    let base64 = format!("{}\r\n", "QUJD".repeat(19));
    let plain = format!("Subject: x\r\n\r\n{}", text.repeat(400_000));
    let mixed = multipart(&text.repeat(100_000), &base64.repeat(300_000));
    let small = multipart(&text.repeat(20), &base64.repeat(105));
    let header = format!("{}Subject: x\r\n\r\n", "X-Filler: 0123456789 0123456789 0123456789\r\n".repeat(50));
    for (name, message) in [
        ("text/plain, 32 MiB", &plain),
        ("multipart, 30 MiB", &mixed),
        ("multipart, 10 KiB", &small),
        ("header only, 2 KiB", &header),
    ] {
        measure(name, message.as_bytes())?;
    }
    Ok(())
}

fn multipart(text: &str, attachment: &str) -> String {
    format!(
        "From: a@b.fr\r\nTo: c@d.fr\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 08:04:00 +0000\r\nMessage-ID: <a@b>\r\n\
         Content-Type: multipart/mixed; boundary=\"----=_Part_1\"\r\n\r\n------=_Part_1\r\nContent-Type: text/plain; \
         charset=utf-8\r\n\r\n{text}\r\n------=_Part_1\r\nContent-Type: application/pdf; name=a.pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{attachment}\r\n------=_Part_1--\r\n"
    )
}

fn measure(name: &str, message: &[u8]) -> std::io::Result<()> {
    let rounds = (200 * 1024 * 1024 / message.len()).clamp(1, 20_000);
    let start = Instant::now();
    let mut octets = 0;
    for _ in 0..rounds {
        let mut scanner = StructureScanner::new();
        message.chunks(FRAME).for_each(|frame| scanner.push(frame));
        octets += scanner.finish().size();
    }
    let secs = start.elapsed().as_secs_f64();
    let (rate, each) = (octets as f64 / secs / 1_048_576.0, secs / rounds as f64 * 1e6);
    writeln!(std::io::stdout(), "{name}: {rate:.0} MiB/s, {each:.1} us each")
}

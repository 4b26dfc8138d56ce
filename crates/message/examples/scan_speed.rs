//! How fast the scanner reads, and what a message is searched by is made: `cargo run --release -p message --example scan_speed`.

use message::extract::{Folding, TextScanner};
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
    let words = "Le compte rendu de consultation du patient Durand Lefevre Martin est adresse au service pour avis bilan radio".split(' ');
    let words: Vec<&str> = words.collect();
    let word = |n: u64| words[(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % words.len()];
    let ascii: String =
        (0..1700).map(|n| format!("{}{}", word(n), if n % 11 == 10 { "\r\n" } else { " " })).collect();
    for (name, text) in [("ASCII", ascii.clone()), ("accents", ascii.replace("es", "és"))] {
        let letter = format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}");
        measure_extract(&format!("{name}, {} octets", letter.len()), letter.as_bytes())?;
    }
    Ok(())
}

fn measure_extract(name: &str, message: &[u8]) -> std::io::Result<()> {
    const ROUNDS: u32 = 5000;
    let mut scanner = TextScanner::new();
    scanner.push(message);
    let (structure, gathered) = scanner.finish();
    let Some(extract) = gathered.extract(&structure) else { return Ok(()) };
    let each = |work: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        let octets: usize = (0..ROUNDS).map(|_| work()).sum();
        (start.elapsed().as_secs_f64() / f64::from(ROUNDS) * 1e6, octets)
    };
    let (made, _) = each(&mut || gathered.extract(&structure).map_or(0, |extract| extract.encode().1.len()));
    let (signed, octets) = each(&mut || extract.signature().octets());
    let (opened, _) = each(&mut || extract.clone().opened(Folding::Unaccented).encode().1.len());
    let octets = octets / ROUNDS as usize;
    writeln!(
        std::io::stdout(),
        "{name}: extract {made:.1} us, signature of {octets} octets {signed:.1} us, opened {opened:.1} us"
    )
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

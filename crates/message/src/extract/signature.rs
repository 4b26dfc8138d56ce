//! A signature: a small filter over the unaccented text of a message that rules most messages out before their text is opened.
//!
//! It is one array of bits, in which each of certain short sequences of the text (grams) has set one: all those of four octets; of those of six octets one in four, chosen
//! by their hash; those of eight octets whose fourth or fifth is a space, so that a phrase is told from its words. Which sequences are taken depends on nothing but
//! themselves, so whatever holds a text has set each bit that the text sets: a signature may let a message pass that does not hold it, and never rules
//! out one that does.
//!
//! The array has four bits for each different gram: a fifth of them is set. What was measured of it is in `docs/performance.md`.

use super::DecodeError;

const VERSION: u8 = 1;
/// Bits for each different gram.
const BITS_PER_GRAM: usize = 4;
/// An array has at least so many octets, so that the length of a very short text does not show.
const OCTETS_MIN: usize = 64;
/// An array has at most so many octets: that of a very long text is fuller than others.
const OCTETS_MAX: usize = 64 * 1024;
/// Different grams are counted up to about half of these; those of a longer text fill the largest array anyway.
const COUNTED_MAX: usize = 1 << 19;

/// The signature of a message. It tells something of the text, and is to be kept as the text is.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Box<[u8]>);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[signature of {} octets]", self.0.len())
    }
}

impl Signature {
    /// The signature of unaccented text.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut taken = Vec::with_capacity(text.len() * 2);
        let mut counter = Counter::for_text(text.len());
        grams(text, |hash| {
            counter.count(hash);
            taken.push(hash);
        });
        let octets = (counter.different * BITS_PER_GRAM / 8).clamp(OCTETS_MIN, OCTETS_MAX);
        let mut array = vec![0_u8; octets].into_boxed_slice();
        for hash in taken {
            let (octet, bit) = place(hash, array.len());
            array[octet] |= bit;
        }
        Self(array)
    }

    /// Whether a text that sets all of these may be in the message.
    pub(super) fn holds(&self, hashes: &[u32]) -> bool {
        hashes.iter().all(|hash| {
            let (octet, bit) = place(*hash, self.0.len());
            self.0[octet] & bit != 0
        })
    }

    /// The stored form: a version octet and the array.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.0.len());
        out.push(VERSION);
        out.extend_from_slice(&self.0);
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets are not a stored signature.
    pub fn decode(stored: &[u8]) -> Result<Self, DecodeError> {
        match stored.split_first() {
            Some((&VERSION, array)) if (OCTETS_MIN..=OCTETS_MAX).contains(&array.len()) => {
                Ok(Self(array.into()))
            }
            _ => Err(DecodeError),
        }
    }

    /// Octets that it takes in memory.
    pub fn octets(&self) -> usize {
        self.0.len() + size_of::<Self>()
    }
}

/// The octet of an array of `octets` in which a hash has its bit, and the bit.
fn place(hash: u32, octets: usize) -> (usize, u8) {
    let at = (u64::from(hash) * (octets as u64 * 8)) >> 32;
    ((at / 8) as usize, 1 << (at % 8))
}

/// About how many different hashes there are.
struct Counter {
    seen: Vec<u64>,
    different: usize,
}

impl Counter {
    fn for_text(octets: usize) -> Self {
        let bits = (octets * 8).next_power_of_two().clamp(64, COUNTED_MAX);
        Self { seen: vec![0; bits / 64], different: 0 }
    }

    fn count(&mut self, hash: u32) {
        let at = hash as usize % (self.seen.len() * 64);
        let (word, bit) = (&mut self.seen[at / 64], 1 << (at % 64));
        self.different += usize::from(*word & bit == 0);
        *word |= bit;
    }
}

/// The hashes of the grams of unaccented text, each once.
pub(super) fn hashes(text: &[u8]) -> Vec<u32> {
    let mut hashes = Vec::new();
    grams(text, |hash| hashes.push(hash));
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Gives the hash of each gram that is taken.
fn grams(text: &[u8], mut take: impl FnMut(u32)) {
    for window in text.array_windows::<8>() {
        let gram = u64::from_le_bytes(*window);
        if window[3] == b' ' || window[4] == b' ' {
            take((mixed(gram, 0x9fb2_1c65_1e98_df25) >> 32) as u32);
        }
        take_middle(gram, &mut take);
        take_short(gram, &mut take);
    }
    // The last seven places have no gram of eight.
    let tail = &text[text.len().saturating_sub(7)..];
    for at in 0..tail.len() {
        let rest = &tail[at..];
        let mut octets = [0; 8];
        octets[..rest.len()].copy_from_slice(rest);
        let gram = u64::from_le_bytes(octets);
        if rest.len() >= 6 {
            take_middle(gram, &mut take);
        }
        if rest.len() >= 4 {
            take_short(gram, &mut take);
        }
    }
}

/// Six octets, one time in four.
fn take_middle(gram: u64, take: &mut impl FnMut(u32)) {
    let mixed = mixed(gram & 0xffff_ffff_ffff, 0xd6e8_feb8_6659_fd93);
    if mixed >> 62 == 0 {
        take((mixed >> 20) as u32);
    }
}

/// Four octets.
fn take_short(gram: u64, take: &mut impl FnMut(u32)) {
    take(((gram & 0xffff_ffff).wrapping_mul(0xa076_1d64_78bd_642f) >> 32) as u32);
}

fn mixed(gram: u64, odd: u64) -> u64 {
    let product = gram.wrapping_mul(odd);
    (product ^ product >> 32).wrapping_mul(odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_never_ruled_out(text in "[A-E É\0\r\n]{0,400}|\\PC{0,200}", from in 0.0..1.0, length in 0_usize..60) {
            let text = text.as_bytes();
            let from = (from * text.len() as f64) as usize;
            let part = &text[from..text.len().min(from + length)];
            let signature = Signature::of(text);
            prop_assert!(signature.holds(&hashes(part)));
            let again = Signature::decode(&signature.encode()).unwrap();
            prop_assert!(again.holds(&hashes(part)));
        }
    }

    #[test]
    fn what_is_not_there_is_ruled_out_mostly() {
        let words = ["PATIENT", "DOSSIER", "RENDU", "COMPTE", "SERVICE", "AVIS", "MEDECIN", "BILAN"];
        let text: Vec<&str> = (0..1500_usize).map(|n| words[n * n / 7 % words.len()]).collect();
        let signature = Signature::of(text.join(" ").as_bytes());
        assert!(!signature.holds(&hashes(b"CARDIOLOGIE")));
        assert!(signature.holds(&hashes(b"ZZZ")), "too short to be ruled out");
    }

    #[test]
    fn a_small_text_has_a_small_signature() {
        assert_eq!(Signature::of(b"").encode().len(), 65);
        assert_eq!(Signature::of(&b"BONJOUR ".repeat(2000)).encode().len(), 65);
        let noise: Vec<u8> = (0..1_000_000_u64)
            .map(|n| (n.wrapping_mul(n).wrapping_mul(0x9fb2_1c65_1e98_df25) >> 40) as u8)
            .collect();
        assert_eq!(Signature::of(&noise).encode().len(), 65 * 1024 - 1023);
    }

    #[test]
    fn what_is_not_a_signature_is_refused() {
        for stored in [&b""[..], &[1], &[1; 64], &[2; 65]] {
            assert_eq!(Signature::decode(stored), Err(DecodeError));
        }
    }
}

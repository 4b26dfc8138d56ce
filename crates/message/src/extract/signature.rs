//! A signature: a small filter over the unaccented text of a message that rules most messages out before their text is opened.
//!
//! It is one array of bits, in which each of certain short sequences of the text (grams) has set one: all those of four octets; of those of six octets one in four, chosen
//! by their hash; those of eight octets whose fourth or fifth is a space, so that a phrase is told from its words. All those of three octets have set two: an acronym
//! of three letters has no other. Which sequences are taken depends on nothing but
//! themselves, so whatever holds a text has set each bit that the text sets: a signature may let a message pass that does not hold it, and never rules
//! out one that does.
//!
//! The array has four bits for each that is to be set: a fifth of them is set. What was measured of it is in decision 0017.

use super::DecodeError;

const VERSION: u8 = 2;
/// Bits for each different hash.
const BITS_PER_HASH: usize = 4;
/// An array has at least so many octets, so that the length of a very short text does not show.
const OCTETS_MIN: usize = 64;
/// An array has at most so many octets: that of a very long text is fuller than others.
const OCTETS_MAX: usize = 64 * 1024;
/// Hashes are told apart by so many of their bits in texts of up to [`SHORT_MAX`] octets, and in longer ones.
const LOG2: [u32; 2] = [18, 20];
const SHORT_MAX: usize = 16 * 1024;
/// Those of three octets are fewer: they are told apart by so many bits less.
const SHORT_LESS: u32 = 2;

/// The signature of a message. It tells something of the text, and is to be kept as the text is.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// Bits of a hash that count.
    log2: u32,
    array: Box<[u8]>,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[signature of {} octets]", self.array.len())
    }
}

impl Signature {
    /// The signature of unaccented text.
    pub(super) fn of(text: &[u8]) -> Self {
        let log2 = LOG2[usize::from(text.len() > SHORT_MAX)];
        let (mut long, mut short) = (Table::new(log2), Table::new(log2 - SHORT_LESS));
        grams(text, |hash| long.set(hash), |hash| short.set(hash));
        let octets = ((long.count() + 2 * short.count()) * BITS_PER_HASH / 8).clamp(OCTETS_MIN, OCTETS_MAX);
        let mut signature = Self { log2, array: vec![0; octets].into_boxed_slice() };
        long.each(|hash| signature.set(hash));
        short.each(|hash| twice(hash, log2).into_iter().for_each(|hash| signature.set(hash)));
        signature
    }

    /// Whether a text that has all of these may be in the message.
    pub(super) fn holds(&self, grams: &Grams) -> bool {
        let short = |hash: &u32| twice(hash >> (32 - self.log2 + SHORT_LESS), self.log2);
        let is_set = |hash: u32| {
            let (octet, bit) = self.place(hash);
            self.array[octet] & bit != 0
        };
        grams.long.iter().all(|hash| is_set(hash >> (32 - self.log2)))
            && grams.short.iter().all(|hash| short(hash).into_iter().all(is_set))
    }

    fn set(&mut self, hash: u32) {
        let (octet, bit) = self.place(hash);
        self.array[octet] |= bit;
    }

    /// The octet of the array in which the first bits of a hash have their bit, and the bit.
    fn place(&self, start_of_hash: u32) -> (usize, u8) {
        let at = (u64::from(start_of_hash) * (self.array.len() as u64 * 8)) >> self.log2;
        ((at / 8) as usize, 1 << (at % 8))
    }

    /// The stored form: a version octet, the bits of a hash that count, and the array.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.array.len());
        out.extend([VERSION, self.log2 as u8]);
        out.extend_from_slice(&self.array);
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets are not a stored signature.
    pub fn decode(stored: &[u8]) -> Result<Self, DecodeError> {
        let Some((&[VERSION, log2], array)) = stored.split_first_chunk::<2>() else {
            return Err(DecodeError);
        };
        let log2 = u32::from(log2);
        if LOG2.contains(&log2) && (OCTETS_MIN..=OCTETS_MAX).contains(&array.len()) {
            Ok(Self { log2, array: array.into() })
        } else {
            Err(DecodeError)
        }
    }

    /// Octets that it takes in memory.
    pub fn octets(&self) -> usize {
        self.array.len() + size_of::<Self>()
    }
}

/// The two hashes that the hash of a gram of three octets becomes.
fn twice(short: u32, log2: u32) -> [u32; 2] {
    let other = mixed(u64::from(short) + 1, 0x8ebc_6af0_9c88_c6e3) >> (64 - log2);
    [short << SHORT_LESS, other as u32]
}

/// Which hashes there were, by their first bits.
struct Table {
    words: Vec<u64>,
    shift: u32,
}

impl Table {
    fn new(log2: u32) -> Self {
        Self { words: vec![0; 1 << (log2 - 6)], shift: 32 - log2 }
    }

    fn set(&mut self, hash: u32) {
        let at = (hash >> self.shift) as usize;
        self.words[at / 64] |= 1 << (at % 64);
    }

    fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn each(self, mut take: impl FnMut(u32)) {
        for (word, mut bits) in (0_u32..).zip(self.words) {
            while bits != 0 {
                take(word * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }
}

/// The hashes of the grams of a text, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Grams {
    /// Those of four octets and more.
    long: Vec<u32>,
    /// Those of three octets.
    short: Vec<u32>,
}

impl Grams {
    /// Those of unaccented text.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut found = Self::default();
        grams(text, |hash| found.long.push(hash), |hash| found.short.push(hash));
        for hashes in [&mut found.long, &mut found.short] {
            hashes.sort_unstable();
            hashes.dedup();
        }
        found
    }

    /// Whether there are none: the text is too short.
    pub(super) fn is_empty(&self) -> bool {
        self.long.is_empty() && self.short.is_empty()
    }
}

/// Places of a text that are looked at together.
const BLOCK: usize = 256;

/// Gives the hash of each gram that is taken: those of four octets and more, and those of three.
fn grams(text: &[u8], mut long: impl FnMut(u32), mut short: impl FnMut(u32)) {
    let mut windows = text.array_windows::<8>();
    let mut taken = [0; 2 * BLOCK];
    while windows.len() > 0 {
        // Whether these are taken depends on what the text says: a branch on it would be guessed wrong too often.
        let mut count = 0;
        for window in windows.by_ref().take(BLOCK) {
            let gram = u64::from_le_bytes(*window);
            long(four(gram));
            short(three(gram));
            taken[count] = eight(gram);
            count += usize::from((window[3] == b' ') | (window[4] == b' '));
            let (hash, is_taken) = six(gram);
            taken[count] = hash;
            count += usize::from(is_taken);
        }
        taken[..count].iter().for_each(|hash| long(*hash));
    }
    // The last seven places have no gram of eight.
    let tail = &text[text.len().saturating_sub(7)..];
    for at in 0..tail.len() {
        let rest = &tail[at..];
        let mut octets = [0; 8];
        octets[..rest.len()].copy_from_slice(rest);
        let gram = u64::from_le_bytes(octets);
        let (hash, is_taken) = six(gram);
        if is_taken && rest.len() >= 6 {
            long(hash);
        }
        if rest.len() >= 4 {
            long(four(gram));
        }
        if rest.len() >= 3 {
            short(three(gram));
        }
    }
}

fn eight(gram: u64) -> u32 {
    (mixed(gram, 0x9fb2_1c65_1e98_df25) >> 32) as u32
}

/// One time in four.
fn six(gram: u64) -> (u32, bool) {
    let mixed = mixed(gram & 0xffff_ffff_ffff, 0xd6e8_feb8_6659_fd93);
    ((mixed >> 20) as u32, mixed >> 62 == 0)
}

fn four(gram: u64) -> u32 {
    ((gram & 0xffff_ffff).wrapping_mul(0xa076_1d64_78bd_642f) >> 32) as u32
}

fn three(gram: u64) -> u32 {
    ((gram & 0x00ff_ffff).wrapping_mul(0xe703_7ed1_a0b4_28db) >> 32) as u32
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
            prop_assert!(signature.holds(&Grams::of(part)));
            let again = Signature::decode(&signature.encode()).unwrap();
            prop_assert!(again.holds(&Grams::of(part)));
        }
    }

    #[test]
    fn what_is_not_there_is_ruled_out_mostly() {
        let words = ["PATIENT", "DOSSIER", "RENDU", "COMPTE", "SERVICE", "AVIS", "MEDECIN", "BILAN"];
        let text: Vec<&str> = (0..1500_usize).map(|n| words[n * n / 7 % words.len()]).collect();
        let signature = Signature::of(text.join(" ").as_bytes());
        assert!(!signature.holds(&Grams::of(b"CARDIOLOGIE")));
        assert!(!signature.holds(&Grams::of(b"ZZZ")));
        assert!(signature.holds(&Grams::of(b"ZZ")), "too short to be ruled out");
    }

    #[test]
    fn a_small_text_has_a_small_signature() {
        assert_eq!(Signature::of(b"").encode().len(), 66);
        assert_eq!(Signature::of(&b"BONJOUR ".repeat(2000)).encode().len(), 66);
        let noise: Vec<u8> = (0..1_000_000_u64)
            .map(|n| (n.wrapping_mul(n).wrapping_mul(0x9fb2_1c65_1e98_df25) >> 40) as u8)
            .collect();
        assert_eq!(Signature::of(&noise).encode().len(), 64 * 1024 + 2);
    }

    #[test]
    fn what_is_not_a_signature_is_refused() {
        for stored in [&b""[..], &[2, 18], &[[2, 18], [0; 2]].concat(), &[2; 66], &[1; 66]] {
            assert_eq!(Signature::decode(stored), Err(DecodeError));
        }
    }
}

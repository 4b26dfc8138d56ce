//! A signature: a small filter over the unaccented text of a message that rules most messages out before their text is opened.
//!
//! It is one array of bits, in which each of certain short sequences of the text (grams) has set one: all those of four octets; of those of six octets one in four, chosen
//! by their hash; those of eight octets whose fourth or fifth is a space, so that a phrase is told from its words. All those of three octets have set two: an acronym
//! of three letters has no other. Which sequences are taken depends on nothing but
//! themselves, so whatever holds a text has set each bit that the text sets: a signature may let a message pass that does not hold it, and never rules
//! out one that does.
//!
//! Bits are first set in a table that is much larger than they need, and the table is then laid upon itself, in layers as long as the array: where a bit is in the array is its
//! place in the table modulo the length of the array. The array has four bits for each that is set in the table: a fifth of them is set. What was measured of it is in
//! decision 0017.

use super::DecodeError;

const VERSION: u8 = 3;
/// Bits of the array for each that is set in the table.
const BITS_PER_PLACE: usize = 4;
/// An array has at least so many words of 64 bits, so that the length of a very short text does not show.
const WORDS_MIN: usize = 8;
/// An array has at most so many: that of a very long text is fuller than others.
const WORDS_MAX: usize = 8 * 1024;
/// Words of the table for texts of up to [`SHORT_MAX`] octets, and for longer ones.
const TABLE: usize = 4 * 1024;
const LARGE_TABLE: usize = 16 * 1024;
const SHORT_MAX: usize = 16 * 1024;

/// The signature of a message. It tells something of the text, and is to be kept as the text is.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// Which table it was made in.
    is_large: bool,
    /// Words of 64 bits, the lowest octet and the lowest bit first.
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
        let is_large = text.len() > SHORT_MAX;
        let array = if is_large { array::<LARGE_TABLE>(text) } else { array::<TABLE>(text) };
        Self { is_large, array }
    }

    /// Whether a text that has all of these may be in the message.
    pub(super) fn holds(&self, grams: &Grams) -> bool {
        let places = if self.is_large { &grams.in_large_table } else { &grams.in_table };
        let bits = self.array.len() * 8;
        places.iter().all(|place| {
            let at = *place as usize % bits;
            self.array[at / 8] & 1 << (at % 8) != 0
        })
    }

    /// The stored form: a version octet, which table it was made in, and the array.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.array.len());
        out.extend([VERSION, u8::from(self.is_large)]);
        out.extend_from_slice(&self.array);
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets are not a stored signature.
    pub fn decode(stored: &[u8]) -> Result<Self, DecodeError> {
        let Some((&[VERSION, table @ (0 | 1)], array)) = stored.split_first_chunk::<2>() else {
            return Err(DecodeError);
        };
        let (words, []) = array.as_chunks::<8>() else { return Err(DecodeError) };
        let is_large = table == 1;
        let words_max = if is_large { WORDS_MAX } else { TABLE };
        if (WORDS_MIN..=words_max).contains(&words.len()) {
            Ok(Self { is_large, array: array.into() })
        } else {
            Err(DecodeError)
        }
    }

    /// Octets that it takes in memory.
    pub fn octets(&self) -> usize {
        self.array.len() + size_of::<Self>()
    }
}

/// The array of a text, by way of a table of so many words.
fn array<const WORDS: usize>(text: &[u8]) -> Box<[u8]> {
    let mut table = [0_u64; WORDS];
    places::<WORDS>(text, |place| table[place / 64] |= 1 << (place % 64));
    let set: usize = table.iter().map(|word| word.count_ones() as usize).sum();
    let words = (set * BITS_PER_PLACE).div_ceil(64).clamp(WORDS_MIN, WORDS_MAX.min(WORDS));
    let (first, layers) = table.split_at_mut(words);
    for layer in layers.chunks(words) {
        first.iter_mut().zip(layer).for_each(|(word, upon)| *word |= upon);
    }
    let mut array = vec![0; 8 * words].into_boxed_slice();
    array.as_chunks_mut().0.iter_mut().zip(first).for_each(|(octets, word)| *octets = word.to_le_bytes());
    array
}

/// The places of the grams of a text that is looked for, in either table, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Grams {
    in_table: Vec<u32>,
    in_large_table: Vec<u32>,
}

impl Grams {
    /// Those of unaccented text.
    pub(super) fn of(text: &[u8]) -> Self {
        Self { in_table: places_once::<TABLE>(text), in_large_table: places_once::<LARGE_TABLE>(text) }
    }

    /// Whether there are none: the text is too short.
    pub(super) fn is_empty(&self) -> bool {
        self.in_table.is_empty()
    }
}

fn places_once<const WORDS: usize>(text: &[u8]) -> Vec<u32> {
    let mut found = Vec::new();
    places::<WORDS>(text, |place| found.push(place as u32));
    found.sort_unstable();
    found.dedup();
    found
}

/// Octets of a text that are looked at together.
const BLOCK: usize = 256;

/// Gives the place of each gram that is taken in a table of so many words, and both of one of three octets.
fn places<const WORDS: usize>(text: &[u8], mut take: impl FnMut(usize)) {
    let mut windows = text.array_windows::<8>();
    let mut taken = [0; 2 * BLOCK];
    while windows.len() > 0 {
        // Whether these are taken depends on what the text says: a branch on it would be guessed wrong too often.
        let mut count = 0;
        for window in windows.by_ref().take(BLOCK) {
            let gram = u64::from_le_bytes(*window);
            take(first::<WORDS>(four(gram)));
            let three = three(gram);
            take(first::<WORDS>(three));
            take(second::<WORDS>(three));
            taken[count] = eight(gram);
            count += usize::from((window[3] == b' ') | (window[4] == b' '));
            let (hash, is_taken) = six(gram);
            taken[count] = hash;
            count += usize::from(is_taken);
        }
        taken[..count].iter().for_each(|hash| take(first::<WORDS>(*hash)));
    }
    // The last seven octets begin no gram of eight.
    let tail = &text[text.len().saturating_sub(7)..];
    for at in 0..tail.len() {
        let rest = &tail[at..];
        let mut octets = [0; 8];
        octets[..rest.len()].copy_from_slice(rest);
        let gram = u64::from_le_bytes(octets);
        let (hash, is_taken) = six(gram);
        if is_taken && rest.len() >= 6 {
            take(first::<WORDS>(hash));
        }
        if rest.len() >= 4 {
            take(first::<WORDS>(four(gram)));
        }
        if rest.len() >= 3 {
            take(first::<WORDS>(three(gram)));
            take(second::<WORDS>(three(gram)));
        }
    }
}

/// Bits of a place in a table of so many words.
const fn place_bits(words: usize) -> u32 {
    words.ilog2() + 6
}

/// The place that the first bits of a hash name.
fn first<const WORDS: usize>(hash: u64) -> usize {
    (hash >> (64 - const { place_bits(WORDS) })) as usize
}

/// The place that the bits after those name.
fn second<const WORDS: usize>(hash: u64) -> usize {
    first::<WORDS>(hash << const { place_bits(WORDS) })
}

fn eight(gram: u64) -> u64 {
    mixed(gram, 0x9fb2_1c65_1e98_df25)
}

/// One time in four.
fn six(gram: u64) -> (u64, bool) {
    let mixed = mixed(gram & 0xffff_ffff_ffff, 0xd6e8_feb8_6659_fd93);
    (mixed, mixed.trailing_zeros() >= 2)
}

fn four(gram: u64) -> u64 {
    (gram & 0xffff_ffff).wrapping_mul(0xa076_1d64_78bd_642f)
}

fn three(gram: u64) -> u64 {
    (gram & 0x00ff_ffff).wrapping_mul(0xe703_7ed1_a0b4_28db)
}

/// Each bit of it depends on all of the gram: it is both halves of the product.
fn mixed(gram: u64, odd: u64) -> u64 {
    let product = u128::from(gram) * u128::from(odd);
    (product >> 64) as u64 ^ product as u64
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
            let long = Signature::of(&[text, &[b'.'; SHORT_MAX], text].concat());
            prop_assert!(long.holds(&Grams::of(part)));
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
        let of = |version, table, octets| [&[version, table][..], &vec![0; octets]].concat();
        assert!(Signature::decode(&of(3, 0, 64)).is_ok() && Signature::decode(&of(3, 1, 64 * 1024)).is_ok());
        for stored in [
            &b""[..],
            &[3, 0],
            &of(3, 0, 63),
            &of(3, 0, 72 + 1),
            &of(3, 0, 64 * 1024),
            &of(3, 2, 64),
            &of(2, 18, 64),
        ] {
            assert_eq!(Signature::decode(stored), Err(DecodeError));
        }
    }
}

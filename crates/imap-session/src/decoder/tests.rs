//! What a client sends never makes the decoder hold more than its bounds say, and is read the same however it is cut.

use super::{AppendStep, Decoder, Input, Limits, State};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    line_max: 2000,
    non_synchronising_max: u64::MAX,
    literal_max: 3000,
    literals_max: 5000,
    discard_max: 20_000,
};
/// One command with its literals, what is read ahead of it, and what is read at a time.
const HELD_MAX: usize = 3 * (2000 + 5000 + crate::sasl::LINE_MAX + 512 + 1024);

const CORPUS: &str = include_str!("../../tests/corpus/commands.txt");

/// Commands of the corpus, some with an octet changed, and octets of no command.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let commands: Vec<Vec<u8>> = CORPUS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let text = line.get(2..).unwrap_or_default();
            let text =
                text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").replace("\\\\", "\\");
            format!("a1 {text}\r\n").into_bytes()
        })
        .collect();
    let changed = (proptest::sample::select(commands.clone()), any::<proptest::sample::Index>(), any::<u8>());
    let piece = prop_oneof![
        4 => proptest::sample::select(commands),
        3 => changed.prop_map(|(mut command, at, octet)| {
            let at = at.index(command.len());
            if let Some(place) = command.get_mut(at) {
                *place = octet;
            }
            command
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..1024),
        1 => (0_usize..1024).prop_map(|count| b"a APPEND x CATENATE (".iter().copied().chain(b"URL y ".repeat(count)).collect()),
        1 => (0_u64..30_000).prop_map(|size| format!("{{{size}+}}\r\n").into_bytes()),
    ];
    proptest::collection::vec(piece, 1..40).prop_map(|pieces| pieces.concat())
}

fn held(decoder: &Decoder) -> usize {
    // A step is made of two octets of its line at least.
    assert!(decoder.steps.capacity() <= LIMITS.line_max, "{} steps are held", decoder.steps.capacity());
    decoder.buffer.len() + decoder.command.capacity()
}

/// What comes of a stream in pieces of `size`; every second literal of an APPEND is refused.
fn read(octets: &[u8], size: usize) -> Vec<Input> {
    let mut decoder = Decoder::new(LIMITS);
    let (mut seen, mut literals): (Vec<Input>, u32) = (Vec::new(), 0);
    for piece in octets.chunks(size) {
        decoder.handle_input(piece);
        while let Some(input) = decoder.poll() {
            assert!(
                held(&decoder) <= HELD_MAX + octets.len().min(size),
                "{} octets are held",
                held(&decoder)
            );
            if let Input::Append(AppendStep::Literal(_)) = input {
                literals += 1;
                if literals.is_multiple_of(2) { decoder.refuse_append() } else { decoder.accept_append() }
            }
            match (seen.last_mut(), input) {
                (Some(Input::AppendContent(all)), Input::AppendContent(more)) => all.extend(more),
                (_, input) => seen.push(input),
            }
        }
        assert!(decoder.wants_input() || decoder.state == State::Closed);
        assert!(held(&decoder) <= HELD_MAX, "{} octets are held", held(&decoder));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_comes_is_bounded_and_reads_the_same_however_it_is_cut(octets in stream(), size in 1_usize..2000) {
        let whole = read(&octets, 16 * 1024);
        prop_assert_eq!(&read(&octets, size), &whole);
        prop_assert_eq!(&read(&octets, 1), &whole);
    }
}

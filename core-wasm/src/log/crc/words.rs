//! crc32c of short inputs without an instruction for it: a word at a time, by shifts and additions.
//!
//! Clearing a word changes those after it only: parts of it, shifted, are added to the next four. In the
//! end there are four words and some bytes, for [`super::sliced`].

use super::sliced;

/// Bytes of a word.
const WORD: usize = size_of::<u64>();
/// Words that clearing one changes.
const AHEAD: usize = 4;

/// The checksum of what `crc` is the checksum of, followed by `data`. Linear time.
pub(super) fn crc32c_append(crc: u32, data: &[u8]) -> u32 {
    let (words, rest) = data.as_chunks::<WORD>();
    let Some(end) = words.len().checked_sub(AHEAD).filter(|end| *end > 0) else {
        return sliced::crc32c_append(crc, data);
    };
    let (cleared, left) = words.split_at(end);
    // What is added to the next words; the register so far is a sum over the first four bytes.
    let mut next = [u64::from(!crc), 0, 0, 0];
    let (fours, others) = cleared.as_chunks::<4>();
    for [a, b, c, d] in fours {
        next = clear(clear(clear(clear(next, *a), *b), *c), *d);
    }
    next = others.iter().fold(next, |next, word| clear(next, *word));
    let mut last = [0; AHEAD * WORD];
    let (slots, _) = last.as_chunks_mut::<WORD>();
    for ((slot, word), next) in slots.iter_mut().zip(left).zip(next) {
        *slot = (u64::from_le_bytes(*word) ^ next).to_le_bytes();
    }
    // The register is in the sum, so it is zero from here on: what is inverted before.
    sliced::crc32c_append(sliced::crc32c_append(!0, &last), rest)
}

/// What is added to the words after one that is cleared, given what is added to it and the next three:
/// itself, over distances of 65, 155, 170, 195 and 209 bits.
#[inline(always)]
fn clear(added: [u64; AHEAD], word: [u8; WORD]) -> [u64; AHEAD] {
    let [this, first, second, third] = added;
    let word = u64::from_le_bytes(word) ^ this;
    [
        first ^ word << 1,
        second ^ word >> 63 ^ word << 27 ^ word << 42,
        third ^ word >> 37 ^ word >> 22 ^ word << 3 ^ word << 17,
        word >> 61 ^ word >> 47,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_instruction(crc: u32, data in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(super::crc32c_append(crc, &data), ::crc32c::crc32c_append(crc, &data));
        }
    }
}

//! crc32c, also where no instruction computes it.
//!
//! # Theory of operation
//!
//! Natively the `crc32c` crate uses the processor's instruction. In WebAssembly there is none, and
//! tables take a look-up for each byte ([`sliced`]): opening a database of vectors spent a quarter
//! of its time there. So inputs are first made short by additions alone, in the way of "Chorba:
//! a novel CRC32 implementation" (2024).
//!
//! A checksum is a remainder modulo the polynomial P, and the remainder stays when a multiple of P
//! is added. P divides sparse polynomials such as
//!
//! ```text
//! x^a + x^b + x^c + x^d + x^e + 1,   a > b > c > d > e > 0
//! ```
//!
//! so adding it, times the bit at position `i`, clears that bit and adds it to the bits `a-b`, `a-c`,
//! `a-d`, `a-e` and `a` places further on. Going from front to back clears everything but the last `a`
//! bits, a word at a time if the nearest distance is longer than a word ([`words`]).
//!
//! Over two elements the square of a sum is the sum of the squares. So what divides `q(x)` divides
//! `q(x)^8 = q(x^8)` too, and the same distances hold for bytes. Then nothing is shifted, and whole
//! registers are cleared at a time: each block is the sum of itself and of the blocks those distances
//! before it. But eight times as much is left at the end, which is for long inputs only. Linear time.
//!
//! [`words`] has the least of them whose nearest distance is over a word, which leaves least. Here that
//! is over two blocks: what was stored a moment ago is not to be had as fast as what was stored before
//! that, and by the other polynomial's distances clearing took up to a quarter longer.

use core::cell::RefCell;

mod sliced;
mod words;

/// Bytes cleared at a time; no more than the least distance.
const BLOCK: usize = 64;
/// Distances of the least multiple whose nearest one is over two blocks.
const DISTANCES: [usize; 5] = [154, 177, 183, 258, REACH];
/// How far the distances reach.
const REACH: usize = 290;
/// Blocks that are not cleared: those that the last cleared ones are added to.
const LEFT: usize = REACH.div_ceil(BLOCK);
/// Zeros in front of a piece, where the distances reach before its beginning.
const FRONT: usize = 304;
/// Bytes taken at a time.
const PIECE: usize = 4096;
/// Shorter pieces are taken a word at a time.
const LONG: usize = 800;

/// Zeros, which stay, and room for a piece.
type Window = [u8; FRONT + PIECE];

thread_local! {
    /// Kept: filling a new one with zeros for each input took a tenth of the time.
    static WINDOW: RefCell<Window> = const { RefCell::new([0; FRONT + PIECE]) };
}

/// The checksum of `data`.
#[must_use]
pub(super) fn crc32c(data: &[u8]) -> u32 {
    crc32c_append(0, data)
}

/// The checksum of what `crc` is the checksum of, followed by `data`.
#[must_use]
pub(super) fn crc32c_append(crc: u32, data: &[u8]) -> u32 {
    if cfg!(target_arch = "wasm32") { folded(crc, data) } else { crc32c::crc32c_append(crc, data) }
}

fn folded(crc: u32, data: &[u8]) -> u32 {
    if data.len() < LONG {
        return words::crc32c_append(crc, data);
    }
    WINDOW.with_borrow_mut(|window| {
        data.chunks(PIECE).fold(crc, |crc, piece| folded_piece(window, crc, piece))
    })
}

fn folded_piece(window: &mut Window, crc: u32, piece: &[u8]) -> u32 {
    let (blocks, rest) = piece.as_chunks::<BLOCK>();
    let Some(count) = blocks.len().checked_sub(LEFT).filter(|_| piece.len() >= LONG) else {
        return words::crc32c_append(crc, piece);
    };
    let (cleared, left) = blocks.split_at(count);
    // The register so far is a sum over the first four bytes.
    let mut register = !crc;
    for (number, block) in cleared.iter().enumerate() {
        let (done, rest) = window.split_at_mut(FRONT + number * BLOCK);
        let mut sum = *block;
        add(&mut sum, &core::mem::take(&mut register).to_le_bytes());
        for distance in DISTANCES {
            add(&mut sum, block_before(done, distance));
        }
        if let Some(into) = rest.first_chunk_mut() {
            *into = sum;
        }
    }
    // Nothing is cleared from here on; what is added to the blocks left may reach a block further.
    let (done, _) = window.split_at_mut(FRONT + (count + 1) * BLOCK);
    if let Some(into) = done.last_chunk_mut() {
        *into = [0; BLOCK];
    }
    let mut last = [[0; BLOCK]; LEFT];
    for (number, (sum, block)) in last.iter_mut().zip(left).enumerate() {
        *sum = *block;
        for distance in DISTANCES {
            if distance > number * BLOCK {
                add(sum, block_before(done, distance - number * BLOCK + BLOCK));
            }
        }
    }
    // The register is in the sum, so it is zero from here on: what is inverted before.
    words::crc32c_append(words::crc32c_append(!0, last.as_flattened()), rest)
}

/// The block so far before the end.
#[inline(always)]
fn block_before(done: &[u8], distance: usize) -> &[u8; BLOCK] {
    let earlier = done.get(done.len() - distance..).and_then(<[u8]>::first_chunk);
    earlier.unwrap_or(&[0; BLOCK])
}

#[inline(always)]
fn add(into: &mut [u8], from: &[u8]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into ^= from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_multiple_of_the_polynomial() {
        // The checksum of one byte and zeros, as a sum: without the register's two inversions.
        let power = |zeros: usize| {
            let mut bytes = vec![0; zeros + 1];
            bytes[0] = 1;
            !crc32c::crc32c_append(!0, &bytes)
        };
        let terms = DISTANCES.map(|distance| power(REACH - distance));
        assert_eq!(terms.into_iter().fold(power(REACH), |sum, term| sum ^ term), 0);
        assert!(DISTANCES[0] >= BLOCK && REACH <= FRONT);
    }

    #[test]
    fn folding_is_the_checksum() {
        let mut state = 1_u32;
        let bytes: Vec<u8> = core::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        })
        .take(3 * PIECE + 7)
        .collect();
        let all = LONG + 2 * BLOCK;
        let ends = (0..all).chain((all..bytes.len()).step_by(37)).chain([
            PIECE - 1,
            PIECE,
            PIECE + 1,
            PIECE + 3,
            2 * PIECE,
        ]);
        for end in ends {
            for (crc, start) in [(0, 0), (0x1234_5678, end.min(3))] {
                let data = &bytes[start..end];
                assert_eq!(folded(crc, data), crc32c::crc32c_append(crc, data), "{start}..{end}");
            }
        }
    }
}

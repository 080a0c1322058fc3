//! crc32c, also where no instruction computes it.
//!
//! # Theory of operation
//!
//! Natively the `crc32c` crate uses the processor's instruction. In WebAssembly there is none, and
//! tables take a look-up for each byte ([`sliced`]): opening a database of vectors spent a quarter
//! of its time there. So long inputs are first made short by additions alone, in the way of "Chorba:
//! a novel CRC32 implementation" (2024).
//!
//! A checksum is a remainder modulo the polynomial P, and the remainder stays when a multiple of P
//! is added. P divides sparse polynomials whose exponents are multiples of eight, such as
//!
//! ```text
//! x^8a + x^8b + x^8c + x^8d + x^8e + 1,   a > b > c > d > e > 0
//! ```
//!
//! so adding it, times the byte at position `i`, clears that byte and adds it to the bytes `a-b`,
//! `a-c`, `a-d`, `a-e` and `a` places further on. Going from front to back clears everything but the
//! last `a` bytes, whole registers at a time: each block is the sum of itself and of the blocks
//! those distances before it, and the nearest of them is further away than a block is long. A
//! second, denser polynomial of a lower degree does the same to what is left. Linear time.

mod sliced;

/// Bytes cleared at a time by a polynomial; less than its least distance.
const BLOCK: usize = 32;
/// Distances of the sparsest multiple that a payload of a kilobyte gains from.
const FAR: [usize; 5] = [65, 155, 170, 195, 209];
/// Distances of a multiple of low degree.
const NEAR: [usize; 7] = [47, 51, 55, 85, 90, 100, 104];
/// Zeros in front of a piece, where the distances reach before its beginning.
const FRONT: usize = 224;
/// Bytes taken at a time.
const PIECE: usize = 2048;
/// Shorter inputs are left to the tables.
const LONG: usize = 512;

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
        return sliced::crc32c_append(crc, data);
    }
    let mut window = [0; FRONT + PIECE];
    data.chunks(PIECE).fold(crc, |crc, piece| folded_piece(&mut window, crc, piece))
}

fn folded_piece(window: &mut [u8; FRONT + PIECE], crc: u32, piece: &[u8]) -> u32 {
    if piece.len() < LONG {
        return sliced::crc32c_append(crc, piece);
    }
    let (front, room) = window.split_at_mut(FRONT);
    front.fill(0);
    for (into, byte) in room.iter_mut().zip(piece) {
        *into = *byte;
    }
    // The register so far is a sum over the first four bytes.
    add(room, &(!crc).to_le_bytes());
    let window = window.get_mut(..FRONT + piece.len()).unwrap_or_default();
    let start = shorten(window, FRONT, &FAR);
    let start = shorten(window, start, &NEAR);
    // The register is in the sum, so it is zero from here on: what is inverted before.
    sliced::crc32c_append(!0, window.get(start..).unwrap_or_default())
}

/// Clears the bytes of `window` from `start` on, as far as whole blocks go, by a polynomial that is
/// given by its distances; where those begin that are left.
fn shorten<const N: usize>(window: &mut [u8], start: usize, distances: &[usize; N]) -> usize {
    let reach = distances.iter().fold(0, |reach, distance| reach.max(*distance));
    let blocks = window.len().saturating_sub(start + reach) / BLOCK;
    let end = start + blocks * BLOCK;
    if let Some(before) = window.get_mut(start.saturating_sub(reach)..start) {
        before.fill(0);
    }
    for at in (start..end).step_by(BLOCK) {
        let (done, rest) = window.split_at_mut(at);
        let Some(block) = rest.first_chunk_mut::<BLOCK>() else { break };
        let mut sum = *block;
        for distance in distances {
            if let Some(earlier) = done.get(at - distance..).and_then(<[u8]>::first_chunk::<BLOCK>)
            {
                add(&mut sum, earlier);
            }
        }
        *block = sum;
    }
    let (done, rest) = window.split_at_mut(end);
    for distance in distances {
        let earlier = done.get(end - distance..).unwrap_or_default();
        add(rest.get_mut(..*distance).unwrap_or_default(), earlier);
    }
    end
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
    fn distances_are_those_of_multiples_of_the_polynomial() {
        // The checksum of one byte and zeros, as a sum: without the register's two inversions.
        let power = |zeros: usize| {
            let mut bytes = vec![0; zeros + 1];
            bytes[0] = 1;
            !crc32c::crc32c_append(!0, &bytes)
        };
        for distances in [&FAR[..], &NEAR[..]] {
            let reach = distances[distances.len() - 1];
            let terms = distances.iter().map(|distance| power(reach - distance));
            assert_eq!(terms.fold(power(reach), |sum, term| sum ^ term), 0);
            assert!(distances[0] >= BLOCK && reach <= FRONT);
        }
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
        let ends = (0..LONG).chain((LONG..bytes.len()).step_by(37)).chain([
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

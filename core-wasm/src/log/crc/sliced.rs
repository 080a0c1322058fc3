//! crc32c of the shortest inputs without an instruction for it, and of what is left of others: sixteen
//! bytes at a time by sixteen tables.
//!
//! The look-ups of twelve of the sixteen bytes wait for nothing; those of the other four wait for the
//! register. From "Novel Table Lookup-Based Algorithms for High-Performance CRC Generation" (Kounavis and
//! Berry, 2008).

use core::array;
use std::sync::LazyLock;

use crate::codec::bytes::wire_len;

/// The polynomial, its lowest bit being that of the highest power.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// Bytes taken at a time.
const SLICE: usize = 16;

type Table = [u32; 256];

/// `TABLES[n]` has the remainder of each byte that is followed by `n` zeros. Made when first needed, in
/// microseconds: in the module they would weigh more than what makes them.
static TABLES: LazyLock<Box<[Table; SLICE]>> = LazyLock::new(|| {
    let mut table = array::from_fn(|byte| {
        (0..8).fold(wire_len(byte), |rest, _| (rest >> 1) ^ (POLYNOMIAL * (rest & 1)))
    });
    let last_byte = table;
    Box::new(array::from_fn(|_| {
        let followed = table.map(|rest| (rest >> 8) ^ look_up(&last_byte, lowest(rest)));
        core::mem::replace(&mut table, followed)
    }))
});

/// The checksum of what `crc` is the checksum of, followed by `data`. Linear time.
pub(super) fn crc32c_append(crc: u32, data: &[u8]) -> u32 {
    let tables = &**TABLES;
    let [last, ..] = tables;
    let (slices, rest) = data.as_chunks::<SLICE>();
    let mut register = !crc;
    for slice in slices {
        let all = u128::from_le_bytes(*slice) ^ u128::from(register);
        let remainders = all.to_le_bytes().into_iter().zip(tables.iter().rev());
        register = remainders.fold(0, |sum, (byte, table)| sum ^ look_up(table, byte));
    }
    for byte in rest {
        register = (register >> 8) ^ look_up(last, lowest(register) ^ byte);
    }
    !register
}

#[inline(always)]
fn lowest(register: u32) -> u8 {
    let [lowest, ..] = register.to_le_bytes();
    lowest
}

#[inline(always)]
fn look_up(table: &Table, byte: u8) -> u32 {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_instruction(crc: u32, data in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(super::crc32c_append(crc, &data), ::crc32c::crc32c_append(crc, &data));
        }
    }
}

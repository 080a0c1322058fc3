//! Little-endian integers of explicit width, read with bounds checked.

/// Reads a `u16` at a byte offset; `None` past the end.
#[must_use]
#[inline(always)]
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

/// Reads a `u32` at a byte offset; `None` past the end.
#[must_use]
#[inline(always)]
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// Reads a `u64` at a byte offset; `None` past the end.
#[must_use]
#[inline(always)]
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Reads 16 bytes at a byte offset; `None` past the end.
#[must_use]
#[inline(always)]
pub fn id_at(bytes: &[u8], offset: usize) -> Option<[u8; 16]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// Cuts `length` bytes off the front of `rest`; `None`, with nothing cut, if it is shorter.
pub fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, back) = rest.split_at_checked(length)?;
    *rest = back;
    Some(front)
}

/// A length as the `u32` of the wire. Lengths are bounded by [`crate::limits`] and by a 32-bit
/// linear memory, so it never saturates in the module.
#[must_use]
#[inline(always)]
pub fn wire_len(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

//! Version ids as text: 32 lowercase hexadecimal digits.

/// A version's id: the first 128 bits of a BLAKE3 hash.
pub type VersionId = [u8; 16];

/// Bytes as lowercase hexadecimal digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The id that 32 hexadecimal digits spell; `None` for anything else.
#[must_use]
pub fn decode(text: &[u8]) -> Option<VersionId> {
    let digits: [u8; 32] = text.try_into().ok()?;
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        for &digit in pair {
            let value = char::from(digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(value).ok()?;
        }
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text() {
        let id = [0, 1, 0x7f, 0x80, 0xff, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(decode(encode(&id).as_bytes()), Some(id));
        assert_eq!(decode(b"00"), None);
        assert_eq!(decode(&[b'g'; 32]), None);
    }
}

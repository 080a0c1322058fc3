//! Keys of an index: short ones in place, so that numbers and most strings take no memory of their
//! own, and the beginning of long ones beside their address, so that most comparisons follow none.

use core::cmp::Ordering;

/// As many as fit beside a length and a tag into four 64-bit words: most addresses of mail, and times
/// in ISO 8601.
const INLINE_BYTES: usize = 30;
/// What of a key is compared first.
const HEAD_BYTES: usize = 15;

#[derive(Clone, Debug)]
pub(super) enum Key {
    Short(u8, [u8; INLINE_BYTES]),
    /// With its first bytes once more.
    Long([u8; HEAD_BYTES], Box<[u8]>),
}

impl Key {
    /// The bytes beside the key itself.
    pub(super) fn bytes(&self) -> usize {
        if let Self::Long(_, bytes) = self { bytes.len() } else { 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(_, bytes) => bytes,
        }
    }

    /// The first bytes, and zeros behind a shorter key, as numbers that overlap in a byte. Where they
    /// differ, they are ordered as the keys are: what ends sooner has a zero there, and comes first.
    #[inline(always)]
    fn head(&self) -> (u64, u64) {
        let bytes: &[u8] = match self {
            Self::Short(_, bytes) => bytes,
            Self::Long(head, _) => head,
        };
        let at = |start: usize| bytes.get(start..).and_then(<[u8]>::first_chunk);
        let number = |start| at(start).map_or(0, |chunk| u64::from_be_bytes(*chunk));
        (number(0), number(HEAD_BYTES - 8))
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        let mut short = [0; INLINE_BYTES];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(bytes);
                Self::Short(length, short)
            }
            _ => {
                let head = bytes.first_chunk().copied().unwrap_or_default();
                Self::Long(head, bytes.into())
            }
        }
    }
}

impl Ord for Key {
    #[inline(always)]
    fn cmp(&self, other: &Self) -> Ordering {
        match self.head().cmp(&other.head()) {
            Ordering::Equal => self.as_slice().cmp(other.as_slice()),
            differing => differing,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Key>() == INLINE_BYTES + 2);

#[cfg(test)]
mod tests {
    use super::{INLINE_BYTES, Key};

    /// Keys that share beginnings of all lengths around where they are cut, and differ in one byte.
    fn samples() -> Vec<Vec<u8>> {
        let mut samples = Vec::new();
        for length in 0..INLINE_BYTES + 4 {
            let base: Vec<u8> = (0..3).cycle().take(length).collect();
            for byte in [0, 1, 127, 128, 255] {
                samples.push([base.as_slice(), &[byte]].concat());
                samples.push([base.as_slice(), &[byte, 0, byte]].concat());
            }
            samples.push(base);
        }
        samples
    }

    #[test]
    fn keys_are_ordered_as_their_bytes_are() {
        let samples = samples();
        for one in &samples {
            for other in &samples {
                let keys = (Key::from(one.as_slice()), Key::from(other.as_slice()));
                assert_eq!(keys.0.cmp(&keys.1), one.cmp(other), "{one:?} and {other:?}");
                assert_eq!(keys.0 == keys.1, one == other, "{one:?} and {other:?}");
            }
        }
    }
}

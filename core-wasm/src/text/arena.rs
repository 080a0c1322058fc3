//! Many growing byte streams in few allocations.
//!
//! # Theory of operation
//!
//! Memory is taken in blocks that never move. A stream is a chain of slices, each twice as long as
//! the one before, up to a bound: a stream of a few bytes costs 16, a long one grows without being
//! copied, and a third of it at most is unused. (McCandless's byte pool of Lucene, with the bytes
//! used in the slice's head, so that reading needs no markers.)
//!
//! A slice starts with eight bytes: the address of the next one (4), bytes used (2), length (2).
//! What is written at once is never split over two slices.

use super::NoMemory;

/// Bits of an address that are the offset in a block.
const OFFSET_BITS: u32 = 18;
/// Length of the first block; each next one is twice as long, up to what offsets can say.
const FIRST_BLOCK_BYTES: usize = 4096;
const HEAD_BYTES: usize = 8;
const FIRST_SLICE_BYTES: usize = 16;
const LAST_SLICE_BYTES: usize = 4096;
/// The address of nothing.
const NONE: u32 = u32::MAX;

/// A stream of bytes in an [`Arena`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    head: u32,
    tail: u32,
}

impl Stream {
    /// A stream of no bytes.
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };
}

/// A place in a stream from which it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) slice: u32,
    /// Bytes of the slice before it.
    pub(super) used: u16,
}

/// A place in a stream to which it can be cut back.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    stream: Stream,
    used: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Arena {
    blocks: Vec<Vec<u8>>,
    /// Bytes used of the last block.
    used: usize,
}

#[inline(always)]
fn split(address: u32) -> (usize, usize) {
    let block = address >> OFFSET_BITS;
    (block as usize, (address & ((1 << OFFSET_BITS) - 1)) as usize)
}

impl Arena {
    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    /// Room for `length` bytes side by side: its address.
    fn take(&mut self, length: usize) -> Result<u32, NoMemory> {
        if self.blocks.last().is_none_or(|block| block.len() - self.used < length) {
            let doublings = self.blocks.len().min(16);
            let size = (FIRST_BLOCK_BYTES << doublings).min(1 << OFFSET_BITS);
            let mut block = Vec::new();
            // Addresses are 32 bits: one block short of what they can say, so that none is `NONE`.
            let full = self.blocks.len() + 1 >= 1 << (32 - OFFSET_BITS);
            block.try_reserve_exact(if full { usize::MAX } else { size })?;
            block.resize(size, 0);
            self.blocks.try_reserve(1)?;
            self.blocks.push(block);
            self.used = 0;
        }
        let at = (self.blocks.len() - 1) << OFFSET_BITS | self.used;
        self.used += length;
        Ok(u32::try_from(at).unwrap_or(NONE))
    }

    /// Keeps up to 4 KiB: the address for [`Self::get`].
    ///
    /// # Errors
    /// When memory is refused; nothing is kept.
    pub(super) fn place(&mut self, bytes: &[u8]) -> Result<u32, NoMemory> {
        let at = self.take(bytes.len())?;
        self.write(at, bytes);
        Ok(at)
    }

    /// The bytes at an address.
    #[inline(always)]
    pub(super) fn get(&self, address: u32, length: usize) -> &[u8] {
        let (block, offset) = split(address);
        self.blocks
            .get(block)
            .and_then(|block| block.get(offset..offset + length))
            .unwrap_or_default()
    }

    #[inline(always)]
    fn write(&mut self, address: u32, bytes: &[u8]) {
        let (block, offset) = split(address);
        let place = self
            .blocks
            .get_mut(block)
            .and_then(|block| block.get_mut(offset..offset + bytes.len()));
        if let Some(place) = place {
            place.copy_from_slice(bytes);
        }
    }

    /// The head of a slice: the address of the next, bytes used, length.
    #[inline(always)]
    fn head(&self, address: u32) -> (u32, usize, usize) {
        let Some(head) = self.get(address, HEAD_BYTES).first_chunk::<HEAD_BYTES>() else {
            return (NONE, 0, 0);
        };
        let [a, b, c, d, used_low, used_high, low, high] = *head;
        let used = u16::from_le_bytes([used_low, used_high]);
        let length = u16::from_le_bytes([low, high]);
        (u32::from_le_bytes([a, b, c, d]), usize::from(used), usize::from(length))
    }

    /// Appends up to 24 bytes, which will lie side by side.
    ///
    /// # Errors
    /// When memory is refused; the stream is as it was.
    #[inline(always)]
    pub(super) fn append(&mut self, stream: &mut Stream, bytes: &[u8]) -> Result<(), NoMemory> {
        let (_, mut used, length) = self.head(stream.tail);
        if used + bytes.len() > length {
            self.lengthen(stream, length, bytes.len())?;
            used = HEAD_BYTES;
        }
        let Ok(end) = u16::try_from(used + bytes.len()) else { return Ok(()) };
        let (block, offset) = split(stream.tail);
        if let Some(slice) = self.blocks.get_mut(block).and_then(|block| block.get_mut(offset..)) {
            if let Some(place) = slice.get_mut(4..6) {
                place.copy_from_slice(&end.to_le_bytes());
            }
            if let Some(place) = slice.get_mut(used..used + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Adds a slice, with room for so many bytes, to a stream whose last has this length.
    fn lengthen(
        &mut self,
        stream: &mut Stream,
        before: usize,
        bytes: usize,
    ) -> Result<(), NoMemory> {
        let length = (2 * before).clamp(FIRST_SLICE_BYTES, LAST_SLICE_BYTES);
        let length = length.max((HEAD_BYTES + bytes).next_power_of_two());
        let at = self.take(length)?;
        self.write(at, &NONE.to_le_bytes());
        let sizes = u16::try_from(length).unwrap_or(0).to_le_bytes();
        self.write(at + 4, &u16::try_from(HEAD_BYTES).unwrap_or(0).to_le_bytes());
        self.write(at + 6, &sizes);
        if stream.head == NONE {
            stream.head = at;
        } else {
            self.write(stream.tail, &at.to_le_bytes());
        }
        stream.tail = at;
        Ok(())
    }

    /// Where a stream ends now.
    #[inline(always)]
    pub(super) fn mark(&self, stream: Stream) -> Mark {
        Mark { stream, used: self.head(stream.tail).1 }
    }

    /// Takes back what was appended to a stream since.
    pub(super) fn cut(&mut self, mark: Mark) -> Stream {
        let Mark { stream, used } = mark;
        if stream.tail != NONE {
            self.write(stream.tail, &NONE.to_le_bytes());
            self.write(stream.tail + 4, &u16::try_from(used).unwrap_or(0).to_le_bytes());
        }
        stream
    }

    /// Reads a stream from its start.
    #[inline(always)]
    pub(super) fn read(&self, stream: Stream) -> Reader<'_> {
        Reader { arena: self, rest: &[], next: stream.head }
    }

    /// Where a stream ends now, as a place to read from later.
    #[inline(always)]
    pub(super) fn end(&self, stream: Stream) -> Spot {
        Spot { slice: stream.tail, used: u16::try_from(self.head(stream.tail).1).unwrap_or(0) }
    }

    /// Reads a stream of no bytes.
    #[inline(always)]
    pub(super) fn read_nothing(&self) -> Reader<'_> {
        self.read(Stream::EMPTY)
    }

    /// Reads a stream from a place in it.
    #[inline(always)]
    pub(super) fn read_from(&self, spot: Spot) -> Reader<'_> {
        let (next, used, _) = self.head(spot.slice);
        let rest = self.get(spot.slice, used).get(usize::from(spot.used)..).unwrap_or_default();
        Reader { arena: self, rest, next }
    }

    /// Overwrites everything with zeros, before memory is given back.
    pub(super) fn wipe(&mut self) {
        for block in &mut self.blocks {
            block.fill(0);
            // So that the filling is not left out as being without effect.
            core::hint::black_box(block);
        }
    }
}

/// A place in a stream.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    arena: &'a Arena,
    rest: &'a [u8],
    next: u32,
}

impl<'a> Reader<'a> {
    /// The next integer, or nothing at the end.
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Option<u32> {
        let (&first, rest) = match self.rest.split_first() {
            Some(split) => split,
            None => self.turn()?,
        };
        self.rest = rest;
        if first < 0x80 { Some(u32::from(first)) } else { self.long_varint(first) }
    }

    fn long_varint(&mut self, first: u8) -> Option<u32> {
        let mut value = u32::from(first & 0x7F);
        for shift in [7, 14, 21, 28] {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u32::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Some(value)
    }

    /// The next bytes, which were appended at once, or nothing at the end.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.rest.is_empty() {
            self.turn()?;
        }
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// Goes on to the next slice.
    #[cold]
    fn turn(&mut self) -> Option<(&'a u8, &'a [u8])> {
        let (next, used, _) = self.arena.head(self.next);
        self.rest = self.arena.get(self.next, used).get(HEAD_BYTES..)?;
        self.next = next;
        self.rest.split_first()
    }
}

/// Up to four integers, seven bits a byte, as they are appended.
#[derive(Default)]
pub(super) struct Varints {
    bytes: [u8; 20],
    length: usize,
}

impl Varints {
    /// These integers, at most four.
    #[inline(always)]
    pub(super) fn of(values: &[u32]) -> Self {
        let mut varints = Self::default();
        for &value in values {
            let mut value = value;
            while value >= 0x80 {
                varints.push(value.to_le_bytes()[0] | 0x80);
                value >>= 7;
            }
            varints.push(value.to_le_bytes()[0]);
        }
        varints
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn streams_give_back_what_was_appended(
            writes in prop::collection::vec((0_usize..5, any::<u32>(), 0_u32..33, 0_u8..4), 0..2000)
        ) {
            let mut arena = Arena::default();
            let mut streams = [Stream::EMPTY; 5];
            let mut model = vec![Vec::new(); 5];
            let mut spots = Vec::new();
            for (at, value, bits, cut) in writes {
                let value = value.checked_shr(bits).unwrap_or(0);
                let mark = arena.mark(streams[at]);
                if cut == 0 {
                    for _ in 0..1 + value % 300 {
                        arena.append(&mut streams[at], Varints::of(&[value]).bytes()).unwrap();
                    }
                    streams[at] = arena.cut(mark);
                    continue;
                }
                let spot = arena.end(streams[at]);
                arena.append(&mut streams[at], Varints::of(&[value, 3]).bytes()).unwrap();
                model[at].extend([value, 3]);
                spots.push((at, spot, model[at].len() - 2));
            }
            for (stream, expected) in streams.iter().zip(&model) {
                let mut reader = arena.read(*stream);
                let found: Vec<u32> = core::iter::from_fn(|| reader.varint()).collect();
                prop_assert_eq!(&found, expected);
            }
            for (at, spot, start) in spots {
                // Nothing can be read from before a stream begins.
                if start > 0 {
                    let mut reader = arena.read_from(spot);
                    let found: Vec<u32> = core::iter::from_fn(|| reader.varint()).collect();
                    prop_assert_eq!(&found, &model[at][start..]);
                }
            }
        }
    }

    #[test]
    fn what_is_long_fits_into_a_first_slice() {
        let mut arena = Arena::default();
        let long = Varints::of(&[u32::MAX; 4]);
        let mut streams = [Stream::EMPTY; 3];
        for stream in &mut streams {
            arena.append(stream, long.bytes()).unwrap();
        }
        for stream in streams {
            let mut reader = arena.read(stream);
            let found: Vec<u32> = core::iter::from_fn(|| reader.varint()).collect();
            assert_eq!(found, [u32::MAX; 4]);
        }
    }

    #[test]
    fn blocks_grow_and_placed_bytes_stay() {
        let mut arena = Arena::default();
        let texts: Vec<String> = (0..50_000).map(|number| format!("text {number}")).collect();
        let at: Vec<u32> = texts.iter().map(|text| arena.place(text.as_bytes()).unwrap()).collect();
        for (text, at) in texts.iter().zip(at) {
            assert_eq!(arena.get(at, text.len()), text.as_bytes());
        }
        assert!(arena.bytes() < 1_000_000);
        assert_eq!(arena.get(NONE, 8), b"");
    }
}

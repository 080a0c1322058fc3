//! Bitmaps over row numbers: 64 rows a word, row 0 in the lowest bit of the first word.

/// Whether the row's bit is set; rows past the end are not.
#[must_use]
pub fn contains(words: &[u64], row: u32) -> bool {
    words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
}

/// How many rows both bitmaps have.
#[must_use]
pub fn count_common(a: &[u64], b: &[u64]) -> usize {
    a.iter().zip(b).map(|(a, b)| (a & b).count_ones() as usize).sum()
}

/// Sets or clears the row's bit. A bitmap grows by [`resize`], not here.
pub fn set(words: &mut [u64], row: u32, on: bool) {
    if let Some(word) = words.get_mut(row as usize / 64) {
        let bit = 1 << (row % 64);
        *word = if on { *word | bit } else { *word & !bit };
    }
}

/// Makes room for `rows` rows; new ones are clear.
///
/// # Errors
///
/// When memory is refused; the bitmap is as it was.
pub fn resize(words: &mut Vec<u64>, rows: usize) -> Result<(), std::collections::TryReserveError> {
    let wanted = rows.div_ceil(64);
    if wanted > words.len() {
        words.try_reserve(wanted - words.len())?;
        words.resize(wanted, 0);
    }
    Ok(())
}

/// The rows of one word, appended to `into`.
pub(super) fn rows_of_word(word_index: usize, mut word: u64, into: &mut Vec<u32>) {
    #[expect(clippy::cast_possible_truncation, reason = "row numbers are u32")]
    let base = (word_index * 64) as u32;
    while word != 0 {
        into.push(base + word.trailing_zeros());
        word &= word - 1;
    }
}

//! Folding: one spelling for characters that people do not tell apart when they search.
//!
//! # Theory of operation
//!
//! A character folds to the fixed point of: compatibility decomposition (NFKD of Unicode), dropping
//! accents, upper case and then lower case (which is what full case folding comes to), and a handful
//! of letters that look like others with a stroke (`ø` o, `đ` d, `ł` l, `ħ` h, `ŧ` t, `æ` ae, `œ` oe,
//! `ð` d, `þ` th, `ı` i). So `É`, `é` and `e` with a combining acute are `e`; `ß` is `ss`, `ﬁ` is `fi`,
//! `İ` is `i`, `Ｋ` is `k`, `й` is `и`, `ё` is `е`, `ώ` is `ω`, `ς` is `σ`, `أ` is `ا`.
//!
//! - *Accents* are marks of combining class 1, 6, 7, 10 to 36 and 200 to 240: those of Latin, Greek
//!   and Cyrillic letters, the points of Hebrew and Arabic, nuktas. Dropped with them are enclosing
//!   marks, soft hyphens, joiners, variation selectors, direction marks and the tatweel. Vowel signs,
//!   viramas and tone marks of Indic and South-East Asian scripts are kept: words differ by them.
//! - Hangul syllables and voiced kana stay whole; [`compose`] puts together those that come in parts.
//! - Fractions such as `½` stay as they are.
//!
//! The mapping is computed ahead, by `tests.rs`, into `table.rs`: 36 KB, where the tables of a crate
//! for normalisation take over 100. ASCII does not come here.

mod table;
#[cfg(test)]
mod tests;

use table::{POOL, RUNS};

/// What a character is to the words around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// It ends a word.
    Break,
    /// It is passed over, inside a word and outside.
    Dropped,
    /// It is part of a word, as this character.
    One(char),
    /// It is part of a word, as these characters.
    Several(&'static str),
}

/// Marks an entry of the table whose second word names a stretch of the pool: its offset and, in the
/// lowest five bits, its length. Else the second word is twice the character that the run's first
/// one folds to, plus one if the run has every other character only; 0 if they are dropped. The
/// first word is the run's first character and, in the lowest eleven bits, how many follow it.
const POOLED: u32 = 1 << 31;

/// How a character folds.
pub(super) fn fold(character: char) -> Folded {
    let code = u32::from(character);
    if character.is_ascii() {
        return match character.is_ascii_alphanumeric() {
            true => Folded::One(character.to_ascii_lowercase()),
            false => Folded::Break,
        };
    }
    // Most Han characters fold to themselves.
    if matches!(code, 0x3400..0x4DC0 | 0x4E00..0x9FF0) {
        return Folded::One(character);
    }
    let after = RUNS.partition_point(|&(head, _)| head >> 11 <= code);
    if let Some(&(head, to)) = after.checked_sub(1).and_then(|at| RUNS.get(at)) {
        let (first, more) = (head >> 11, head & 0x7FF);
        let step = if to & POOLED == 0 { 1 + (to & 1) } else { 1 };
        let distance = code - first;
        if distance <= more * step && distance.is_multiple_of(step) {
            return mapped(to, distance);
        }
    }
    if character.is_alphanumeric() { Folded::One(character) } else { Folded::Break }
}

fn mapped(to: u32, distance: u32) -> Folded {
    if to == 0 {
        return Folded::Dropped;
    }
    if to & POOLED == 0 {
        return char::from_u32((to >> 1) + distance).map_or(Folded::Break, Folded::One);
    }
    let (start, length) = ((to & !POOLED) as usize >> 5, to as usize & 31);
    POOL.get(start..start + length).map_or(Folded::Break, Folded::Several)
}

/// The character that two folded ones make together: a Hangul syllable of its parts, or a voiced
/// kana.
pub(super) fn compose(first: char, second: char) -> Option<char> {
    let (a, b) = (u32::from(first), u32::from(second));
    match b {
        0x1161..=0x1175 if (0x1100..=0x1112).contains(&a) => {
            char::from_u32(0xAC00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28)
        }
        0x11A8..=0x11C2 if (0xAC00..=0xD7A3).contains(&a) && (a - 0xAC00).is_multiple_of(28) => {
            char::from_u32(a + (b - 0x11A7))
        }
        0x3099 | 0x309A => voiced(a, b).and_then(char::from_u32),
        _ => None,
    }
}

/// The kana `a` with a voicing mark; katakana lie as hiragana do, 0x60 further on.
fn voiced(a: u32, mark: u32) -> Option<u32> {
    let (katakana, hiragana) = match a {
        0x30A1..=0x30FD => (0x60, a - 0x60),
        _ => (0, a),
    };
    let steps = match (hiragana, mark) {
        // ka to ti, tu to to: each with its voiced form behind it; the small tu lies between them.
        (0x304B..=0x3061, 0x3099) if hiragana % 2 == 1 => 1,
        (0x3064..=0x3068, 0x3099) if hiragana % 2 == 0 => 1,
        // ha to ho: with two.
        (0x306F..=0x307B, _) if hiragana % 3 == 0 => mark - 0x3098,
        (0x3046, 0x3099) => 0x4E,
        (0x309D, 0x3099) => 1,
        // wa, wi, we, wo: katakana only.
        (0x308F..=0x3092, 0x3099) if katakana > 0 => 8,
        _ => return None,
    };
    Some(hiragana + katakana + steps)
}

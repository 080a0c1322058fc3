//! The definition of folding, in the crate `unicode-normalization` and the standard library's cases,
//! against the table; and the test that writes the table.

use core::fmt::Write;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

use super::table::RUNS;
use super::{Folded, POOLED, compose, fold};

fn is_dropped(character: char) -> bool {
    let ignorable = matches!(
        u32::from(character),
        0xAD | 0x34F
            | 0x61C
            | 0x640
            | 0x180B..=0x180F
            | 0x200C..=0x200F
            | 0x202A..=0x202E
            | 0x2060..=0x2064
            | 0x2066..=0x2069
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xE0100..=0xE01EF
    );
    let enclosing = matches!(u32::from(character), 0x488 | 0x489 | 0x20DD..=0x20E4);
    let class = canonical_combining_class(character);
    let accent = matches!(class, 1 | 6 | 7 | 10..=36 | 200..=240);
    ignorable || enclosing || is_combining_mark(character) && accent
}

/// Letters that look like others with a stroke, and ligatures that Unicode does not take apart.
fn look_alike(character: char) -> Option<&'static str> {
    Some(match character {
        'đ' | 'ð' => "d",
        'ø' => "o",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ı' => "i",
        _ => return None,
    })
}

fn in_words(character: char) -> bool {
    (character.is_alphanumeric() || is_combining_mark(character)) && !is_dropped(character)
}

/// A composed Hangul syllable or voiced kana.
fn stays_whole(character: char) -> bool {
    let voicing = |part: char| matches!(part, '\u{3099}' | '\u{309A}');
    matches!(character, '\u{AC00}'..='\u{D7A3}')
        || matches!(character, '\u{3041}'..='\u{309A}' | '\u{309D}'..='\u{30FE}')
            && [character].into_iter().nfd().count() == 2
            && [character].into_iter().nfd().any(voicing)
}

fn decomposed(text: &str) -> String {
    let one = |character: char| match stays_whole(character) {
        true => vec![character],
        false => [character].into_iter().nfkd().collect(),
    };
    text.chars().flat_map(one).collect()
}

/// What a character folds to by definition, or nothing if it ends words.
fn defined(character: char) -> Option<String> {
    if is_dropped(character) {
        return Some(String::new());
    }
    let mut text = character.to_string();
    let unit = matches!(u32::from(character), 0x3200..=0x33FF);
    let is_unit = unit && decomposed(&text).chars().all(char::is_alphanumeric);
    if !in_words(character) && !is_unit {
        return None;
    }
    if decomposed(&text).contains('\u{2044}') {
        return Some(text);
    }
    loop {
        let parts: String = decomposed(&text).chars().filter(|&part| in_words(part)).collect();
        let next: String = parts
            .to_uppercase()
            .chars()
            .flat_map(char::to_lowercase)
            .filter(|&part| in_words(part))
            .map(|part| look_alike(part).map_or(part.to_string(), str::to_owned))
            .collect();
        if next == text {
            return Some(text);
        }
        text = next;
    }
}

fn from_table(character: char) -> Option<String> {
    match fold(character) {
        Folded::Break => None,
        Folded::Dropped => Some(String::new()),
        Folded::One(one) => Some(one.to_string()),
        Folded::Several(several) => Some(several.to_owned()),
    }
}

#[test]
fn the_table_is_the_definition() {
    // Characters that a later Unicode adds are for the next table.
    let known = char::from_u32(0x2_0000).unwrap();
    let listed = |&(head, to): &(u32, u32)| {
        let step = if to & POOLED == 0 { 1 + (to & 1) } else { 1 };
        (0..=head & 0x7FF).filter_map(move |count| char::from_u32((head >> 11) + count * step))
    };
    let settled = ('\0'..'\u{860}').chain('\u{F900}'..'\u{FFFF}').chain('\u{1D400}'..'\u{1D7FF}');
    for character in RUNS.iter().flat_map(listed).chain(settled) {
        assert_eq!(from_table(character), defined(character), "{character:?}");
    }
    let differing = ('\0'..known).filter(|&one| from_table(one) != defined(one)).count();
    assert!(differing < 300, "{differing} characters differ: regenerate the table");
}

#[test]
fn folding_is_idempotent() {
    for character in '\0'..=char::MAX {
        let Some(folded) = from_table(character) else { continue };
        for part in folded.chars() {
            assert_eq!(from_table(part), Some(part.to_string()), "{character:?}");
        }
    }
}

#[test]
fn composition_is_that_of_unicode() {
    for character in ('\u{AC00}'..='\u{D7A3}').chain('\u{3041}'..='\u{30FE}') {
        let parts: Vec<char> = [character].into_iter().nfd().collect();
        if parts.len() > 1 && !matches!(character, '\u{309B}' | '\u{309C}') {
            let whole = parts.iter().copied().reduce(|a, b| compose(a, b).unwrap_or('?'));
            assert_eq!(whole, Some(character));
        }
    }
    for a in '\u{3041}'..='\u{30FE}' {
        for b in ['\u{3099}', '\u{309A}'] {
            assert_eq!(compose(a, b), unicode_normalization::char::compose(a, b), "{a}{b}");
        }
    }
    assert_eq!(compose('a', 'b'), None);
}

/// Runs and the pool of `table.rs`.
fn table() -> (Vec<(u32, u32)>, String) {
    let (mut runs, mut pool) = (Vec::<(u32, u32)>::new(), String::new());
    for character in '\u{80}'..=char::MAX {
        let Some(folded) = defined(character) else { continue };
        let code = u32::from(character);
        let mut parts = folded.chars();
        let to = match (parts.next(), parts.next()) {
            (None, _) => 0,
            (Some(one), None) if one == character && one.is_alphanumeric() => continue,
            (Some(one), None) => u32::from(one) << 1,
            _ => {
                let start = pool.find(&folded).unwrap_or_else(|| {
                    pool.push_str(&folded);
                    pool.len() - folded.len()
                });
                assert!(folded.len() < 32, "{character}");
                POOLED | u32::try_from(start << 5 | folded.len()).unwrap()
            }
        };
        if let Some((head, before)) = runs.last_mut() {
            let (first, more) = (*head >> 11, *head & 0x7FF);
            let step = 1 + (*before & 1);
            let distance = code - first;
            let goes_on = distance == (more + 1) * step && more < 0x7FF;
            let becomes_sparse = more == 0 && distance == 2;
            let same = match *before {
                0 => to == 0 && step == 1,
                _ => to & POOLED == 0 && to != 0 && (*before >> 1) + distance == to >> 1,
            };
            if *before & POOLED == 0 && same && (goes_on || becomes_sparse && to != 0) {
                *before |= u32::from(becomes_sparse);
                *head += 1;
                continue;
            }
        }
        runs.push((code << 11, to));
    }
    (runs, pool)
}

#[test]
#[ignore = "writes src/text/fold/table.rs: run it when Unicode has a new version"]
#[expect(clippy::disallowed_methods, reason = "writes a source file")]
fn regenerate() {
    let (runs, pool) = table();
    let mut source = String::from(
        "//! Generated by `cargo test text::fold::tests::regenerate -- --ignored`; `fold.rs` has the layout.\n\n",
    );
    writeln!(source, "/// Runs of characters, ascending, and what they fold to.").unwrap();
    writeln!(source, "#[rustfmt::skip]").unwrap();
    writeln!(source, "pub(super) static RUNS: [(u32, u32); {}] = [", runs.len()).unwrap();
    for line in runs.chunks(6) {
        let line: Vec<_> = line.iter().map(|(head, to)| format!("({head},{to})")).collect();
        writeln!(source, "    {},", line.join(",")).unwrap();
    }
    writeln!(source, "];\n\n/// What single characters fold to where it is several.").unwrap();
    writeln!(source, "#[rustfmt::skip]\npub(super) static POOL: &str = \"\\").unwrap();
    for line in pool.chars().collect::<Vec<_>>().chunks(90) {
        writeln!(source, "{}\\", line.iter().collect::<String>()).unwrap();
    }
    source.push_str("\";\n");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/text/fold/table.rs"), source).unwrap();
}

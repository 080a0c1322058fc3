//! Snippets: the stretch of a document that shows best why it was found.

use core::ops::Range;
use std::collections::VecDeque;

use super::query::{Clause, Query, Sign, Way};
use super::walk;
use super::words::{Splitter, Token};

/// Matches of one string that are looked at; what comes behind so many shows no more.
const MOST_MATCHES: usize = 4096;

/// A stretch of a document's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The field that it is from, as a dotted path; `$` for text that is in no object.
    pub field: String,
    /// Text as it stands in the document, at most as many characters as were asked for.
    pub text: String,
    /// What the query matches in it: ranges of characters (code points) of `text`, ascending, that do
    /// not overlap.
    pub highlights: Vec<(u32, u32)>,
}

/// What of a validated JSON value to show for a query, in up to `max_chars` characters: of all
/// strings in the fields searched, the stretch with the most different clauses of the query, and of
/// those with equally many the one with most matches, the first. It begins and ends between words
/// where it can. Nothing if no clause matches or `max_chars` is 0.
///
/// Words are highlighted whole, prefixes too; a phrase where all of it stands. Time is linear in the
/// value, times the clauses.
#[must_use]
pub fn snippet(value: &[u8], query: &Query, max_chars: usize) -> Option<Snippet> {
    let wanted = |clause: &&Clause| clause.sign != Sign::Excluded;
    let clauses: Vec<&Clause> = query.clauses.iter().filter(wanted).collect();
    let mut best: Option<((usize, usize), Snippet)> = None;
    let mut splitter = Splitter::default();
    if clauses.is_empty() || max_chars == 0 {
        return None;
    }
    walk::strings(value, &mut |field, text| {
        if !query.searches(field) {
            return;
        }
        let matches = find(text, &clauses, &mut splitter);
        let Some((worth, chosen)) = window(&matches, clauses.len(), max_chars) else { return };
        if best.as_ref().is_none_or(|(least, _)| worth > *least) {
            let matches = matches.get(chosen).unwrap_or_default();
            best = Some((worth, cut(field, text, matches, max_chars)));
        }
    });
    best.map(|(_, snippet)| snippet)
}

/// A word that a clause matches.
#[derive(Clone, Debug)]
struct Match {
    clause: usize,
    bytes: Range<usize>,
    /// Characters before its start and its end.
    chars: Range<usize>,
}

impl Match {
    /// Clause and bytes as one integer, which goes by the start, the end and the clause: texts are
    /// shorter than 2^24 bytes and queries have fewer than 2^16 clauses.
    fn key(clause: usize, bytes: &Range<usize>) -> u64 {
        (bytes.start as u64) << 40 | (bytes.len() as u64) << 16 | clause as u64
    }

    fn of(key: u64) -> Self {
        let part = |shift: u32, bits: u32| {
            usize::try_from(key >> shift & ((1 << bits) - 1)).unwrap_or_default()
        };
        let start = part(40, 24);
        Self { clause: part(0, 16), bytes: start..start + part(16, 24), chars: 0..0 }
    }
}

/// A phrase of which the first words were met.
struct Begun {
    start: u32,
    parts: Vec<Range<usize>>,
}

/// All matches in a text, by where they start.
fn find(text: &str, clauses: &[&Clause], splitter: &mut Splitter) -> Vec<Match> {
    let mut keys: Vec<u64> = Vec::new();
    let mut begun: Vec<VecDeque<Begun>> = clauses.iter().map(|_| VecDeque::new()).collect();
    let mut position = 0;
    splitter.split(text, &mut |token| {
        for ((number, clause), begun) in clauses.iter().enumerate().zip(&mut begun) {
            if keys.len() >= MOST_MATCHES {
                break;
            }
            let found = advance(clause, begun, &token, position);
            keys.extend(found.into_iter().map(|bytes| Match::key(number, &bytes)));
        }
        position += 1;
    });
    keys.sort_unstable();
    let mut matches: Vec<Match> = keys.into_iter().map(Match::of).collect();
    let (mut at, mut chars) = (0, 0);
    for found in &mut matches {
        chars += text.get(at..found.bytes.start).unwrap_or_default().chars().count();
        at = found.bytes.start;
        let length = text.get(found.bytes.clone()).unwrap_or_default().chars().count();
        found.chars = chars..chars + length;
    }
    matches
}

/// Takes a phrase one token further: the words of those that are complete now.
fn advance(
    clause: &Clause,
    begun: &mut VecDeque<Begun>,
    token: &Token<'_>,
    position: u32,
) -> Vec<Range<usize>> {
    let part = |way| match way {
        Way::Character => token.range.start..token.head_end,
        Way::Whole | Way::Prefix => token.range.clone(),
    };
    begun.push_back(Begun { start: position, parts: Vec::new() });
    let mut complete = Vec::new();
    begun.retain_mut(|begun| {
        let Some(element) = clause.elements.get(begun.parts.len()) else { return false };
        if begun.start + element.offset != position {
            return true; // not its turn: the next element is further on
        }
        if !element.matches(token.text) {
            return false;
        }
        begun.parts.push(part(element.way));
        if begun.parts.len() == clause.elements.len() {
            complete.append(&mut begun.parts);
            return false;
        }
        true
    });
    complete
}

/// The matches to show and what they are worth: how many clauses, how many matches.
fn window(
    matches: &[Match],
    clauses: usize,
    max_chars: usize,
) -> Option<((usize, usize), Range<usize>)> {
    let mut in_window = vec![0_usize; clauses];
    let (mut first, mut distinct) = (0, 0);
    let mut best: Option<((usize, usize), Range<usize>)> = None;
    for (last, found) in matches.iter().enumerate() {
        if let Some(count) = in_window.get_mut(found.clause) {
            distinct += usize::from(*count == 0);
            *count += 1;
        }
        while let Some(left) = matches.get(first)
            && first < last
            && found.chars.end - left.chars.start > max_chars
        {
            if let Some(count) = in_window.get_mut(left.clause) {
                *count -= 1;
                distinct -= usize::from(*count == 0);
            }
            first += 1;
        }
        let worth = (distinct, last + 1 - first);
        if best.as_ref().is_none_or(|(least, _)| worth > *least) {
            best = Some((worth, first..last + 1));
        }
    }
    best
}

/// The snippet around these matches, which are there and fit.
fn cut(field: &str, text: &str, matches: &[Match], max_chars: usize) -> Snippet {
    let from = matches.first().map_or(0, |found| found.bytes.start);
    let to = matches.iter().map(|found| found.bytes.end).max().unwrap_or(from);
    let (before, rest) = text.split_at_checked(from).unwrap_or(("", text));
    let shown = rest.get(..to - from).unwrap_or(rest).chars().count();
    let spare = max_chars.saturating_sub(shown);
    let behind = rest.get(to - from..).unwrap_or_default().chars().take(spare).count();
    // As much before as behind, and more where there is less behind.
    let lead = (spare / 2).max(spare - behind);
    let mut start = before.char_indices().rev().take(lead).last().map_or(from, |(at, _)| at);
    if start > 0 {
        start = next_word(before, start).unwrap_or(start);
    }
    let tail = text.get(start..).unwrap_or_default();
    let mut length = tail.char_indices().nth(max_chars).map_or(tail.len(), |(at, _)| at);
    if length < tail.len() {
        length = word_end(tail, length, to - start).unwrap_or(length);
    }
    let shown = tail.get(..length).unwrap_or_default();
    Snippet {
        field: field.to_owned(),
        text: shown.to_owned(),
        highlights: highlights(shown, start, matches),
    }
}

/// Where a word begins behind a space in the text from `start` on, if that is not before its end.
fn next_word(text: &str, start: usize) -> Option<usize> {
    let previous = text.get(..start)?.chars().next_back()?;
    if previous.is_whitespace() {
        return Some(start);
    }
    let rest = text.get(start..)?;
    let space = rest.find(char::is_whitespace)?;
    let word = rest.get(space..)?.find(|one: char| !one.is_whitespace());
    Some(start + space + word.unwrap_or(rest.len() - space))
}

/// Where the last word ends that fits in `length` bytes, if that is not before `least`.
fn word_end(text: &str, length: usize, least: usize) -> Option<usize> {
    let (fits, rest) = text.split_at_checked(length)?;
    if rest.starts_with(char::is_whitespace) {
        return Some(fits.trim_end().len().max(least)).filter(|end| *end <= length);
    }
    let space = fits.rfind(char::is_whitespace)?;
    let end = fits.get(..space)?.trim_end().len();
    (end >= least && end > 0).then_some(end)
}

/// The matches as ranges of characters of `shown`, which starts at this byte of their text; those
/// that overlap are one.
fn highlights(shown: &str, start: usize, matches: &[Match]) -> Vec<(u32, u32)> {
    let mut bytes: Vec<Range<usize>> = Vec::new();
    for found in matches {
        let range = found.bytes.start - start..(found.bytes.end - start).min(shown.len());
        match bytes.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => bytes.push(range),
        }
    }
    let (mut at, mut chars) = (0, 0);
    let mut count_to = |byte: usize| {
        chars += shown.get(at..byte).unwrap_or_default().chars().count();
        at = byte;
        u32::try_from(chars).unwrap_or(u32::MAX)
    };
    let ranges = bytes.into_iter().filter(|range| range.start < range.end);
    ranges.map(|range| (count_to(range.start), count_to(range.end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Fields;
    use proptest::prelude::*;

    fn of(value: &serde_json::Value, query: &str, max_chars: usize) -> Option<Snippet> {
        let query = Query::parse(query, Fields::All).unwrap();
        snippet(value.to_string().as_bytes(), &query, max_chars)
    }

    fn highlighted(snippet: &Snippet) -> Vec<String> {
        let chars: Vec<char> = snippet.text.chars().collect();
        let part = |&(from, to): &(u32, u32)| chars[from as usize..to as usize].iter().collect();
        snippet.highlights.iter().map(part).collect()
    }

    #[test]
    fn exactly_the_matched_words_are_highlighted() {
        for (text, query, expected) in [
            ("Un café, deux CAFÉS, un cafe\u{301}.", "cafe", vec!["café", "cafe\u{301}"]),
            ("Un café, deux CAFÉS", "caf*", vec!["café", "CAFÉS"]),
            ("New York and new or York", "\"new york\"", vec!["New", "York"]),
            ("a b a b", "\"a b\" a", vec!["a", "b", "a", "b"]),
            ("os.path.join", "+os.path", vec!["os", "path"]),
            ("東京都の東", "東京", vec!["東京"]),
            ("東京都の東", "東京都", vec!["東京都"]),
            ("東京都の東", "東", vec!["東", "東"]),
            ("🎉 Große 🎉", "grosse", vec!["Große"]),
            ("good bad", "good -bad", vec!["good"]),
            ("x x x", "\"x x\"", vec!["x", "x", "x"]),
        ] {
            let snippet = of(&text.into(), query, 200).unwrap();
            assert_eq!(highlighted(&snippet), expected, "{text} {query}");
            assert_eq!((snippet.text.as_str(), snippet.field.as_str()), (text, "$"));
        }
        for query in ["", "other", "-good", "\"good\" -good", "\"bad good\""] {
            let found = of(&"good bad".into(), query, 200);
            assert_eq!(found.is_some(), query.starts_with("\"good"), "{query}");
        }
        assert_eq!(of(&"good".into(), "good", 0), None);
    }

    #[test]
    fn the_best_stretch_is_shown() {
        let value = serde_json::json!({
            "abstract": "One rust",
            "body": format!("{} rust {} a fast rust engine for text search {}",
                "lorem ipsum ".repeat(50), "dolor sit ".repeat(50), "amet ".repeat(90)),
        });
        let snippet = of(&value, "rust search engine", 60).unwrap();
        assert_eq!(snippet.field, "body");
        assert_eq!(snippet.text, "sit  a fast rust engine for text search amet amet amet amet");
        assert_eq!(highlighted(&snippet), ["rust", "engine", "search"]);
        assert_eq!(of(&value, "rust", 60).unwrap().field, "abstract");
        let fields = [("body", 1.0)];
        let query = Query::parse("rust", Fields::Some(&fields)).unwrap();
        let snippet = super::snippet(value.to_string().as_bytes(), &query, 20).unwrap();
        assert_eq!((snippet.field.as_str(), snippet.text.chars().count() <= 20), ("body", true));
        let long = of(&format!("ab {}", "x".repeat(100)).into(), "x*", 10).unwrap();
        assert_eq!((long.text, long.highlights), ("x".repeat(10), vec![(0, 10)]));
    }

    proptest! {
        #[test]
        fn snippets_are_parts_of_the_text_and_highlights_are_matches(
            words in prop::collection::vec("[abé東 .]{1,4}|foo|été", 1..60),
            max_chars in 1_usize..50,
        ) {
            let text = words.join(" ");
            if let Some(snippet) = of(&text.clone().into(), "foo ete a* 東", max_chars) {
                prop_assert!(text.contains(&snippet.text));
                prop_assert!(snippet.text.chars().count() <= max_chars);
                prop_assert!(!snippet.highlights.is_empty());
                let mut last = 0;
                for &(from, to) in &snippet.highlights {
                    prop_assert!(last <= from && from < to && to as usize <= snippet.text.chars().count());
                    last = to;
                }
                for word in highlighted(&snippet) {
                    prop_assert!(["foo".starts_with(&word), "été".starts_with(&word),
                        word.starts_with('a'), word == "東"].contains(&true), "{}", word);
                }
            }
        }
    }
}

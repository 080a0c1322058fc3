//! From text to words: the one stream of tokens that is indexed and searched.
//!
//! # Rules
//!
//! - A **word** is a longest run of letters and digits ([`super::fold`] says which characters are
//!   those, and what they fold to). Everything else ends it: spaces, punctuation, `_`, `.`, `-`, `'`,
//!   symbols, emoji. So `os.path.join`, `snake_case`, `state-of-the-art` and `don't` are several
//!   words, `CamelCase` and `utf8` one each. There is no stemming and there are no stop words.
//! - Of a word longer than [`MAX_WORD_CHARACTERS`] characters, folded, the first so many count.
//! - Scripts that write no spaces between words (Han, kana, bopomofo, Thai, Lao, Khmer, Burmese), and
//!   Hangul, whose words carry their particles, give **pairs**: a run of n such characters gives n
//!   tokens, each character with the one behind it, the last by itself: 東京都 is 東京, 京都, 都.
//!   So every character begins exactly one token, and one alone is found by prefix.
//! - A token takes one position.
//!
//! For ASCII text the tokens are `[w[:64] for w in re.findall(r"[a-z0-9]+", text.lower())]`.

use core::ops::Range;

use super::fold::{Folded, compose, fold};
use crate::limits::MAX_WORD_CHARACTERS;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A word between others.
    Word,
    /// Two neighbours of a run.
    Pair,
    /// The last character of a run.
    Last,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    /// The folded word.
    pub(super) text: &'a str,
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    /// Where its first character ends, if it is one of a run; else where it ends.
    pub(super) head_end: usize,
    pub(super) shape: Shape,
}

/// A character of a run.
#[derive(Clone, Copy)]
struct Piece {
    character: char,
    start: usize,
    end: usize,
}

/// Splits texts, with a buffer that is used again.
#[derive(Default)]
pub(super) struct Splitter {
    word: String,
    characters: usize,
    range: Range<usize>,
    /// The characters of the run under way whose tokens are not complete.
    waiting: (Option<Piece>, Option<Piece>),
}

impl Splitter {
    /// Calls `emit` with the tokens of `text`, in order. Linear in its length.
    pub(super) fn split(&mut self, text: &str, emit: &mut dyn FnMut(Token<'_>)) {
        let mut at = 0;
        while let Some(&byte) = text.as_bytes().get(at) {
            if byte < 0x80 {
                at = self.ascii(text, at, emit);
                continue;
            }
            let rest = text.get(at..).unwrap_or_default();
            let Some(character) = rest.chars().next() else { break };
            let end = at + character.len_utf8();
            match fold(character) {
                Folded::Break => self.finish(emit),
                Folded::Dropped => self.stretch(end),
                Folded::One(one) => self.feed(one, at..end, emit),
                Folded::Several(several) => {
                    for one in several.chars() {
                        self.feed(one, at..end, emit);
                    }
                }
            }
            at = end;
        }
        self.finish(emit);
    }

    /// Takes the ASCII letters and digits from `at` on, or the one other byte there. Where to go on.
    #[inline]
    fn ascii(&mut self, text: &str, at: usize, emit: &mut dyn FnMut(Token<'_>)) -> usize {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        let length =
            rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if length == 0 {
            self.finish(emit);
            return at + 1;
        }
        if self.waiting.0.is_some() {
            self.finish(emit);
        }
        if self.characters == 0 {
            self.range.start = at;
        }
        let taken = length.min(MAX_WORD_CHARACTERS.saturating_sub(self.characters));
        let from = self.word.len();
        self.word.push_str(text.get(at..at + taken).unwrap_or_default());
        if let Some(new) = self.word.get_mut(from..) {
            new.make_ascii_lowercase();
        }
        self.characters += length;
        self.range.end = at + length;
        at + length
    }

    /// Takes a folded character.
    fn feed(&mut self, character: char, at: Range<usize>, emit: &mut dyn FnMut(Token<'_>)) {
        let (first, second) = &mut self.waiting;
        if let Some(piece) = second.as_mut().or(first.as_mut())
            && let Some(whole) = compose(piece.character, character)
        {
            piece.character = whole;
            piece.end = at.end;
            return;
        }
        if !is_of_run(character) {
            if self.waiting.0.is_some() {
                self.finish(emit);
            }
            if self.characters == 0 {
                self.range.start = at.start;
            }
            if self.characters < MAX_WORD_CHARACTERS {
                self.word.push(character);
            }
            self.characters += 1;
            self.range.end = at.end;
            return;
        }
        if self.characters > 0 {
            self.finish(emit);
        }
        let piece = Piece { character, start: at.start, end: at.end };
        match self.waiting {
            (None, _) => self.waiting.0 = Some(piece),
            (Some(_), None) => self.waiting.1 = Some(piece),
            (Some(first), Some(second)) => {
                self.emit_piece(first, Some(second), emit);
                self.waiting = (Some(second), Some(piece));
            }
        }
    }

    /// A dropped character belongs to what stands before it.
    fn stretch(&mut self, end: usize) {
        let (first, second) = &mut self.waiting;
        if let Some(piece) = second.as_mut().or(first.as_mut()) {
            piece.end = end;
        } else if self.characters > 0 {
            self.range.end = end;
        }
    }

    /// Emits what is under way.
    #[inline]
    fn finish(&mut self, emit: &mut dyn FnMut(Token<'_>)) {
        if self.characters > 0 {
            let range = self.range.clone();
            let head_end = range.end;
            emit(Token { text: &self.word, range, head_end, shape: Shape::Word });
            self.word.clear();
            self.characters = 0;
        }
        if let (Some(first), second) = core::mem::take(&mut self.waiting) {
            self.emit_piece(first, second, emit);
            if let Some(second) = second {
                self.emit_piece(second, None, emit);
            }
        }
    }

    fn emit_piece(&mut self, first: Piece, second: Option<Piece>, emit: &mut dyn FnMut(Token<'_>)) {
        self.word.clear();
        self.word.push(first.character);
        self.word.extend(second.map(|piece| piece.character));
        let end = second.map_or(first.end, |piece| piece.end);
        let shape = if second.is_some() { Shape::Pair } else { Shape::Last };
        let token = Token { text: &self.word, range: first.start..end, head_end: first.end, shape };
        emit(token);
        self.word.clear();
    }
}

/// Whether a folded character is of a script whose runs give pairs.
fn is_of_run(character: char) -> bool {
    matches!(
        u32::from(character),
        0xE00..=0xEFF // Thai, Lao
            | 0x1000..=0x109F // Burmese
            | 0x1100..=0x11FF // Hangul, in parts
            | 0x1780..=0x17FF // Khmer
            | 0x3005..=0x3007 // Han: repetition, zero
            | 0x3040..=0x30FF // kana
            | 0x3105..=0x318F // bopomofo, Hangul
            | 0x31A0..=0x31BF
            | 0x31F0..=0x31FF
            | 0x3400..=0x4DBF // Han
            | 0x4E00..=0x9FFF
            | 0xA960..=0xA97F // Hangul
            | 0xA9E0..=0xA9FF // Burmese
            | 0xAA60..=0xAA7F
            | 0xAC00..=0xD7FF // Hangul
            | 0xF900..=0xFAFF // Han
            | 0x1_AFF0..=0x1_B16F // kana
            | 0x2_0000..=0x3_FFFF // Han
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Splitter::default().split(text, &mut |token| found.push(token.text.to_owned()));
        found
    }

    /// Each token's part of the text.
    fn parts(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        Splitter::default().split(text, &mut |token| found.push(&text[token.range]));
        found
    }

    #[test]
    fn words_are_what_people_search_for() {
        for (text, expected) in [
            ("", ""),
            (" \t\n.,;!?+-*\"'_ ", ""),
            ("Hello, World!", "hello world"),
            ("os.path.join(a, b)", "os path join a b"),
            ("snake_case CamelCase kebab-case", "snake case camelcase kebab case"),
            ("don't stop", "don t stop"),
            ("utf8 3.14 0xFF v2.0.1", "utf8 3 14 0xff v2 0 1"),
            ("C++ and C#", "c and c"),
            ("user@example.com", "user example com"),
            ("Éric naïve ÀÇÑ", "eric naive acn"),
            ("e\u{301}ric", "eric"),
            ("Straße STRASSE ﬁn ŒUVRE", "strasse strasse fin oeuvre"),
            ("İstanbul ISTANBUL ılık", "istanbul istanbul ilik"),
            ("Ελλάς ΕΛΛΆΣ", "ελλασ ελλασ"),
            ("Ёлка й", "елка и"),
            ("Việt Nam Đường phở", "viet nam duong pho"),
            ("שָׁלוֹם", "שלום"),
            ("العَرَبِيَّة أحمد مـحمد", "العربية احمد محمد"),
            ("हिन्दी की", "हिन्दी की"),
            ("soft\u{AD}hyphen zero\u{200B}width join\u{200D}er", "softhyphen zero width joiner"),
            ("🎉party🎉 👩‍👩‍👧 1️⃣", "party 1"),
            ("m² ½ ①", "m2 ½ 1"),
            ("ＡＢＣ１２３", "abc123"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn scripts_without_spaces_give_pairs() {
        for (text, expected) in [
            ("東", "東"),
            ("東京", "東京 京"),
            ("東京都", "東京 京都 都"),
            ("東京 都", "東京 京 都"),
            ("Rust東京2024年", "rust 東京 京 2024 年"),
            ("タワー、塔", "タワ ワー ー 塔"),
            ("ｶﾞｽ", "ガス ス"),
            ("か\u{3099}す", "がす す"),
            ("한국", "한국 국"),
            ("\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}", "한국 국"),
            ("กขค", "กข ขค ค"),
            ("㍿", "株式 式会 会社 社"),
            ("5㎏", "5kg"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn ranges_are_those_of_the_text() {
        assert_eq!(parts("L'École,e\u{301}te\u{301}!"), ["L", "École", "e\u{301}te\u{301}"]);
        assert_eq!(parts("x東京y"), ["x", "東京", "京", "y"]);
        assert_eq!(parts("か\u{3099}す"), ["か\u{3099}す", "す"]);
        assert_eq!(parts("soft\u{AD}hyphen"), ["soft\u{AD}hyphen"]);
    }

    #[test]
    fn long_words_are_cut() {
        let long = "x".repeat(MAX_WORD_CHARACTERS);
        assert_eq!(words(&long), std::slice::from_ref(&long));
        assert_eq!(words(&format!("{long}yz é")), [long.clone(), "e".to_owned()]);
        assert_eq!(words(&"é".repeat(1000)), ["e".repeat(MAX_WORD_CHARACTERS)]);
        assert_eq!(words(&format!("é{}", "A".repeat(100))), [format!("e{}", "a".repeat(63))]);
    }

    proptest! {
        #[test]
        fn ascii_is_split_by_one_rule(text in "[ -~]{0,80}") {
            let lower = text.to_ascii_lowercase();
            let expected: Vec<_> = lower.split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty()).map(|word| word[..word.len().min(64)].to_owned()).collect();
            prop_assert_eq!(words(&text), expected);
        }

        #[test]
        fn any_text_splits_at_characters_and_again_the_same(text in any::<String>()) {
            let mut last = 0;
            let mut folded = Vec::new();
            Splitter::default().split(&text, &mut |token| {
                assert!(last <= token.range.start && token.range.start < token.range.end);
                last = token.range.start;
                assert!(text.get(token.range.clone()).is_some());
                assert!(text.get(token.range.start..token.head_end).is_some());
                if token.shape == Shape::Word {
                    folded.push(token.text.to_owned());
                }
            });
            prop_assert_eq!(words(&folded.join(" ")), folded);
        }
    }
}

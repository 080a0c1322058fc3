//! Queries: from what people type to what is looked for.

use super::fields::covers;
use super::words::{Shape, Splitter};
use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_SEARCH_FIELDS, MAX_SEARCH_TEXT_BYTES};

/// Boosts beyond these are taken as these, so that no sum overflows.
const BOOSTS: (f64, f64) = (1e-30, 1e30);

/// Which fields a query searches.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// All text of documents.
    All,
    /// These dotted paths and what is below them, each with its boost. Of several that lead to a
    /// field the longest counts.
    Some(&'a [(&'a str, f64)]),
}

/// What a clause asks of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It adds to the score.
    Any,
    /// It has to be there, and adds to the score.
    Required,
    /// It must not be there.
    Excluded,
}

/// How a word of a query is compared with words of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Equal.
    Whole,
    /// They begin with it.
    Prefix,
    /// They begin with it: it is one character of a script that gives pairs.
    Character,
}

/// A word of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) text: Box<str>,
    pub(super) way: Way,
    /// Its position, counted from the first word's.
    pub(super) offset: u32,
}

impl Element {
    /// Whether it stands for this word.
    pub(super) fn matches(&self, word: &str) -> bool {
        match self.way {
            Way::Whole => *self.text == *word,
            Way::Prefix | Way::Character => word.starts_with(&*self.text),
        }
    }
}

/// A word, a prefix, or a phrase.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) sign: Sign,
    /// At least one.
    pub(super) elements: Vec<Element>,
    /// How often it is in the query.
    pub(super) times: u32,
}

/// A full-text query, ready to search.
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) clauses: Vec<Clause>,
    pub(super) boosts: Option<Vec<(String, f64)>>,
}

impl Query {
    /// Reads a query. The module documentation has the syntax.
    ///
    /// # Errors
    /// `Limit` if the text is longer than [`MAX_SEARCH_TEXT_BYTES`] or names more than
    /// [`MAX_SEARCH_FIELDS`] fields; `Invalid` if a list of fields is empty or a boost is not a
    /// positive, finite number.
    pub fn parse(text: &str, fields: Fields<'_>) -> Result<Self> {
        if text.len() > MAX_SEARCH_TEXT_BYTES {
            let message = format!(
                "the search text has {} bytes; at most {MAX_SEARCH_TEXT_BYTES} are allowed",
                text.len()
            );
            return Err(Error::new(Kind::Limit, message, "search for fewer words"));
        }
        let boosts = match fields {
            Fields::All => None,
            Fields::Some(fields) => Some(boosts(fields)?),
        };
        Ok(Self { clauses: Parser::new(text).clauses(), boosts })
    }

    /// Whether nothing can match: there is no word that is not excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.iter().all(|clause| clause.sign == Sign::Excluded)
    }
}

impl Query {
    /// Whether text of this field is searched.
    pub(super) fn searches(&self, field: &str) -> bool {
        self.boosts.as_ref().is_none_or(|boosts| boosts.iter().any(|(path, _)| covers(path, field)))
    }
}

fn boosts(fields: &[(&str, f64)]) -> Result<Vec<(String, f64)>> {
    if fields.len() > MAX_SEARCH_FIELDS {
        let message = format!("{} fields; at most {MAX_SEARCH_FIELDS} are allowed", fields.len());
        return Err(Error::new(Kind::Limit, message, "name fewer fields, or one that covers them"));
    }
    if fields.is_empty() {
        let suggestion = "name a field, or leave fields out to search all text";
        return Err(Error::new(Kind::Invalid, "fields: there are none", suggestion));
    }
    let one = |&(path, boost): &(&str, f64)| {
        if boost.is_finite() && boost > 0.0 {
            Ok((path.to_owned(), boost.clamp(BOOSTS.0, BOOSTS.1)))
        } else {
            let message = format!("fields.{path}: {boost} is not a boost");
            Err(Error::new(Kind::Invalid, message, "use a finite number greater than 0"))
        }
    };
    fields.iter().map(one).collect()
}

struct Parser<'a> {
    rest: &'a str,
    splitter: Splitter,
    clauses: Vec<Clause>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, splitter: Splitter::default(), clauses: Vec::new() }
    }

    fn clauses(mut self) -> Vec<Clause> {
        let mut after_space = true;
        while let Some(first) = self.rest.chars().next() {
            if first.is_whitespace() {
                self.advance(first.len_utf8());
                after_space = true;
                continue;
            }
            let sign = match first {
                '+' if after_space => Sign::Required,
                '-' if after_space => Sign::Excluded,
                _ => Sign::Any,
            };
            self.advance(usize::from(sign != Sign::Any));
            after_space = false;
            if self.rest.starts_with('"') {
                self.advance(1);
                let length = self.rest.find('"').unwrap_or(self.rest.len());
                let phrase = self.advance(length);
                self.advance(1);
                self.take(phrase, sign, true);
            } else {
                let ends = |one: char| one == '"' || one.is_whitespace();
                let length = self.rest.find(ends).unwrap_or(self.rest.len());
                let words = self.advance(length);
                self.take(words, sign, false);
            }
        }
        self.clauses
    }

    /// Passes so many bytes, or all that are left.
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        passed
    }

    /// Adds what is looked for by text without spaces, or by text in quotes.
    fn take(&mut self, text: &str, sign: Sign, quoted: bool) {
        let mut elements: Vec<Element> = Vec::new();
        let (mut position, mut in_run) = (0, false);
        self.splitter.split(text, &mut |token| {
            let starred = text.as_bytes().get(token.range.end) == Some(&b'*');
            let way = match token.shape {
                Shape::Word if starred && !quoted => Way::Prefix,
                Shape::Word | Shape::Pair => Way::Whole,
                Shape::Last => Way::Character,
            };
            // The last character of a run is in the pair before it already.
            if !(in_run && token.shape == Shape::Last) {
                elements.push(Element { text: token.text.into(), way, offset: position });
            }
            in_run = token.shape == Shape::Pair;
            position += 1;
        });
        if quoted || sign != Sign::Any {
            self.add(sign, elements);
        } else {
            for element in elements {
                self.add(sign, vec![Element { offset: 0, ..element }]);
            }
        }
    }

    fn add(&mut self, sign: Sign, elements: Vec<Element>) {
        let same = |clause: &&mut Clause| clause.sign == sign && clause.elements == elements;
        if let Some(clause) = self.clauses.iter_mut().find(same) {
            clause.times += 1;
        } else if !elements.is_empty() {
            self.clauses.push(Clause { sign, elements, times: 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query as text: clauses with signs, words joined by `_` with their offsets where those skip.
    fn read(text: &str) -> String {
        let query = Query::parse(text, Fields::All).unwrap();
        let clauses = query.clauses.iter().map(|clause| {
            let sign = match clause.sign {
                Sign::Any => "",
                Sign::Required => "+",
                Sign::Excluded => "-",
            };
            let words = clause.elements.iter().zip(0..).map(|(element, expected)| {
                let star = if element.way == Way::Whole { "" } else { "*" };
                let skip = if element.offset == expected { "" } else { "~" };
                format!("{skip}{}{star}", element.text)
            });
            let times = if clause.times > 1 { format!("x{}", clause.times) } else { String::new() };
            format!("{sign}{}{times}", words.collect::<Vec<_>>().join("_"))
        });
        clauses.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_syntax() {
        for (text, expected) in [
            ("", ""),
            ("  + - * \"\" +\"\" ... ", ""),
            ("Hello wörld", "hello world"),
            ("a b a", "ax2 b"),
            ("\"New York\" city", "new_york city"),
            ("\"open end", "open_end"),
            ("+must -not maybe", "+must -not maybe"),
            ("+\"a b\" -\"c d\"", "+a_b -c_d"),
            ("pre* +pre* -pre*", "pre* +pre* -pre*"),
            ("os.path +os.path -os.path", "os path +os_path -os_path"),
            ("os.pa* +os.pa*", "os pa* +os_pa*"),
            ("don't-stop", "don t stop"),
            ("a-b c+d", "a b c d"),
            ("+-a --b -+c", "+a -b -c"),
            ("foo \"bar\"-baz\"qux", "foo bar baz qux"),
            ("\"pre* x\"", "pre_x"),
            ("pre *", "pre"),
            ("(pre*)", "pre*"),
            ("東京都 東 \"東京 都\" +東京都", "東京 京都 東* 東京_~都* +東京_京都"),
            ("Rust東*", "rust 東*"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn limits_and_boosts_are_checked() {
        fn parse(text: &str, fields: Fields<'_>) -> core::result::Result<Query, Kind> {
            Query::parse(text, fields).map_err(|error| error.kind)
        }
        assert!(parse(&"a".repeat(MAX_SEARCH_TEXT_BYTES), Fields::All).is_ok());
        let long = "a".repeat(MAX_SEARCH_TEXT_BYTES + 1);
        assert_eq!(parse(&long, Fields::All).unwrap_err(), Kind::Limit);
        assert!(parse("a", Fields::Some(&[("x", 1.0); MAX_SEARCH_FIELDS])).is_ok());
        let many = [("x", 1.0); MAX_SEARCH_FIELDS + 1];
        assert_eq!(parse("a", Fields::Some(&many)).unwrap_err(), Kind::Limit);
        assert_eq!(parse("a", Fields::Some(&[])).unwrap_err(), Kind::Invalid);
        for boost in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let fields = [("x", boost)];
            assert_eq!(parse("a", Fields::Some(&fields)).unwrap_err(), Kind::Invalid);
        }
        assert!(Query::parse("-a", Fields::All).unwrap().is_empty());
    }
}

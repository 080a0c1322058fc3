//! Full-text search as its definition says, over lists of words.

#![allow(clippy::cast_possible_truncation, reason = "row numbers of small test sets")]

use serde_json::Value;

use crate::text::query::Sign;

/// What a query asks for.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Word(String),
    Phrase(Vec<String>),
    Prefix(String),
    /// Words with dots between.
    Compound(Vec<String>),
}

#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) sign: Sign,
    pub(super) kind: Kind,
}

impl Ask {
    pub(super) fn text(&self) -> String {
        let sign = match self.sign {
            Sign::Any => "",
            Sign::Required => "+",
            Sign::Excluded => "-",
        };
        let what = match &self.kind {
            Kind::Word(word) => word.to_uppercase(),
            Kind::Phrase(words) => format!("\"{}\"", words.join(" ")),
            Kind::Prefix(prefix) => format!("{prefix}*"),
            Kind::Compound(words) => words.join("."),
        };
        format!("{sign}{what}")
    }
}

/// A string of a document: its field and words.
type Line = (String, Vec<String>);

#[derive(Default)]
pub(super) struct Model {
    documents: Vec<Vec<Line>>,
    current: Vec<bool>,
    erased: Vec<bool>,
}

fn lines(value: &Value, path: &str, into: &mut Vec<Line>) {
    match value {
        Value::String(text) => {
            let words = text.to_lowercase();
            let words = words.split(|one: char| !one.is_ascii_alphanumeric());
            let words = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
            into.push((if path.is_empty() { "$" } else { path }.to_owned(), words));
        }
        Value::Array(elements) => elements.iter().for_each(|element| lines(element, path, into)),
        Value::Object(members) => {
            for (name, member) in members {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                lines(member, &below, into);
            }
        }
        _ => {}
    }
}

impl Model {
    pub(super) fn add(&mut self, document: &Value) {
        let mut found = Vec::new();
        lines(document, "", &mut found);
        self.documents.push(found);
        self.current.push(true);
        self.erased.push(false);
    }

    pub(super) fn retire(&mut self, row: u32) {
        self.current[row as usize] = false;
    }

    pub(super) fn erase(&mut self, row: u32) {
        self.retire(row);
        self.erased[row as usize] = true;
    }

    /// All hits, best first.
    pub(super) fn search(
        &self,
        asks: &[Ask],
        boosts: Option<&[(&str, f64)]>,
        among: Option<u64>,
        filter: Option<u64>,
    ) -> Vec<(u32, f64)> {
        let bit = |bits: u64, row: usize| row < 64 && bits >> row & 1 == 1;
        let rows: Vec<usize> = (0..self.documents.len())
            .filter(|&row| !self.erased[row])
            .filter(|&row| among.map_or(self.current[row], |bits| bit(bits, row)))
            .collect();
        let boost = |field: &str| match boosts {
            None => 1.0,
            Some(boosts) => boosts
                .iter()
                .filter(|(path, _)| field == *path || field.starts_with(&format!("{path}.")))
                .max_by_key(|(path, _)| path.len())
                .map_or(0.0, |(_, boost)| *boost),
        };
        let length = |row: usize| -> f64 {
            let searched = self.documents[row].iter().filter(|line| boost(&line.0) > 0.0);
            searched.map(|line| line.1.len() as f64).sum()
        };
        let average = rows.iter().map(|&row| length(row)).sum::<f64>() / rows.len() as f64;
        let asks: Vec<(Sign, Kind)> = asks.iter().flat_map(expand).collect();
        if asks.iter().all(|(sign, _)| *sign == Sign::Excluded) {
            return Vec::new();
        }
        let mut scores: Vec<Option<f64>> = vec![None; self.documents.len()];
        let mut dropped = vec![false; self.documents.len()];
        for (sign, kind) in &asks {
            let count = |row: usize| -> f64 {
                let lines = self.documents[row].iter();
                lines.map(|(field, words)| boost(field) * times(kind, words)).sum()
            };
            let counts: Vec<f64> = rows.iter().map(|&row| count(row)).collect();
            let frequency = counts.iter().filter(|count| **count > 0.0).count() as f64;
            let rarity = (1.0 + (rows.len() as f64 - frequency + 0.5) / (frequency + 0.5)).ln();
            for (&row, &count) in rows.iter().zip(&counts) {
                dropped[row] |= match sign {
                    Sign::Any => false,
                    Sign::Required => count == 0.0,
                    Sign::Excluded => count > 0.0,
                };
                if count > 0.0 && *sign != Sign::Excluded {
                    let held_back = 1.2 * (1.0 - 0.75 + 0.75 * length(row) / average);
                    let score = rarity * count * 2.2 / (count + held_back);
                    scores[row] = Some(scores[row].unwrap_or(0.0) + score);
                }
            }
        }
        let keep = |row: &usize| !dropped[*row] && filter.is_none_or(|bits| bit(bits, *row));
        let kept = rows.into_iter().filter(keep);
        let mut hits: Vec<(u32, f64)> =
            kept.filter_map(|row| scores[row].map(|score| (row as u32, score))).collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits
    }
}

/// A compound is its words, or a phrase behind a sign.
fn expand(ask: &Ask) -> Vec<(Sign, Kind)> {
    match (&ask.kind, ask.sign) {
        (Kind::Compound(words), Sign::Any) => {
            words.iter().map(|word| (Sign::Any, Kind::Word(word.clone()))).collect()
        }
        (Kind::Compound(words), sign) => vec![(sign, Kind::Phrase(words.clone()))],
        (kind, sign) => vec![(sign, kind.clone())],
    }
}

fn times(kind: &Kind, words: &[String]) -> f64 {
    match kind {
        Kind::Word(wanted) => words.iter().filter(|word| *word == wanted).count() as f64,
        Kind::Prefix(prefix) => words.iter().filter(|word| word.starts_with(prefix)).count() as f64,
        Kind::Phrase(phrase) | Kind::Compound(phrase) => {
            words.windows(phrase.len()).filter(|window| *window == phrase.as_slice()).count() as f64
        }
    }
}

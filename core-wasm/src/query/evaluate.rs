//! Matching: one walk over a document's bytes, which finds the conditions that hold, then the
//! filter's expression over those.
//!
//! The walk descends only where a path leads and skips everything else byte by byte. What a condition
//! compares is read in place; an array or object becomes a tree only where a condition compares with
//! one. A condition holds once any value at its path passes its test, so the walk only ever sets
//! bits, with one exception: a member that comes again in the same object replaces the one before,
//! so what that one set is taken back.

use core::cmp::Ordering;
use core::ops::Range;

use regex_lite::Regex;

use crate::limits::MAX_FILTER_CONDITIONS;
use crate::query::cursor::{Cursor, Scalar};
use crate::query::literal::{Atom, Literal};
use crate::query::path::Node;

/// A test of one value.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// There is a value.
    Exists,
    /// Equal to the literal.
    Equal(Literal),
    /// Of the literal's type, and in one of these two orders to it.
    Ordered(Ordering, Ordering, Literal),
    /// Equal to one of the literals, which are sorted.
    In(Vec<Literal>),
    /// A string with the literal in it, or an array with an element equal to it.
    Contains(Literal),
    /// A string that the pattern is found in.
    Regex(Regex),
}

impl Test {
    /// Whether it compares with an array or object.
    pub(super) fn is_deep(&self) -> bool {
        match self {
            Self::Equal(literal) | Self::Contains(literal) => literal.is_compound(),
            Self::In(literals) => literals.iter().any(Literal::is_compound),
            Self::Exists | Self::Ordered(..) | Self::Regex(_) => false,
        }
    }

    /// Whether a value passes: that at the path or, with `element`, an element of an array there.
    fn accepts(&self, atom: &Atom<'_>, element: bool) -> bool {
        match self {
            Self::Exists => !element,
            Self::Equal(literal) => atom.order(literal) == Ordering::Equal,
            Self::Ordered(one, other, literal) => {
                let like = matches!(
                    (atom, literal),
                    (Atom::Scalar(Scalar::Number(_)), Literal::Number(_))
                        | (Atom::Scalar(Scalar::Text(_)), Literal::Text(_))
                );
                let order = atom.order(literal);
                like && (order == *one || order == *other)
            }
            Self::In(literals) => {
                literals.binary_search_by(|literal| atom.order(literal).reverse()).is_ok()
            }
            Self::Contains(literal) if element => atom.order(literal) == Ordering::Equal,
            Self::Contains(Literal::Text(part)) => atom.text().is_some_and(|text| {
                match (core::str::from_utf8(text), core::str::from_utf8(part)) {
                    (Ok(text), Ok(part)) => text.contains(part),
                    _ => false,
                }
            }),
            Self::Contains(_) => false,
            Self::Regex(regex) => atom.text().is_some_and(|text| {
                core::str::from_utf8(text).is_ok_and(|text| regex.is_match(text))
            }),
        }
    }
}

/// How the conditions of a filter combine.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// The condition at this position of the tree's order holds.
    Holds(usize),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
}

impl Expression {
    fn value<const WORDS: usize>(&self, held: &Held<WORDS>) -> bool {
        match self {
            Self::Holds(position) => held.get(*position),
            Self::All(parts) => parts.iter().all(|part| part.value(held)),
            Self::Any(parts) => parts.iter().any(|part| part.value(held)),
            Self::Not(part) => !part.value(held),
        }
    }

    /// Replaces the numbers of conditions by their positions.
    pub(super) fn renumber(&mut self, positions: &[usize]) {
        match self {
            Self::Holds(number) => *number = positions.get(*number).copied().unwrap_or(*number),
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.renumber(positions);
                }
            }
            Self::Not(part) => part.renumber(positions),
        }
    }
}

/// Whether the document matches, of valid JSON.
pub(super) fn matches(tree: &Node, expression: &Expression, document: &[u8]) -> bool {
    if tree.all().len() <= 64 {
        walk::<1>(tree, expression, document) // nearly always, and then the bits are a register
    } else {
        walk::<MOST_WORDS>(tree, expression, document)
    }
}

fn walk<const WORDS: usize>(tree: &Node, expression: &Expression, document: &[u8]) -> bool {
    let mut walk = Walk { cursor: Cursor::new(document), held: Held([0; WORDS]) };
    if walk.cursor.peek() == b'{' && tree.has_children() {
        walk.object(tree, false);
    }
    expression.value(&walk.held)
}

/// A walk over a document.
struct Walk<'a, const WORDS: usize> {
    cursor: Cursor<'a>,
    held: Held<WORDS>,
}

impl<const WORDS: usize> Walk<'_, WORDS> {
    /// Passes the value at the cursor, which is at `node`, and sets the conditions that it fulfils.
    fn value(&mut self, node: &Node) {
        match self.cursor.peek() {
            b'[' => self.array(node),
            b'{' => {
                self.compound(node);
                if node.has_children() { self.object(node, false) } else { self.cursor.skip() }
            }
            _ if node.tests.is_empty() => self.cursor.skip(),
            _ => {
                let atom = Atom::Scalar(self.cursor.scalar());
                self.test(node, &atom, false);
            }
        }
    }

    /// Tests a value at `node`, or with `element` an element of an array there.
    fn test(&mut self, node: &Node, atom: &Atom<'_>, element: bool) {
        for (position, test) in (node.first()..).zip(&node.tests) {
            if test.accepts(atom, element) {
                self.held.set(position);
            }
        }
    }

    /// Tests the array or object at the cursor, but does not pass it. It becomes a tree only if it
    /// has to; the elements of an array that does not are tested when they are passed.
    fn compound(&mut self, node: &Node) {
        if node.deep {
            let tree = Literal::read(&mut self.cursor.clone());
            self.test(node, &Atom::Compound(&tree), false);
            if let Literal::Array(elements) = &tree {
                for element in elements {
                    self.test(node, &Atom::from(element), true);
                }
            }
        } else {
            for (position, test) in (node.first()..).zip(&node.tests) {
                if matches!(test, Test::Exists) {
                    self.held.set(position);
                }
            }
        }
    }

    /// Passes the object at the cursor. With `fanned` it is an element of an array at `node`, whose
    /// members are places below `node` if their names are no indexes.
    fn object(&mut self, node: &Node, fanned: bool) {
        let before = self.held;
        let mut more = self.cursor.enter();
        while more {
            let name = self.cursor.name();
            if let Some(child) = node.member(&name, fanned) {
                self.held.restore(child.all(), &before);
                self.value(child);
            } else {
                self.cursor.skip();
            }
            more = self.cursor.next();
        }
    }

    /// Passes the array at the cursor, which is at `node`.
    fn array(&mut self, node: &Node) {
        self.compound(node);
        let test_elements = !node.deep && !node.tests.is_empty();
        if !test_elements && !node.has_children() {
            return self.cursor.skip();
        }
        let mut indexed = node.elements().peekable();
        let mut more = self.cursor.enter();
        let mut index = 0;
        while more {
            let named = indexed.next_if(|(wanted, _)| *wanted == index);
            self.element(node, named.map(|(_, child)| child), test_elements);
            more = self.cursor.next();
            index += 1;
        }
    }

    /// Passes an element of an array at `node`; `child` is the place that its index leads to.
    fn element(&mut self, node: &Node, child: Option<&Node>, test: bool) {
        let start = self.cursor;
        if let Some(child) = child {
            self.value(child);
        }
        let end = self.cursor;
        self.cursor = start;
        match self.cursor.peek() {
            b'{' if node.fans_out() => self.object(node, true),
            // Not deep: no test that an array or object inside an array could pass.
            byte if test && !matches!(byte, b'[' | b'{') => {
                let atom = Atom::Scalar(self.cursor.scalar());
                self.test(node, &atom, true);
            }
            _ if child.is_some() => self.cursor = end,
            _ => self.cursor.skip(),
        }
    }
}

const MOST_WORDS: usize = MAX_FILTER_CONDITIONS.div_ceil(64);

/// The positions of the conditions that hold, as bits.
#[derive(Clone, Copy)]
struct Held<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Held<WORDS> {
    #[inline]
    fn set(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position / 64) {
            *word |= 1 << (position % 64);
        }
    }

    #[inline]
    fn get(&self, position: usize) -> bool {
        self.0.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Makes the bits of a range what they were in `before`.
    #[inline]
    fn restore(&mut self, range: Range<usize>, before: &Self) {
        if range.is_empty() {
            return;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let low = u64::MAX << (range.start % 64);
        let high = u64::MAX >> (63 - (range.end - 1) % 64);
        for word in first..=last {
            let mask = if word == first { low } else { u64::MAX }
                & if word == last { high } else { u64::MAX };
            if let (Some(now), Some(then)) = (self.0.get_mut(word), before.0.get(word)) {
                *now = *now & !mask | then & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_restored_and_nothing_else() {
        const WORDS: usize = MOST_WORDS;
        let last = 64 * WORDS;
        for (start, end) in [(0, 0), (0, 1), (63, 64), (63, 65), (5, 200), (64, 128), (0, last)] {
            let mut before = Held([0; WORDS]);
            (0..last).step_by(3).for_each(|position| before.set(position));
            let mut held = Held([u64::MAX; WORDS]);
            held.restore(start..end, &before);
            for position in 0..last {
                let expected = !(start..end).contains(&position) || position % 3 == 0;
                assert_eq!(held.get(position), expected, "{start}..{end} {position}");
            }
        }
    }
}

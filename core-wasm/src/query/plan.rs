//! Plans: how indexes answer a filter.
//!
//! A condition on an indexed field is a [`Lookup`]: encoded values that the index has to be looked up
//! for. What a plan finds is a superset of what matches. The caller runs the filter on everything
//! that was found, so a plan need not be exact, but it never misses a match.
//!
//! - A condition is looked up by itself, where an index knows anything about it: `$eq`, `$in`, the
//!   four of order, `$exists`, `$contains` of what is no string; `$regex` and `$contains` of a string
//!   leave all strings. Negations other than that of `$exists` are not looked up.
//! - Of conditions that all have to hold, the one with the fewest documents is looked up.
//! - Of conditions of which any has to hold, all are looked up, each with its own index; if one cannot
//!   be, nothing is.
//!
//! `{"$gt": 1, "$lt": 5}` on one field is two conditions, which in an array different elements may
//! fulfil. So they are one range only while an index says that no document has several values.

use core::cmp::Ordering;
use core::ops::Bound;

use crate::query::Filter;
use crate::query::encode;
use crate::query::evaluate::{Expression, Test};
use crate::query::literal::Literal;
use crate::sort::sort;

/// What an index is asked for, in encoded values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Documents with one of these values, which are sorted.
    Points(Vec<Vec<u8>>),
    /// Documents with a value in the range.
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>),
}

/// What is known of the indexes of a namespace.
pub trait Indexes {
    /// How many documents the index of the field finds, counted up to `at_most`; nothing if the field
    /// has no index.
    fn count(&self, field: &str, lookup: &Lookup, at_most: usize) -> Option<usize>;

    /// Whether no document has several values, or an array, in the field.
    fn is_single_valued(&self, field: &str) -> bool;

    /// Whether the index of the field finds no documents but those that have a value that is looked
    /// up.
    fn is_exact(&self, field: &str, lookup: &Lookup) -> bool;
}

/// What to look up: every match of the filter is found by one of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'f> {
    /// How many documents are found, those counted twice that two parts find.
    pub documents: usize,
    /// Whether every document that is found matches.
    pub is_exact: bool,
    /// Fields and what to ask their indexes for.
    pub parts: Vec<(&'f str, Lookup)>,
}

impl Filter {
    /// The plan that finds the fewest documents, if indexes help and it finds less than `at_most`.
    pub fn plan(&self, indexes: &dyn Indexes, at_most: usize) -> Option<Plan<'_>> {
        let tests = self.tree.all_tests();
        Planner { fields: &self.fields, tests, indexes }.plan(&self.expression, at_most)
    }

    /// The paths that the filter looks at, sorted, each once.
    pub fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = self.fields.iter().map(|field| (**field).into()).collect();
        sort(&mut fields);
        fields.dedup();
        fields
    }
}

struct Planner<'f, 'i> {
    /// The path of each condition, by its position.
    fields: &'f [Box<str>],
    /// The test of each.
    tests: Vec<&'f Test>,
    indexes: &'i dyn Indexes,
}

impl<'f> Planner<'f, '_> {
    fn condition(&self, position: usize) -> Option<(&'f str, &'f Test)> {
        Some((&**self.fields.get(position)?, *self.tests.get(position)?))
    }

    /// The best plan that finds less than `at_most`. Recursion is as deep as the filter.
    fn plan(&self, expression: &Expression, at_most: usize) -> Option<Plan<'f>> {
        match expression {
            Expression::Holds(position) => {
                let (field, test) = self.condition(*position)?;
                let is_exact = matches!(test, Test::Equal(_) | Test::In(_) | Test::Ordered(..));
                self.part(field, lookup(test)?, is_exact, at_most)
            }
            Expression::Not(inner) => {
                let (field, test) = self.condition(only(inner)?)?;
                let missing = Lookup::Points(vec![vec![encode::MISSING]]);
                matches!(test, Test::Exists).then(|| self.part(field, missing, false, at_most))?
            }
            Expression::All(_) => self.all(expression, at_most),
            Expression::Any(branches) => {
                let mut union = Plan { documents: 0, is_exact: true, parts: Vec::new() };
                for branch in branches {
                    let plan = self.plan(branch, at_most - union.documents)?;
                    union.documents += plan.documents;
                    union.is_exact &= plan.is_exact;
                    union.parts.extend(plan.parts);
                }
                Some(union)
            }
        }
    }

    /// The best of what conditions that all have to hold can be looked up by.
    fn all(&self, expression: &Expression, at_most: usize) -> Option<Plan<'f>> {
        let mut parts = Vec::new();
        flatten(expression, &mut parts);
        let mut ranges: Vec<(&'f str, Lookup)> = Vec::new();
        let mut others = Vec::new();
        for part in parts {
            match self.range(part) {
                Some((field, range)) => {
                    match ranges.iter_mut().find(|(other, _)| *other == field) {
                        Some((_, before)) => *before = intersection(before, &range),
                        None => ranges.push((field, range)),
                    }
                }
                None => others.push(part),
            }
        }
        let is_all = ranges.len() + others.len() == 1;
        let mut best: Option<Plan<'f>> = None;
        let mut keep = |plan: Option<Plan<'f>>| {
            best = plan.or(best.take());
            best.as_ref().map_or(at_most, |best| best.documents)
        };
        let mut bound = at_most;
        for (field, range) in ranges {
            bound = keep(self.part(field, range, is_all, bound));
        }
        for part in others {
            bound = keep(self.plan(part, bound));
        }
        if let Some(best) = &mut best {
            best.is_exact &= is_all;
        }
        best
    }

    /// The range of a condition of order on a field without several values.
    fn range(&self, expression: &Expression) -> Option<(&'f str, Lookup)> {
        let Expression::Holds(position) = expression else { return None };
        let (field, test) = self.condition(*position)?;
        let single = matches!(test, Test::Ordered(..)) && self.indexes.is_single_valued(field);
        single.then(|| lookup(test).map(|range| (field, range)))?
    }

    /// A plan of one part; `is_all` if the lookup is all that the filter asks for.
    fn part(
        &self,
        field: &'f str,
        lookup: Lookup,
        is_all: bool,
        at_most: usize,
    ) -> Option<Plan<'f>> {
        let documents = self.indexes.count(field, &lookup, at_most)?;
        let is_exact = is_all && self.indexes.is_exact(field, &lookup);
        let plan = Plan { documents, is_exact, parts: vec![(field, lookup)] };
        (documents < at_most).then_some(plan)
    }
}

/// The condition that is all of the expression.
fn only(expression: &Expression) -> Option<usize> {
    match expression {
        Expression::Holds(position) => Some(*position),
        Expression::All(parts) | Expression::Any(parts) => match parts.as_slice() {
            [part] => only(part),
            _ => None,
        },
        Expression::Not(_) => None,
    }
}

/// Appends the expressions that all have to hold.
fn flatten<'e>(expression: &'e Expression, out: &mut Vec<&'e Expression>) {
    match expression {
        Expression::All(parts) => parts.iter().for_each(|part| flatten(part, out)),
        Expression::Any(parts) if parts.len() == 1 => {
            parts.iter().for_each(|part| flatten(part, out));
        }
        other => out.push(other),
    }
}

/// What finds every document that passes the test.
fn lookup(test: &Test) -> Option<Lookup> {
    Some(match test {
        Test::Exists => Lookup::Range(Bound::Included(vec![encode::NULL]), Bound::Unbounded),
        Test::Equal(literal) => Lookup::Points(vec![encoded(literal)]),
        Test::In(literals) => Lookup::Points(literals.iter().map(encoded).collect()),
        Test::Ordered(one, other, literal) => {
            let first = match literal {
                Literal::Number(_) => encode::NUMBER,
                Literal::Text(_) => encode::TEXT,
                _ => return None,
            };
            let limit = encoded(literal);
            let inclusive = *one == Ordering::Equal || *other == Ordering::Equal;
            let limit = if inclusive { Bound::Included(limit) } else { Bound::Excluded(limit) };
            if *one == Ordering::Greater {
                Lookup::Range(limit, Bound::Excluded(vec![first + 1])) // the next type
            } else {
                Lookup::Range(Bound::Included(vec![first]), limit)
            }
        }
        Test::Contains(Literal::Text(_)) | Test::Regex(_) => {
            Lookup::Range(Bound::Included(vec![encode::TEXT]), Bound::Excluded(vec![encode::ARRAY]))
        }
        Test::Contains(literal) => Lookup::Points(vec![encoded(literal)]),
    })
}

fn encoded(literal: &Literal) -> Vec<u8> {
    let mut out = Vec::with_capacity(encode::SHORT_BYTES);
    encode::literal(literal, &mut out);
    out
}

/// What lies in both ranges, which are those of conditions of order: with a bound at each end.
fn intersection(left: &Lookup, right: &Lookup) -> Lookup {
    let (Lookup::Range(left_low, left_high), Lookup::Range(right_low, right_high)) = (left, right)
    else {
        return right.clone();
    };
    // Of bounds at the same value, that which excludes it is the tighter one: a greater lower bound,
    // and a lesser upper one.
    let low = if edge(left_low, true) > edge(right_low, true) { left_low } else { right_low };
    let high =
        if edge(left_high, false) < edge(right_high, false) { left_high } else { right_high };
    Lookup::Range(low.clone(), high.clone())
}

/// The value of a bound, and whether it lies behind it for one that excludes its value if `behind`,
/// for one that includes it if not.
fn edge(bound: &Bound<Vec<u8>>, behind: bool) -> (&[u8], bool) {
    match bound {
        Bound::Included(key) => (key, !behind),
        Bound::Excluded(key) => (key, behind),
        Bound::Unbounded => (&[], false),
    }
}

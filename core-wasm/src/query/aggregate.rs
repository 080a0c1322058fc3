//! Aggregations: sums, means, extremes and counts of groups of documents.
//!
//! # Meaning
//!
//! `{"total": {"$sum": "amount"}}` names aggregates, each an operator on a path:
//!
//! | operator | gives |
//! |---|---|
//! | `$sum` | the sum of the numbers, 0 of none |
//! | `$avg` | their mean, null of none |
//! | `$min`, `$max` | the least or greatest value in the total order, null included; null of none |
//! | `$count` | with `true` or `{}`, the documents; with a path, those that have it, and not as null |
//! | `$first`, `$last` | the value of the first or last document, null if that has none |
//!
//! The first and last document are those that were added first and last. `$key` and `$timestamp`
//! in place of a path are the document's key and time. A value that is no object has no fields.
//!
//! **Several values.** A path that goes through the elements of an array leads to a value in each of
//! them. `$sum`, `$avg`, `$min` and `$max` take each of them. `$first`, `$last` and groups take the
//! array of them, `[]` if there is none. An array that is a value itself is one value: it is no
//! number, and is compared and grouped as a whole.
//!
//! **Numbers.** A sum of integers is exact, beyond 64 bits too. If any of the numbers is a float (is
//! written with a point or an exponent), the exact sum of all of them is rounded once. A mean is the
//! exact sum divided by the count, rounded once. Neither depends on the order of the documents.
//!
//! # Groups
//!
//! Documents whose values at all the paths of `group_by` are equal make a group; missing is the same
//! as null. Equality is by meaning: 1 is 1.0, and the order of members does not matter; the group has
//! the value as the first of its documents spells it. Groups come sorted by these values. Without
//! `group_by` there is one group, even of no documents.

use crate::error::{Error, Result};
use crate::limits::{MAX_AGGREGATES, MAX_GROUP_PATHS};
use crate::query::control;
use crate::query::fields::Fields;
use crate::query::groups::Groups;
use crate::query::literal::Literal;

const OPERATORS: &str = "$sum, $avg, $min, $max, $count, $first, $last";

/// A specification of aggregates and groups.
///
/// ```
/// use koru_delta_core::query::Aggregation;
///
/// let json = br#"{"spec": {"total": {"$sum": "n"}, "docs": {"$count": true}}, "group_by": "city"}"#;
/// let aggregation = Aggregation::parse(json).unwrap();
/// let mut groups = aggregation.start();
/// groups.add(br#"{"city": "Rome", "n": 1}"#, "a", 0).unwrap();
/// groups.add(br#"{"city": "Oslo", "n": 2}"#, "b", 0).unwrap();
/// groups.add(br#"{"city": "Rome", "n": 3.5}"#, "c", 0).unwrap();
/// let expected = r#"[{"city":"Oslo","total":2,"docs":1},{"city":"Rome","total":4.5,"docs":2}]"#;
/// assert_eq!(groups.finish().unwrap(), expected.as_bytes());
/// ```
#[derive(Clone, Debug)]
pub struct Aggregation {
    pub(super) fields: Fields,
    pub(super) group_by: Vec<Column>,
    pub(super) grouped: bool,
    pub(super) aggregates: Vec<Aggregate>,
}

/// A member of the outcome.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) source: Source,
}

/// What a column reads of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// That it is there.
    Document,
    Key,
    Timestamp,
    /// The path of this number.
    Field(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) column: Column,
    pub(super) operator: Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Sum,
    Average,
    Minimum,
    Maximum,
    Count,
    First,
    Last,
}

impl Operator {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sum => "$sum",
            Self::Average => "$avg",
            Self::Minimum => "$min",
            Self::Maximum => "$max",
            Self::Count => "$count",
            Self::First => "$first",
            Self::Last => "$last",
        }
    }

    fn named(name: &str) -> Option<Self> {
        use Operator::{Average, Count, First, Last, Maximum, Minimum, Sum};
        [Sum, Average, Minimum, Maximum, Count, First, Last]
            .into_iter()
            .find(|operator| operator.name() == name)
    }
}

impl Aggregation {
    /// How many keys of a document are made at most: one for each column and each aggregate.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.group_by.len() + self.aggregates.len()
    }

    /// Reads `{"spec": {name: {operator: path}, ...}, "group_by": null | path | [path, ...]}`.
    ///
    /// # Errors
    /// `Invalid`, with the place in the message as in `aggregate.total.$sum`, if it is anything else,
    /// asks for nothing, has a name twice, or exceeds [`MAX_AGGREGATES`] or [`MAX_GROUP_PATHS`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        let mut cursor = control::open("aggregate", json)?;
        let mut aggregation = Self {
            fields: Fields::default(),
            group_by: Vec::new(),
            grouped: false,
            aggregates: Vec::new(),
        };
        if cursor.peek() != b'{' {
            let found = Literal::read(&mut cursor);
            return Err(control::wrong_type("aggregate", "an object", &found));
        }
        let mut more = cursor.enter();
        let mut spec = None;
        while more {
            match &*cursor.name() {
                b"spec" => {
                    spec = Some(cursor);
                    cursor.skip();
                }
                b"group_by" => aggregation.read_groups(Literal::read(&mut cursor))?,
                other => {
                    let problem = format!("unknown member {:?}", String::from_utf8_lossy(other));
                    let suggestion = "give spec and group_by";
                    return Err(control::invalid("aggregate", &problem, suggestion));
                }
            }
            more = cursor.next();
        }
        match spec {
            Some(spec) if spec.peek() == b'{' => aggregation.read_spec(spec)?,
            Some(mut spec) => {
                let found = Literal::read(&mut spec);
                return Err(control::wrong_type("aggregate", "an object of aggregates", &found));
            }
            None => {}
        }
        if aggregation.aggregates.is_empty() && !aggregation.grouped {
            let suggestion = "name at least one aggregate: {\"n\": {\"$count\": true}}";
            return Err(control::invalid("aggregate", "nothing to do", suggestion));
        }
        Ok(aggregation)
    }

    /// Begins with no documents. Documents live as long as `'a`: what groups keep of them is not
    /// copied.
    pub fn start<'a>(&self) -> Groups<'a, '_> {
        Groups::new(self)
    }

    fn read_groups(&mut self, literal: Literal) -> Result<()> {
        let (paths, listed) = match literal {
            Literal::Null => return Ok(()),
            Literal::Text(_) => (vec![literal], false),
            other => {
                let expected = "a path or a list of paths";
                (control::list("group_by", other, expected, MAX_GROUP_PATHS)?, true)
            }
        };
        if paths.is_empty() {
            let suggestion = "name at least one field, or leave group_by out";
            return Err(control::invalid("group_by", "an empty list", suggestion));
        }
        self.grouped = true;
        for (index, path) in paths.iter().enumerate() {
            let place = if listed { format!("group_by[{index}]") } else { "group_by".to_owned() };
            let name = control::path_or_pseudo(&place, path)?;
            if self.group_by.iter().any(|column| column.name == name) {
                let problem = format!("the field {:?} again", control::shown(&name));
                return Err(control::invalid(&place, &problem, "name each field once"));
            }
            let source = self.source(&name);
            self.group_by.push(Column { name, source });
        }
        Ok(())
    }

    fn read_spec(&mut self, mut cursor: crate::query::cursor::Cursor<'_>) -> Result<()> {
        let mut more = cursor.enter();
        while more {
            let name = String::from_utf8_lossy(&cursor.name()).into_owned();
            let place = format!("aggregate.{}", control::shown(&name));
            if self.aggregates.len() == MAX_AGGREGATES {
                let problem = format!("more than {MAX_AGGREGATES} aggregates");
                return Err(control::invalid(&place, &problem, "ask for them in several calls"));
            }
            if self.group_by.iter().any(|column| column.name == name) {
                let suggestion = "the outcome has both as members: give it another name";
                return Err(control::invalid(&place, "the name of a group's path", suggestion));
            }
            if self.aggregates.iter().any(|aggregate| aggregate.column.name == name) {
                return Err(control::invalid(&place, "a name that comes twice", "name it once"));
            }
            let aggregate = self.aggregate(name, &place, Literal::read(&mut cursor))?;
            self.aggregates.push(aggregate);
            more = cursor.next();
        }
        Ok(())
    }

    fn aggregate(&mut self, name: String, place: &str, literal: Literal) -> Result<Aggregate> {
        let Literal::Object(members) = literal else {
            return Err(control::wrong_type(place, "an object such as {\"$sum\": path}", &literal));
        };
        let [(operator_name, operand)] = members.as_slice() else {
            let problem = format!("{} operators, expected one", members.len());
            return Err(control::invalid(
                place,
                &problem,
                "give one, as in {\"$sum\": \"amount\"}",
            ));
        };
        let operator_name = String::from_utf8_lossy(operator_name);
        let place = format!("{place}.{}", control::shown(&operator_name));
        let operator = Operator::named(&operator_name).ok_or_else(|| unknown_operator(&place))?;
        let source = match operand {
            Literal::Bool(true) if operator == Operator::Count => Source::Document,
            Literal::Object(members) if operator == Operator::Count && members.is_empty() => {
                Source::Document
            }
            Literal::Text(_) => {
                let path = control::path_or_pseudo(&place, operand)?;
                self.source(&path)
            }
            other if operator == Operator::Count => {
                return Err(control::wrong_type(&place, "true, {} or a field's path", other));
            }
            other => return Err(control::wrong_type(&place, "a field's path", other)),
        };
        Ok(Aggregate { column: Column { name, source }, operator })
    }

    fn source(&mut self, path: &str) -> Source {
        match path.as_bytes() {
            control::KEY => Source::Key,
            control::TIMESTAMP => Source::Timestamp,
            _ => Source::Field(self.fields.add(path)),
        }
    }
}

fn unknown_operator(place: &str) -> Error {
    control::invalid(place, "unknown operator", &format!("the operators are {OPERATORS}"))
}

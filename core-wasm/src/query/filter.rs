//! Reading filters: from JSON to an expression over conditions, with every mistake refused by name.

use core::cmp::Ordering::{Equal, Greater, Less};

use regex_lite::{Regex, RegexBuilder};

use crate::codec::json::validate;
use crate::error::{Error, Kind, Result};
use crate::limits::{
    MAX_FILTER_BYTES, MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, MAX_JSON_DEPTH, MAX_REGEX_BYTES,
    MAX_REGEX_PROGRAM_BYTES,
};
use crate::query::Filter;
use crate::query::cursor::Cursor;
use crate::query::evaluate::{Expression, Test};
use crate::query::literal::Literal;
use crate::query::path::{Condition, Node, split};
use crate::sort::sort;

/// The members of an object.
type Members = Vec<(Box<[u8]>, Literal)>;

const FIELD_OPERATORS: &str =
    "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains, $regex, $not";
const LOGICAL_OPERATORS: &str = "$and, $or, $not";
/// Longest part of a place in a message, in bytes.
const MAX_PLACE_PART_BYTES: usize = 80;

/// Room for a place that needs no more while a filter is read.
const PLACE_BYTES: usize = 120;

/// Reads a filter.
pub(super) fn parse(json: &[u8]) -> Result<Filter> {
    let mut reader =
        Reader { conditions: Vec::new(), count: 0, place: String::with_capacity(PLACE_BYTES) };
    reader.place.push_str("where");
    if json.len() > MAX_FILTER_BYTES {
        let problem = format!("{} bytes, more than the {MAX_FILTER_BYTES} of a filter", json.len());
        return Err(reader.error(&problem, "split the filter, or match by a field instead"));
    }
    validate(json).map_err(|error| Error {
        kind: Kind::Invalid,
        message: format!("where: {}", error.message.replace("the value is ", "")),
        ..error
    })?;
    let mut expression = reader.filter(Literal::read(&mut Cursor::new(json)), 1)?;
    let (tree, fields, positions) = Node::tree(reader.conditions);
    expression.renumber(&positions);
    Ok(Filter { tree, fields, expression })
}

struct Reader {
    conditions: Vec<Condition>,
    /// Of conditions, with one for each empty filter.
    count: usize,
    /// Where in the filter the reader is.
    place: String,
}

impl Reader {
    fn error(&self, problem: &str, suggestion: &str) -> Error {
        Error::new(Kind::Invalid, format!("{}: {problem}", self.place), suggestion)
    }

    fn wrong_type(&self, expected: &str, found: &Literal) -> Error {
        let problem = format!("expected {expected}, found {}", found.kind());
        self.error(&problem, &format!("give {expected}"))
    }

    /// Reads with a part added to the place.
    fn at<T>(
        &mut self,
        (lead, part): (&str, &str),
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let length = self.place.len();
        let cut = (MAX_PLACE_PART_BYTES - lead.len()).min(part.len());
        let end = (0..=cut).rev().find(|&end| part.is_char_boundary(end)).unwrap_or(0);
        self.place.push_str(lead);
        self.place.push_str(part.get(..end).unwrap_or_default());
        if end < part.len() {
            self.place.push_str("...");
        }
        let outcome = read(self)?;
        self.place.truncate(length);
        Ok(outcome)
    }

    fn at_member<T>(
        &mut self,
        name: &[u8],
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.at((".", &String::from_utf8_lossy(name)), read)
    }

    fn check_depth(&self, depth: usize) -> Result<()> {
        if depth <= MAX_FILTER_DEPTH {
            return Ok(());
        }
        let problem = format!("nested more than {MAX_FILTER_DEPTH} levels deep");
        Err(self.error(&problem, "flatten the filter: $and inside $and is one $and"))
    }

    fn count_condition(&mut self) -> Result<()> {
        self.count += 1;
        if self.count <= MAX_FILTER_CONDITIONS {
            return Ok(());
        }
        let problem = format!("more than {MAX_FILTER_CONDITIONS} conditions");
        Err(self.error(&problem, "give many values to one $in, or split the filter"))
    }

    /// A filter: fields and logical operators, all of which have to match.
    fn filter(&mut self, literal: Literal, depth: usize) -> Result<Expression> {
        let Literal::Object(members) = literal else {
            return Err(self.wrong_type("an object", &literal));
        };
        self.check_depth(depth)?;
        if members.is_empty() {
            self.count_condition()?;
        }
        let mut all = Vec::with_capacity(members.len());
        for (name, operand) in members {
            all.push(self.at_member(&name, |reader| match &*name {
                b"$and" => Ok(Expression::All(reader.filters(operand, depth)?)),
                b"$or" => Ok(Expression::Any(reader.filters(operand, depth)?)),
                b"$not" => Ok(Expression::Not(Box::new(reader.filter(operand, depth + 1)?))),
                [b'$', ..] => Err(reader.misplaced(&name, "here", LOGICAL_OPERATORS)),
                _ => reader.field(&name, operand, depth),
            })?);
        }
        Ok(Expression::All(all))
    }

    /// The operand of `$and` and `$or`.
    fn filters(&mut self, operand: Literal, depth: usize) -> Result<Vec<Expression>> {
        let Literal::Array(filters) = operand else {
            return Err(self.wrong_type("an array of filters", &operand));
        };
        if filters.is_empty() {
            return Err(self.error("an empty array", "give at least one filter, or leave it out"));
        }
        let filters = filters.into_iter().enumerate();
        filters
            .map(|(index, filter)| {
                self.at(("", &format!("[{index}]")), |reader| reader.filter(filter, depth + 1))
            })
            .collect()
    }

    /// A field with a literal or an object of operators.
    fn field(&mut self, name: &[u8], operand: Literal, depth: usize) -> Result<Expression> {
        let path_parts = name.split(|&byte| byte == b'.').count();
        if path_parts > MAX_JSON_DEPTH {
            let problem = format!("a path of {path_parts} parts, more than {MAX_JSON_DEPTH}");
            return Err(self.error(&problem, "values nest no deeper than that"));
        }
        match operand {
            Literal::Object(members) if members.iter().any(|(name, _)| name.starts_with(b"$")) => {
                self.operators(name, members, depth + 1)
            }
            literal => self.condition(name, Test::Equal(literal)),
        }
    }

    /// Operators on a field, all of which have to match.
    fn operators(&mut self, field: &[u8], members: Members, depth: usize) -> Result<Expression> {
        self.check_depth(depth)?;
        let mut all = Vec::with_capacity(members.len());
        for (name, operand) in members {
            all.push(self.at_member(&name, |reader| {
                if name.starts_with(b"$") {
                    reader.operator(field, &name, operand, depth)
                } else {
                    let suggestion = "compare with an object by {\"$eq\": {...}}, and with a field \
                                      inside it by a dotted path";
                    Err(reader.error("a field among operators", suggestion))
                }
            })?);
        }
        Ok(Expression::All(all))
    }

    fn operator(
        &mut self,
        field: &[u8],
        name: &[u8],
        operand: Literal,
        depth: usize,
    ) -> Result<Expression> {
        let (test, holds) = match name {
            b"$eq" => (Test::Equal(operand), true),
            b"$ne" => (Test::Equal(operand), false),
            b"$gt" => (Test::Ordered(Greater, Greater, self.ordered(operand)?), true),
            b"$gte" => (Test::Ordered(Greater, Equal, self.ordered(operand)?), true),
            b"$lt" => (Test::Ordered(Less, Less, self.ordered(operand)?), true),
            b"$lte" => (Test::Ordered(Less, Equal, self.ordered(operand)?), true),
            b"$in" => (Test::In(self.set(operand)?), true),
            b"$nin" => (Test::In(self.set(operand)?), false),
            b"$contains" => (Test::Contains(operand), true),
            b"$regex" => (Test::Regex(self.regex(&operand)?), true),
            b"$exists" => match operand {
                Literal::Bool(wanted) => (Test::Exists, wanted),
                other => return Err(self.wrong_type("a boolean", &other)),
            },
            b"$not" => match operand {
                Literal::Object(members) if !members.is_empty() => {
                    let negated = self.operators(field, members, depth + 1)?;
                    return Ok(Expression::Not(Box::new(negated)));
                }
                Literal::Object(_) => {
                    let suggestion = "give at least one operator, such as {\"$gt\": 5}";
                    return Err(self.error("an empty object", suggestion));
                }
                other => return Err(self.wrong_type("an object of operators", &other)),
            },
            _ => return Err(self.misplaced(name, "under a field", FIELD_OPERATORS)),
        };
        let condition = self.condition(field, test)?;
        Ok(if holds { condition } else { Expression::Not(Box::new(condition)) })
    }

    fn condition(&mut self, field: &[u8], test: Test) -> Result<Expression> {
        self.count_condition()?;
        let number = self.conditions.len();
        let name = String::from_utf8_lossy(field).into();
        self.conditions.push(Condition { number, name, path: split(field), test });
        Ok(Expression::Holds(number))
    }

    /// An operator that is unknown, or known elsewhere.
    fn misplaced(&self, name: &[u8], place: &str, known: &str) -> Error {
        let name = String::from_utf8_lossy(name);
        let is_in = |operators: &str| operators.split(", ").any(|operator| operator == name);
        if is_in(FIELD_OPERATORS) {
            let suggestion = format!("put it under a field: {{\"field\": {{\"{name}\": ...}}}}");
            self.error("an operator without a field", &suggestion)
        } else if is_in(LOGICAL_OPERATORS) {
            let suggestion =
                format!("put it around fields: {{\"{name}\": [{{\"field\": ...}}, ...]}}");
            self.error("an operator that does not go under a field", &suggestion)
        } else if name == "$options" {
            self.error("unknown operator", "write the flags in the pattern, as in (?i)cat")
        } else {
            self.error("unknown operator", &format!("the operators {place} are {known}"))
        }
    }

    fn ordered(&self, operand: Literal) -> Result<Literal> {
        match operand {
            Literal::Number(_) | Literal::Text(_) => Ok(operand),
            other => Err(self.wrong_type("a number or a string", &other)),
        }
    }

    fn set(&self, operand: Literal) -> Result<Vec<Literal>> {
        let Literal::Array(mut literals) = operand else {
            return Err(self.wrong_type("an array", &operand));
        };
        sort(&mut literals);
        literals.dedup();
        Ok(literals)
    }

    fn regex(&self, operand: &Literal) -> Result<Regex> {
        let Literal::Text(pattern) = operand else {
            return Err(self.wrong_type("a string", operand));
        };
        if pattern.len() > MAX_REGEX_BYTES {
            let problem =
                format!("a pattern of {} bytes, more than {MAX_REGEX_BYTES}", pattern.len());
            return Err(self.error(&problem, "shorten the pattern"));
        }
        let pattern = String::from_utf8_lossy(pattern);
        let compiled = RegexBuilder::new(&pattern).size_limit(MAX_REGEX_PROGRAM_BYTES).build();
        compiled.map_err(|error| {
            let suggestion = "patterns are those of Rust's regex-lite: no look-around, no \
                              back-references, no \\p classes, bounded repetition";
            self.error(&format!("the pattern cannot be compiled: {error}"), suggestion)
        })
    }
}

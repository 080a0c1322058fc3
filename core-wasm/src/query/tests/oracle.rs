//! The semantics of filters over trees, written to be read and not to be fast.

use core::cmp::Ordering;

use regex_lite::Regex;
use serde_json::{Number, Value};

/// Whether the value matches a filter that is known to be good.
pub(super) fn matches(value: &Value, filter: &Value) -> bool {
    filter.as_object().unwrap().iter().all(|(name, operand)| match name.as_str() {
        "$and" => operand.as_array().unwrap().iter().all(|filter| matches(value, filter)),
        "$or" => operand.as_array().unwrap().iter().any(|filter| matches(value, filter)),
        "$not" => !matches(value, operand),
        path => {
            let parts: Vec<&str> = path.split('.').collect();
            let found = if value.is_object() { resolve(value, &parts) } else { Vec::new() };
            field(&found, operand)
        }
    })
}

/// The values that a path leads to.
pub(super) fn resolve<'a>(value: &'a Value, parts: &[&str]) -> Vec<&'a Value> {
    let Some((part, rest)) = parts.split_first() else { return vec![value] };
    let next: Vec<&Value> = match value {
        Value::Object(members) => members.get(*part).into_iter().collect(),
        Value::Array(elements) => {
            let number = part.parse::<u128>().ok();
            match number.filter(|number| number.to_string() == *part) {
                Some(index) => elements.get(usize::try_from(index).unwrap()).into_iter().collect(),
                None => {
                    elements.iter().filter_map(|element| element.as_object()?.get(*part)).collect()
                }
            }
        }
        _ => Vec::new(),
    };
    next.into_iter().flat_map(|value| resolve(value, rest)).collect()
}

fn field(found: &[&Value], operand: &Value) -> bool {
    match operand.as_object() {
        Some(members) if members.keys().any(|name| name.starts_with('$')) => {
            members.iter().all(|(name, operand)| operator(found, name, operand))
        }
        _ => operator(found, "$eq", operand),
    }
}

fn operator(found: &[&Value], name: &str, operand: &Value) -> bool {
    // The values, and the elements of those that are arrays.
    let mut each = found
        .iter()
        .flat_map(|value| core::iter::once(*value).chain(value.as_array().into_iter().flatten()));
    let ordered = |wanted: &[Ordering]| {
        each.clone().any(|value| order(value, operand).is_some_and(|order| wanted.contains(&order)))
    };
    match name {
        "$eq" => each.any(|value| equal(value, operand)),
        "$ne" => !operator(found, "$eq", operand),
        "$gt" => ordered(&[Ordering::Greater]),
        "$gte" => ordered(&[Ordering::Greater, Ordering::Equal]),
        "$lt" => ordered(&[Ordering::Less]),
        "$lte" => ordered(&[Ordering::Less, Ordering::Equal]),
        "$in" => operand.as_array().unwrap().iter().any(|one| operator(found, "$eq", one)),
        "$nin" => !operator(found, "$in", operand),
        "$exists" => found.is_empty() != (operand == &Value::Bool(true)),
        "$contains" => found.iter().any(|value| match value {
            Value::String(text) => operand.as_str().is_some_and(|part| text.contains(part)),
            Value::Array(elements) => elements.iter().any(|element| equal(element, operand)),
            _ => false,
        }),
        "$regex" => {
            let regex = Regex::new(operand.as_str().unwrap()).unwrap();
            each.any(|value| value.as_str().is_some_and(|text| regex.is_match(text)))
        }
        "$not" => !field(found, operand),
        _ => unreachable!("{name}"),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(compare(left, right)),
        (Value::String(left), Value::String(right)) => Some(left.chars().cmp(right.chars())),
        _ => None,
    }
}

pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, left)| right.get(name).is_some_and(|right| equal(left, right)))
        }
        (Value::Number(_), Value::Number(_)) => order(left, right) == Some(Ordering::Equal),
        _ => left == right,
    }
}

/// By whole parts, and then by fractions. Floats beyond any integer count as one whole part, with
/// the float itself as the fraction; a fraction below -1 is a float far below.
#[expect(clippy::cast_possible_truncation, reason = "the whole part of a float below 1e30 fits")]
pub(super) fn compare(left: &Number, right: &Number) -> Ordering {
    let parts = |number: &Number| match (number.as_i128(), number.as_f64()) {
        (Some(integer), _) => (integer, 0.0),
        (None, Some(float)) if float.abs() > 1e30 => (i128::MAX, float),
        (None, Some(float)) => (float.trunc() as i128, float - float.trunc()),
        (None, None) => unreachable!(),
    };
    let far_below = |(_, fraction): (i128, f64)| fraction < -1.0;
    let (left, right) = (parts(left), parts(right));
    match (far_below(left), far_below(right)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)),
    }
}

/// The total order of values.
pub(super) fn total(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => compare(left, right),
        (Value::String(left), Value::String(right)) => left.chars().cmp(right.chars()),
        (Value::Array(left), Value::Array(right)) => lexicographic(left, right, total),
        (Value::Object(left), Value::Object(right)) => {
            // serde_json sorts members by name.
            lexicographic(left.iter(), right.iter(), |left, right| {
                left.0.cmp(right.0).then_with(|| total(left.1, right.1))
            })
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn lexicographic<T>(
    left: impl IntoIterator<Item = T>,
    right: impl IntoIterator<Item = T>,
    compare: impl Fn(T, T) -> Ordering,
) -> Ordering {
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match compare(left, right) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}

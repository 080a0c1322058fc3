//! What one aggregate of one group has come to.

use crate::error::Result;
use crate::query::aggregate::{Aggregate, Aggregation, Operator, Source};
use crate::query::control;
use crate::query::cursor::{Cursor, Scalar};
use crate::query::encode;
use crate::query::exact::Exact;
use crate::query::groups::{Document, Json, owned_bytes};

/// The digits of an integer of 128 bits with its sign; floats have fewer.
const LONGEST_NUMBER_BYTES: usize = 40;

#[derive(Clone, Debug)]
pub(super) enum State<'a> {
    Sum(Sum),
    Average(Sum),
    /// The least or, with `true`, the greatest value so far, and its encoding.
    Best(bool, Vec<u8>, Option<Json<'a>>),
    Count(u64),
    /// The value of the first document, once there was one.
    First(Option<Option<Json<'a>>>),
    Last(Option<Json<'a>>),
}

/// A sum of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    count: u64,
    /// Of those written as integers: 2^64 of them would fit.
    integers: i128,
    /// Of all others.
    floats: Option<Box<Exact>>,
}

impl<'a> State<'a> {
    pub(super) fn new(operator: Operator) -> Self {
        match operator {
            Operator::Sum => Self::Sum(Sum::default()),
            Operator::Average => Self::Average(Sum::default()),
            Operator::Minimum => Self::Best(false, Vec::new(), None),
            Operator::Maximum => Self::Best(true, Vec::new(), None),
            Operator::Count => Self::Count(0),
            Operator::First => Self::First(None),
            Operator::Last => Self::Last(None),
        }
    }

    /// Adds what the source is in a document. What is in `new` does not matter.
    pub(super) fn add(
        &mut self,
        aggregation: &Aggregation,
        source: Source,
        document: &Document<'a, '_>,
        new: &mut Vec<u8>,
    ) {
        match self {
            Self::Sum(sum) | Self::Average(sum) => {
                document.each(aggregation, source, &mut |value| sum.add(&value));
            }
            Self::Best(greatest, encoding, best) => {
                document.each(aggregation, source, &mut |value| {
                    new.clear();
                    encode::value(&mut Cursor::new(&value), new);
                    if best.is_none() || (new != encoding && (*new > *encoding) == *greatest) {
                        core::mem::swap(encoding, new);
                        *best = Some(value);
                    }
                });
            }
            Self::Count(count) => {
                let mut any = false;
                document.each(aggregation, source, &mut |value| any |= *value != *b"null");
                *count += u64::from(any);
            }
            Self::First(first) => {
                first.get_or_insert_with(|| document.whole(aggregation, source));
            }
            Self::Last(last) => *last = document.whole(aggregation, source),
        }
    }

    /// The bytes that it keeps beside the structure itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Sum(sum) | Self::Average(sum) => {
                sum.floats.as_ref().map_or(0, |floats| size_of::<Exact>() + floats.bytes())
            }
            Self::Best(_, encoding, best) => {
                encoding.capacity() + best.as_ref().map_or(0, owned_bytes)
            }
            Self::Count(_) => 0,
            Self::First(first) => first.iter().flatten().map(owned_bytes).sum(),
            Self::Last(last) => last.as_ref().map_or(0, owned_bytes),
        }
    }

    /// Most bytes of the outcome.
    pub(super) fn written_bytes(&self) -> usize {
        match self {
            Self::Best(_, _, Some(value))
            | Self::First(Some(Some(value)))
            | Self::Last(Some(value)) => value.len(),
            _ => LONGEST_NUMBER_BYTES,
        }
    }

    /// The outcome as JSON.
    pub(super) fn finish(self, aggregate: &Aggregate) -> Result<Json<'a>> {
        Ok(match self {
            Self::Sum(Sum { floats: None, integers, .. }) => {
                integers.to_string().into_bytes().into()
            }
            Self::Average(Sum { count: 0, .. }) => Json::Borrowed(b"null"),
            Self::Sum(sum) => float(sum.exact().sum(), aggregate)?,
            Self::Average(sum) => {
                let count = sum.count;
                float(sum.exact().quotient(count), aggregate)?
            }
            Self::Best(_, _, value) | Self::Last(value) | Self::First(Some(value)) => {
                value.unwrap_or(Json::Borrowed(b"null"))
            }
            Self::First(None) => Json::Borrowed(b"null"),
            Self::Count(count) => count.to_string().into_bytes().into(),
        })
    }
}

impl Sum {
    /// Adds a value if it is a number.
    fn add(&mut self, value: &[u8]) {
        if !matches!(value.first(), Some(b'-' | b'0'..=b'9')) {
            return;
        }
        let Scalar::Number(number) = Cursor::new(value).scalar() else { return };
        self.count += 1;
        let is_float = value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        match number.as_integer().filter(|_| !is_float) {
            Some(integer) => self.integers += integer,
            None => self.floats.get_or_insert_default().add(number.as_f64()),
        }
    }

    /// The whole sum.
    fn exact(self) -> Exact {
        let mut exact = self.floats.map(|floats| *floats).unwrap_or_default();
        exact.add_integer(self.integers);
        exact
    }
}

fn float<'a>(value: f64, aggregate: &Aggregate) -> Result<Json<'a>> {
    if let Some(number) = serde_json::Number::from_f64(value) {
        return Ok(number.to_string().into_bytes().into());
    }
    let name = control::shown(&aggregate.column.name);
    let place = format!("aggregate.{name}.{}", aggregate.operator.name());
    let problem = "the sum is beyond all floats (about 1.8e308), and JSON has no infinity";
    Err(control::invalid(&place, problem, "leave such documents out with where, or take $avg"))
}

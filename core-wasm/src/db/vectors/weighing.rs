//! Ranking vectors by their cosine and by how old and how important their versions are.

use core::ops::Range;

use super::super::lift::Lift;
use super::super::versions::{Place, Versions};
use crate::vector;

/// A search of which the cosine is one part of a ranking.
pub(in crate::db) struct Weighing<'a> {
    /// Only versions of these places.
    pub(in crate::db) places: Range<Place>,
    /// Cosines below this do not count.
    pub(in crate::db) least: f64,
    /// The number of a version that weighs, if its value is at hand.
    pub(in crate::db) number: &'a dyn Fn(Place) -> Option<f64>,
    /// What a version's cosine is multiplied by: at most 1.
    pub(in crate::db) lift: &'a Lift,
}

impl Weighing<'_> {
    pub(super) fn is_of_all(&self) -> bool {
        self.places == (0..Place::MAX)
    }
}

/// Ranks the rows of a set.
pub(super) struct Weigher<'a> {
    pub(super) weighing: &'a Weighing<'a>,
    pub(super) places: &'a [Place],
    pub(super) numbers: &'a [f64],
    pub(super) versions: &'a Versions,
}

impl Weigher<'_> {
    /// The time and the number of a row's version.
    #[inline]
    fn facts(&self, row: u32) -> Option<(u64, f64)> {
        let at = usize::try_from(row).ok()?;
        let place = *self.places.get(at)?;
        let version = self.versions.get(place)?;
        let known = self.numbers.get(at).copied().filter(|number| !number.is_nan());
        Some((version.timestamp, known.or_else(|| (self.weighing.number)(place))?))
    }
}

impl vector::Weigh for Weigher<'_> {
    fn weigh(&self, row: u32, cosine: f32) -> Option<f32> {
        if cosine <= 0.0 || f64::from(cosine) < self.weighing.least {
            return None;
        }
        let (timestamp, number) = self.facts(row)?;
        let (lift, _) = self.weighing.lift.of(timestamp, number);
        #[expect(clippy::cast_possible_truncation, reason = "ranked as float32, with a slack")]
        let weighed = (f64::from(cosine) * lift) as f32;
        Some(weighed.min(cosine))
    }

    #[inline]
    fn most(&self, row: u32) -> f32 {
        let facts = self.facts(row);
        let most = facts.map_or(1.0, |(time, number)| self.weighing.lift.at_most(time, number));
        #[expect(clippy::cast_possible_truncation, reason = "with a slack")]
        let most = most as f32;
        most
    }
}

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

/// What weighs a version. Kept by row: those of versions lie far apart.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// When it was written.
    pub(super) timestamp: u64,
    /// Its number; NaN if nothing of it is known yet.
    pub(super) number: f64,
}

impl Facts {
    pub(super) const UNKNOWN: Self = Self { timestamp: 0, number: f64::NAN };
}

/// Ranks the rows of a set.
pub(super) struct Weigher<'a> {
    pub(super) weighing: &'a Weighing<'a>,
    pub(super) places: &'a [Place],
    pub(super) facts: &'a [Facts],
    pub(super) versions: &'a Versions,
}

impl Weigher<'_> {
    #[inline]
    fn facts(&self, row: u32) -> Option<Facts> {
        let at = usize::try_from(row).ok()?;
        let known = self.facts.get(at).copied().filter(|facts| !facts.number.is_nan());
        known.or_else(|| self.read(at))
    }

    #[cold]
    fn read(&self, at: usize) -> Option<Facts> {
        let place = *self.places.get(at)?;
        let timestamp = self.versions.get(place)?.timestamp;
        Some(Facts { timestamp, number: (self.weighing.number)(place)? })
    }
}

impl vector::Weigh for Weigher<'_> {
    fn weigh(&self, row: u32, cosine: f32) -> Option<f32> {
        if cosine <= 0.0 || f64::from(cosine) < self.weighing.least {
            return None;
        }
        let Facts { timestamp, number } = self.facts(row)?;
        let (lift, _) = self.weighing.lift.of(timestamp, number);
        #[expect(clippy::cast_possible_truncation, reason = "ranked as float32, with a slack")]
        let weighed = (f64::from(cosine) * lift) as f32;
        Some(weighed.min(cosine))
    }

    #[inline]
    fn most(&self, row: u32) -> f32 {
        let bound = |facts: Facts| self.weighing.lift.at_most(facts.timestamp, facts.number);
        let most = self.facts(row).map_or(1.0, bound);
        #[expect(clippy::cast_possible_truncation, reason = "with a slack")]
        let most = most as f32;
        most
    }
}

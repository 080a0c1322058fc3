//! Ranking vectors by their cosine and by how old and how important their versions are.

use core::ops::Range;

use super::super::lift::Lift;
use super::super::versions::{Place, Versions};
use crate::float::smaller;
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
struct Facts {
    /// When it was written.
    timestamp: u64,
    /// Its number; NaN if nothing of it is known yet.
    number: f64,
}

impl Facts {
    const UNKNOWN: Self = Self { timestamp: 0, number: f64::NAN };
}

/// What is known of the rows of a set, for weighing them.
#[derive(Default)]
pub(super) struct Known {
    facts: Vec<Facts>,
    /// What a row weighs at most, a byte each: one more than this, over 256. Weighing takes longer.
    bounds: Vec<u8>,
    /// What they hold for.
    lift: Option<Lift>,
}

impl Known {
    /// Weighs the rows. Reads what came since that was last done, as far as there is memory for it.
    pub(super) fn weigher<'a>(
        &'a mut self,
        weighing: &'a Weighing<'a>,
        places: &'a [Place],
        versions: &'a Versions,
    ) -> Weigher<'a> {
        self.read(weighing.number, places, versions);
        let bounds: &[u8] = if self.bound(weighing.lift) { &self.bounds } else { &[] };
        Weigher { weighing, places, facts: &self.facts, bounds, versions }
    }

    /// Nothing is known of a row any more.
    pub(super) fn forget(&mut self, row: usize) {
        if let Some(facts) = self.facts.get_mut(row) {
            *facts = Facts::UNKNOWN;
        }
        if let Some(bound) = self.bounds.get_mut(row) {
            *bound = u8::MAX;
        }
    }

    /// Nothing is known of any.
    pub(super) fn clear(&mut self) {
        self.facts.clear();
        self.bounds.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Facts>() * self.facts.capacity() + self.bounds.capacity()
    }

    fn read(
        &mut self,
        number: &dyn Fn(Place) -> Option<f64>,
        places: &[Place],
        versions: &Versions,
    ) {
        let fresh = places.get(self.facts.len()..).unwrap_or_default();
        if self.facts.try_reserve(fresh.len()).is_ok() {
            let read = |place: &Place| {
                let version = versions.get(*place).filter(|_| versions.is_here(*place))?;
                Some(Facts { timestamp: version.timestamp, number: number(*place)? })
            };
            self.facts.extend(fresh.iter().map(|place| read(place).unwrap_or(Facts::UNKNOWN)));
        }
    }

    /// Brings the bounds up to date; whether they hold. The first of several searches that weigh alike
    /// does without: to find out all bounds costs more than they spare it.
    fn bound(&mut self, lift: &Lift) -> bool {
        let Some(before) = self.lift.as_ref().filter(|before| before.covers(lift)) else {
            self.lift = Some(*lift);
            self.bounds.clear();
            return false;
        };
        let fresh = self.facts.get(self.bounds.len()..).unwrap_or_default();
        if self.bounds.try_reserve(fresh.len()).is_ok() {
            self.bounds.extend(fresh.iter().map(|facts| bound_of(before, *facts)));
        }
        true
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 256, saturating")]
fn bound_of(lift: &Lift, Facts { timestamp, number }: Facts) -> u8 {
    if number.is_nan() { u8::MAX } else { (lift.at_most(timestamp, number) * 256.0) as u8 }
}

/// Ranks the rows of a set.
pub(super) struct Weigher<'a> {
    weighing: &'a Weighing<'a>,
    places: &'a [Place],
    facts: &'a [Facts],
    bounds: &'a [u8],
    versions: &'a Versions,
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
        Some(smaller(weighed, cosine))
    }

    #[inline]
    fn most(&self, row: u32) -> f32 {
        if let Some(bound) = self.bounds.get(row as usize) {
            return f32::from(u16::from(*bound) + 1) / 256.0;
        }
        let bound = |facts: Facts| self.weighing.lift.at_most(facts.timestamp, facts.number);
        let most = self.facts(row).map_or(1.0, bound);
        #[expect(clippy::cast_possible_truncation, reason = "with a slack")]
        let most = most as f32;
        most
    }
}

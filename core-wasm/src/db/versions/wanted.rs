//! Which versions a request wants that were set aside.

use core::cell::{Cell, RefCell};

use super::Place;

/// The versions that the request under way wants of the file.
///
/// Shared with whoever asks for an operation, who cannot ask the database itself while it holds the
/// operation's answer.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Places and lengths of their records, in the order of asking, some more than once.
    places: RefCell<Vec<(Place, u32)>>,
    /// Bytes of their records, those that are there twice counted twice.
    bytes: Cell<usize>,
    /// No more bytes than these are noted.
    most: Cell<usize>,
}

impl Wanted {
    /// Whether nothing is wanted. Constant time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.get() == 0
    }

    /// Bytes of the records that are wanted.
    pub(in crate::db) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Wants nothing any more, and from now on no more than `most` bytes.
    pub(in crate::db) fn begin(&self, most: usize) {
        self.bytes.set(0);
        self.most.set(most);
        self.places.borrow_mut().clear();
    }

    /// Takes what is wanted, each once, in commit order; `None` if it is more than may be.
    pub(in crate::db) fn take(&self) -> Option<Vec<Place>> {
        let mut places = self.places.take();
        let fits = self.bytes.replace(0) <= self.most.get();
        places.sort_unstable();
        places.dedup();
        fits.then(|| places.into_iter().map(|(place, _)| place).collect())
    }

    /// Notes a version with so many bytes.
    pub(super) fn note(&self, place: Place, bytes: usize) {
        let mut places = self.places.borrow_mut();
        if places.last().is_some_and(|(last, _)| *last == place) {
            return;
        }
        let mut total = self.bytes.get().saturating_add(bytes);
        if total > self.most.get() && total != usize::MAX {
            places.sort_unstable();
            places.dedup();
            let once: usize = places.iter().map(|(_, bytes)| *bytes as usize).sum();
            total = once.saturating_add(bytes);
        }
        // Close to the most, sorting again and again would take for ever.
        let is_too_much = total > self.most.get() - self.most.get() / 8;
        if is_too_much || places.try_reserve(1).is_err() {
            self.bytes.set(usize::MAX);
            *places = Vec::new();
            return;
        }
        self.bytes.set(total);
        places.push((place, u32::try_from(bytes).unwrap_or(u32::MAX)));
    }
}

//! Vector search: exact, and quantised with float32 rescoring.
//!
//! # Theory of operation
//!
//! A [`Rows`] holds the vectors of one namespace and model as float32, and two derived codes:
//! int8 (a quarter of the size) with a proven bound on what it loses, and the signs of a random
//! rotation (a thirty-second). A [`search`](search::search) reads the smallest thing that will do:
//!
//! - **exact** ([`exact`]): int8 codes of every row; float32 only of rows whose upper bound reaches
//!   the worst hit in hand. The answer is that of a float32 scan, proven, at a third of its time.
//! - **quantised** ([`shortlist`]): a third of the one-bit code of every row gives a list, the rest of
//!   the code a shortlist that is searched exactly. How long the list must be follows from the angle of the k-th hit.
//! - **by graph** ([`hnsw`]): optional, for sets of 100,000 rows and more. It has to be built, at a
//!   hundred times the cost of an insertion, and pays where searches by far outnumber writes.
//!
//! Scores that are returned always come from float32, with the same bits on every host. Nothing
//! here is random at run time, and without a graph nothing has to be built or loaded before the first
//! search.

mod chunk;
mod lead;
mod quantize;
mod rotation;
mod sketch;

pub mod bitmap;
pub mod exact;
pub mod hnsw;
pub mod kernels;
pub mod query;
pub mod rows;
pub mod search;
pub mod shortlist;
pub mod topk;

pub use chunk::owed_bytes;
pub use hnsw::Hnsw;
pub use query::{Query, QueryError};
pub use rows::{Codes, Rows, Segment};
pub use search::{Answer, Filter, Mode, Path, Request, are_few, search};
pub use topk::{Hit, Tie, TopK, Weigh};

pub use crate::limits::{MAX_DIMENSION as MAX_DIM, MAX_TOP_K};

/// How vectors are compared. Scores are higher for nearer rows under each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The cosine of the angle, -1 to 1 (a rounding error past 1 is possible).
    Cosine,
    /// The inner product.
    Dot,
    /// The negated squared Euclidean distance: `-|q - x|^2`.
    L2,
}

/// Why a vector was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BadVector {
    /// It has another dimension than the set.
    Dimension {
        /// The set's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// A component is NaN or infinite.
    NotFinite {
        /// The first such component.
        component: usize,
    },
    /// It is zero, or shorter than 1e-18, and has no cosine.
    NoDirection {
        /// Its length.
        norm: f32,
    },
    /// It is longer than 1e18: products would overflow.
    TooLong {
        /// Its length.
        norm: f32,
    },
    /// Memory was refused.
    NoMemory,
}

#[cfg(test)]
mod tests;

//! The engine of koru-delta: an embedded, versioned database for AI agents.
//!
//! The engine is sans-IO. It imports nothing: no clock, no randomness, no files. Time and seeds
//! arrive in requests; a write returns its reply *and* the log frames that the host makes durable
//! before it acknowledges the write. Opening a database is feeding the stored bytes back. So the
//! same requests give the same bytes on every host.
//!
//! Imports go one way: `abi` -> [`dispatch`] -> [`db`] -> [`vector`], [`query`], [`log`] -> [`codec`]. One database is
//! one instance of the module, one linear memory and one [`db::Database`].
//!
//! ```
//! use koru_delta_core::db::{Database, Draft, Options, Write};
//!
//! let mut db = Database::create(&Options::default());
//! let write = Write { now_us: 1_000_000, synced_sequence: 0 };
//! db.put(write, &Draft::json("users", "alice", br#"{"age":30}"#), None).unwrap();
//! db.acknowledge(u64::MAX);
//! assert_eq!(db.get("users", "alice", u64::MAX).unwrap().value, br#"{"age":30}"#);
//! ```

mod abi;
pub mod codec;
pub mod db;
pub mod dispatch;
pub mod error;
pub mod float;
pub mod index;
pub mod limits;
pub mod log;
pub mod protocol;
pub mod query;
pub mod sort;
pub mod text;
pub mod vector;

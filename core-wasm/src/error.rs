//! Errors: few coarse kinds, each with a message and what to do next.

use serde_json::{Map, Value, json};

/// What went wrong, as coarse as a caller can act on. The numbers are the reply's status and map
/// one to one to the Python exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// An argument is not acceptable.
    Invalid = 1,
    /// A value is not JSON as the database keeps it.
    Serialization = 2,
    /// There is no such key or version.
    NotFound = 3,
    /// The key has moved on from the expected version.
    Conflict = 4,
    /// A limit of size, count, depth or memory was reached.
    Limit = 5,
    /// Stored bytes are damaged.
    Corrupt = 6,
    /// The stored format is not one that this engine writes.
    Unsupported = 7,
    /// The request does not follow the protocol: a defect of the host.
    Internal = 8,
    /// No error: the request is to be made again, once values were fetched that are in the file.
    Fetch = 9,
}

/// An error: its kind, a message, what to do next, and details for a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The coarse kind.
    pub kind: Kind,
    /// What happened, with the names and numbers.
    pub message: String,
    /// What to do next.
    pub suggestion: String,
    /// Fields for a program, such as `current` of a conflict or `offset` of damage.
    pub details: Map<String, Value>,
}

impl Error {
    /// An error without details.
    pub fn new(kind: Kind, message: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self { kind, message: message.into(), suggestion: suggestion.into(), details: Map::new() }
    }

    /// The same error with one more detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same error, at a byte offset of the file if it is about stored bytes.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        if self.kind == Kind::Corrupt { self.with("offset", offset) } else { self }
    }

    /// A request that does not follow the protocol.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(
            Kind::Internal,
            message,
            "the host and the module do not agree: install them from one release",
        )
    }

    /// What is answered in the place of a request that takes values that are in the file.
    #[must_use]
    pub fn fetch() -> Self {
        let suggestion = "fetch them, and make the request again";
        Self::new(Kind::Fetch, "values that the request takes are in the file", suggestion)
    }

    /// Stored bytes that are damaged at a byte offset.
    pub fn corrupt(offset: u64, message: &str) -> Self {
        Self::new(
            Kind::Corrupt,
            message,
            "the file is left as it is: restore a backup, or keep a copy before any repair",
        )
        .with("offset", offset)
    }

    /// The error as the JSON object of a reply.
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = self.details.clone();
        let message = match self.details.get("offset") {
            Some(offset) => format!("{} (at byte {offset})", self.message),
            None => self.message.clone(),
        };
        object.insert("message".to_owned(), json!(message));
        object.insert("suggestion".to_owned(), json!(self.suggestion));
        Value::Object(object).to_string().into_bytes()
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}: {}", self.message, self.suggestion)
    }
}

impl core::error::Error for Error {}

/// The engine's result.
pub type Result<T> = core::result::Result<T, Error>;

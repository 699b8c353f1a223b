//! Remote write without the network: an answer becomes a [`Verdict`], a failure a next step, and what was
//! heard so far the version that is spoken. Never: I/O, clocks, waiting, a word on how often.

mod dialect;
mod reason;
mod verdict;

use std::ops::Range;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

pub use super::advice::{Answered, after_answer};
pub use dialect::Dialect;
pub use reason::Reason;
pub use verdict::{Asked, Reply, Verdict, Written, judge};

use crate::encode::record::Flat;
use crate::encode::rw1::Metadata;
use crate::encode::{EncodeError, Encoder, rw1, rw2};

const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
/// Mimir computes its `Retry-After` from it.
const ATTEMPT: HeaderName = HeaderName::from_static("retry-attempt");

/// A version of remote write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `prometheus.WriteRequest`.
    One,
    /// `io.prometheus.write.v2.Request`.
    Two,
}

impl Protocol {
    /// As the status shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::One => "remote write 1.0",
            Protocol::Two => "remote write 2.0",
        }
    }

    /// The headers of a request; `attempt` is 0 for its first try.
    pub fn headers(self, attempt: u32) -> HeaderMap {
        let (content_type, version) = match self {
            Protocol::One => (rw1::CONTENT_TYPE, rw1::VERSION),
            Protocol::Two => (rw2::CONTENT_TYPE, rw2::VERSION),
        };
        let mut headers = HeaderMap::from_iter([
            (CONTENT_ENCODING, HeaderValue::from_static("snappy")),
            (CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (VERSION, HeaderValue::from_static(version)),
        ]);
        if attempt > 0 {
            headers.insert(ATTEMPT, HeaderValue::from(attempt));
        }
        headers
    }

    /// The series of `record` in `range` as a compressed body; 2.0 always carries metadata.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`] for a body of over 4 GiB.
    pub fn body(
        self,
        encoder: &mut Encoder,
        record: &Flat,
        range: Range<usize>,
        metadata: Metadata,
    ) -> Result<Vec<u8>, EncodeError> {
        match self {
            Protocol::One => encoder.one(record, range, metadata),
            Protocol::Two => encoder.two(record, range),
        }
    }

    /// A compressed body without a series: it asks and stores nothing.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`], which for so few bytes does not happen.
    pub fn question(self) -> Result<Vec<u8>, EncodeError> {
        match self {
            Protocol::One => rw1::probe(),
            Protocol::Two => rw2::probe(),
        }
    }
}

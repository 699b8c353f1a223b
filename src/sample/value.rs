//! A sample's value and its time.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A sample's value: an IEEE 754 double kept as its bits.
///
/// A stale marker is one certain signalling NaN (remote write 1.0, "stale markers"), and arithmetic on
/// doubles may quieten it; equality here is equality of bits, which is also how receivers compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(u64);

impl Value {
    /// Says that a series has ended: the bits 0x7ff0000000000002 (Prometheus' model/value).
    pub const STALE: Value = Value(0x7ff0_0000_0000_0002);

    /// The value with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Value(bits)
    }

    /// The bits of this value.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The number; a stale marker reads as a NaN.
    pub const fn get(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// Whether this is the stale marker.
    pub const fn is_stale(self) -> bool {
        self.0 == Self::STALE.0
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value(number.to_bits())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_stale() { f.write_str("stale") } else { self.get().fmt(f) }
    }
}

/// A point in time: milliseconds since the Unix epoch, as remote write carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    /// Seconds since the epoch, as metrics with `_timestamp_seconds` carry them.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// How long after `earlier` this is; zero where it is not after it.
    pub fn since(self, earlier: Millis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Millis {
    type Output = Millis;

    fn add(self, span: Duration) -> Millis {
        Millis(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

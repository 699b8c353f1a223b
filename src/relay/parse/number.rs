//! Numbers as Prometheus reads them: decimal, `Inf` and `NaN` in any case; no hexadecimal, no underscore, no
//! number that is too large for a double. In: a token. Out: a value, a time, or nothing.

use crate::sample::{Millis, Value};

/// What Prometheus stores for every NaN of a page.
const NAN: Value = Value::from_bits(0x7ff8_0000_0000_0001);

/// A number of a page.
pub(super) fn value(token: &[u8]) -> Option<Value> {
    if let Some(whole) = whole(token) {
        return Some(Value::from(whole as f64));
    }
    let number = float(token)?;
    Some(if number.is_nan() { NAN } else { Value::from(number) })
}

/// Up to fifteen digits, which a double holds exactly.
fn whole(token: &[u8]) -> Option<u64> {
    if token.is_empty() || token.len() > 15 {
        return None;
    }
    token.iter().try_fold(0, |whole, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| whole * 10 + u64::from(digit))
    })
}

fn float(token: &[u8]) -> Option<f64> {
    let unsigned = token.strip_prefix(b"+").or_else(|| token.strip_prefix(b"-")).unwrap_or(token);
    let number: f64 = str::from_utf8(token).ok()?.parse().ok()?;
    let is_word = unsigned.first().is_some_and(u8::is_ascii_alphabetic);
    // Go reads no NaN with a sign, and to it what rounds to infinity is no number.
    let is_read = if number.is_nan() { unsigned.len() == token.len() } else { is_word || number.is_finite() };
    is_read.then_some(number)
}

/// A time of the text format: whole milliseconds without a sign.
pub(super) fn milliseconds(token: &[u8]) -> Option<Millis> {
    if !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(token).ok()?.parse().ok().map(Millis)
}

/// A time of OpenMetrics: seconds, of which milliseconds are kept.
pub(super) fn seconds(token: &[u8]) -> Option<Millis> {
    let seconds = float(token).filter(|seconds| seconds.is_finite())?;
    Some(Millis((seconds * 1000.0) as i64))
}

/// The number in a `le` or `quantile`, in the one spelling that Prometheus 3 gives it; none where it is no number.
pub(super) fn canonical(text: &str) -> Option<String> {
    let number = float(text.as_bytes())?;
    if number.is_nan() {
        return Some("NaN".to_owned());
    }
    if number.is_infinite() {
        return Some(if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned());
    }
    // Zero has no sign there.
    let number = if number == 0.0 { 0.0 } else { number };
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.rsplit_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if (-4..6).contains(&exponent) {
        let plain = number.to_string();
        return Some(if plain.contains('.') { plain } else { plain + ".0" });
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.abs()))
}

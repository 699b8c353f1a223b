//! A simulated balena API and simulated receivers, for `fleetpush demo`, the tests and the benches.
//! In: HTTP requests. Out: the answers that the real servers were measured to give, their faults included.
//! Never: `collect`, `encode` or any other room but `pb`, since two sides that share code would agree on the
//! same mistake; and never a connection to anything, they only listen.
pub mod balena;
pub mod http;
pub mod receiver;

/// Milliseconds since the epoch by the machine's clock: a simulated server has a clock of its own, which a test
/// moves by [`http::Fault::DateOffset`] and not by holding the program's.
#[expect(clippy::disallowed_methods, reason = "another machine's clock, so not this program's")]
fn now_millis() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

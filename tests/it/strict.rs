//! Readers of every form that leaves the program, written from the formats alone: neither the encoders' code
//! nor the generated types are used. They refuse whatever a receiver might, and more: only what this program
//! has a reason to write is read.

pub mod delimited;
pub mod exposition;
pub mod queue_record;
mod refusals;
pub mod remote_write;
pub mod wire;

/// Name and value of each label, as they stood.
pub type Pairs = Vec<(String, String)>;

/// Labels as every receiver wants them: sorted by bytes, none twice, none empty.
fn check_labels(pairs: &[(String, String)]) -> Result<(), String> {
    if let Some((name, _)) = pairs.iter().find(|(name, value)| name.is_empty() || value.is_empty()) {
        return Err(format!("the label {name:?} or its value is empty"));
    }
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !is_name(name, false)) {
        return Err(format!("{name:?} is no label name"));
    }
    match pairs.windows(2).find(|two| two[0].0.as_bytes() >= two[1].0.as_bytes()) {
        Some(two) => Err(format!("the label {:?} stands before {:?}", two[0].0, two[1].0)),
        None => Ok(()),
    }
}

/// A name that receivers take; colons are for metrics.
fn is_name(name: &str, colons: bool) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || (colons && b == b':');
    name.bytes().enumerate().all(|(at, b)| is_letter(b) || (at > 0 && b.is_ascii_digit())) && !name.is_empty()
}

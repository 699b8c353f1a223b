//! Which of the two formats a page is in. In: an answer's `Content-Type`. Out: the format, or that it is none of ours.

use super::fault::excerpt;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// The answer is no page, as far as its `Content-Type` tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFormat {
    /// There is none.
    #[error("the answer has no Content-Type: expected text/plain or application/openmetrics-text")]
    Absent,
    /// It is another one, or no type at all.
    #[error("the answer's Content-Type is {0}: expected text/plain or application/openmetrics-text")]
    Other(String),
}

impl Format {
    /// As one says it.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::OpenMetrics => "OpenMetrics",
        }
    }

    /// The format that a `Content-Type` names, by Prometheus 3's rule: one that is absent or broken says nothing.
    ///
    /// # Errors
    /// [`UnknownFormat`].
    pub fn of(content_type: Option<&str>) -> Result<Self, UnknownFormat> {
        let Some(text) = content_type.filter(|text| !text.is_empty()) else {
            return Err(UnknownFormat::Absent);
        };
        let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
        let format = match kind.trim_ascii().to_ascii_lowercase().as_str() {
            "text/plain" => Some(Format::Text),
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            _ => None,
        };
        format
            .filter(|_| are_parameters(parameters.as_bytes()))
            .ok_or_else(|| UnknownFormat::Other(excerpt(text.as_bytes())))
    }
}

/// Whether this is `name=value; name="value"`, each name once.
fn are_parameters(text: &[u8]) -> bool {
    let (mut names, mut rest) = (Vec::new(), text.trim_ascii());
    while !rest.is_empty() {
        let (name, after) = rest.split_at(token(rest));
        let name = name.to_ascii_lowercase();
        let Some(value) = after.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else {
            return false;
        };
        let length = if value.first() == Some(&b'"') { quoted(value) } else { token(value) };
        if length == 0 || name.is_empty() || names.contains(&name) {
            return false;
        }
        names.push(name);
        let after = value.get(length..).unwrap_or_default().trim_ascii_start();
        rest = match after.strip_prefix(b";") {
            Some(after) => after.trim_ascii_start(),
            None if after.is_empty() => after,
            None => return false,
        };
    }
    true
}

/// How long the token is that stands first.
fn token(text: &[u8]) -> usize {
    let is_token = |b: &u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(b);
    text.iter().position(|b| !is_token(b)).unwrap_or(text.len())
}

/// How long the quoted text is that stands first; 0 where it has no end.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    0
}

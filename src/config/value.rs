//! Values as they are typed, with the place they come from: durations, sizes, addresses, URLs, secrets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::ConfigError;
use super::types::Secret;

const SCHEME: &str = "does not begin with http:// or https://";

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file, with the key, written with dots; none is the place itself.
    File { path: String, line: usize, column: usize, key: String },
    /// In a variable.
    Variable(String),
    /// In a flag.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column, key } if key.is_empty() => write!(f, "{path}:{line}:{column}"),
            Place::File { path, line, column, key } => write!(f, "{path}:{line}:{column}: {key}"),
            Place::Variable(name) => f.write_str(name),
            Place::Flag(name) => f.write_str(name),
        }
    }
}

/// A typed text with its place.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) text: String,
    pub(super) place: Place,
}

impl Setting {
    pub(super) fn error(&self, what: impl fmt::Display) -> ConfigError {
        ConfigError::Setting { place: self.place.to_string(), what: what.to_string() }
    }

    /// The text without white space around it, which must not be empty.
    pub(super) fn filled(&self) -> Result<&str, ConfigError> {
        match self.text.trim() {
            "" => Err(self.error("is empty; give it a value or leave it out")),
            text => Ok(text),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        match parse_duration(self.filled()?) {
            Ok(Duration::ZERO) => Err(self.error("must be longer than 0; write it like 60s")),
            Ok(duration) => Ok(duration),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Whole seconds, or a duration with its unit.
    pub(super) fn seconds(&self) -> Result<Duration, ConfigError> {
        let text = self.filled()?;
        match text.parse() {
            Ok(0) => Err(self.error("must be longer than 0; write it like 60s")),
            Ok(seconds) => Ok(Duration::from_secs(seconds)),
            Err(_) => self.duration(),
        }
    }

    pub(super) fn size(&self) -> Result<u64, ConfigError> {
        let text = self.filled()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim() {
            "" | "B" => 1,
            "KB" => 1000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            "TB" => 1_000_000_000_000,
            "TiB" => 1 << 40,
            _ => 0,
        };
        match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
            Some(size) if size > 0 => Ok(size),
            _ => Err(self.error(format!("{text:?} is not a size; write it like 512MiB or 1GiB"))),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        match self.filled()? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(self.error(format_args!("{other:?} is neither true nor false; write one of them"))),
        }
    }

    /// A number above 0.
    pub(super) fn count(&self) -> Result<usize, ConfigError> {
        let text = self.filled()?;
        match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(self.error(format_args!("{text:?} is not a whole number above 0"))),
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.filled()?;
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.error(format_args!("{text:?} is not one of {}", words.join(", ")))
        })
    }

    /// The parts between commas, each with the same place.
    pub(super) fn list(&self) -> Vec<Setting> {
        let parts = self.text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Setting { text: part.to_owned(), place: self.place.clone() }).collect()
    }

    /// `:8000`, `host:port`, `[::1]:8000`; `off` is none.
    pub(super) fn listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.filled()?;
        if text == "off" {
            return Ok(None);
        }
        let everywhere = text.strip_prefix(':').map(|port| {
            let port = port.parse().map_err(|_| ());
            port.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        });
        let found = match everywhere {
            Some(address) => address.ok(),
            None => text.to_socket_addrs().ok().and_then(|mut all| all.next()),
        };
        found.map(Some).ok_or_else(|| {
            let what = "is not an address, or its host is not known";
            self.error(format_args!("{text:?} {what}; write :8000, 127.0.0.1:8000, [::1]:8000 or off"))
        })
    }

    /// An http(s) URL without userinfo and without a slash at its end.
    pub(super) fn url(&self) -> Result<Url, ConfigError> {
        let mut url = self.exact_url()?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }

    /// An http(s) URL without userinfo, as it was typed.
    pub(super) fn exact_url(&self) -> Result<Url, ConfigError> {
        let text = self.text.trim();
        // The text may hold a password, so that it is not shown.
        let wrong = |what: &str| self.error(format_args!("{what}; write it like https://host/path"));
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => wrong(SCHEME),
            other => wrong(&format!("is not a URL ({other})")),
        })?;
        // `host:9091/path` parses too, with the host as its scheme.
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(SCHEME));
        }
        if url.fragment().is_some() {
            return Err(self.error("has a fragment (#…), which is never sent; leave it out"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let what = "holds a user name or password; take them out, credentials have settings of their own";
            return Err(self.error(what));
        }
        Ok(url)
    }

    /// A proxy's URL; userinfo is its credentials.
    pub(super) fn proxy(&self) -> Result<Url, ConfigError> {
        match Url::parse(self.filled()?) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
            // The text may hold a password, so that it is not shown.
            _ => Err(self.error("is not the URL of an HTTP proxy; write it like http://proxy:3128")),
        }
    }

    /// A path of a URL.
    pub(super) fn url_path(&self) -> Result<String, ConfigError> {
        let text = self.filled()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let path = text.trim_end_matches('/');
        if path.starts_with("/-/") {
            let what = "is among the program's own paths (/-/healthy, /-/ready, /-/reload)";
            return Err(self.error(format_args!("{text:?} {what}; write it like /metrics")));
        }
        if path.is_empty() || !path.starts_with('/') || !path.chars().all(plain) {
            let what = "is not a path for metrics";
            return Err(self.error(format_args!("{text:?} {what}; write it like /metrics")));
        }
        Ok(path.to_owned())
    }

    /// A PEM file with a part of this kind, such as `CERTIFICATE`.
    pub(super) fn pem(&self, kind: &str) -> Result<PathBuf, ConfigError> {
        self.pem_in(Path::new(""), kind)
    }

    /// As [`Self::pem`], where a path that is not absolute begins in this folder.
    pub(super) fn pem_in(&self, folder: &Path, kind: &str) -> Result<PathBuf, ConfigError> {
        let path = folder.join(self.path()?);
        match std::fs::read(&path) {
            Ok(bytes) if is_pem(&bytes, kind) => Ok(path),
            Ok(_) => {
                let (path, kind) = (path.display(), kind.to_lowercase());
                Err(self.error(format_args!("the file {path} has no {kind} in PEM form (-----BEGIN …)")))
            }
            Err(error) => Err(self.unreadable(&path, &error)),
        }
    }

    pub(super) fn path(&self) -> Result<PathBuf, ConfigError> {
        self.filled().map(PathBuf::from)
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> ConfigError {
        let (path, why) = (path.display(), super::error::reason(error));
        self.error(format_args!("cannot read {path} ({why}); look at its path and permissions"))
    }

    pub(super) fn secret(&self) -> Result<Secret, ConfigError> {
        match self.filled()? {
            text if text.chars().any(char::is_control) => {
                Err(self.error("has a line break or another control character; a secret is one line"))
            }
            text => Ok(Secret::Value(SecretString::from(text))),
        }
    }

    /// A file with a secret, which must be there and hold something.
    pub(super) fn secret_file(&self) -> Result<Secret, ConfigError> {
        let path = self.path()?;
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                let path = path.display();
                Err(self.error(format_args!("the file {path} is empty; put the secret into it")))
            }
            Ok(text) if text.trim().chars().any(char::is_control) => {
                let path = path.display();
                Err(self.error(format_args!("the file {path} has several lines; a secret is one line")))
            }
            Ok(_) => Ok(Secret::File(path)),
            Err(error) => Err(self.unreadable(&path, &error)),
        }
    }

    /// `name=value,…`.
    pub(super) fn pairs(&self) -> Result<Vec<(Setting, Setting)>, ConfigError> {
        let of = |text: &str| Setting { text: text.trim().to_owned(), place: self.place.clone() };
        let parts = self.text.split(',').filter(|part| !part.trim().is_empty());
        parts
            .map(|part| match part.split_once('=') {
                Some((name, value)) => Ok((of(name), of(value))),
                // The part may be half of a secret.
                None => Err(self.error("has a part without `=`; write it like name=value,name=value")),
            })
            .collect()
    }
}

/// Whether there is a line that begins such a part; keys say of which sort they are, as in `EC PRIVATE KEY`.
pub(super) fn is_pem(bytes: &[u8], kind: &str) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().any(|line| {
        line.trim().strip_prefix("-----BEGIN ").is_some_and(|rest| rest.ends_with(&format!("{kind}-----")))
    })
}

/// A duration in Prometheus' grammar: `90s`, `1h30m`, `8d`; units from long to short, each once.
///
/// # Errors
/// A text that says how to write one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let wrong = || format!("{text:?} is not a duration; write it like 60s, 5m, 1h30m or 8d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total, mut next) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        if place < next {
            return Err(wrong());
        }
        let span = number.checked_mul(UNITS[place].1).ok_or_else(wrong)?;
        total = total.checked_add(span).ok_or_else(wrong)?;
        (rest, next) = (tail, place + 1);
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(total)) }
}

/// The known word that is nearest to a typed one, where one is near at all.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|word| (strsim::damerau_levenshtein(typed, word), word)).min()?;
    (near.0 <= (typed.chars().count() / 3).max(1)).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(text: &str) -> Setting {
        Setting { text: text.into(), place: Place::Variable("X".into()) }
    }

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        for (text, ms) in
            [("60s", 60_000), ("1h30m", 5_400_000), ("8d", 691_200_000), ("250ms", 250), ("0", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "5", "5 m", "m", "1m1h", "1.5h", "-1s", "1µs", "99999999999999999999s", "5min"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_know_both_kinds_of_units() {
        assert_eq!(setting("1GiB").size().unwrap(), 1 << 30);
        assert_eq!(setting("5 MB").size().unwrap(), 5_000_000);
        for bad in ["", "0", "GiB", "1.5GiB", "1G", "99999999999TiB"] {
            assert!(setting(bad).size().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_written_as_the_exporters_write_them() {
        assert_eq!(setting(":8000").listen().unwrap().unwrap().to_string(), "0.0.0.0:8000");
        assert_eq!(setting("[::1]:9").listen().unwrap().unwrap().to_string(), "[::1]:9");
        assert_eq!(setting("off").listen().unwrap(), None);
        assert!(setting("8000").listen().is_err());
    }
}

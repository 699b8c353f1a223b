//! The file of `--web.config.file`, in the keys that all exporters share: how the page is protected. Goes by
//! what `promtool check web-config` takes; what cannot be honoured is an error where it would protect less,
//! else a warning. Never: the contents of certificates.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::ConfigError;
use super::block::{Pairs, Placed, Typed, blocks};
use super::file;
use super::value::Setting;
use super::web_tls::{ServerTls, TlsServerBlock};

/// A check of one password takes longer than a second beyond this.
const HIGH_COST: u32 = 14;

blocks! {
    /// The file itself.
    WebFileBlock {
        /// TLS; without it the page is plain HTTP.
        tls_server_config: Option<Placed<TlsServerBlock>>,
        /// How HTTP is spoken.
        http_server_config: HttpServerBlock,
        /// Users, each with the hash of a password by bcrypt (`htpasswd -nBC 10 ""`).
        basic_auth_users: Pairs as "map of texts" = "none: everyone is let in",
        /// How many requests are answered; above it 429. Only newer exporters have it.
        rate_limit: RateBlock,
    }
    /// How HTTP is spoken.
    HttpServerBlock {
        /// HTTP/1.1 is spoken: `true` is a warning.
        http2: Typed as "boolean" = "`false`",
        /// Headers of each answer: `Strict-Transport-Security`, `X-Content-Type-Options`, `X-Frame-Options`,
        /// `X-XSS-Protection`, `Content-Security-Policy`. What the page says itself wins.
        headers: Pairs as "map of texts",
    }
    /// How many requests are answered.
    RateBlock {
        /// How often one more request is answered. With `burst`.
        interval: Typed as "duration",
        /// How many requests are answered at once. With `interval`.
        burst: Typed as "whole number above 0",
    }
}

/// Headers that may be set, with the values that they may have; none: any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// How the page is protected.
#[derive(Clone, Debug, Default)]
pub struct WebFile {
    /// TLS; none: plain HTTP.
    pub tls: Option<ServerTls>,
    /// Users and their passwords' hashes; none: everyone is let in.
    pub users: BTreeMap<String, BcryptHash>,
    /// Headers of each answer.
    pub headers: Vec<(String, String)>,
    /// How many requests are answered at most.
    pub rate_limit: Option<RateLimit>,
    /// What was accepted without having a meaning here, a sentence each.
    pub warnings: Vec<String>,
}

/// A bucket of `burst` requests that gains one each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How often one more is answered.
    pub interval: Duration,
    /// How many are answered at once.
    pub burst: u32,
}

/// A password's hash by bcrypt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BcryptHash {
    /// The work: twice as much for each more.
    pub cost: u32,
    /// The salt.
    pub salt: [u8; 16],
    /// What comes of it; the 24th byte is never kept.
    pub digest: [u8; 23],
}

impl fmt::Debug for BcryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bcrypt of cost {}>", self.cost)
    }
}

impl BcryptHash {
    /// Reads `$2b$10$…`; `2a`, `2b`, `2x` and `2y` name the same, as the exporters take them.
    ///
    /// # Errors
    /// A text that says what is wrong and does not show it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NONE: &str = "is not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`, it begins with $2";
        let rest = text.strip_prefix("$2").ok_or(NONE)?;
        let (version, rest) = rest.split_once('$').ok_or(NONE)?;
        let (cost, rest) = rest.split_once('$').ok_or(NONE)?;
        let cost: u32 = cost.parse().map_err(|_| NONE)?;
        if version.len() > 1 || rest.len() != 53 || !rest.is_ascii() {
            return Err(NONE);
        }
        if !(4..=31).contains(&cost) {
            return Err("has a cost outside of 4 to 31; make the hash anew");
        }
        let (salt, digest) = rest.split_at(22);
        // The last character of each holds bits that say nothing.
        let reader = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone);
        let reader = GeneralPurpose::new(&BCRYPT, reader);
        let bytes = |text: &str| reader.decode(text).map_err(|_| NONE);
        let salt = bytes(salt)?.try_into().map_err(|_| NONE)?;
        let digest = bytes(digest)?.try_into().map_err(|_| NONE)?;
        Ok(BcryptHash { cost, salt, digest })
    }
}

impl WebFile {
    /// Reads the file and looks at the files that it names.
    ///
    /// # Errors
    /// [`ConfigError`] for whatever cannot be meant or cannot be honoured.
    pub fn read(path: &Path) -> Result<WebFile, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let (block, mut warnings): (WebFileBlock, _) = file::document(&path.display().to_string())?;
        let tls = block.tls_server_config;
        let tls = tls.map(|placed| ServerTls::of(placed, folder, &mut warnings)).transpose()?;
        if let Some(setting) = block.http_server_config.http2
            && setting.boolean()?
        {
            warnings.push(format!("{}: changes nothing here: HTTP/1.1 is spoken", setting.place));
        }
        Ok(WebFile {
            tls,
            users: users(block.basic_auth_users.0, &mut warnings)?,
            headers: headers(block.http_server_config.headers.0)?,
            rate_limit: rate_limit(block.rate_limit)?,
            warnings,
        })
    }

    /// The files that it names.
    pub fn files(&self) -> Vec<PathBuf> {
        self.tls.as_ref().map(ServerTls::files).unwrap_or_default()
    }
}

fn users(
    pairs: Vec<(Setting, Setting)>,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, BcryptHash>, ConfigError> {
    let mut all = BTreeMap::new();
    for (name, value) in pairs {
        if name.text.contains(':') {
            return Err(name.error("a user's name cannot hold a colon: no client could send it"));
        }
        let hash = BcryptHash::parse(value.filled()?).map_err(|what| value.error(what))?;
        if hash.cost > HIGH_COST {
            warnings.push(format!(
                "{}: a cost of {} makes the first check of each password take seconds",
                value.place, hash.cost
            ));
        }
        all.insert(name.text, hash);
    }
    Ok(all)
}

fn headers(pairs: Vec<(Setting, Setting)>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut all = Vec::new();
    for (name, value) in pairs {
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name.text) else {
            let known = HEADERS.map(|(known, _)| known).join(", ");
            let what = format_args!("{:?} cannot be set; the headers that can are {known}", name.text);
            return Err(name.error(what));
        };
        let text = value.text.trim();
        if !values.is_empty() && !values.contains(&text) {
            return Err(value.error(format_args!("{text:?} is not one of {}", values.join(", "))));
        }
        if !text.chars().all(|c| (' '..='~').contains(&c)) {
            return Err(value.error("holds a character that no header can have; use those of ASCII"));
        }
        all.push((name.text, text.to_owned()));
    }
    Ok(all)
}

fn rate_limit(block: RateBlock) -> Result<Option<RateLimit>, ConfigError> {
    match (block.interval, block.burst) {
        (None, None) => Ok(None),
        (Some(interval), None) => Err(interval.error("has no burst beside it; add one, such as 20")),
        (None, Some(burst)) => Err(burst.error("has no interval beside it; add one, such as 1s")),
        (Some(interval), Some(burst)) => {
            let interval = interval.duration()?;
            let burst = u32::try_from(burst.count()?).map_err(|_| burst.error("is too large"))?;
            Ok(Some(RateLimit { interval, burst }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_the_exporters_read_them() {
        let hash = "$2b$04$abcdefghijklmnopqrstuuXcjcm5avyCiJoD2uS24xa2lb6fjMB3G";
        let read = BcryptHash::parse(hash).unwrap();
        assert_eq!(read.cost, 4);
        for version in ["2a", "2x", "2y", "2"] {
            assert_eq!(BcryptHash::parse(&hash.replacen("2b", version, 1)), Ok(read), "{version}");
        }
        for bad in ["", "hunter2", "$1$04$x", &hash.replace("$04", "$03"), &hash.replace("$04", "$32")] {
            assert!(BcryptHash::parse(bad).is_err(), "{bad}");
        }
        assert!(BcryptHash::parse(hash.trim_end_matches('G')).is_err());
        assert_eq!(format!("{read:?}"), "<bcrypt of cost 4>");
    }
}

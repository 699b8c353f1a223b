//! Takes our own secrets out of a foreign text: some servers and proxies repeat what they were sent, as it
//! was or in another spelling. Secrets and a text go in, the text without them comes out.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE};
use url::form_urlencoded;

const MASK: &str = "<secret>";
/// What a text that was cut off may still show of a secret's beginning.
const SHOWN_AT_THE_END: usize = 3;
/// A shorter piece of base64 stands in other texts by chance.
const SHORTEST_INSIDE: usize = 6;
/// Whatever follows these in a text of a server's is somebody's credentials.
const SCHEMES: [&str; 4] = ["basic ", "bearer ", "basic%20", "bearer%20"];
/// Shorter words after a scheme are prose, as in "Basic realm".
const SHORTEST_CREDENTIALS: usize = 12;

/// Every spelling of some secrets.
#[derive(Default)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    /// Adds a secret in each spelling that servers are known to repeat it in.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let json = json(secret);
        let percent = percent(secret);
        self.0.extend([
            secret.to_owned(),
            // Spellings of JSON that Go, PHP and JavaScript use beside the shortest one.
            json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
            json.replace('/', "\\/"),
            json.replace('\'', "\\'"),
            self::json(&json),
            json,
            percent.to_lowercase(),
            self::percent(&percent),
            percent,
            form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        ]);
        for (quote, apostrophe) in
            [("&#34;", "&#39;"), ("&quot;", "&#39;"), ("&#34;", "&#x27;"), ("&quot;", "&#x27;")]
        {
            self.0.push(html(secret, quote, apostrophe));
        }
        for engine in [&STANDARD, &URL_SAFE] {
            let whole = engine.encode(secret);
            self.0.push(whole.trim_end_matches('=').to_owned());
            self.0.push(whole);
            self.0.extend((0..3).filter_map(|before| inside_base64(engine, secret, before)));
        }
        // The longest first: it may contain another one.
        self.0.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    /// The text with each of them replaced.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut calm = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let skip = self.secret_at(rest);
            if skip > 0 {
                calm.push_str(MASK);
                rest = rest.get(skip..).unwrap_or_default();
                continue;
            }
            calm.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            if SCHEMES.iter().any(|scheme| ends_with(&calm, scheme)) {
                let length = rest.find(|c: char| !is_of_credentials(c)).unwrap_or(rest.len());
                if length >= SHORTEST_CREDENTIALS {
                    calm.push_str(MASK);
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
        }
        calm
    }

    /// How many bytes of a secret stand at the beginning of a text.
    fn secret_at(&self, text: &str) -> usize {
        if let Some(form) = self.0.iter().find(|form| text.starts_with(form.as_str())) {
            return form.len();
        }
        let cut_off = text.len() > SHOWN_AT_THE_END && self.0.iter().any(|form| form.starts_with(text));
        if cut_off { text.len() } else { 0 }
    }
}

fn ends_with(text: &str, scheme: &str) -> bool {
    let end = text.len().checked_sub(scheme.len()).and_then(|from| text.get(from..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(scheme))
}

fn is_of_credentials(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=._~-%".contains(c)
}

/// Without the quotes around it.
fn json(text: &str) -> String {
    let whole = serde_json::Value::from(text).to_string();
    let inside = whole.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or(&whole).to_owned()
}

/// What is the same in the base64 of every text in which `before` bytes, or three more, stand before this one.
fn inside_base64(engine: &GeneralPurpose, text: &str, before: usize) -> Option<String> {
    let whole = engine.encode(["x".repeat(before).as_str(), text].concat());
    let inside = whole.get((before * 8).div_ceil(6)..(before + text.len()) * 8 / 6)?;
    (inside.len() >= SHORTEST_INSIDE).then(|| inside.to_owned())
}

fn percent(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn html(text: &str, quote: &str, apostrophe: &str) -> String {
    let calm = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    calm.replace('"', quote).replace('\'', apostrophe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &str, text: &str) -> String {
        let mut mask = Mask::default();
        mask.add(secret);
        mask.apply(text)
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let secret = "hun\"ter<2>&/ é?";
        for text in [
            "hun\"ter<2>&/ é?",
            "hun\\\"ter<2>&/ é?",
            "hun\\\"ter\\u003c2\\u003e\\u0026/ é?",
            "hun\\\"ter<2>&\\/ é?",
            "hun%22ter%3C2%3E%26%2F%20%C3%A9%3F",
            "hun%22ter%3c2%3e%26%2f%20%c3%a9%3f",
            "hun%22ter%3C2%3E%26%2F+%C3%A9%3F",
            "hun&#34;ter&lt;2&gt;&amp;/ é?",
            "aHVuInRlcjwyPiYvIMOpPw==",
            "aHVuInRlcjwyPiYvIMOpPw",
            "hun\\\\\\\"ter<2>&/ é?",
            "hun%2522ter%253C2%253E%2526%252F%2520%25C3%25A9%253F",
            "hun&quot;ter&lt;2&gt;&amp;/ é?",
        ] {
            assert_eq!(masked(secret, &format!("é{text}é")), "é<secret>é", "{text}");
        }
    }

    #[test]
    fn a_secret_inside_of_base64_is_found_wherever_it_begins() {
        let secret = "my-secret-key";
        for before in ["", "a", "me", "me:", "user:"] {
            let coded = STANDARD.encode(format!("{before}{secret} and more"));
            let calm = masked(secret, &coded);
            assert!(calm.contains(MASK) && calm.len() < coded.len(), "{before}: {calm}");
        }
    }

    #[test]
    fn a_secret_that_is_cut_off_at_the_end_is_masked_too() {
        assert_eq!(masked("hunter2", "token hunt"), "token <secret>");
        assert_eq!(masked("hunter2", "token hun"), "token hun");
        assert_eq!(masked("hunter2", "hunt for it"), "hunt for it");
    }

    #[test]
    fn one_secret_inside_another_and_a_secret_named_secret_leave_nothing() {
        let mut mask = Mask::default();
        mask.add("secret");
        mask.add("my-secret-key");
        mask.add("");
        assert_eq!(mask.apply("my-secret-key and secret"), "<secret> and <secret>");
    }

    #[test]
    fn credentials_of_others_are_masked_after_their_scheme_and_prose_is_not() {
        let mask = Mask::default();
        assert_eq!(
            mask.apply("got authorization: BEARER abcdef0123456789, no"),
            "got authorization: BEARER <secret>, no"
        );
        assert_eq!(mask.apply("Basic%20dXNlcjpwYXNzd29yZA=="), "Basic%20<secret>");
        assert_eq!(mask.apply("Basic realm=\"x\", a bearer token"), "Basic realm=\"x\", a bearer token");
    }
}

//! What of a foreign answer, a URL or an error may be shown.

use std::error::Error;

use url::Url;

/// How many characters of a foreign text are shown.
const SHOWN: usize = 200;

/// An error's causes in one line, outermost first, without those that only repeat the one before.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    text
}

/// What the client's error is about: without the layers that are the same for every failure.
pub(super) fn cause(error: &dyn Error) -> String {
    const SAME_FOR_ALL: [&str; 4] = [
        "error sending request",
        "client error (Connect)",
        "client error (SendRequest)",
        "tcp connect error",
    ];
    let mut cause = error;
    while let Some(next) = cause.source().filter(|_| SAME_FOR_ALL.contains(&cause.to_string().as_str())) {
        cause = next;
    }
    chain(cause)
}

/// A URL as it may be shown: without userinfo, query and fragment.
pub fn redact(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// User and password of a URL, as written and decoded; none where it has no password.
pub(super) fn userinfo(url: &Url) -> Vec<(String, String)> {
    let Some(password) = url.password() else { return Vec::new() };
    // A form's grammar has more signs than userinfo: these stand for themselves there.
    let plain = |text: &str| {
        let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        url::form_urlencoded::parse(text.as_bytes())
            .next()
            .map_or(String::new(), |(text, _)| text.into_owned())
    };
    vec![(url.username().to_owned(), password.to_owned()), (plain(url.username()), plain(password))]
}

/// The first 200 characters of a foreign text in one line, without control characters.
pub fn excerpt(body: &[u8]) -> String {
    excerpt_of(body, SHOWN)
}

/// As [`excerpt`], with the first `characters`.
pub fn excerpt_of(body: &[u8], characters: usize) -> String {
    let text = String::from_utf8_lossy(body);
    let calm: String = text.chars().map(|c| if is_calm(c) { c } else { ' ' }).collect();
    let mut words = calm.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(characters) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// Characters that neither steer a terminal nor turn the direction of writing.
fn is_calm(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_userinfo_nor_query_of_a_url_is_shown() {
        let url = Url::parse("https://me:hunter2@api.example.test:8443/v7/x?apikey=hunter2#hunter2").unwrap();
        assert_eq!(redact(&url), "https://api.example.test:8443/v7/x");
    }

    #[test]
    fn userinfo_is_given_as_written_and_decoded() {
        let url = Url::parse("http://me:a%2Fb+c&d=e@proxy.test").unwrap();
        let decoded = ("me".to_owned(), "a/b+c&d=e".to_owned());
        let given = userinfo(&url);
        assert_eq!(given.last(), Some(&decoded));
        assert_eq!(given.first().map(|(_, password)| password.as_str()), url.password());
        assert_eq!(userinfo(&Url::parse("http://me@proxy.test").unwrap()), []);
    }

    #[test]
    fn a_foreign_text_is_one_calm_line_of_bounded_length() {
        let text = excerpt("a\n\u{1b}[31mb\u{202e}c\t  d".as_bytes());
        assert_eq!(text, "a [31mb c d");
        assert_eq!(excerpt("é".repeat(1000).as_bytes()).chars().count(), SHOWN + 1);
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}

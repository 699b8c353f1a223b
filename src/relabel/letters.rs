//! Letters in the other case, one for one, as Prometheus changes them: where the standard library writes
//! several letters for one, the one that Unicode names for it stands, or the letter stays.

/// The text in small letters.
pub(super) fn lower(text: &str) -> String {
    text.chars().map(|c| one(c.to_lowercase()).unwrap_or(if c == 'İ' { 'i' } else { c })).collect()
}

/// The text in capitals.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(|c| one(c.to_uppercase()).unwrap_or_else(|| capital(c))).collect()
}

fn one(mut letters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if letters.len() == 1 { letters.next() } else { None }
}

/// Of the letters with several capitals, those of Greek with an iota below have one as well.
fn capital(c: char) -> char {
    let distance = match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(c) + distance).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_becomes_one_letter() {
        assert_eq!(lower("ÄÖ ΑΣ İ x1"), "äö ας i x1".replace('ς', "σ"));
        assert_eq!(upper("äß ﬀ ᾳᾂ x1"), "Äß ﬀ ᾼᾊ X1");
    }
}

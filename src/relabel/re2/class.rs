//! Escapes and classes of characters.

use super::{RE2Error, Translator};

/// Their tables would be a fiftieth of the program.
const NO_UNICODE: &str =
    r"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]";

/// The classes that are written `[:name:]`; they know ASCII alone in both engines.
const NAMED: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

impl Translator<'_> {
    /// What begins with a `\\`, outside of a class.
    pub(super) fn escaped(&mut self) -> Result<(), RE2Error> {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            // Prometheus' own end would be quoted as well.
            let wrong = || RE2Error::new(r"a \Q is never ended; add \E");
            let (quoted, rest) = quoted.split_once("\\E").ok_or_else(wrong)?;
            for c in quoted.chars() {
                self.literal(c);
                self.stands();
            }
            self.rest = rest;
            return Ok(());
        }
        let simple = [(r"\A", r"\A"), (r"\z", r"\z"), (r"\b", r"(?-u:\b)"), (r"\B", r"(?-u:\B)")];
        if let Some((written, said)) = simple.iter().find(|(written, _)| self.rest.starts_with(written)) {
            self.skip(written.len());
            self.text.push_str(said);
        } else if !self.letters_class()? {
            let c = self.character_of_escape()?;
            self.literal(c);
        }
        self.stands();
        Ok(())
    }

    /// What stands behind a `[`, up to its `]`.
    pub(super) fn class(&mut self) -> Result<(), RE2Error> {
        self.text.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            self.text.push('^');
        }
        let mut is_first = true;
        loop {
            if !is_first && self.rest.starts_with(']') {
                self.skip(1);
                self.text.push(']');
                return Ok(());
            }
            is_first = false;
            if self.posix_class()? || self.letters_class()? {
                continue;
            }
            let from = self.character_of_class()?;
            self.literal(from);
            let is_range =
                self.rest.strip_prefix('-').is_some_and(|to| !to.is_empty() && !to.starts_with(']'));
            if is_range {
                self.skip(1);
                let to = self.character_of_class()?;
                if to < from {
                    return Err(RE2Error::new(format!("the range {from}-{to} ends before it begins")));
                }
                self.text.push('-');
                self.literal(to);
            }
        }
    }

    fn character_of_class(&mut self) -> Result<char, RE2Error> {
        match self.rest.chars().next() {
            None => Err(RE2Error::new("a [ is never closed")),
            Some('\\') => self.character_of_escape(),
            Some(c) => {
                self.skip(c.len_utf8());
                Ok(c)
            }
        }
    }

    /// `[:alpha:]`, `[:^alpha:]`: whether one stands here.
    fn posix_class(&mut self) -> Result<bool, RE2Error> {
        let Some((name, rest)) = self.rest.strip_prefix("[:").and_then(|within| within.split_once(":]"))
        else {
            return Ok(false);
        };
        if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(RE2Error::new(format!("[:{name}:] names no class")));
        }
        self.rest = rest;
        self.text.push_str(&format!("[:{name}:]"));
        Ok(true)
    }

    /// `\d` and the like: whether one stands here.
    fn letters_class(&mut self) -> Result<bool, RE2Error> {
        let Some(letter) = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) else {
            return Ok(false);
        };
        let within = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            'w' => "0-9A-Za-z_",
            's' => r"\t\n\x0c\r\x20",
            'p' => return Err(RE2Error::new(NO_UNICODE)),
            _ => return Ok(false),
        };
        let not = if letter.is_ascii_uppercase() { "^" } else { "" };
        self.skip(2);
        self.text.push_str(&format!("[{not}{within}]"));
        Ok(true)
    }

    /// The character that an escape stands for.
    fn character_of_escape(&mut self) -> Result<char, RE2Error> {
        let escape: String = self.rest.chars().take(2).collect();
        let wrong = || match escape.as_str() {
            "\\" => RE2Error::new(r"it ends with a \"),
            _ => RE2Error::new(format!("{escape} means nothing in RE2")),
        };
        self.skip(1);
        let digits = self.rest;
        let c = self.rest.chars().next().ok_or_else(wrong)?;
        self.skip(c.len_utf8());
        let found = match c {
            'a' => Some('\x07'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0b'),
            'x' => match self.rest.strip_prefix('{') {
                Some(within) => {
                    let (number, rest) = within.split_once('}').ok_or_else(wrong)?;
                    self.rest = rest;
                    numbered(number, 16)
                }
                None => {
                    let number = self.rest.get(..2).ok_or_else(wrong)?;
                    self.skip(2);
                    numbered(number, 16)
                }
            },
            '0'..='7' => {
                let length = digits.bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                self.skip(length - 1);
                // One digit alone would be a reference to a group.
                let number = digits.get(..length).filter(|number| length > 1 || *number == "0");
                number.and_then(|number| numbered(number, 8))
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        found.ok_or_else(wrong)
    }
}

fn numbered(digits: &str, radix: u32) -> Option<char> {
    // A sign is a number's part for the standard library.
    let is_plain = digits.chars().all(|c| c.is_digit(radix));
    char::from_u32(u32::from_str_radix(digits, radix).ok().filter(|_| is_plain)?)
}

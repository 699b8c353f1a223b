//! RE2's syntax, as Go has it, into that of the engine that runs it here. Where both read the same text in two
//! ways, what is written says it in the one way that both share: `\d`, `\w`, `\s` and `\b` know ASCII alone, a
//! class holds no other class and no operators, a `{` that begins no repetition is a character, `\Q…\E`, octal
//! numbers. What Go refuses is refused: a repetition of a repetition, one over 1,000, flags of other engines.

mod class;

use std::collections::BTreeMap;

/// The most that repetitions within each other may repeat.
const MOST_REPEATED: u64 = 1_000;

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no regular expression (RE2): {what}")]
pub struct RE2Error {
    what: String,
}

impl RE2Error {
    fn new(what: impl Into<String>) -> RE2Error {
        RE2Error { what: what.into() }
    }

    /// What the engine says of a text that has passed here.
    pub(super) fn of_engine(error: &regex::Error) -> RE2Error {
        match error {
            regex::Error::CompiledTooBig(_) => RE2Error::new("it is too large; repeat less in it"),
            other => {
                let text = other.to_string();
                let last = text.lines().next_back().unwrap_or_default().trim_start_matches("error: ");
                RE2Error::new(last)
            }
        }
    }
}

/// An expression for the engine.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) text: String,
    /// The names of the groups by their numbers; the first is the whole.
    pub(super) names: Vec<Option<String>>,
}

/// Translates an expression.
pub(super) fn translate(expression: &str) -> Result<Translated, RE2Error> {
    let mut translator = Translator {
        rest: expression,
        text: String::new(),
        names: vec![None],
        groups: vec![Group::default()],
    };
    translator.all()?;
    let Translator { text, names, groups, .. } = translator;
    match groups.len() {
        1 => Ok(Translated { text, names }),
        _ => Err(RE2Error::new("a ( is never closed")),
    }
}

struct Translator<'a> {
    rest: &'a str,
    text: String,
    names: Vec<Option<String>>,
    /// Those that are open, the whole among them.
    groups: Vec<Group>,
}

/// What is known of a group so far.
#[derive(Default)]
struct Group {
    /// How often repetitions within each other repeat something in it, at most.
    repeated: u64,
    /// The same of what stands last, where something stands there that can be repeated.
    last: Option<u64>,
}

impl<'a> Translator<'a> {
    fn all(&mut self) -> Result<(), RE2Error> {
        let mut is_repeated = false;
        while let Some(c) = self.rest.chars().next() {
            let before = std::mem::take(&mut is_repeated);
            match c {
                '*' | '+' | '?' => {
                    self.skip(1);
                    self.text.push(c);
                    self.repeated(before, None)?;
                    is_repeated = true;
                }
                '{' => match bounds(self.rest) {
                    Some((written, bounds)) => {
                        self.skip(written.len());
                        self.text.push_str(written);
                        self.repeated(before, Some(bounds))?;
                        is_repeated = true;
                    }
                    None => self.character(c),
                },
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.skip(1);
                    self.text.push('|');
                    self.group().last = None;
                }
                '[' => {
                    self.skip(1);
                    self.class()?;
                    self.stands();
                }
                '^' | '$' | '.' => {
                    self.skip(1);
                    self.text.push(c);
                    self.stands();
                }
                '\\' => self.escaped()?,
                _ => self.character(c),
            }
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn group(&mut self) -> &mut Group {
        // The whole is never closed.
        self.groups.last_mut().expect("the whole is open")
    }

    /// Something stands now that can be repeated.
    fn stands(&mut self) {
        self.group().last = Some(1);
    }

    /// A character that stands for itself.
    fn character(&mut self, c: char) {
        self.skip(c.len_utf8());
        self.literal(c);
        self.stands();
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            self.text.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            self.text.push(c);
        }
    }

    /// A repetition was written; a `?` behind it belongs to it.
    fn repeated(&mut self, before: bool, bounds: Option<Bounds>) -> Result<(), RE2Error> {
        if self.rest.starts_with('?') {
            self.skip(1);
            self.text.push('?');
        }
        if before {
            return Err(RE2Error::new(
                "a repetition (*, +, ?, {}) stands behind another one; put it into (?:)",
            ));
        }
        let group = self.group();
        let Some(last) = group.last else {
            return Err(RE2Error::new("a repetition (*, +, ?, {}) has nothing before it to repeat"));
        };
        let times = match bounds {
            None => last,
            Some(Bounds { least, most }) => {
                let most = most.unwrap_or(least);
                let times = if most == 0 { 1 } else { last.saturating_mul(most) };
                if least > MOST_REPEATED
                    || most > MOST_REPEATED
                    || most < least
                    || most > 1 && times > MOST_REPEATED
                {
                    return Err(RE2Error::new(format!(
                        "a repetition is over {MOST_REPEATED}, or ends before it begins"
                    )));
                }
                times
            }
        };
        group.last = Some(times);
        group.repeated = group.repeated.max(times);
        Ok(())
    }

    fn open(&mut self) -> Result<(), RE2Error> {
        let Some(kind) = self.rest.strip_prefix("(?") else {
            self.skip(1);
            self.capture(None);
            return Ok(());
        };
        if let Some(named) = kind.strip_prefix("P<").or_else(|| kind.strip_prefix('<')) {
            if named.starts_with(['=', '!']) {
                return Err(looking());
            }
            let (name, rest) = named.split_once('>').unwrap_or_default();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(RE2Error::new("a group's name is not made of letters, digits and _"));
            }
            self.rest = rest;
            self.capture(Some(name.to_owned()));
            return Ok(());
        }
        if kind.starts_with(['=', '!']) {
            return Err(looking());
        }
        self.rest = kind;
        self.flags()
    }

    /// Names are kept here: the engine knows fewer of them.
    fn capture(&mut self, name: Option<String>) {
        self.names.push(name);
        self.text.push('(');
        self.groups.push(Group::default());
    }

    /// Flags, and the group that they may begin.
    fn flags(&mut self) -> Result<(), RE2Error> {
        let wrong = || RE2Error::new("a group begins with (? and no flag that RE2 knows (i, m, s, U)");
        let (mut flags, mut value, mut is_bare) = (BTreeMap::new(), true, false);
        loop {
            let c = self.rest.chars().next().ok_or_else(wrong)?;
            self.skip(c.len_utf8());
            match c {
                'i' | 'm' | 's' | 'U' => {
                    flags.insert(c, value);
                    is_bare = false;
                }
                '-' if value => (value, is_bare) = (false, true),
                ':' | ')' if !is_bare => {
                    let of =
                        |wanted| flags.iter().filter(move |(_, value)| **value == wanted).map(|(c, _)| *c);
                    let (on, off): (String, String) = (of(true).collect(), of(false).collect());
                    let minus = if off.is_empty() { "" } else { "-" };
                    match c {
                        ':' => {
                            self.text.push_str(&format!("(?{on}{minus}{off}:"));
                            self.groups.push(Group::default());
                        }
                        _ if flags.is_empty() => {}
                        _ => {
                            self.text.push_str(&format!("(?{on}{minus}{off})"));
                            // Go lets a repetition reach over flags, which no other engine does.
                            self.group().last = None;
                        }
                    }
                    return Ok(());
                }
                _ => return Err(wrong()),
            }
        }
    }

    fn close(&mut self) -> Result<(), RE2Error> {
        self.skip(1);
        self.text.push(')');
        let inner = self.groups.pop().map_or(1, |group| group.repeated.max(1));
        let Some(outer) = self.groups.last_mut() else {
            return Err(RE2Error::new("a ) closes nothing"));
        };
        outer.last = Some(inner);
        outer.repeated = outer.repeated.max(inner);
        Ok(())
    }
}

/// How often `{n,m}` repeats; without an m as often as it can.
struct Bounds {
    least: u64,
    most: Option<u64>,
}

/// The `{n}`, `{n,}` or `{n,m}` with which a text begins; anything else is no repetition.
fn bounds(text: &str) -> Option<(&str, Bounds)> {
    let (within, _) = text.strip_prefix('{')?.split_once('}')?;
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let is_plain = is_number && (digits.len() == 1 || !digits.starts_with('0'));
        // What does not fit is over every bound as well.
        is_plain.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let bounds = match within.split_once(',') {
        None => {
            let times = number(within)?;
            Bounds { least: times, most: Some(times) }
        }
        Some((least, "")) => Bounds { least: number(least)?, most: None },
        Some((least, most)) => Bounds { least: number(least)?, most: Some(number(most)?) },
    };
    Some((text.get(..within.len() + 2)?, bounds))
}

fn looking() -> RE2Error {
    RE2Error::new("it looks ahead or behind ((?=, (?!, (?<=, (?<!), which RE2 cannot")
}

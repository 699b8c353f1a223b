//! An expression that must match the whole of a text, and what is written of its groups.

use regex::{Captures, Regex, RegexBuilder};

use super::re2::{self, RE2Error, Translated};

/// So much memory a compiled expression may take: far more than any that a person writes.
const COMPILED: usize = 10 << 20;

/// An expression, anchored as Prometheus anchors it.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// The names of the groups, which begin with the whole.
    names: Vec<Option<String>>,
    /// Every text matches, as one group.
    is_anything: bool,
}

/// A text with references to groups.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The first of these groups that took part in the match; none is nothing.
    Groups(Vec<usize>),
}

impl Pattern {
    pub(super) fn new(expression: &str) -> Result<Pattern, RE2Error> {
        let anchored = re2::translate(&format!("^(?s:{expression})$"));
        // What is wrong is told better of what was typed.
        let Translated { text, names } = match (anchored, re2::translate(expression)) {
            (Err(_), Err(error)) => return Err(error),
            (anchored, _) => anchored?,
        };
        let regex = RegexBuilder::new(&text).size_limit(COMPILED).build();
        let regex = regex.map_err(|error| RE2Error::of_engine(&error))?;
        Ok(Pattern { regex, names, is_anything: expression == "(.*)" })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.is_anything || self.regex.is_match(text)
    }

    /// The template as this expression's groups are named and numbered.
    pub(super) fn template(&self, text: &str) -> Template {
        Template::new(text, &self.names)
    }

    /// What the templates become for a text that matches.
    pub(super) fn expand<const N: usize>(
        &self,
        text: &str,
        templates: [&Template; N],
    ) -> Option<[String; N]> {
        if self.is_anything {
            return Some(templates.map(|template| template.filled(|group| (group < 2).then_some(text))));
        }
        let found = self.regex.captures(text)?;
        Some(templates.map(|template| template.of(&found)))
    }

    /// The text with the template in place of whatever matches in it; none where nothing does.
    pub(super) fn replace_all(&self, text: &str, template: &Template) -> Option<String> {
        match self.regex.replace_all(text, |found: &Captures<'_>| template.of(found)) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(text) => Some(text),
        }
    }
}

impl Template {
    /// Reads a template as Go does: `$1`, `$name`, `${1}`, `${name}`, and `$$` for a `$`.
    fn new(text: &str, names: &[Option<String>]) -> Template {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push(&mut parts, before);
            rest = match after.strip_prefix('$') {
                Some(after) => {
                    push(&mut parts, "$");
                    after
                }
                None => match reference(after) {
                    Some((name, after)) => {
                        parts.push(Part::Groups(groups(name, names)));
                        after
                    }
                    None => {
                        push(&mut parts, "$");
                        after
                    }
                },
            };
        }
        push(&mut parts, rest);
        Template(parts)
    }

    fn of(&self, found: &Captures<'_>) -> String {
        self.filled(|group| found.get(group).map(|group| group.as_str()))
    }

    fn filled<'a>(&self, group: impl Fn(usize) -> Option<&'a str>) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Groups(groups) => {
                    filled.push_str(groups.iter().find_map(|number| group(*number)).unwrap_or_default());
                }
            }
        }
        filled
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// The name that stands behind a `$`, and what comes after it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (within, is_braced) = match text.strip_prefix('{') {
        Some(within) => (within, true),
        None => (text, false),
    };
    let end = within.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(within.len());
    let (name, rest) = within.split_at(end);
    let rest = if is_braced { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// The groups that a reference means.
fn groups(name: &str, names: &[Option<String>]) -> Vec<usize> {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    match name.parse() {
        Ok(number) if is_number => vec![number],
        _ => {
            let is_it = |known: &Option<String>| known.as_deref() == Some(name);
            (0..names.len()).filter(|number| names.get(*number).is_some_and(is_it)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(expression: &str, text: &str, template: &str) -> Option<String> {
        let pattern = Pattern::new(expression).unwrap();
        let template = pattern.template(template);
        pattern.expand(text, [&template]).map(|[text]| text)
    }

    #[test]
    fn references_are_read_as_go_reads_them() {
        for (template, expected) in [
            ("$1-$2", "ab-cd"),
            ("${1}x$1x", "abx"),
            ("$$1", "$1"),
            ("$", "$"),
            ("a$-b", "a$-b"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("$0", "ab.cd"),
            ("$3${99}$name", "cd"),
            ("${name}é", "cdé"),
            ("$01", ""),
            ("$1é", ""),
        ] {
            let found = expanded(r"(\w+)\.(?P<name>\w+)", "ab.cd", template);
            assert_eq!(found.as_deref(), Some(expected), "{template}");
        }
    }

    #[test]
    fn the_whole_of_a_text_must_match() {
        assert_eq!(expanded("a|b", "ab", "x"), None);
        assert_eq!(expanded("(.*)", "a\nb", "$1"), Some("a\nb".into()));
        assert_eq!(expanded("(.+)", "a\nb", "$1"), Some("a\nb".into()));
        assert_eq!(expanded("", "", "x"), Some("x".into()));
        assert_eq!(expanded("", "a", "x"), None);
    }
}

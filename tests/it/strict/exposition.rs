//! The text format 0.0.4 and OpenMetrics 1.0.

use std::collections::{HashMap, HashSet};

use super::{Pairs, check_labels, is_name};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Text,
    OpenMetrics,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Pairs,
    pub value: f64,
}

/// What is wrong, and in which line (from 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    pub line: usize,
    pub what: String,
}

/// Reads a page: each family once, with HELP and TYPE before its samples, and no timestamps.
pub fn read(page: &str, form: Form) -> Result<Vec<Family>, Wrong> {
    let lines: Vec<&str> = page.split('\n').collect();
    let wrong = |line: usize, what: String| Wrong { line, what };
    let (last, lines) = lines.split_last().expect("a split gives at least one piece");
    if !last.is_empty() {
        return Err(wrong(lines.len() + 1, "the last line does not end".into()));
    }
    let lines = match (form, lines.split_last()) {
        (Form::Text, _) => lines,
        (Form::OpenMetrics, Some((&"# EOF", rest))) => rest,
        (Form::OpenMetrics, _) => return Err(wrong(lines.len(), "the last line is not # EOF".into())),
    };
    let mut reader =
        Reader { form, done: Vec::new(), open: None, names: HashSet::new(), series: HashMap::new() };
    for (number, line) in lines.iter().enumerate() {
        reader.line(number + 1, line).map_err(|what| wrong(number + 1, what))?;
    }
    reader.close().map_err(|what| wrong(lines.len(), what))?;
    Ok(reader.done)
}

struct Reader {
    form: Form,
    done: Vec<Family>,
    open: Option<Open>,
    /// Names of families and of their samples that were taken.
    names: HashSet<String>,
    /// The line of each series.
    series: HashMap<(String, Pairs), usize>,
}

struct Open {
    name: String,
    help: Option<String>,
    kind: Option<String>,
    samples: Vec<Sample>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Err("a line is empty".into());
        }
        let Some(comment) = line.strip_prefix('#') else { return self.sample(number, line) };
        let words: Vec<&str> = comment.splitn(4, ' ').collect();
        match words.as_slice() {
            ["", "HELP", name, help] => {
                let help = unescape(help, self.form == Form::OpenMetrics)?;
                let open = self.family(name)?;
                if !open.samples.is_empty() {
                    return Err(format!("HELP of {name} stands after a sample"));
                }
                if open.help.replace(help).is_some() {
                    return Err(format!("HELP of {name} stands twice"));
                }
            }
            ["", "TYPE", name, kind] => {
                let known: &[&str] = match self.form {
                    Form::Text => &["counter", "gauge", "untyped"],
                    Form::OpenMetrics => &["counter", "gauge", "unknown", "info"],
                };
                if !known.contains(kind) {
                    return Err(format!("{kind:?} is no type of ours"));
                }
                let suffix = suffix(self.form, kind);
                if !suffix.is_empty() && name.ends_with(suffix) {
                    return Err(format!("the family {name} of type {kind} ends in {suffix}"));
                }
                let open = self.family(name)?;
                if !open.samples.is_empty() {
                    return Err(format!("TYPE of {name} stands after a sample"));
                }
                if open.kind.replace((*kind).to_owned()).is_some() {
                    return Err(format!("TYPE of {name} stands twice"));
                }
            }
            _ => return Err("a comment that is neither HELP nor TYPE".into()),
        }
        Ok(())
    }

    /// The family that is open, of this name; another one is closed before.
    fn family(&mut self, name: &str) -> Result<&mut Open, String> {
        if self.open.as_ref().is_none_or(|open| open.name != name) {
            self.close()?;
            if !is_name(name, true) {
                return Err(format!("{name:?} is no metric name"));
            }
            if self.names.contains(name) {
                return Err(format!("the family {name} stands apart from itself or shares a name"));
            }
            self.open = Some(Open { name: name.to_owned(), help: None, kind: None, samples: Vec::new() });
        }
        Ok(self.open.as_mut().expect("it was just opened"))
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let (Some(kind), Some(help)) = (open.kind, open.help) else {
            return Err(format!("the family {} lacks HELP or TYPE", open.name));
        };
        let of_samples = format!("{}{}", open.name, suffix(self.form, &kind));
        for name in HashSet::from([open.name.clone(), of_samples]) {
            if !self.names.insert(name.clone()) {
                return Err(format!("two families share the name {name}"));
            }
        }
        self.done.push(Family { name: open.name, kind, help, samples: open.samples });
        Ok(())
    }

    fn sample(&mut self, number: usize, line: &str) -> Result<(), String> {
        let sample = sample(line)?;
        let form = self.form;
        let Some((open, kind)) =
            self.open.as_mut().and_then(|open| open.kind.clone().map(|kind| (open, kind)))
        else {
            return Err(format!("no TYPE stands before the sample {}", sample.name));
        };
        if open.help.is_none() {
            return Err(format!("no HELP stands before the sample {}", sample.name));
        }
        if sample.name != format!("{}{}", open.name, suffix(form, &kind)) {
            return Err(format!("the sample {} stands in the family {}", sample.name, open.name));
        }
        if form == Form::OpenMetrics {
            match kind.as_str() {
                "counter" if sample.value.is_nan() || sample.value < 0.0 => {
                    return Err(format!("a counter is {}", sample.value));
                }
                "info" if sample.value != 1.0 => return Err(format!("an info is {}", sample.value)),
                _ => {}
            }
        }
        check_labels(&sample.labels)?;
        let key = (sample.name.clone(), sample.labels.clone());
        if let Some(first) = self.series.insert(key, number) {
            return Err(format!("the series stands in line {first} already"));
        }
        open.samples.push(sample);
        Ok(())
    }
}

/// What a family's samples have behind its name.
fn suffix(form: Form, kind: &str) -> &'static str {
    match (form, kind) {
        (Form::OpenMetrics, "counter") => "_total",
        (Form::OpenMetrics, "info") => "_info",
        _ => "",
    }
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err(format!("{name:?} is no metric name"));
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Pairs::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    if value.contains(' ') {
        return Err(format!("something stands behind the value: {value:?}"));
    }
    Ok(Sample { name: name.to_owned(), labels, value: number(value)? })
}

/// The labels after the opening brace, and what stands after the closing one.
fn labels(mut rest: &str) -> Result<(Pairs, &str), String> {
    let mut all = Pairs::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a quoted value")?;
        if !is_name(name, false) {
            return Err(format!("{name:?} is no label name"));
        }
        let mut escaped = false;
        let end = after.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or("a quote is not closed")?;
        let (value, after) = after.split_at(end);
        all.push((name.to_owned(), unescape(value, true)?));
        let mut after = after.chars();
        after.next();
        match after.next() {
            Some(',') => rest = after.as_str(),
            Some('}') => return Ok((all, after.as_str())),
            other => return Err(format!("{other:?} stands behind a label")),
        }
    }
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('\\') => out.push('\\'),
                Some('n') => out.push('\n'),
                Some('"') if quotes => out.push('"'),
                other => return Err(format!("a backslash before {other:?}")),
            },
            '"' if quotes => return Err("a bare quote".into()),
            other => out.push(other),
        }
    }
    Ok(out)
}

fn number(text: &str) -> Result<f64, String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match text {
        "NaN" => Ok(f64::NAN),
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ if is_plain => text.parse().map_err(|_| format!("{text:?} is no number")),
        _ => Err(format!("{text:?} is no number")),
    }
}

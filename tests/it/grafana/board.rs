//! A dashboard's file, as far as tests ask: panels, their queries, and what Grafana makes of the variables in them.

use serde_json::Value;

use crate::rules::text;

pub struct Board {
    pub json: Value,
    pub panels: Vec<Panel>,
}

pub struct Panel {
    pub json: Value,
    pub title: String,
    pub kind: String,
    /// The title of the row that it stands under.
    pub row: String,
    pub queries: Vec<Query>,
}

pub struct Query {
    pub reference: String,
    pub expr: String,
    pub legend: String,
    pub range: bool,
}

pub fn board(name: &str) -> Board {
    Board::read(&text(&format!("deploy/grafana/{name}.json")))
}

impl Board {
    pub fn read(text: &str) -> Self {
        let json: Value = serde_json::from_str(text).expect("a dashboard is JSON");
        let mut row = String::new();
        let mut panels = Vec::new();
        for panel in json["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title").to_owned();
            let kind = panel["type"].as_str().expect("a type").to_owned();
            if kind == "row" {
                row.clone_from(&title);
            }
            let queries = panel["targets"].as_array().into_iter().flatten().map(Query::read).collect();
            panels.push(Panel { json: panel.clone(), title, kind, row: row.clone(), queries });
        }
        Board { json, panels }
    }

    /// Every value of a key, wherever it stands, that is of interest.
    pub fn find<T>(&self, key: &str, interest: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        let (mut found, mut open) = (Vec::new(), vec![&self.json]);
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) => {
                    found.extend(map.get(key).and_then(&interest));
                    open.extend(map.values());
                }
                Value::Array(all) => open.extend(all),
                _ => {}
            }
        }
        found
    }

    pub fn variables(&self) -> impl Iterator<Item = String> {
        let all = self.json["templating"]["list"].as_array().expect("variables");
        all.iter().map(|variable| variable["name"].as_str().expect("a name").to_owned())
    }

    /// The selector and the label of each `label_values(selector, label)` among the variables.
    pub fn label_queries(&self) -> Vec<(String, String)> {
        let all = self.json["templating"]["list"].as_array().expect("variables");
        let queries = all.iter().filter_map(|variable| variable["definition"].as_str());
        queries
            .map(|query| {
                let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let (selector, label) = inside.and_then(|rest| rest.rsplit_once(", ")).expect(query);
                (selector.to_owned(), label.to_owned())
            })
            .collect()
    }
}

impl Panel {
    /// Where it begins: y, x.
    pub fn place(&self) -> (u64, u64) {
        let at = |key: &str| self.json["gridPos"][key].as_u64().expect("a place");
        (at("y"), at("x"))
    }
}

impl Query {
    fn read(target: &Value) -> Self {
        let text =
            |key: &str| target[key].as_str().unwrap_or_else(|| panic!("no {key} in {target}")).to_owned();
        Query {
            reference: text("refId"),
            expr: text("expr"),
            legend: text("legendFormat"),
            range: target["range"].as_bool().expect("a range or an instant"),
        }
    }
}

/// What is chosen in the dashboard's variables.
#[derive(Clone)]
pub struct Chosen {
    pub job: Vec<String>,
    /// None: All, which has a value of its own.
    pub fleet: Option<Vec<String>>,
    pub instance: Option<Vec<String>>,
}

impl Chosen {
    /// A query as Grafana sends it.
    pub fn fill(&self, expr: &str) -> String {
        let all =
            |values: &Option<Vec<String>>| values.as_deref().map_or_else(|| ".*".to_owned(), alternatives);
        let filled = expr
            .replace("$job", &alternatives(&self.job))
            .replace("$fleet", &all(&self.fleet))
            .replace("$instance", &all(&self.instance))
            .replace("$window", "30m")
            .replace("$__range", "10800s")
            .replace("$__interval", "1s");
        let rest = filled.replace("\"$1\"", "");
        assert!(!rest.contains('$'), "a variable is left: {filled}");
        filled
    }
}

/// Grafana's form of several values for a regular expression within a PromQL string.
fn alternatives(values: &[String]) -> String {
    let escape = |value: &String| {
        let value = value.replace('\\', r"\\\\");
        let special = |letter: char| "$^*{}[]'+?.()|".contains(letter);
        let letters = value.chars().flat_map(|letter| {
            let before = if special(letter) { r"\\" } else { "" };
            before.chars().chain([letter])
        });
        letters.collect::<String>()
    };
    match values {
        [one] => escape(one),
        several => format!("({})", several.iter().map(escape).collect::<Vec<_>>().join("|")),
    }
}

#[test]
fn several_values_become_alternatives_with_their_special_letters_escaped() {
    let chosen = Chosen {
        job: vec!["balena".into()],
        fleet: Some(vec!["a.b (c)".into(), "d".into()]),
        instance: None,
    };
    let filled = chosen.fill(r#"x{job=~"$job",f=~"$fleet",i=~"$instance"}[$window]"#);
    assert_eq!(filled, r#"x{job=~"balena",f=~"(a\\.b \\(c\\)|d)",i=~".*"}[30m]"#);
}

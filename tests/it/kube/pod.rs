//! The pods that a rendering starts, whatever kind of object starts them.

use serde_json::{Map, Value};

/// A pod's template with the object that it is of.
#[derive(Clone, Copy)]
pub(super) struct Pod<'a> {
    /// The object that makes it, or the pod itself.
    pub(super) owner: &'a Value,
    pub(super) metadata: &'a Value,
    pub(super) spec: &'a Value,
}

/// Every pod of these documents.
pub(super) fn pods(documents: &[Value]) -> Vec<Pod<'_>> {
    let of = |owner| {
        let template = match kind(owner) {
            "CronJob" => &owner["spec"]["jobTemplate"]["spec"]["template"],
            "Deployment" => &owner["spec"]["template"],
            "Pod" => owner,
            _ => return None,
        };
        Some(Pod { owner, metadata: &template["metadata"], spec: &template["spec"] })
    };
    documents.iter().filter_map(of).collect()
}

impl<'a> Pod<'a> {
    /// The container that runs the program.
    pub(super) fn container(self) -> &'a Value {
        let all = list(&self.spec["containers"]);
        all.iter().find(|one| one["name"] == "fleetpush").expect("the container is named `fleetpush`")
    }

    pub(super) fn labels(self) -> &'a Map<String, Value> {
        map(&self.metadata["labels"])
    }

    /// Containers of both kinds.
    pub(super) fn containers(self) -> impl Iterator<Item = &'a Value> {
        list(&self.spec["initContainers"]).iter().chain(list(&self.spec["containers"]))
    }

    /// What follows a flag, as in `--once.deadline=45s`.
    pub(super) fn flag(self, name: &str) -> Option<&'a str> {
        let arguments = list(&self.container()["args"]).iter().filter_map(Value::as_str);
        arguments.filter_map(|one| one.strip_prefix(name)?.strip_prefix('=')).next()
    }
}

pub(super) fn kind(document: &Value) -> &str {
    document["kind"].as_str().unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    object["name"].as_str().unwrap_or_default()
}

/// `kind/name` of a document.
pub(super) fn title(document: &Value) -> String {
    format!("{}/{}", kind(document), name(&document["metadata"]))
}

/// A list, empty where there is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A map, empty where there is none.
pub(super) fn map(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

/// Whether labels are those that a `matchLabels` asks for, which asks for at least one.
pub(super) fn matches(asked: &Value, labels: &Map<String, Value>) -> bool {
    let asked = map(asked);
    !asked.is_empty() && asked.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The documents of one kind.
pub(super) fn of_kind<'a>(documents: &'a [Value], wanted: &'a str) -> impl Iterator<Item = &'a Value> {
    documents.iter().filter(move |document| kind(document) == wanted)
}

//! Manifests as the tools make them. In: an overlay or values. Out: documents as JSON, and what the schemas say.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

/// The oldest version that the chart allows, and some until the newest that the schemas know.
const VERSIONS: [&str; 4] = ["1.29", "1.32", "1.35", "1.37"];

/// The release's name and the namespace that charts are rendered with.
pub(super) const RELEASE: &str = "fp";
pub(super) const NAMESPACE: &str = "monitoring";

/// Which release of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// kubectl 1.32 and Helm 3.17.
    Old,
    /// kubectl 1.35 and Helm 4.1.
    New,
}

impl Age {
    pub(super) const ALL: [Self; 2] = [Self::Old, Self::New];
}

pub(super) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn tools(path: &str) -> PathBuf {
    let path = source("target/test-tools/kubernetes").join(path);
    assert!(
        path.exists(),
        "{} is missing: run `make test-tools`, which fetches it without root",
        path.display()
    );
    path
}

/// A tool with an environment of its own, in which no cluster is named.
pub(super) fn tool(age: Age, name: &str) -> Command {
    let folder = match age {
        Age::Old => "old",
        Age::New => "new",
    };
    let mut command = Command::new(tools(folder).join(name));
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("KUBECONFIG", "/nonexistent/config")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(super) fn output(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().to_string_lossy()))
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What a command printed, which must have ended well.
fn printed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub(super) fn kustomize(age: Age, folder: &Path) -> String {
    printed(tool(age, "kubectl").arg("kustomize").arg(folder))
}

pub(super) fn helm_template(age: Age, chart: &Path, release: &str, arguments: &[&str]) -> Output {
    let mut helm = tool(age, "helm");
    helm.arg("template").arg(release).arg(chart).args(["--namespace", NAMESPACE]).args(arguments);
    output(&mut helm)
}

pub(super) fn chart_folder() -> PathBuf {
    source("deploy/helm/fleetpush")
}

/// The chart with these arguments, such as `--values FILE`.
pub(super) fn chart(age: Age, arguments: &[&str]) -> String {
    let output = helm_template(age, &chart_folder(), RELEASE, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The values in the chart's folder `ci`, by their file's name.
pub(super) fn examples() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(chart_folder().join("ci")).expect("the chart's own folder");
    let mut found: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into_owned(), path))
        .collect();
    found.sort();
    found
}

fn python(program: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("python3")
        .args(program)
        .env("PYTHONPATH", tools("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3, which `make test-tools` needs as well");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("it reads everything before it answers");
    drop(stdin);
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

/// The documents of a YAML text, without any judgement.
pub(super) fn documents(yaml: &str) -> Vec<Value> {
    let program =
        "import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)";
    serde_json::from_slice(&python(&["-c", program], yaml.as_bytes())).expect("JSON")
}

/// The documents of each YAML text, and what is wrong with them by the schemas.
pub(super) fn validated(rendered: &BTreeMap<String, String>) -> BTreeMap<String, (Vec<Value>, Vec<String>)> {
    let script = source("tests/kubernetes/validate.py");
    let input = json!({ "versions": VERSIONS, "rendered": rendered }).to_string();
    let answer = python(&[script.to_str().expect("a path of ours")], input.as_bytes());
    let answer: BTreeMap<String, Value> = serde_json::from_slice(&answer).expect("JSON");
    let answer = answer.into_iter().map(|(name, mut found)| {
        let mut take = |key: &str| found[key].take();
        let (documents, errors) = (take("documents"), take("errors"));
        let documents = serde_json::from_value(documents).expect("a list");
        (name, (documents, serde_json::from_value(errors).expect("texts")))
    });
    answer.collect()
}

/// What stands in the repository, rendered.
pub(super) struct Rendered {
    /// `overlay cronjob`, `chart deployment-values.yaml`.
    pub(super) name: String,
    pub(super) text: String,
    /// The same by the other release of the tool.
    pub(super) by_old: String,
    pub(super) documents: Vec<Value>,
    /// What the schemas refuse.
    pub(super) errors: Vec<String>,
}

/// Both overlays, a site's own kustomization around each, the chart as it is, and with each of its examples.
pub(super) fn all() -> &'static [Rendered] {
    static ALL: LazyLock<Vec<Rendered>> = LazyLock::new(|| {
        let mut texts: Vec<(String, [String; 2])> = Vec::new();
        for overlay in ["cronjob", "deployment"] {
            let folder = source("deploy/kubernetes/overlays").join(overlay);
            texts.push((format!("overlay {overlay}"), Age::ALL.map(|age| kustomize(age, &folder))));
            let site = Site::new(overlay, None);
            texts.push((format!("site {overlay}"), Age::ALL.map(|age| kustomize(age, site.folder()))));
        }
        texts.push(("chart".to_owned() + " as it is", Age::ALL.map(|age| chart(age, &[]))));
        for (name, path) in examples() {
            let path = path.to_str().expect("a path of ours");
            texts.push((format!("chart {name}"), Age::ALL.map(|age| chart(age, &["--values", path]))));
        }
        let new = texts.iter().map(|(name, [_, new])| (name.clone(), new.clone())).collect();
        let mut judged = validated(&new);
        let all = texts.into_iter().map(|(name, [by_old, text])| {
            let (documents, errors) = judged.remove(&name).expect("an answer for each");
            Rendered { name, text, by_old, documents, errors }
        });
        all.collect()
    });
    &ALL
}

/// A site's own kustomization around an overlay, as docs/kubernetes.md shows it.
pub(super) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub(super) fn new(overlay: &str, fleetpush_yml: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&source("deploy/kubernetes"), &folder.path().join("kubernetes"));
        let mut kustomization = format!(
            "resources: [kubernetes/overlays/{overlay}]\nnamespace: {NAMESPACE}\nnamePrefix: site-7-\n\
             images: [{{name: fleetpush, newName: registry.example.org/tools/fleetpush, newTag: \"1.2\"}}]\n"
        );
        if let Some(file) = fleetpush_yml {
            fs::write(folder.path().join("fleetpush.yml"), file).expect("our own folder");
            kustomization +=
                "configMapGenerator: [{name: fleetpush, behavior: replace, files: [fleetpush.yml]}]\n";
        }
        fs::write(folder.path().join("kustomization.yaml"), kustomization).expect("our own folder");
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A folder with everything in it.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder of ours");
    for entry in fs::read_dir(from).expect("a folder of the repository") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn old_and_recent_releases_of_the_tools_render_the_same() {
    for rendered in all() {
        assert_eq!(rendered.by_old, rendered.text, "{}", rendered.name);
    }
}

#[test]
fn the_schemas_of_every_version_accept_what_is_rendered() {
    let wrong: Vec<&String> = all().iter().flat_map(|rendered| &rendered.errors).collect();
    assert_eq!(wrong, Vec::<&String>::new());
    let kinds: std::collections::BTreeSet<&str> =
        all().iter().flat_map(|one| &one.documents).filter_map(|one| one["kind"].as_str()).collect();
    let due = [
        "ConfigMap",
        "CronJob",
        "Deployment",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Pod",
        "PodMonitor",
        "PrometheusRule",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), due);
}

#[test]
fn the_schemas_refuse_what_no_cluster_would_take() {
    let broken = [
        ("unknown key", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndatas: {}", "datas"),
        (
            "wrong type",
            "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {a: 1}",
            "is not of type",
        ),
        (
            "missing key",
            "kind: CronJob\napiVersion: batch/v1\nmetadata: {name: a}\nspec: {schedule: a}",
            "jobTemplate",
        ),
        ("unknown kind", "kind: Cronjobb\napiVersion: batch/v1\nmetadata: {name: a}", "schema for kind"),
        (
            "unknown key of the operator's",
            "kind: ServiceMonitor\napiVersion: monitoring.coreos.com/v1\nmetadata: {name: a}\n\
             spec: {selector: {}, endpoints: [{port: a, intervall: 3s}]}",
            "endpoints[0].intervall is not known",
        ),
        (
            "wrong type of the operator's",
            "kind: ServiceMonitor\napiVersion: monitoring.coreos.com/v1\nmetadata: {name: a}\n\
             spec: {selector: {}, endpoints: {}}",
            "spec.endpoints",
        ),
        ("a key twice", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a, name: b}", "stands twice"),
        ("no manifest", "kind: ConfigMap", "no manifest"),
    ];
    let texts = broken.iter().map(|(name, yaml, _)| ((*name).to_owned(), (*yaml).to_owned())).collect();
    let judged = validated(&texts);
    for (name, _, due) in broken {
        let (_, errors) = &judged[name];
        assert!(!errors.is_empty() && errors.iter().all(|error| error.contains(due)), "{name}: {errors:?}");
    }
}

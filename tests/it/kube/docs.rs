//! docs/kubernetes.md and the chart's README: every command is one that the tools know, every block one that works.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::pod::of_kind;
use super::render::{
    Age, NAMESPACE, RELEASE, all, chart, copy, documents, helm_template, kustomize, output, source, text,
    tool, validated,
};
use super::rules::problems;
use crate::program::Program;
use crate::servers::{Prometheus, Suite};

const PAGES: [&str; 2] = ["docs/kubernetes.md", "deploy/helm/fleetpush/README.md"];

fn page(path: &str) -> String {
    fs::read_to_string(source(path)).expect("a page of the repository")
}

/// The fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let parts = page.split("\n```").skip(1).step_by(2);
    let of_language = parts.filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'));
    of_language.map(|block| format!("{block}\n")).collect()
}

/// The blocks of YAML that are a file of this name.
fn files(name: &str) -> Vec<String> {
    let all = blocks(&page(PAGES[0]), "yaml");
    all.into_iter().filter(|block| block.starts_with(&format!("# {name}\n"))).collect()
}

/// A command's words as a shell would split them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in command.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// A folder as a reader has it before the commands: the files of the page, the repository's folders, the secrets.
fn reader() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    copy(&source("deploy"), &here.join("deploy"));
    copy(&source("deploy/kubernetes"), &here.join("kubernetes"));
    let write = |name: &str, text: &str| fs::write(here.join(name), text).expect("our own folder");
    for name in ["kustomization.yaml", "fleetpush.yml", "values.yaml"] {
        write(name, &files(name)[0]);
    }
    write("token.txt", "secret\n");
    write("password.txt", "secret\n");
    folder
}

/// A job that the CronJob would start, as a later command of a pipe reads it.
fn a_job() -> String {
    let cron_job = of_kind(&all()[0].documents, "CronJob").next().expect("the overlay's");
    let job = &cron_job["spec"]["jobTemplate"]["spec"];
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": job}).to_string()
}

/// Runs one command where no cluster answers.
fn said(age: Age, command: &str, folder: &Path, kubeconfig: &Path) -> (bool, String) {
    let words = words(command);
    let mut run = tool(age, &words[0]);
    let job = folder.join("stdin");
    fs::write(&job, a_job()).expect("our own folder");
    let stdin = fs::File::open(&job).expect("our own file");
    run.args(&words[1..]).env("KUBECONFIG", kubeconfig).current_dir(folder).stdin(stdin);
    let output = output(&mut run);
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// Whether a command was understood: it did its work, or it got as far as asking a cluster that is not there.
fn understood(answer: &(bool, String)) -> bool {
    let asked = ["connection refused", "was refused", "cluster unreachable"];
    answer.0 || (asked.iter().any(|text| answer.1.contains(text)) && !answer.1.contains("unknown"))
}

#[test]
fn every_command_is_one_that_the_tools_know() {
    let folder = reader();
    let kubeconfig = folder.path().join("kubeconfig");
    let nobody = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "none",
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "users": [{"name": "none", "user": {}}],
    });
    fs::write(&kubeconfig, nobody.to_string()).expect("our own folder");
    let mut seen = 0;
    for path in PAGES {
        let here = if path.starts_with("docs") {
            folder.path().to_owned()
        } else {
            folder.path().join("deploy/helm/fleetpush")
        };
        fs::write(here.join("token.txt"), "secret\n").expect("our own folder");
        let lines = blocks(&page(path), "sh").concat();
        for command in lines.lines().flat_map(|line| line.split(" | ")) {
            for age in Age::ALL {
                let answer = said(age, command, &here, &kubeconfig);
                assert!(understood(&answer), "{command}\n{}", answer.1);
                seen += 1;
            }
        }
    }
    assert!(seen >= 30, "{seen}");
    for wrong in [
        "kubectl create namespaze fleetpush",
        "kubectl apply --kustomise .",
        "kubectl create job a --form=cronjob/fleetpush",
        "kubectl apply --kustomize nowhere",
        "kubectl patch --local --filename=- --type=json --patch=[{]",
        "helm install fleetpush nowhere",
        "helm tests fleetpush",
    ] {
        let answer = said(Age::New, wrong, folder.path(), &kubeconfig);
        assert!(!understood(&answer), "{wrong}\n{}", answer.1);
    }
}

#[test]
fn the_job_of_a_queue_command_keeps_everything_but_the_command() {
    let folder = reader();
    let lines = blocks(&page(PAGES[0]), "sh").concat();
    let patch = lines
        .lines()
        .flat_map(|line| line.split(" | "))
        .find(|one| one.starts_with("kubectl patch"))
        .expect("it is shown");
    let answer = said(Age::New, patch, folder.path(), Path::new("/nonexistent/config"));
    let patched = &documents(&answer.1)[0];
    let mut due: Value = serde_json::from_str(&a_job()).expect("JSON");
    due["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["queue", "status"]);
    assert_eq!(patched["spec"], due["spec"]);
}

#[test]
fn every_kustomization_of_the_page_renders_what_works() {
    let blocks = files("kustomization.yaml");
    assert_eq!(blocks.len(), 2);
    let mut rendered = BTreeMap::new();
    for block in blocks {
        for overlay in ["deployment", "cronjob"] {
            let folder = reader();
            let block = block.replace("overlays/deployment]", &format!("overlays/{overlay}]"));
            fs::write(folder.path().join("kustomization.yaml"), &block).expect("our own folder");
            rendered.insert(block, kustomize(Age::New, folder.path()));
        }
    }
    assert_eq!(rendered.len(), 4);
    for (block, (documents, errors)) in validated(&rendered) {
        assert_eq!(errors, Vec::<String>::new(), "{block}");
        assert_eq!(problems(&documents, &["Secret/fleetpush"]), Vec::<String>::new(), "{block}");
        let policy = of_kind(&documents, "NetworkPolicy").next().expect("the policy");
        let proxy = policy["spec"]["egress"].to_string().contains("3128");
        assert_eq!(proxy, block.contains("3128"));
    }
}

#[test]
fn the_values_of_the_page_render_what_works() {
    let folder = reader();
    let values = folder.path().join("values.yaml");
    let values = values.to_str().expect("a path of ours");
    for kind in ["kind=Deployment", "kind=CronJob"] {
        let documents = documents(&chart(Age::New, &["--values", values, "--set", kind]));
        assert_eq!(problems(&documents, &["Secret/fp-fleetpush"]), Vec::<String>::new());
    }
    // OpenShift, as the page says it.
    let set = r#"podSecurityContext={"runAsUser": null, "runAsGroup": null, "fsGroup": null, "fsGroupChangePolicy": null}"#;
    let rendered = helm_template(Age::New, &super::render::chart_folder(), RELEASE, &["--set-json", set]);
    let documents = documents(&text(&rendered.stdout));
    let context = &super::pod::pods(&documents)[0].spec["securityContext"];
    assert_eq!(*context, json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}));
}

#[tokio::test]
async fn every_file_of_the_page_is_a_good_configuration() {
    let blocks = files("fleetpush.yml");
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let folder = tempfile::tempdir().expect("a folder");
        let password = folder.path().join("password");
        fs::write(&password, "secret").expect("our own folder");
        let block =
            block.replace("/run/secrets/fleetpush/remote-write-password", password.to_str().expect("a path"));
        let file = folder.path().join("fleetpush.yml");
        fs::write(&file, block).expect("our own folder");
        let file = file.to_str().expect("a path of ours");
        let mut program =
            Program::start(&["--config.check"], &[("BALENA_TOKEN", "a"), ("FLEETPUSH_CONFIG_FILE", file)]);
        assert_eq!(program.code().await, 0, "{}", program.stderr());
        assert_eq!(program.stderr(), "");
    }
}

#[tokio::test]
async fn prometheus_takes_the_scrape_that_the_page_shows() {
    let blocks = files("prometheus.yml");
    assert_eq!(blocks.len(), 1);
    Prometheus::start(Suite::New, &blocks[0]).await;
}

#[test]
fn the_page_links_to_what_is_there() {
    let mut links = 0;
    for path in PAGES {
        let text = page(path);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let target = source(path).parent().expect("a folder").join(file);
            assert!(target.exists(), "{path}: {link}");
            links += 1;
        }
    }
    assert!(links >= 3, "{links}");
    assert_ne!(NAMESPACE, "fleetpush", "the tests' own namespace is another one");
}

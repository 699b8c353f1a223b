//! The chart for whoever installs it: lint, the schema of its values, what it refuses and says, its notes, its names, and
//! the files that it has copies of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::Value;

use super::pod::{kind, list, map, name, of_kind};
use super::render::{
    Age, NAMESPACE, RELEASE, chart, chart_folder, copy, documents, examples, helm_template, output, source,
    text, tool,
};
use super::rules::problems;

#[test]
fn lint_has_nothing_to_say_about_any_example() {
    let examples = examples();
    let values = examples.iter().map(|(_, path)| vec!["--values".to_owned(), path.display().to_string()]);
    for arguments in values.chain([Vec::new()]) {
        for age in Age::ALL {
            let linted =
                output(tool(age, "helm").args(["lint", "--strict"]).arg(chart_folder()).args(&arguments));
            let said = text(&linted.stdout) + &text(&linted.stderr);
            assert!(
                linted.status.success() && said.contains("1 chart(s) linted, 0 chart(s) failed"),
                "{said}"
            );
            let complaints: Vec<&str> = said
                .lines()
                .filter(|line| line.starts_with('[') && !line.contains("icon is recommended"))
                .collect();
            assert_eq!(complaints, Vec::<&str>::new(), "{arguments:?}");
        }
    }
}

/// Paths of keys, down to where the schema leaves a value to Kubernetes or to the program.
fn keys(value: &Value, schema: &Value, path: &str, found: &mut BTreeMap<String, bool>) {
    let properties = map(&schema["properties"]);
    for (key, of_key) in properties {
        let path = format!("{path}.{key}");
        let given = value.get(key);
        found.insert(path.clone(), given.is_some());
        keys(given.unwrap_or(&Value::Null), of_key, &path, found);
    }
}

#[test]
fn every_value_has_its_place_in_the_schema_and_its_default_in_the_file() {
    let read = |file: &str| fs::read_to_string(chart_folder().join(file)).expect("the chart's own file");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let values = &documents(&read("values.yaml"))[0];
    let mut found = BTreeMap::new();
    keys(values, &schema, "", &mut found);
    let missing: Vec<&String> = found.iter().filter(|(_, there)| !**there).map(|(path, _)| path).collect();
    assert_eq!(missing, Vec::<&String>::new(), "not in values.yaml");
    assert!(found.len() > 100, "{}", found.len());
    // What is in the file and not in the schema is refused by helm itself, at each rendering of these tests.
    fn closed(schema: &Value, path: &str) {
        if schema.get("properties").is_some() && path != ".global" {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        for (key, inner) in map(&schema["properties"]) {
            closed(inner, &format!("{path}.{key}"));
        }
    }
    closed(&schema, "");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}

#[rstest]
#[case::unknown(&["--set", "schedule=x"], "schedule")]
#[case::unknown_below(&["--set", "cronJob.shedule=x"], "shedule")]
#[case::kind(&["--set", "kind=StatefulSet"], "kind")]
#[case::cron_text(&["--set", "kind=CronJob,cronJob.schedule=often"], "schedule")]
#[case::late(&["--set", "cronJob.startingDeadlineSeconds=5"], "startingDeadlineSeconds")]
#[case::number(&["--set-string", "service.port=8000"], "port")]
#[case::size(&["--set", "persistence.size=2GiB"], "size")]
#[case::replicas(&["--set", "replicas=2"], "replicas")]
#[case::deadlines(
    &["--set", "kind=CronJob,cronJob.activeDeadlineSeconds=45"],
    "cronJob.activeDeadlineSeconds must be more than cronJob.onceDeadlineSeconds"
)]
#[case::scraped_cron_job(&["--set", "kind=CronJob,serviceMonitor.enabled=true"], "a CronJob serves no page")]
#[case::both_monitors(&["--set", "serviceMonitor.enabled=true,podMonitor.enabled=true"], "enable one of them")]
#[case::two_tokens(&["--set", "balenaToken=a,existingSecret.name=b"], "keep one of them")]
#[case::secret_in_the_file(
    &["--set", "config.remote_write[0].url=https://a.example.org,config.remote_write[0].basic_auth.password=hunter2"],
    "put it into the Secret fp-fleetpush and name its file here, as `password_file: /run/secrets/fleetpush/KEY`"
)]
#[case::token_in_the_file(&["--set", "config.balena.token=hunter2"], "`token_file: /run/secrets/fleetpush/KEY`")]
fn what_cannot_be_meant_is_refused_in_words(#[case] arguments: &[&str], #[case] due: &str) {
    for age in Age::ALL {
        let refused = helm_template(age, &chart_folder(), RELEASE, arguments);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains(due), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// What `helm install` prints at the end; the recent one needs no cluster for it.
fn notes(arguments: &[&str]) -> String {
    let mut helm = tool(Age::New, "helm");
    helm.args(["install", RELEASE, "--dry-run=client", "--namespace", NAMESPACE])
        .arg(chart_folder())
        .args(arguments);
    let installed = output(&mut helm);
    let said = text(&installed.stdout);
    assert!(installed.status.success(), "{}", text(&installed.stderr));
    said.split_once("NOTES:\n").expect("it has notes").1.to_owned()
}

#[rstest]
#[case::page(&[], &["create secret generic fp-fleetpush --from-file=balena-token=", "port-forward service/fp-fleetpush 8000", "Nobody scrapes it yet"], &["job", "NOTHING"])]
#[case::monitored(&["--set", "serviceMonitor.enabled=true"], &["port-forward"], &["Nobody scrapes"])]
#[case::cron_job_to_nowhere(
    &["--set", "kind=CronJob"],
    &["create job --from=cronjob/fp-fleetpush fp-fleetpush-now", "NOTHING IS DELIVERED YET"],
    &["port-forward"]
)]
#[case::cron_job(
    &["--set", "kind=CronJob,config.pushgateways[0].url=http://gateway:9091"],
    &["create job --from=cronjob/"],
    &["NOTHING"]
)]
#[case::own_secret(
    &["--set", "existingSecret.name=keys,existingSecret.tokenKey=api-key"],
    &["create secret generic keys --from-file=api-key="],
    &["history"]
)]
#[case::token_by_value(&["--set", "balenaToken=hunter2"], &["stands in this release's history"], &["create secret", "hunter2"])]
#[case::volatile(
    &["--set", "persistence.enabled=false,config.remote_write[0].url=https://a.example.org"],
    &["what is not delivered is lost with the pod"],
    &["Nobody scrapes"]
)]
fn the_notes_say_the_next_step(#[case] arguments: &[&str], #[case] due: &[&str], #[case] not: &[&str]) {
    let notes = notes(arguments);
    for part in due {
        assert!(notes.contains(part), "{part:?} is missing:\n{notes}");
    }
    for part in not {
        assert!(!notes.contains(part), "{part:?}:\n{notes}");
    }
    assert!(!notes.contains("\n\n\n") && !notes.starts_with('\n'), "{notes:?}");
}

#[test]
fn names_fit_whatever_the_release_is_called() {
    for release in ["a-release-with-the-longest-name-that-helm-lets-anyone", "x.y", "fleetpush-north"] {
        for kind in ["CronJob", "Deployment"] {
            let set = format!("kind={kind},networkPolicy.enabled=true,existingSecret.name=keys");
            let rendered = helm_template(Age::New, &chart_folder(), release, &["--set", &set]);
            if release.contains('.') {
                // Helm allows it, and a Service may not be called so: the user names it.
                let set = format!("{set},fullnameOverride=fleetpush");
                let rendered = helm_template(Age::New, &chart_folder(), release, &["--set", &set]);
                let documents = documents(&text(&rendered.stdout));
                assert_eq!(problems(&documents, &["Secret/keys"]), Vec::<String>::new());
                continue;
            }
            let documents = documents(&text(&rendered.stdout));
            assert_eq!(problems(&documents, &["Secret/keys"]), Vec::<String>::new(), "{release}");
        }
    }
    let documents =
        documents(&text(&helm_template(Age::New, &chart_folder(), "fleetpush-north", &[]).stdout));
    assert!(
        documents.iter().all(|one| name(&one["metadata"]).starts_with("fleetpush-north")),
        "no name twice in a name"
    );
}

/// What `config` shows in the file of values, without its comment signs.
fn example() -> String {
    let values = fs::read_to_string(chart_folder().join("values.yaml")).expect("the values");
    let (_, rest) = values.split_once("\nconfig: {}\n").expect("an empty configuration");
    let lines = rest.lines().map_while(|line| line.strip_prefix('#')).map(|line| format!("{line}\n"));
    format!("config:\n{}", lines.collect::<String>())
}

#[test]
fn the_example_of_the_values_is_a_good_configuration_whose_targets_are_let_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("values.yaml");
    let example = example();
    assert!(
        example.contains("scrape_configs:") && example.contains("node-exporter.monitoring.svc:9100"),
        "{example}"
    );
    for (port, scheme) in [("9100", "http"), ("", "http"), ("", "https")] {
        let target =
            if port.is_empty() { "node-exporter\"".to_owned() } else { format!("node-exporter:{port}\"") };
        let text = example.replace("node-exporter.monitoring.svc:9100\"", &target);
        let text = text.replace("job_name: node\n", &format!("job_name: node\n      scheme: {scheme}\n"));
        fs::write(&path, text).expect("a file of ours");
        for kind in ["kind=Deployment", "kind=CronJob"] {
            let set = format!("{kind},networkPolicy.enabled=true");
            let rendered = chart(Age::New, &["--values", path.to_str().expect("a path"), "--set", &set]);
            let documents = documents(&rendered);
            assert_eq!(problems(&documents, &["Secret/fp-fleetpush"]), Vec::<String>::new());
            let file =
                of_kind(&documents, "ConfigMap").find_map(|one| map(&one["data"]).get("fleetpush.yml"));
            assert!(
                file.and_then(Value::as_str).is_some_and(|file| file.contains("job_name: node")),
                "{rendered}"
            );
            let policy = of_kind(&documents, "NetworkPolicy").next().expect("the policy");
            let open = list(&policy["spec"]["egress"]).iter().flat_map(|rule| list(&rule["ports"]));
            let open: Vec<u64> = open.filter_map(|port| port["port"].as_u64()).collect();
            let due = if port.is_empty() { if scheme == "http" { 80 } else { 443 } } else { 9100 };
            assert!(open.contains(&due) && (due == 80) == open.contains(&80), "{due}: {open:?}");
        }
    }
}

#[test]
fn a_long_number_stays_as_it_was_typed() {
    let set = "config.remote_write[0].url=https://a.example.org,config.remote_write[0].basic_auth.username=123456789";
    for age in Age::ALL {
        assert!(chart(age, &["--set", set]).contains("username: 123456789\n"));
    }
}

#[test]
fn probes_can_be_taken_away_and_the_others_stay() {
    let documents = documents(&chart(Age::New, &["--set-json", r#"deployment={"startupProbe": null}"#]));
    let container = &super::pod::pods(&documents)[0].container();
    assert!(container.get("startupProbe").is_none() && container.get("readinessProbe").is_some());
}

/// The chart with files of a test's own.
fn chart_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let chart = folder.path().join("fleetpush");
    copy(&chart_folder(), &chart);
    let _none_yet = fs::remove_dir_all(chart.join("files"));
    for (path, contents) in files {
        let path = chart.join("files").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("our own folder");
        fs::write(path, contents).expect("our own folder");
    }
    folder
}

#[test]
fn dashboards_and_rules_arrive_as_they_are() {
    let dashboard =
        "{\n  \"title\": \"{{ fleet }} \\\"quoted\\\" ü\",\n  \"legendFormat\": \"{{fleet_name}}\"\n}\n";
    let rules = "# A comment.\ngroups:\n  - name: fleets\n    interval: 1m\n    rules:\n      - alert: Dark\n        \
                 expr: |\n          sum by (fleet_name) (balena_devices) > 0\n            and balena_up == 1\n        \
                 for: 5m\n        annotations: {summary: \"{{ $labels.fleet_name }} is dark: {{ $value }}\"}\n";
    let more = "groups: [{name: more, rules: [{record: a:b, expr: vector(1)}]}]\n";
    let folder = chart_with(&[
        ("dashboards/fleet_Overview.json", dashboard),
        ("dashboards/sender.json", "{}\n"),
        ("rules/alerts.yaml", rules),
        ("rules/more.yaml", more),
    ]);
    let set = "dashboards.enabled=true,prometheusRule.enabled=true,prometheusRule.extraGroups[0].name=own,prometheusRule.extraGroups[0].rules[0].record=c:d";
    for age in Age::ALL {
        let rendered = helm_template(age, &folder.path().join("fleetpush"), RELEASE, &["--set", set]);
        let documents = documents(&text(&rendered.stdout));
        let shown: Vec<&Value> = of_kind(&documents, "ConfigMap")
            .filter(|one| one["metadata"]["labels"]["grafana_dashboard"] == "1")
            .collect();
        let names: Vec<&str> = shown.iter().map(|one| name(&one["metadata"])).collect();
        assert_eq!(
            names,
            ["fp-fleetpush-fleet-overview", "fp-fleetpush-sender"],
            "{}",
            text(&rendered.stderr)
        );
        assert_eq!(shown[0]["data"]["fleet_Overview.json"], dashboard);
        let rule = of_kind(&documents, "PrometheusRule").next().expect("an object");
        let due: Vec<Value> = [rules, more]
            .iter()
            .flat_map(|yaml| list(&super::render::documents(yaml)[0]["groups"]).to_vec())
            .collect();
        let groups = list(&rule["spec"]["groups"]);
        assert_eq!(groups[..2], due);
        assert_eq!(groups[2]["name"], "own");
        let problems = problems(&documents, &["Secret/fp-fleetpush"]);
        assert_eq!(problems, Vec::<String>::new());
    }
}

/// Copies that the chart under `deploy` lacks, that differ, or that are too many.
fn differences(deploy: &Path) -> Vec<String> {
    let files = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
        let named = entries.map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).unwrap_or_default())
        });
        named.collect()
    };
    let mut due = BTreeMap::new();
    for (name, contents) in files(&deploy.join("grafana")) {
        if name.ends_with(".json") {
            due.insert(format!("dashboards/{name}"), contents);
        }
    }
    for (name, contents) in files(&deploy.join("prometheus")) {
        let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
        let is_rules = String::from_utf8_lossy(&contents).lines().any(|line| line.starts_with("groups:"));
        if let (Some(stem), true) = (stem, is_rules) {
            due.insert(format!("rules/{stem}.yaml"), contents);
        }
    }
    let copies = deploy.join("helm/fleetpush/files");
    let mut found = Vec::new();
    for folder in ["dashboards", "rules"] {
        for (name, contents) in files(&copies.join(folder)) {
            match due.remove(&format!("{folder}/{name}")) {
                None => found.push(format!("{folder}/{name} is a copy of nothing")),
                Some(original) if original != contents => found.push(format!("{folder}/{name} differs")),
                Some(_) => {}
            }
        }
    }
    found.extend(due.into_keys().map(|name| format!("{name} is missing")));
    found
}

#[test]
fn the_charts_copies_are_what_they_are_copies_of() {
    let found = differences(&source("deploy"));
    assert!(found.is_empty(), "{found:?}: run `make chart-files` and commit what it changes");
}

#[test]
fn the_copies_are_made_by_one_command_and_a_difference_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let deploy = folder.path();
    let write = |path: &str, contents: &str| {
        let path = deploy.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("our own folder");
        fs::write(path, contents).expect("our own folder");
    };
    let copied = || {
        let script = source("deploy/helm/copy-files.sh");
        assert!(Command::new(script).arg(deploy).status().expect("bash").success());
    };
    fs::create_dir_all(deploy.join("helm/fleetpush")).expect("our own folder");
    copied();
    assert_eq!(differences(deploy), Vec::<String>::new());
    write("grafana/fleets.json", "{}");
    write("grafana/README.md", "no dashboard");
    write("prometheus/alerts.yml", "# why\ngroups: []\n");
    write("prometheus/alerts_test.yaml", "rule_files: [alerts.yml]\n");
    assert_eq!(differences(deploy), ["dashboards/fleets.json is missing", "rules/alerts.yaml is missing"]);
    copied();
    assert_eq!(differences(deploy), Vec::<String>::new());
    write("grafana/fleets.json", "{\"a\": 1}");
    fs::remove_file(deploy.join("prometheus/alerts.yml")).expect("our own file");
    assert_eq!(
        differences(deploy),
        ["dashboards/fleets.json differs", "rules/alerts.yaml is a copy of nothing"]
    );
    copied();
    assert_eq!(differences(deploy), Vec::<String>::new());
}

#[test]
fn a_package_holds_what_is_needed_and_no_examples() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut helm = tool(Age::New, "helm");
    helm.arg("package").arg(chart_folder()).arg("--destination").arg(folder.path());
    let packed = output(&mut helm);
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let archive = folder.path().join(format!("fleetpush-{}.tgz", env!("CARGO_PKG_VERSION")));
    let listed = text(&output(Command::new("tar").arg("tzf").arg(archive)).stdout);
    for due in ["Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt"] {
        assert!(listed.contains(&format!("fleetpush/{due}\n")), "{due}: {listed}");
    }
    assert!(!listed.contains("/ci/"), "{listed}");
}

#[test]
fn the_chart_and_the_overlays_name_this_version() {
    let chart = &documents(&fs::read_to_string(chart_folder().join("Chart.yaml")).expect("its file"))[0];
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    for overlay in ["cronjob", "deployment"] {
        let file = source("deploy/kubernetes/overlays").join(overlay).join("kustomization.yaml");
        let kustomization = &documents(&fs::read_to_string(file).expect("its file"))[0];
        assert_eq!(kustomization["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
        assert_eq!(kind(kustomization), "Kustomization");
    }
}

//! What the schemas let through and a cluster would not, or would take and then never run as it is meant:
//! [`problems`] says it in sentences.

use serde_json::{Map, Value};

use super::cron::shortest_gap;
use super::pod::{Pod, kind, list, map, matches, name, of_kind, pods, title};
use super::policy;
use super::words::{is_key, is_label, is_label_value, is_subdomain, quantity, seconds};

/// Everything that is wrong. `outside` are objects, as `Secret/keys`, that others make.
pub(super) fn problems(documents: &[Value], outside: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    names(documents, &mut found);
    for pod in pods(documents) {
        let mut of_pod = Vec::new();
        restricted(pod, &mut of_pod);
        container(pod, &mut of_pod);
        volumes(pod, &mut of_pod);
        references(pod, documents, outside, &mut of_pod);
        found.extend(of_pod.into_iter().map(|problem| format!("{}: {problem}", title(pod.owner))));
    }
    for document in documents {
        let mut of_one = Vec::new();
        match kind(document) {
            "CronJob" => cron_job(document, &mut of_one),
            "Deployment" => deployment(document, &mut of_one),
            "Service" => service(document, documents, &mut of_one),
            "PersistentVolumeClaim" => claim(document, &mut of_one),
            "ServiceMonitor" | "PodMonitor" => monitor(document, documents, &mut of_one),
            "NetworkPolicy" => policy::problems(document, documents, &mut of_one),
            _ => {}
        }
        found.extend(of_one.into_iter().map(|problem| format!("{}: {problem}", title(document))));
    }
    found
}

/// Adds a sentence where something does not hold.
pub(super) fn due(found: &mut Vec<String>, holds: bool, sentence: impl Into<String>) {
    if !holds {
        found.push(sentence.into());
    }
}

fn one_of(found: &mut Vec<String>, what: &str, value: &Value, allowed: &[&str]) {
    let known = value.is_null() || value.as_str().is_some_and(|value| allowed.contains(&value));
    due(found, known, format!("{what} {value} is none of {allowed:?}"));
}

fn names(documents: &[Value], found: &mut Vec<String>) {
    for (position, document) in documents.iter().enumerate() {
        let own = name(&document["metadata"]);
        let good = match kind(document) {
            // A Job's name gets eleven more characters.
            "CronJob" => is_label(own, 52),
            "Service" | "Pod" | "Deployment" => is_label(own, 63),
            _ => is_subdomain(own, 253),
        };
        due(found, good, format!("{}: no name for this kind", title(document)));
        let same = |other: &Value| {
            title(other) == title(document)
                && other["metadata"]["namespace"] == document["metadata"]["namespace"]
        };
        due(found, !documents[..position].iter().any(same), format!("{} stands twice", title(document)));
        let of_pods = pods(std::slice::from_ref(document));
        for metadata in of_pods.iter().map(|pod| pod.metadata).chain([&document["metadata"]]) {
            for (key, value) in map(&metadata["labels"]) {
                let good = is_key(key) && value.as_str().is_some_and(is_label_value);
                due(found, good, format!("{}: {key}={value} is no label", title(document)));
            }
            for key in map(&metadata["annotations"]).keys() {
                due(found, is_key(key), format!("{}: {key} is no annotation", title(document)));
            }
        }
    }
}

/// Pod Security "restricted", and what goes further: no token, no surprise in the environment, nothing to write to.
fn restricted(pod: Pod, found: &mut Vec<String>) {
    let spec = pod.spec;
    for key in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"] {
        due(found, spec[key].is_null(), format!("{key} is set"));
    }
    let own = &spec["securityContext"];
    due(found, own["runAsNonRoot"] == true, "runAsNonRoot is not true");
    due(found, own["runAsUser"].as_u64().is_some_and(|user| user > 0), "runAsUser is not above 0");
    due(
        found,
        own["fsGroup"] == own["runAsGroup"] && own["fsGroup"].is_u64(),
        "fsGroup is not the program's group",
    );
    due(found, own["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile is not RuntimeDefault");
    for one in pod.containers() {
        let context = &one["securityContext"];
        let what = name(one);
        due(found, context["allowPrivilegeEscalation"] == false, format!("{what}: allowPrivilegeEscalation"));
        let dropped = list(&context["capabilities"]["drop"]).iter().any(|one| one == "ALL");
        due(
            found,
            dropped && context["capabilities"]["add"].is_null(),
            format!("{what}: capabilities are kept"),
        );
        due(found, context["privileged"].is_null(), format!("{what}: privileged"));
        due(
            found,
            context["runAsNonRoot"] != false && context["runAsUser"] != 0,
            format!("{what}: runs as root"),
        );
        let host_ports = list(&one["ports"]).iter().any(|port| !port["hostPort"].is_null());
        due(found, !host_ports, format!("{what}: hostPort"));
    }
    due(
        found,
        pod.container()["securityContext"]["readOnlyRootFilesystem"] == true,
        "the root can be written to",
    );
    due(found, spec["automountServiceAccountToken"] == false, "a token of Kubernetes' API is mounted");
    due(found, spec["enableServiceLinks"] == false, "services are put into the environment");
    let kinds = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    for volume in list(&spec["volumes"]) {
        let kind = map(volume).keys().find(|key| *key != "name");
        due(
            found,
            kind.is_some_and(|kind| kinds.contains(&kind.as_str())),
            format!("volume {}", name(volume)),
        );
    }
}

fn container(pod: Pod, found: &mut Vec<String>) {
    let one = pod.container();
    let image = one["image"].as_str().unwrap_or_default();
    let file = image.rsplit('/').next().unwrap_or_default();
    due(
        found,
        file.contains(':') && !file.ends_with(":latest"),
        format!("the image {image:?} has no fixed version"),
    );
    one_of(found, "imagePullPolicy", &one["imagePullPolicy"], &["Always", "IfNotPresent", "Never"]);
    one_of(
        found,
        "dnsPolicy",
        &pod.spec["dnsPolicy"],
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    );
    one_of(
        found,
        "fsGroupChangePolicy",
        &pod.spec["securityContext"]["fsGroupChangePolicy"],
        &["OnRootMismatch", "Always"],
    );
    let mut seen = Map::new();
    for variable in list(&one["env"]) {
        let twice = seen.insert(name(variable).to_owned(), Value::Null).is_some();
        due(found, !twice, format!("{} stands twice", name(variable)));
    }
    due(found, seen.contains_key("BALENA_TOKEN_FILE"), "the token is no file");
    for secret in
        ["BALENA_TOKEN", "REMOTE_WRITE_PASSWORD", "REMOTE_WRITE_BEARER_TOKEN", "PUSHGATEWAY_PASSWORD"]
    {
        due(found, !seen.contains_key(secret), format!("{secret} stands in the environment"));
    }
    for kind in ["cpu", "memory"] {
        let of = |part: &str| one["resources"][part].get(kind).map(|value| (quantity(value), value));
        let (request, limit) = (of("requests"), of("limits"));
        for (read, value) in [request, limit].into_iter().flatten() {
            due(found, read.is_some(), format!("{value} is no quantity of {kind}"));
        }
        if let (Some((Some(request), _)), Some((Some(limit), _))) = (request, limit) {
            due(found, request <= limit, format!("more {kind} is asked for than allowed"));
        }
    }
    let ports: Vec<&str> = list(&one["ports"]).iter().map(name).collect();
    due(found, ports.iter().all(|port| is_label(port, 15)), format!("{ports:?} are no names of ports"));
    for key in ["startupProbe", "livenessProbe", "readinessProbe"] {
        if let Some(probe) = one.get(key) {
            let get = &probe["httpGet"];
            let path = get["path"].as_str().unwrap_or_default();
            due(found, ["/-/healthy", "/-/ready"].contains(&path), format!("{key} asks for {path:?}"));
            let there = get["port"].as_str().is_some_and(|port| ports.contains(&port));
            due(found, there, format!("{key} asks at a port that is not there"));
            for (setting, value) in map(probe).iter().filter(|(_, value)| value.is_number()) {
                due(
                    found,
                    value.as_i64().is_some_and(|value| value > 0),
                    format!("{key}: {setting} {value}"),
                );
            }
        }
    }
    // The liveness of a page that is not ready yet is no reason to end it.
    due(
        found,
        one["livenessProbe"]["httpGet"]["path"] != "/-/ready",
        "livenessProbe asks whether it is ready",
    );
}

fn volumes(pod: Pod, found: &mut Vec<String>) {
    let volumes: Vec<&str> = list(&pod.spec["volumes"]).iter().map(name).collect();
    let mut mounted = Vec::new();
    let mut paths = Vec::new();
    for mount in pod.containers().flat_map(|one| list(&one["volumeMounts"])) {
        due(found, volumes.contains(&name(mount)), format!("{} is mounted and is no volume", name(mount)));
        mounted.push(name(mount));
    }
    for mount in list(&pod.container()["volumeMounts"]) {
        let path = mount["mountPath"].as_str().unwrap_or_default();
        due(found, path.starts_with('/') && !paths.contains(&path), format!("the mount path {path:?}"));
        paths.push(path);
        let written_to = name(mount) == "queue";
        due(found, written_to || mount["readOnly"] == true, format!("{path} can be written to"));
    }
    for volume in &volumes {
        due(found, mounted.contains(volume), format!("the volume {volume} is mounted nowhere"));
    }
    // The paths that settings name lie in a volume.
    let variables = list(&pod.container()["env"])
        .iter()
        .filter(|one| name(one).ends_with("_FILE") || name(one).ends_with("_DIR"));
    let named = variables.filter_map(|one| one["value"].as_str()).filter(|path| *path != "memory");
    for path in named {
        let inside = paths.iter().any(|folder| path == *folder || path.starts_with(&format!("{folder}/")));
        due(found, inside, format!("{path} lies in no volume"));
    }
}

fn references(pod: Pod, documents: &[Value], outside: &[&str], found: &mut Vec<String>) {
    let mut wanted: Vec<(String, bool)> = Vec::new();
    let mut want = |kind: &str, object: &Value, key: &str| {
        if let Some(own) = object[key].as_str() {
            wanted.push((format!("{kind}/{own}"), object["optional"] == true));
        }
    };
    for volume in list(&pod.spec["volumes"]) {
        want("ConfigMap", &volume["configMap"], "name");
        want("Secret", &volume["secret"], "secretName");
        want("PersistentVolumeClaim", &volume["persistentVolumeClaim"], "claimName");
        for source in list(&volume["projected"]["sources"]) {
            want("Secret", &source["secret"], "name");
            want("ConfigMap", &source["configMap"], "name");
        }
    }
    for variable in list(&pod.container()["env"]) {
        want("Secret", &variable["valueFrom"]["secretKeyRef"], "name");
        want("ConfigMap", &variable["valueFrom"]["configMapKeyRef"], "name");
    }
    for source in list(&pod.container()["envFrom"]) {
        want("Secret", &source["secretRef"], "name");
        want("ConfigMap", &source["configMapRef"], "name");
    }
    for secret in list(&pod.spec["imagePullSecrets"]) {
        want("Secret", secret, "name");
    }
    if pod.spec["serviceAccountName"] != "default" {
        want("ServiceAccount", pod.spec, "serviceAccountName");
    }
    for (object, optional) in wanted {
        let here = documents.iter().any(|document| {
            title(document) == object
                && document["metadata"]["namespace"] == pod.owner["metadata"]["namespace"]
        });
        due(
            found,
            here || optional || outside.contains(&object.as_str()),
            format!("{object} is made by nobody"),
        );
    }
}

fn cron_job(document: &Value, found: &mut Vec<String>) {
    let spec = &document["spec"];
    let job = &spec["jobTemplate"]["spec"];
    let pod = pods(std::slice::from_ref(document))[0];
    due(found, spec["concurrencyPolicy"] == "Forbid", "two runs at once would ask for one queue");
    due(found, pod.spec["restartPolicy"] == "Never", "podFailurePolicy needs restartPolicy Never");
    let number = |object: &Value, key: &str| object[key].as_u64();
    due(
        found,
        number(spec, "startingDeadlineSeconds").is_some_and(|late| late >= 10),
        "startingDeadlineSeconds",
    );
    for key in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        due(found, number(spec, key).is_some(), format!("{key} {}", spec[key]));
    }
    due(found, number(job, "ttlSecondsAfterFinished").is_some(), "ttlSecondsAfterFinished");
    if let Some(zone) = spec["timeZone"].as_str() {
        let good = zone.split('/').all(|part| part.starts_with(|first: char| first.is_ascii_uppercase()));
        due(found, good, format!("{zone} is no time zone"));
    }
    let tries = number(job, "backoffLimit").map(|more| more + 1);
    let active = number(job, "activeDeadlineSeconds");
    let once = pod.flag("--once.deadline").and_then(seconds);
    match (shortest_gap(spec["schedule"].as_str().unwrap_or_default()), active, once, tries) {
        (Err(error), ..) => found.push(error),
        (Ok(gap), Some(active), Some(once), Some(tries)) => {
            due(found, active < gap, format!("a run may take {active} s and the next comes after {gap} s"));
            due(found, once < active as f64, "--once.deadline is not below activeDeadlineSeconds");
            due(found, once * tries as f64 <= active as f64, format!("{tries} tries do not fit"));
        }
        _ => found.push("a deadline is missing".into()),
    }
    due(found, list(&pod.container()["args"]).iter().any(|one| one == "once"), "the command is not `once`");
    let rules = list(&job["podFailurePolicy"]["rules"]);
    for rule in rules {
        one_of(found, "action", &rule["action"], &["FailJob", "Ignore", "Count", "FailIndex"]);
        one_of(found, "operator", &rule["onExitCodes"]["operator"], &["In", "NotIn"]);
        let of = &rule["onExitCodes"]["containerName"];
        due(found, of.is_null() || of == "fleetpush", format!("there is no container {of}"));
        let both = rule.get("onExitCodes").is_some() == rule.get("onPodConditions").is_some();
        due(found, !both, "a rule is about exit codes or about conditions");
    }
    let disrupted =
        |rule: &Value| rule["action"] == "Ignore" && rule["onPodConditions"][0]["type"] == "DisruptionTarget";
    due(found, rules.first().is_some_and(disrupted), "a drained node counts as a failure");
    due(found, super::runs::policy(document, 2) == "FailJob", "a wrong configuration is tried again");
}

fn deployment(document: &Value, found: &mut Vec<String>) {
    let spec = &document["spec"];
    let pod = pods(std::slice::from_ref(document))[0];
    due(found, spec["replicas"] == 1 && spec["strategy"]["type"] == "Recreate", "the queue has one holder");
    due(found, matches(&spec["selector"]["matchLabels"], pod.labels()), "the selector misses the pod");
    let port =
        pod.flag("--web.listen-address").and_then(|address| address.strip_prefix(':')?.parse::<u64>().ok());
    let ports = list(&pod.container()["ports"]);
    due(found, port.is_some() && ports[0]["containerPort"].as_u64() == port, "the port is not the page's");
    due(found, ports.len() == 1 && name(&ports[0]) == "metrics", "the port is not named `metrics`");
    let probes = ["livenessProbe", "readinessProbe"];
    due(found, probes.iter().all(|probe| pod.container().get(probe).is_some()), "a probe is missing");
    let grace = pod.spec["terminationGracePeriodSeconds"].as_u64();
    due(found, grace.is_some_and(|grace| grace > 10), "it is killed before --shutdown.grace has passed");
    one_of(found, "restartPolicy", &pod.spec["restartPolicy"], &["Always"]);
}

/// The pods that a selector chooses in the object's namespace.
pub(super) fn chosen<'a>(object: &Value, labels: &Value, documents: &'a [Value]) -> Vec<Pod<'a>> {
    let here = |pod: &Pod| pod.owner["metadata"]["namespace"] == object["metadata"]["namespace"];
    pods(documents).into_iter().filter(|pod| here(pod) && matches(labels, pod.labels())).collect()
}

fn service(document: &Value, documents: &[Value], found: &mut Vec<String>) {
    one_of(found, "type", &document["spec"]["type"], &["ClusterIP", "NodePort", "LoadBalancer"]);
    let pods = chosen(document, &document["spec"]["selector"], documents);
    let owners: Vec<&str> = pods.iter().map(|pod| kind(pod.owner)).collect();
    due(found, owners == ["Deployment"], format!("it leads to {owners:?}"));
    for port in list(&document["spec"]["ports"]) {
        let ports = pods.iter().flat_map(|pod| list(&pod.container()["ports"]));
        let there = ports.map(name).any(|own| port["targetPort"] == own);
        due(found, there, format!("no pod has the port {}", port["targetPort"]));
        one_of(found, "protocol", &port["protocol"], &["TCP", "UDP"]);
    }
    let annotations = &document["metadata"]["annotations"];
    if let Some(port) = annotations.get("prometheus.io/port") {
        let due_port = pods.first().map(|pod| pod.container()["ports"][0]["containerPort"].to_string());
        due(found, port.as_str() == due_port.as_deref(), format!("it is to be scraped at {port}"));
    }
}

fn claim(document: &Value, found: &mut Vec<String>) {
    let spec = &document["spec"];
    for mode in list(&spec["accessModes"]) {
        one_of(found, "access mode", mode, &["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]);
    }
    let size = quantity(&spec["resources"]["requests"]["storage"]);
    // As much as the queue may take, and as much again for a store that is put aside.
    due(found, size.is_some_and(|size| size >= 2.0 * 1024.0 * 1024.0 * 1024.0), "the queue does not fit");
}

fn monitor(document: &Value, documents: &[Value], found: &mut Vec<String>) {
    let spec = &document["spec"];
    let labels = &spec["selector"]["matchLabels"];
    let namespaces = list(&spec["namespaceSelector"]["matchNames"]);
    let here = |object: &Value| namespaces.contains(&object["metadata"]["namespace"]);
    let (targets, endpoints): (Vec<Vec<&str>>, _) = if kind(document) == "ServiceMonitor" {
        let services = of_kind(documents, "Service")
            .filter(|one| here(one) && matches(labels, map(&one["metadata"]["labels"])));
        let ports = services.map(|one| list(&one["spec"]["ports"]).iter().map(name).collect());
        (ports.collect(), &spec["endpoints"])
    } else {
        let pods = pods(documents).into_iter().filter(|pod| here(pod.owner) && matches(labels, pod.labels()));
        let ports = pods.map(|pod| list(&pod.container()["ports"]).iter().map(name).collect());
        (ports.collect(), &spec["podMetricsEndpoints"])
    };
    due(found, targets.len() == 1, format!("it chooses {} targets", targets.len()));
    due(found, list(endpoints).len() == 1, "one endpoint is scraped");
    for endpoint in list(endpoints) {
        let there = targets.iter().flatten().any(|port| endpoint["port"] == *port);
        due(found, there, format!("no target has the port {}", endpoint["port"]));
        let time = |key: &str| endpoint[key].as_str().and_then(seconds);
        let fits =
            time("scrapeTimeout").zip(time("interval")).is_some_and(|(timeout, every)| timeout <= every);
        due(found, fits, "scrapeTimeout is no duration up to the interval");
        for rule in list(&endpoint["relabelings"]).iter().chain(list(&endpoint["metricRelabelings"])) {
            one_of(
                found,
                "action",
                &rule["action"],
                &["replace", "keep", "drop", "labeldrop", "labelkeep", "labelmap"],
            );
        }
    }
}

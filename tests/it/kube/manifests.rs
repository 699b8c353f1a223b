//! Every rendering of the repository, held to the rules; and each rule, held to a manifest that breaks it.

use rstest::rstest;
use serde_json::{Value, json};

use super::pod::{kind, list, name, of_kind, pods};
use super::render::{Rendered, all, examples};
use super::rules::problems;

/// What others make: the user, by the command that docs and notes show, or whoever wrote the example's values.
fn outside(rendered: &Rendered) -> &'static [&'static str] {
    match rendered.name.as_str() {
        "chart cronjob-all-values.yaml" => &["Secret/keys", "Secret/registry", "Secret/second-registry"],
        "chart deployment-all-values.yaml" => &["ConfigMap/private-ca"],
        chart if chart.starts_with("chart ") => &["Secret/fp-fleetpush"],
        _ => &["Secret/fleetpush"],
    }
}

fn rendering(name: &str) -> &'static Rendered {
    all().iter().find(|one| one.name == name).unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn nothing_is_wrong_with_what_is_rendered() {
    for rendered in all() {
        assert_eq!(
            problems(&rendered.documents, outside(rendered)),
            Vec::<String>::new(),
            "{}",
            rendered.name
        );
    }
    // Of each there is at least one, or the rules looked at nothing.
    for (wanted, least) in
        [("CronJob", 4), ("Deployment", 5), ("NetworkPolicy", 7), ("ServiceMonitor", 1), ("PodMonitor", 1)]
    {
        let count = all().iter().flat_map(|one| of_kind(&one.documents, wanted)).count();
        assert!(count >= least, "{count} {wanted}");
    }
    assert_eq!(examples().len(), 4);
}

const CRON: &str = "chart cronjob-values.yaml";
const CRON_OVERLAY: &str = "overlay cronjob";
const SERVICE: &str = "overlay deployment";
const MONITORED: &str = "chart deployment-values.yaml";
const EVERYTHING: &str = "chart deployment-all-values.yaml";

const JOB: &str = "CronJob/spec/jobTemplate/spec";
const CRON_POD: &str = "CronJob/spec/jobTemplate/spec/template/spec";
const POD: &str = "Deployment/spec/template/spec";

#[rstest]
#[case::enumeration(CRON_OVERLAY, "CronJob/spec", "concurrencyPolicy", json!("Forbidden"), "two runs at once")]
#[case::restart_policy(CRON, CRON_POD, "restartPolicy", json!("Always"), "needs restartPolicy Never")]
#[case::cron_text(CRON, "CronJob/spec", "schedule", json!("*/2 * * * * *"), "6 fields")]
#[case::cron_range(CRON, "CronJob/spec", "schedule", json!("*/2 25 * * *"), "from 0 to 23")]
#[case::too_often(CRON, "CronJob/spec", "schedule", json!("* * * * *"), "the next comes after 60 s")]
#[case::runs_too_long(CRON_OVERLAY, JOB, "activeDeadlineSeconds", json!(120), "the next comes after 120 s")]
#[case::ended_before_it_ends(CRON, JOB, "activeDeadlineSeconds", json!(45), "not below activeDeadlineSeconds")]
#[case::tries(CRON, JOB, "backoffLimit", json!(6), "7 tries do not fit")]
#[case::late(CRON, "CronJob/spec", "startingDeadlineSeconds", json!(-5), "startingDeadlineSeconds")]
#[case::time_zone(CRON, "CronJob/spec", "timeZone", json!("berlin"), "no time zone")]
#[case::long_name(CRON, "CronJob/metadata", "name", json!("a".repeat(53)), "no name for this kind")]
#[case::upper_case(SERVICE, "Service/metadata", "name", json!("Fleetpush"), "no name for this kind")]
#[case::no_failure_policy(CRON, JOB, "podFailurePolicy", json!({}), "a wrong configuration is tried again")]
#[case::failure_policy_of_nobody(
    CRON, &format!("{JOB}/podFailurePolicy/rules/1/onExitCodes"), "containerName", json!("main"), "no container"
)]
#[case::failure_policy_action(
    CRON, &format!("{JOB}/podFailurePolicy/rules/1"), "action", json!("Fail"), "is none of"
)]
#[case::no_command(CRON, &format!("{CRON_POD}/containers/0"), "args", json!(["--once.deadline=45s"]), "is not `once`")]
#[case::root(CRON, &format!("{CRON_POD}/securityContext"), "runAsUser", json!(0), "runAsUser")]
#[case::not_non_root(SERVICE, &format!("{POD}/securityContext"), "runAsNonRoot", json!(false), "runAsNonRoot")]
#[case::group(SERVICE, &format!("{POD}/securityContext"), "fsGroup", json!(1), "fsGroup")]
#[case::seccomp(
    SERVICE, &format!("{POD}/securityContext"), "seccompProfile", json!({"type": "Unconfined"}), "seccompProfile"
)]
#[case::escalation(
    SERVICE, &format!("{POD}/containers/0/securityContext"), "allowPrivilegeEscalation", json!(true), "allowPrivilegeEscalation"
)]
#[case::capabilities(
    SERVICE, &format!("{POD}/containers/0/securityContext"), "capabilities", json!({"drop": ["NET_RAW"]}), "capabilities are kept"
)]
#[case::writable_root(
    SERVICE, &format!("{POD}/containers/0/securityContext"), "readOnlyRootFilesystem", json!(false), "the root can be written to"
)]
#[case::init_container(
    EVERYTHING, &format!("{POD}/initContainers/0"), "securityContext", json!({}), "wait: allowPrivilegeEscalation"
)]
#[case::host_network(SERVICE, POD, "hostNetwork", json!(true), "hostNetwork is set")]
#[case::host_path(
    SERVICE, &format!("{POD}/volumes/2"), "hostPath", json!({"path": "/"}), "volume queue"
)]
#[case::api_token(SERVICE, POD, "automountServiceAccountToken", json!(true), "a token of Kubernetes' API")]
#[case::service_links(
    CRON,
    CRON_POD,
    "enableServiceLinks",
    Value::Null,
    "services are put into the environment"
)]
#[case::image(SERVICE, &format!("{POD}/containers/0"), "image", json!("fleetpush:latest"), "no fixed version")]
#[case::image_of_a_port(SERVICE, &format!("{POD}/containers/0"), "image", json!("localhost:5000/fleetpush"), "no fixed version")]
#[case::quantity(
    SERVICE, &format!("{POD}/containers/0/resources/limits"), "memory", json!("banana"), "no quantity"
)]
#[case::limit(
    SERVICE, &format!("{POD}/containers/0/resources/limits"), "memory", json!("16Mi"), "more memory is asked for"
)]
#[case::size(SERVICE, "PersistentVolumeClaim/spec/resources/requests", "storage", json!("1Gi"), "does not fit")]
#[case::access(SERVICE, "PersistentVolumeClaim/spec", "accessModes", json!(["ReadWrite"]), "access mode")]
#[case::replicas(SERVICE, "Deployment/spec", "replicas", json!(2), "the queue has one holder")]
#[case::rolling(SERVICE, "Deployment/spec", "strategy", json!({"type": "RollingUpdate"}), "the queue has one holder")]
#[case::selector(SERVICE, "Deployment/spec/selector", "matchLabels", json!({"app": "x"}), "the selector misses the pod")]
#[case::port(SERVICE, &format!("{POD}/containers/0/ports/0"), "containerPort", json!(9000), "the port is not the page's")]
#[case::probe_path(
    SERVICE, &format!("{POD}/containers/0/readinessProbe/httpGet"), "path", json!("/ready"), "asks for \"/ready\""
)]
#[case::probe_port(
    SERVICE, &format!("{POD}/containers/0/livenessProbe/httpGet"), "port", json!("http"), "a port that is not there"
)]
#[case::probe_of_readiness(
    SERVICE, &format!("{POD}/containers/0/livenessProbe/httpGet"), "path", json!("/-/ready"), "asks whether it is ready"
)]
#[case::grace(SERVICE, POD, "terminationGracePeriodSeconds", json!(5), "killed before --shutdown.grace")]
#[case::claim(
    SERVICE, &format!("{POD}/volumes/2/persistentVolumeClaim"), "claimName", json!("queue"), "PersistentVolumeClaim/queue is made by nobody"
)]
#[case::secret(
    SERVICE, &format!("{POD}/volumes/1/projected/sources/0/secret"), "name", json!("other"), "Secret/other is made by nobody"
)]
#[case::account(SERVICE, POD, "serviceAccountName", json!("other"), "ServiceAccount/other is made by nobody")]
#[case::mount_of_nothing(
    SERVICE, &format!("{POD}/containers/0/volumeMounts/0"), "name", json!("nothing"), "nothing is mounted and is no volume"
)]
#[case::writable_configuration(
    SERVICE, &format!("{POD}/containers/0/volumeMounts/0"), "readOnly", json!(false), "can be written to"
)]
#[case::token_elsewhere(
    SERVICE, &format!("{POD}/containers/0/env/2"), "value", json!("/run/secrets/balena"), "lies in no volume"
)]
#[case::token_in_the_environment(
    SERVICE, &format!("{POD}/containers/0/env/2"), "name", json!("BALENA_TOKEN"), "BALENA_TOKEN stands in the environment"
)]
#[case::twice(
    SERVICE, &format!("{POD}/containers/0/env/2"), "name", json!("FLEETPUSH_INSTANCE"), "FLEETPUSH_INSTANCE stands twice"
)]
#[case::service_to_nobody(SERVICE, "Service/spec", "selector", json!({"app": "x"}), "it leads to []")]
#[case::service_port(SERVICE, "Service/spec/ports/0", "targetPort", json!("http"), "no pod has the port")]
#[case::scraped_elsewhere(
    SERVICE, "Service/metadata/annotations", "prometheus.io/port", json!("9090"), "it is to be scraped at"
)]
#[case::label(SERVICE, "Service/metadata/labels", "a b", json!("c"), "is no label")]
#[case::monitor_of_nobody(MONITORED, "ServiceMonitor/spec/selector", "matchLabels", json!({"a": "b"}), "chooses 0 targets")]
#[case::monitor_elsewhere(
    MONITORED, "ServiceMonitor/spec/namespaceSelector", "matchNames", json!(["default"]), "chooses 0 targets"
)]
#[case::monitor_port(MONITORED, "ServiceMonitor/spec/endpoints/0", "port", json!("http"), "no target has the port")]
#[case::monitor_time(MONITORED, "ServiceMonitor/spec/endpoints/0", "scrapeTimeout", json!("2m"), "no duration up to")]
#[case::monitor_of_pods(EVERYTHING, "PodMonitor/spec/selector", "matchLabels", json!({"a": "b"}), "chooses 0 targets")]
#[case::policy_for_nobody(CRON_OVERLAY, "NetworkPolicy/spec/podSelector", "matchLabels", json!({"a": "b"}), "it holds for")]
#[case::policy_of_one_direction(CRON_OVERLAY, "NetworkPolicy/spec", "policyTypes", json!(["Ingress"]), "leaves a direction open")]
#[case::policy_of_names(
    CRON_OVERLAY, "NetworkPolicy/spec/egress/0/to/0/podSelector/matchLabels", "app.kubernetes.io/name", json!("fleetpush"),
    "the cluster's names cannot be asked for"
)]
#[case::names_by_one_protocol(
    CRON_OVERLAY, "NetworkPolicy/spec/egress/0", "ports", json!([{"protocol": "UDP", "port": 53}]), "names need both protocols"
)]
#[case::everything_out(
    CRON_OVERLAY,
    "NetworkPolicy/spec/egress/1",
    "ports",
    Value::Null,
    "every port is open outwards"
)]
#[case::no_gateway(
    CRON, "NetworkPolicy/spec/egress/1", "ports", json!([{"protocol": "TCP", "port": 443}]), "needs the port 9091"
)]
#[case::network(
    CRON, "NetworkPolicy/spec/egress/1/to/0/ipBlock", "except", json!(["fe80::/10"]), "lies not in"
)]
#[case::something_comes_in(
    CRON, "NetworkPolicy/spec", "ingress", json!([{"ports": [{"port": 8000}]}]), "comes in where nothing listens"
)]
#[case::everybody_comes_in(
    SERVICE,
    "NetworkPolicy/spec/ingress/0",
    "from",
    Value::Null,
    "everybody may come in"
)]
fn a_broken_manifest_is_found(
    #[case] of: &str,
    #[case] path: &str,
    #[case] key: &str,
    #[case] value: Value,
    #[case] due: &str,
) {
    let rendered = rendering(of);
    let mut documents = rendered.documents.clone();
    let (wanted, pointer) = path.split_once('/').expect("a kind and a path");
    let document = documents.iter_mut().find(|one| kind(one) == wanted).expect("a document of this kind");
    let place = document.pointer_mut(&format!("/{pointer}")).unwrap_or_else(|| panic!("{path} is not there"));
    let place = place.as_object_mut().expect("a map");
    if value.is_null() {
        place.remove(key)
    } else {
        place.insert(key.to_owned(), value)
    };
    let found = problems(&documents, outside(rendered));
    assert!(found.iter().any(|problem| problem.contains(due)), "{found:?}");
}

#[test]
fn the_instance_is_the_workloads_name_whatever_it_is_called() {
    for (rendered, due) in [
        ("overlay cronjob", "fleetpush"),
        ("overlay deployment", "fleetpush"),
        ("site cronjob", "site-7-fleetpush"),
        ("site deployment", "site-7-fleetpush"),
        ("chart as it is", "fp-fleetpush"),
        ("chart deployment-all-values.yaml", "fp-balena-counts"),
    ] {
        let documents = &rendering(rendered).documents;
        let pod = pods(documents).into_iter().find(|pod| kind(pod.owner) != "Pod").expect("a workload");
        assert_eq!(name(&pod.owner["metadata"]), due, "{rendered}");
        let variables = list(&pod.container()["env"]);
        let instance = variables.iter().find(|one| name(one) == "FLEETPUSH_INSTANCE").expect("the variable");
        assert_eq!(instance["value"], due, "{rendered}");
    }
}

#[test]
fn a_changed_file_is_another_pod() {
    let of = |file| {
        let site = super::render::Site::new("deployment", Some(file));
        let documents =
            super::render::documents(&super::render::kustomize(super::render::Age::New, site.folder()));
        pods(&documents)[0].spec["volumes"][0]["configMap"]["name"].clone()
    };
    assert_ne!(of("interval: 30s"), of("interval: 40s"));
    let of = |setting| {
        let documents =
            super::render::documents(&super::render::chart(super::render::Age::New, &["--set", setting]));
        pods(&documents)[0].metadata["annotations"]["checksum/config"].clone()
    };
    assert_ne!(of("config.interval=30s"), of("config.interval=40s"));
}

#[test]
fn both_kinds_run_the_same_container() {
    for (one, other) in
        [("overlay cronjob", "overlay deployment"), ("chart as it is", "chart cronjob-values.yaml")]
    {
        let shared = |rendered| {
            let pod = pods(&rendering(rendered).documents)[0];
            let of_pod = [
                "securityContext",
                "automountServiceAccountToken",
                "enableServiceLinks",
                "serviceAccountName",
            ];
            let of_container = ["env", "resources", "securityContext", "volumeMounts"];
            let of_pod = of_pod.map(|key| pod.spec[key].clone());
            (of_pod, of_container.map(|key| pod.container()[key].clone()))
        };
        assert_eq!(shared(one), shared(other));
    }
}

#[test]
fn what_prometheus_scrapes_carries_the_labels_of_what_is_pushed() {
    for (rendered, monitored, endpoints, job, instance) in [
        ("chart deployment-values.yaml", "ServiceMonitor", "endpoints", "balena", "fp-fleetpush"),
        (
            "chart deployment-all-values.yaml",
            "PodMonitor",
            "podMetricsEndpoints",
            "balena",
            "fp-balena-counts",
        ),
    ] {
        let documents = &rendering(rendered).documents;
        let monitor = of_kind(documents, monitored).next().expect("a monitor");
        let rules = list(&monitor["spec"][endpoints][0]["relabelings"]);
        let due = [
            json!({"action": "replace", "targetLabel": "job", "replacement": job}),
            json!({"action": "replace", "targetLabel": "instance", "replacement": instance}),
            json!({"action": "labeldrop", "regex": "pod"}),
        ];
        assert_eq!(rules[..3], due, "{rendered}");
    }
}

//! The real binary, started as the rendered manifests start it: what it delivers, how it ends and what Kubernetes makes
//! of that, what a volume keeps from one Job to the next, probes, and a secret that is rotated.

use std::collections::BTreeMap;

use fleetpush::demo::balena::{self, Device, Fault, Fleet, Simulation, Times};
use fleetpush::demo::receiver;
use rstest::rstest;
use serde_json::{Value, json};

use super::container::{Claims, Container, Running, shows_what_it_holds};
use super::pod::{Pod, kind, list, pods};
use super::render::{Age, Site, all, chart, documents, kustomize};
use crate::program::{LIMIT, TOKEN, get};
use crate::servers::eventually;

/// What a Job's policy makes of a container that ended with this code.
pub(super) fn policy(cron_job: &Value, code: i32) -> &str {
    if code == 0 {
        return "Complete";
    }
    let rules = list(&cron_job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]);
    let holds = |rule: &&Value| {
        let codes = &rule["onExitCodes"];
        let listed = list(&codes["values"]).iter().any(|value| *value == code);
        (codes["operator"] == "In" && listed) || (codes["operator"] == "NotIn" && !listed)
    };
    rules.iter().find(holds).and_then(|rule| rule["action"].as_str()).unwrap_or("Retry")
}

/// Where the manifests come from.
#[derive(Clone, Copy)]
enum From {
    Kustomize,
    Helm,
}

/// A site: an account, a receiver, and the namespace with its Secret and its claims.
struct Cluster {
    api: balena::Server,
    remote: receiver::Server,
    secret: BTreeMap<String, String>,
    claims: Claims,
}

impl Cluster {
    async fn new() -> Self {
        let simulation = Simulation::new();
        simulation.add(Fleet::new("acme", "north").devices(3, &Device::operational()));
        let api = balena::Server::start(simulation, balena::Options::default()).await.expect("a free port");
        let remote = receiver::Server::start(receiver::Options::default()).await.expect("a free port");
        let secret = BTreeMap::from([("balena-token".to_owned(), format!("{TOKEN}\n"))]);
        Self { api, remote, secret, claims: Claims::default() }
    }

    /// The file of this site, as JSON, which is YAML too.
    fn file(&self) -> Value {
        json!({
            "balena": {"url": self.api.base_url()},
            "pushgateways": [{"name": "cluster", "url": self.remote.base_url()}],
            "remote_write": [{"name": "hosted", "url": self.remote.write_url()}],
        })
    }

    fn manifests(&self, from: From, kind: &str, file: &Value) -> Vec<Value> {
        match from {
            From::Kustomize => {
                let site = Site::new(&kind.to_lowercase(), Some(&file.to_string()));
                documents(&kustomize(Age::New, site.folder()))
            }
            From::Helm => {
                let (kind, config) = (format!("kind={kind}"), format!("config={file}"));
                documents(&chart(Age::New, &["--set", &kind, "--set-json", &config]))
            }
        }
    }

    fn container(&mut self, pod: Pod, documents: &[Value]) -> Container {
        let secrets = ["fleetpush", "fp-fleetpush"].map(|name| (name, self.secret.clone()));
        Container::new(pod, documents, &BTreeMap::from(secrets), &mut self.claims)
    }

    fn instances(&self) -> Vec<String> {
        let all = self.remote.samples();
        let mut found: Vec<String> =
            all.keys().filter_map(|labels| labels.get("instance").cloned()).collect();
        found.sort();
        found.dedup();
        found
    }

    fn count_of(&self, metric: &str) -> usize {
        let all = self.remote.samples();
        all.iter().filter(|(labels, _)| labels["__name__"] == metric).map(|(_, samples)| samples.len()).sum()
    }
}

fn workload<'a>(documents: &'a [Value], wanted: &str) -> Pod<'a> {
    pods(documents).into_iter().find(|pod| kind(pod.owner) == wanted).expect("a workload")
}

#[tokio::test]
async fn a_container_of_these_tests_is_what_its_manifest_says() {
    let mut cluster = Cluster::new().await;
    for (from, kind) in [(From::Kustomize, "CronJob"), (From::Helm, "Deployment")] {
        let manifests = cluster.manifests(from, kind, &cluster.file());
        let container = cluster.container(workload(&manifests, kind), &manifests);
        shows_what_it_holds(&container).await;
    }
}

#[rstest]
#[case::kustomize(From::Kustomize, "site-7-fleetpush")]
#[case::helm(From::Helm, "fp-fleetpush")]
#[tokio::test]
async fn a_job_delivers_under_the_cronjobs_name_and_completes(#[case] from: From, #[case] instance: &str) {
    let mut cluster = Cluster::new().await;
    let manifests = cluster.manifests(from, "CronJob", &cluster.file());
    let pod = workload(&manifests, "CronJob");
    for runs in 1..=2 {
        let mut program = cluster.container(pod, &manifests).start();
        let code = program.code().await;
        assert_eq!((code, policy(pod.owner, code)), (0, "Complete"), "{}", program.stderr());
        assert_eq!(cluster.count_of("balena_devices_online"), runs);
    }
    assert_eq!(cluster.instances(), [instance]);
    let groups: Vec<_> = cluster.remote.groups().into_keys().collect();
    let grouped = groups.iter().all(|group| group.get("instance").is_some_and(|found| found == instance));
    assert!(!groups.is_empty() && grouped, "{groups:?}");
    let queue = format!("{instance}-queue");
    assert!(cluster.claims.folder(&queue).join("queue.redb").is_file(), "the queue lies in its volume");
}

#[derive(Clone, Copy)]
enum Ill {
    UnknownKey,
    NoToken,
    NoSink,
    Api,
    Receiver,
    Held,
}

#[rstest]
#[case::an_unknown_key(Ill::UnknownKey, 2, "FailJob")]
#[case::a_secret_without_the_key(Ill::NoToken, 2, "FailJob")]
#[case::no_sink(Ill::NoSink, 2, "FailJob")]
#[case::the_api_fails(Ill::Api, 3, "Retry")]
#[case::the_receiver_refuses(Ill::Receiver, 4, "Retry")]
#[case::the_queue_is_held(Ill::Held, 5, "Retry")]
#[tokio::test]
async fn how_a_job_ends_decides_whether_it_is_tried_again(
    #[case] ill: Ill,
    #[case] code: i32,
    #[case] due: &str,
) {
    let mut cluster = Cluster::new().await;
    let mut file = cluster.file();
    match ill {
        Ill::UnknownKey => file["intervall"] = json!("60s"),
        Ill::NoToken => cluster.secret = BTreeMap::from([("token".to_owned(), TOKEN.to_owned())]),
        Ill::NoSink => file = json!({"balena": file["balena"]}),
        Ill::Api => cluster.api.inject(Fault::status(500), Times::Always),
        Ill::Receiver => cluster.remote.inject(Fault::status_with(403, "go away"), Times::Always),
        Ill::Held => {}
    }
    let manifests = cluster.manifests(From::Kustomize, "CronJob", &file);
    let pod = workload(&manifests, "CronJob");
    let _holder = match ill {
        Ill::Held => Some(holder(&mut cluster).await),
        _ => None,
    };
    let mut program = cluster.container(pod, &manifests).start();
    assert_eq!(program.code().await, code, "{}", program.stderr());
    assert_eq!(policy(pod.owner, code), due);
    assert!(program.stderr().contains("fleetpush: "), "{}", program.stderr());
}

/// A Deployment on the same claim.
async fn holder(cluster: &mut Cluster) -> Running {
    let manifests = cluster.manifests(From::Kustomize, "Deployment", &cluster.file());
    let mut container = cluster.container(workload(&manifests, "Deployment"), &manifests);
    container.replace("--web.listen-address=:8000", "--web.listen-address=127.0.0.1:0");
    let program = container.start();
    let page = program.page().await;
    eventually("the first cycle", LIMIT, async || {
        get(&format!("{page}/-/ready")).await.contains("ready").then_some(())
    })
    .await;
    program
}

#[tokio::test]
async fn what_one_job_could_not_deliver_the_next_one_does() {
    let mut cluster = Cluster::new().await;
    let manifests = cluster.manifests(From::Kustomize, "CronJob", &cluster.file());
    let pod = workload(&manifests, "CronJob");
    cluster.remote.inject_on("/api/v1/write", Fault::status_with(403, "go away"), Times::Always);
    let mut program = cluster.container(pod, &manifests).start();
    assert_eq!(program.code().await, 4, "{}", program.stderr());
    assert_eq!(cluster.count_of("balena_up"), 0);

    cluster.remote.clear_faults();
    let mut program = cluster.container(pod, &manifests).start();
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    assert_eq!(cluster.count_of("balena_up"), 2, "that of the first run came along");
}

#[tokio::test]
async fn a_job_that_is_ended_early_leaves_its_counts_to_the_next_one() {
    let mut cluster = Cluster::new().await;
    let manifests = cluster.manifests(From::Kustomize, "CronJob", &cluster.file());
    let pod = workload(&manifests, "CronJob");
    cluster.remote.inject_on("/api/v1/write", Fault::status(503), Times::Always);
    let mut program = cluster.container(pod, &manifests).start();
    let remote = &cluster.remote;
    eventually("a delivery that is tried", LIMIT, async || {
        remote.requests().iter().any(|request| request.path().contains("/api/v1/write")).then_some(())
    })
    .await;
    // As the kubelet does at activeDeadlineSeconds, and for a drained node.
    program.signal("TERM");
    assert_eq!(program.code().await, 4, "{}", program.stderr());

    cluster.remote.clear_faults();
    let mut program = cluster.container(pod, &manifests).start();
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    assert_eq!(cluster.count_of("balena_up"), 2);
}

#[rstest]
#[case::kustomize(From::Kustomize, "site-7-fleetpush")]
#[case::helm(From::Helm, "fp-fleetpush")]
#[tokio::test]
async fn a_deployment_answers_its_probes_takes_a_new_token_and_stops(
    #[case] from: From,
    #[case] instance: &str,
) {
    let mut cluster = Cluster::new().await;
    let mut file = cluster.file();
    file["interval"] = json!("1s");
    let manifests = cluster.manifests(from, "Deployment", &file);
    let pod = workload(&manifests, "Deployment");
    let mut container = cluster.container(pod, &manifests);
    container.replace("--web.listen-address=:8000", "--web.listen-address=127.0.0.1:0");
    let mut program = container.start();
    let page = program.page().await;
    let asks = |probe: &str| {
        let url = format!("{page}{}", pod.container()[probe]["httpGet"]["path"].as_str().expect("a path"));
        async move {
            reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().status()
        }
    };
    assert_eq!(asks("startupProbe").await, 200);
    assert_eq!(asks("livenessProbe").await, 200);
    eventually("readiness", LIMIT, async || (asks("readinessProbe").await == 200).then_some(())).await;
    assert!(get(&format!("{page}/metrics")).await.contains("balena_devices_online{"));
    eventually("its own series", LIMIT, async || (cluster.instances() == [instance]).then_some(())).await;

    program
        .container
        .volume("secrets")
        .update(&BTreeMap::from([("balena-token".to_owned(), "rotated".to_owned())]));
    let api = &cluster.api;
    eventually("a request with the new token", LIMIT, async || {
        let new = |request: &balena::Request| request.header("authorization") == Some("Bearer rotated");
        api.requests().iter().any(new).then_some(())
    })
    .await;

    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
}

#[tokio::test]
async fn helm_test_tries_everything_beside_a_running_deployment() {
    let mut cluster = Cluster::new().await;
    let manifests = cluster.manifests(From::Helm, "Deployment", &cluster.file());
    let mut container = cluster.container(workload(&manifests, "Deployment"), &manifests);
    container.replace("--web.listen-address=:8000", "--web.listen-address=127.0.0.1:0");
    let running = container.start();
    running.page().await;
    let mut check = cluster.container(workload(&manifests, "Pod"), &manifests).start();
    assert_eq!(check.code().await, 0, "{}{}", check.stdout(), check.stderr());
    assert!(check.stdout().contains("1 fleets, "), "{}", check.stdout());
}

#[tokio::test]
async fn the_program_knows_everything_that_the_manifests_give_it() {
    for rendered in all() {
        let mut cluster = Cluster::new().await;
        for key in ["api-key", "remote-write-password"] {
            cluster.secret.insert(key.to_owned(), "secret".to_owned());
        }
        let mut manifests = rendered.documents.clone();
        manifests.push(json!({
            "kind": "ConfigMap", "metadata": {"name": "private-ca"}, "data": {"ca.crt": crate::tls::Authority::new().pem},
        }));
        let secrets = ["fleetpush", "fp-fleetpush", "fp-balena-counts", "keys"]
            .map(|name| (name, cluster.secret.clone()));
        for pod in pods(&manifests) {
            let mut container =
                Container::new(pod, &manifests, &BTreeMap::from(secrets.clone()), &mut cluster.claims);
            container.more("--config.check");
            let mut program = container.start();
            let code = program.code().await;
            let said = (code, program.stdout() + &program.stderr());
            assert_eq!(
                said,
                (0, "the configuration is good\n".to_owned()),
                "{} {}",
                rendered.name,
                kind(pod.owner)
            );
        }
    }
    // The same check refuses what it does not know.
    let mut cluster = Cluster::new().await;
    let mut manifests = all()[0].documents.clone();
    let job = manifests.iter_mut().find(|one| kind(one) == "CronJob").expect("the overlay's");
    job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] =
        json!("FLEETPUSH_INSTANZ");
    let mut container = cluster.container(workload(&manifests, "CronJob"), &manifests);
    container.more("--config.check");
    let mut program = container.start();
    program.ended().await;
    assert!(program.stderr().contains("FLEETPUSH_INSTANZ means nothing here"), "{}", program.stderr());
}

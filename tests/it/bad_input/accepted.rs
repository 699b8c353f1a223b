//! What is taken although it looks odd: keys of Prometheus' own that change nothing here, a pasted block,
//! empty files, YAML's own short forms.

use rstest::rstest;

use super::{Case, Said};

/// The texts of the log's warnings.
fn warnings(said: &Said) -> Vec<&str> {
    let lines = said.stderr.lines().filter(|line| line.contains("level=warn"));
    lines.map(|line| line.split_once("message=").expect("a line of the log").1.trim_matches('"')).collect()
}

/// The program says that the configuration is good; gives back its warnings.
async fn good(case: Case) -> Vec<String> {
    let said = case.arguments(&["--config.check"]).run().await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "the configuration is good"), "{}", said.stderr);
    let warnings = warnings(&said);
    assert_eq!(said.stderr.lines().count(), warnings.len(), "{}", said.stderr);
    warnings.into_iter().map(str::to_owned).collect()
}

#[rstest]
#[case::histograms("send_native_histograms: true")]
#[case::redirects("follow_redirects: false")]
#[case::http2("enable_http2: true")]
#[case::dns("round_robin_dns: true")]
#[case::capacity("queue_config: {capacity: 10000}")]
#[case::min_shards("queue_config: {min_shards: 1}")]
#[case::deadline("queue_config: {batch_send_deadline: 5s}")]
#[case::retry_429("queue_config: {retry_on_http_429: true}")]
#[case::age_limit("queue_config: {sample_age_limit: 1h}")]
#[case::metadata_samples("metadata_config: {max_samples_per_send: 500}")]
#[tokio::test]
async fn a_key_of_prometheus_without_meaning_here_is_one_warning(#[case] line: &str) {
    let case = Case::file(&format!("remote_write:\n  - url: http://receiver/write\n    {line}"));
    let warnings = good(case).await;
    let words = line.replace(['{', '}'], "");
    let mut words: Vec<&str> = words.split(": ").collect();
    words.pop();
    let key = words.join(".");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let place = format!("config.yml:6:{}: remote_write.{key}: changes nothing here: ", column(line));
    assert!(warnings[0].starts_with(&place), "{:?} does not begin with {place:?}", warnings[0]);
}

/// Where the key stands behind the four blanks of its block.
fn column(line: &str) -> usize {
    line.find('{').map_or(5, |brace| brace + 6)
}

/// As a hosted receiver shows it, with everything that Prometheus takes beside it.
const PASTED: &str = "\
remote_write:
  - url: http://{listener}/hosted
    basic_auth:
      username: 123456
      password: hunter2
    send_exemplars: true
    queue_config:
      capacity: 10000
      max_shards: 50
      max_samples_per_send: 2000
      batch_send_deadline: 5s
      min_backoff: 30ms
      max_backoff: 5s
    metadata_config:
      send: true
      send_interval: 1m
";

#[tokio::test]
async fn a_pasted_block_works_with_a_warning_for_each_key_without_meaning() {
    let warnings = good(Case::file(PASTED)).await;
    let keys: Vec<&str> = warnings.iter().filter_map(|text| text.split(": ").nth(1)).collect();
    let queue = ["capacity", "batch_send_deadline"];
    let queue = queue.map(|key| format!("remote_write.queue_config.{key}"));
    assert_eq!(keys, queue);
}

#[tokio::test]
async fn a_user_name_of_digits_is_sent_as_it_was_typed() {
    let case = Case::raw(PASTED.as_bytes());
    let _program = case.start();
    let heads = case.spoken_to(&["/hosted"]).await;
    let head = heads.iter().find(|head| head.starts_with("POST /hosted")).expect("it was waited for");
    // 123456:hunter2
    assert!(head.contains("authorization: Basic MTIzNDU2Omh1bnRlcjI="), "{head}");
}

#[rstest]
#[case::a_map("balena:\n  token: hunter2\n  url: http://{listener}/other\n  fleets: {include: [acme/*]}\n")]
#[case::a_list("balena:\n  - token: hunter2\n    url: http://{listener}/other\n")]
#[tokio::test]
async fn the_account_is_a_map_or_a_list_of_one(#[case] text: &str) {
    let case = Case::raw(text.as_bytes()).account_in_file();
    let _program = case.start();
    case.spoken_to(&["/other"]).await;
}

#[rstest]
#[case::empty("")]
#[case::blank(" \n\n")]
#[case::only_remarks("# nothing\n")]
#[case::only_a_marker("---\n")]
#[case::null("null\n")]
#[case::keys_without_values("interval:\nqueue:\nremote_write:\nbalena:\nexternal_labels:\n")]
#[case::empty_blocks("queue: {}\nremote_write: []\npushgateways: []\nscrape_configs: []\n")]
#[case::a_byte_order_mark("\u{feff}interval: 60s\n")]
#[case::line_ends_of_windows("interval: 60s\r\njob: x\r\n")]
#[case::one_shard("shard: {index: 0, count: 1}\n")]
#[case::texts_that_look_like_other_types(
    "job: 007\ninstance: yes\nexternal_labels: {a: 1e3, b: true, c: '~'}\n"
)]
#[case::tags_of_yaml("job: !!str 5\ninterval: !!str 60s\n")]
#[case::json("{\"interval\": \"60s\", \"queue\": {\"dir\": \"memory\"}}")]
#[case::an_alias("interval: &often 60s\nstale_after: *often\n")]
#[case::a_merge(
    "pushgateways:\n  - &one {name: a, url: http://a, timeout: 5s}\n  - <<: *one\n    name: b\n    url: http://b\n"
)]
#[case::a_replica_label("external_labels: {cluster: a, __replica__: b}\n")]
#[tokio::test]
async fn a_file_that_says_little_or_says_it_otherwise_is_good(#[case] text: &str) {
    assert_eq!(good(Case::raw(text.as_bytes())).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_variable_that_nobody_knows_is_a_warning_with_the_nearest() {
    let case = Case::variables(&[("PUSHGATEWAY_PASWORD", "hunter2"), ("FLEETPUSH_JOBB", "x")]);
    let said = good(case).await;
    let wanted = [
        "the variable FLEETPUSH_JOBB means nothing here; did you mean FLEETPUSH_JOB?",
        "the variable PUSHGATEWAY_PASWORD means nothing here; did you mean PUSHGATEWAY_PASSWORD?",
    ];
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn variables_of_a_kubernetes_service_are_no_warning() {
    let links = [
        ("PUSHGATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("PUSHGATEWAY_PORT_9091_TCP", "tcp://10.0.0.1:9091"),
        ("REMOTE_WRITE_SERVICE_PORT", "80"),
    ];
    assert_eq!(good(Case::variables(&links)).await, Vec::<String>::new());
}

#[tokio::test]
async fn more_samples_than_the_queue_cuts_are_a_warning() {
    let text = "remote_write:\n  - url: http://r/w\n    queue_config:\n      max_samples_per_send: 5000";
    let wanted = "config.yml:8:29: remote_write.queue_config.max_samples_per_send: 5000 is more than \
        queue.max_samples_per_send, so 2000 is used";
    assert_eq!(good(Case::file(text)).await, [wanted]);
}

//! Blocks of `scrape_configs:` that cannot be meant, in exact words; those that promtool refuses we refuse, and those
//! that we take it takes; and what is needed of an account beside them.

use std::process::Command;

use rstest::rstest;

use super::{Case, refused};
use crate::servers::Suite;

/// A job with more lines in its block.
fn job(more: &str) -> Case {
    Case::file(&format!("scrape_configs:\n  - job_name: node\n{more}"))
}

refused! {
    no_name: Case::file("scrape_configs:\n  - scheme: http")
        => "fleetpush: config.yml:4:5: scrape_configs: has no job_name; add one";
    an_empty_name: Case::file("scrape_configs:\n  - job_name: \"\"")
        => "fleetpush: config.yml:4:15: scrape_configs.job_name: is empty; give it a value or leave it out";
    a_name_twice: Case::file("scrape_configs:\n  - job_name: a\n  - job_name: a")
        => r#"fleetpush: config.yml:6:5: scrape_configs: a second job is named "a"; give each a name of its own"#;
    an_unknown_key: job("    static_config: []")
        => "fleetpush: config.yml:6:5: scrape_configs.static_config: no such key; did you mean static_configs?";
    an_unknown_key_of_a_group: job("    static_configs:\n      - target: [a]")
        => "fleetpush: config.yml:8:9: scrape_configs.static_configs.target: no such key; did you mean targets?";
    an_unknown_key_of_files: job("    file_sd_configs:\n      - path: [a.yml]")
        => "fleetpush: config.yml:8:9: scrape_configs.file_sd_configs.path: no such key; the keys here are files, refresh_interval";
    one_map_instead_of_a_list: Case::file("scrape_configs:\n  job_name: node")
        => "fleetpush: config.yml:4:3: scrape_configs: must be a list (lines that begin with `- `), not a map";
    a_timeout_beyond_the_interval: job("    scrape_interval: 5s\n    scrape_timeout: 6s")
        => "fleetpush: config.yml:8:21: scrape_configs.scrape_timeout: is longer than the job's interval (5s), so that one scrape would run into the next; make it shorter, or scrape_interval longer";
    a_timeout_beyond_everyones_interval: Case::file("interval: 5s\nscrape_configs:\n  - job_name: node\n    scrape_timeout: 6s").with("CRAWL_INTERVAL", "")
        => "fleetpush: config.yml:8:21: scrape_configs.scrape_timeout: is longer than the job's interval (5s), so that one scrape would run into the next; make it shorter, or scrape_interval longer";
    no_interval: job("    scrape_interval: 0s")
        => "fleetpush: config.yml:6:22: scrape_configs.scrape_interval: must be longer than 0; write it like 60s";
    an_interval_without_unit: job("    scrape_interval: 15")
        => r#"fleetpush: config.yml:6:22: scrape_configs.scrape_interval: "15" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_scheme: job("    scheme: ftp")
        => r#"fleetpush: config.yml:6:13: scrape_configs.scheme: "ftp" is not one of http, https"#;
    a_query_in_the_path: job("    metrics_path: /probe?module=x")
        => r#"fleetpush: config.yml:6:19: scrape_configs.metrics_path: "/probe?module=x" has a query; write that as params"#;
    a_url_as_target: job("    static_configs:\n      - targets: [\"http://host:9100/metrics\"]")
        => r#"fleetpush: config.yml:8:19: scrape_configs.static_configs.targets: "http://host:9100/metrics" is a URL; write host:port, and the rest as scheme and metrics_path"#;
    a_path_in_a_target: job("    static_configs:\n      - targets: [\"host:9100/metrics\"]")
        => r#"fleetpush: config.yml:8:19: scrape_configs.static_configs.targets: "host:9100/metrics" has a path; write host:port, and the path as metrics_path"#;
    targets_without_a_list: job("    static_configs:\n      - targets: host:9100")
        => "fleetpush: config.yml:8:18: scrape_configs.static_configs.targets: must be a list (lines that begin with `- `), not a single value";
    a_parameter_without_a_list: job("    params:\n      module: http_2xx")
        => "fleetpush: config.yml:8:15: scrape_configs.params.module: must be a list (lines that begin with `- `), not a single value";
    no_files: job("    file_sd_configs:\n      - refresh_interval: 5m")
        => "fleetpush: config.yml:8:9: scrape_configs.file_sd_configs: has no files; name one, such as targets/*.yml";
    a_file_of_another_kind: job("    file_sd_configs:\n      - files: [targets.txt]")
        => r#"fleetpush: config.yml:8:17: scrape_configs.file_sd_configs.files: "targets.txt" must end in .json, .yml or .yaml, with * in its last part alone"#;
    a_star_in_a_folder: job("    file_sd_configs:\n      - files: [\"*/targets.yml\"]")
        => r#"fleetpush: config.yml:8:17: scrape_configs.file_sd_configs.files: "*/targets.yml" must end in .json, .yml or .yaml, with * in its last part alone"#;
    a_limit: job("    sample_limit: -1")
        => r#"fleetpush: config.yml:6:19: scrape_configs.sample_limit: "-1" is not a whole number; 0 is no limit"#;
    a_size: job("    body_size_limit: 10M")
        => r#"fleetpush: config.yml:6:22: scrape_configs.body_size_limit: "10M" is not a size; write it like 10MB"#;
    no_boolean: job("    honor_labels: perhaps")
        => r#"fleetpush: config.yml:6:19: scrape_configs.honor_labels: "perhaps" is neither true nor false; write one of them"#;
    protobuf_alone: job("    scrape_protocols: [PrometheusProto]")
        => "fleetpush: config.yml:6:24: scrape_configs.scrape_protocols: names no form of text; add OpenMetricsText1.0.0";
    a_protocol: job("    scrape_protocols: [Text]")
        => r#"fleetpush: config.yml:6:24: scrape_configs.scrape_protocols: "Text" is not one of OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4"#;
    a_protocol_twice: job("    scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]")
        => "fleetpush: config.yml:6:45: scrape_configs.scrape_protocols: names PrometheusText0.0.4 twice; keep one of them";
    two_credentials: job("    basic_auth: {username: a, password: b}\n    authorization: {credentials: c}")
        => "fleetpush: config.yml:8:20: scrape_configs.authorization: stands beside basic_auth; keep one of them";
    a_rule: job("    metric_relabel_configs:\n      - {action: replce}")
        => r#"fleetpush: config.yml:8:18: scrape_configs.metric_relabel_configs.action: "replce" is no action; did you mean replace?"#;
    staleness_of_times: job("    track_timestamps_staleness: true")
        => "fleetpush: config.yml:6:33: scrape_configs.track_timestamps_staleness: must be false: series with times of their own get no stale markers; leave it out";
    native_histograms: job("    scrape_native_histograms: true")
        => "fleetpush: config.yml:6:31: scrape_configs.scrape_native_histograms: must be false: native histograms are not read; leave it out";
    legacy_names: job("    metric_name_validation_scheme: legacy")
        => "fleetpush: config.yml:6:36: scrape_configs.metric_name_validation_scheme: must be utf8: names may be any UTF-8; leave it out";
    discovery: job("    kubernetes_sd_configs: [{role: pod}]")
        => "fleetpush: config.yml:6:5: scrape_configs.kubernetes_sd_configs: not supported; name the targets in static_configs, or have them written into files for file_sd_configs";
    a_limit_of_targets: job("    target_limit: 5")
        => "fleetpush: config.yml:6:5: scrape_configs.target_limit: not supported; drop targets by relabel_configs";
    headers: job("    http_headers: {X-A: {values: [b]}}")
        => "fleetpush: config.yml:6:5: scrape_configs.http_headers: not supported; use basic_auth, authorization or params";
}

#[rstest]
#[case::redirects("follow_redirects: true")]
#[case::http2("enable_http2: false")]
#[case::buckets("native_histogram_bucket_limit: 100")]
#[case::dropped("keep_dropped_targets: 10")]
#[case::classic("always_scrape_classic_histograms: true")]
#[case::log("scrape_failure_log_file: x.log")]
#[case::protobuf("scrape_protocols: [PrometheusProto, PrometheusText0.0.4]")]
#[tokio::test]
async fn a_key_without_meaning_here_is_one_warning(#[case] line: &str) {
    let said = job(&format!("    {line}")).arguments(&["--config.check"]).run().await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "the configuration is good"), "{}", said.stderr);
    assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    let key = line.split(':').next().unwrap();
    assert!(said.stderr.contains(&format!("scrape_configs.{key}: ")), "{}", said.stderr);
    assert!(said.stderr.contains("changes nothing here: "), "{}", said.stderr);
}

/// Whether we take a block and whether Prometheus does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Both {
    Take,
    Refuse,
    /// We are stricter: the block has a meaning there that it has not here, or none at all.
    Stricter,
}

const BLOCKS: &[(&str, Both)] = &[
    ("{job_name: a}", Both::Take),
    ("{}", Both::Refuse),
    ("{job_name: ''}", Both::Refuse),
    ("{job_name: a}, {job_name: a}", Both::Refuse),
    ("{job_name: 5}", Both::Take),
    ("{job_name: a, scrape_interval: 5s}", Both::Take),
    ("{job_name: a, scrape_interval: 5s, scrape_timeout: 5s}", Both::Take),
    ("{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}", Both::Refuse),
    ("{job_name: a, scrape_timeout: 2m}", Both::Refuse),
    ("{job_name: a, scrape_interval: 5}", Both::Refuse),
    ("{job_name: a, scrape_interval: 1m1h}", Both::Refuse),
    ("{job_name: a, scrape_interval: 0s}", Both::Stricter),
    ("{job_name: a, metrics_path: x}", Both::Take),
    ("{job_name: a, metrics_path: '/a?b'}", Both::Stricter),
    ("{job_name: a, scheme: https}", Both::Take),
    ("{job_name: a, scheme: ftp}", Both::Stricter),
    ("{job_name: a, params: {a: [b, c], d: []}}", Both::Take),
    ("{job_name: a, params: {a: b}}", Both::Refuse),
    ("{job_name: a, static_configs: [{targets: ['host:1', '']}]}", Both::Refuse),
    ("{job_name: a, static_configs: [{targets: ['host:1', 'host', '[::1]:1']}]}", Both::Take),
    ("{job_name: a, static_configs: [{targets: ['http://host']}]}", Both::Refuse),
    ("{job_name: a, static_configs: [{targets: ['host/x']}]}", Both::Refuse),
    ("{job_name: a, static_configs: [{targets: 'host'}]}", Both::Refuse),
    ("{job_name: a, static_configs: [{targets: [host], labels: {a: b, empty: '', n: 5}}]}", Both::Take),
    ("{job_name: a, static_configs: [{targets: [host], labels: {'a b': c, ü: d}}]}", Both::Take),
    ("{job_name: a, static_configs: [{targets: [host], labels: {'': c}}]}", Both::Refuse),
    ("{job_name: a, static_configs: [{targets: [host], label: {}}]}", Both::Refuse),
    ("{job_name: a, file_sd_configs: [{files: [a.yml, b/*.json, '*.yaml', X.JSON]}]}", Both::Take),
    ("{job_name: a, file_sd_configs: [{files: [a.yml], refresh_interval: 1m}]}", Both::Take),
    ("{job_name: a, file_sd_configs: [{files: []}]}", Both::Refuse),
    ("{job_name: a, file_sd_configs: [{files: [a.txt]}]}", Both::Refuse),
    ("{job_name: a, file_sd_configs: [{files: ['*/a.yml']}]}", Both::Refuse),
    ("{job_name: a, file_sd_configs: [{files: ['a*b*.yml']}]}", Both::Take),
    ("{job_name: a, honor_labels: true, honor_timestamps: false}", Both::Take),
    ("{job_name: a, honor_labels: perhaps}", Both::Refuse),
    (
        "{job_name: a, sample_limit: 5, label_limit: 0, label_name_length_limit: 1, label_value_length_limit: 1}",
        Both::Take,
    ),
    ("{job_name: a, sample_limit: -1}", Both::Refuse),
    ("{job_name: a, sample_limit: x}", Both::Refuse),
    ("{job_name: a, body_size_limit: 10MB}", Both::Take),
    ("{job_name: a, body_size_limit: 10KiB}", Both::Take),
    ("{job_name: a, body_size_limit: 0}", Both::Take),
    ("{job_name: a, body_size_limit: 10M}", Both::Refuse),
    ("{job_name: a, body_size_limit: 10}", Both::Refuse),
    ("{job_name: a, basic_auth: {username: u, password: p}}", Both::Take),
    ("{job_name: a, basic_auth: {username: u}}", Both::Stricter),
    ("{job_name: a, authorization: {credentials: c}}", Both::Take),
    ("{job_name: a, basic_auth: {username: u, password: p}, authorization: {credentials: c}}", Both::Refuse),
    ("{job_name: a, authorization: {type: Basic, credentials: c}}", Both::Refuse),
    ("{job_name: a, oauth2: {client_id: a, client_secret: b, token_url: 'http://login/token'}}", Both::Take),
    ("{job_name: a, oauth2: {client_id: a}}", Both::Refuse),
    ("{job_name: a, bearer_token: x}", Both::Take),
    ("{job_name: a, tls_config: {insecure_skip_verify: true}}", Both::Take),
    ("{job_name: a, tls_config: {cert_file: x}}", Both::Refuse),
    ("{job_name: a, proxy_url: 'http://proxy:1'}", Both::Take),
    ("{job_name: a, proxy_url: 'http://proxy:1', proxy_from_environment: true}", Both::Refuse),
    ("{job_name: a, relabel_configs: [{source_labels: [a], regex: '(.*)', target_label: b}]}", Both::Take),
    ("{job_name: a, relabel_configs: [{action: nothing}]}", Both::Refuse),
    ("{job_name: a, metric_relabel_configs: [{regex: '('}]}", Both::Refuse),
    ("{job_name: a, scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]}", Both::Take),
    ("{job_name: a, scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]}", Both::Refuse),
    ("{job_name: a, scrape_protocols: [Text]}", Both::Refuse),
    ("{job_name: a, scrape_protocols: [PrometheusProto]}", Both::Stricter),
    ("{job_name: a, fallback_scrape_protocol: PrometheusText0.0.4}", Both::Take),
    ("{job_name: a, fallback_scrape_protocol: Text}", Both::Refuse),
    ("{job_name: a, enable_compression: false}", Both::Take),
    ("{job_name: a, track_timestamps_staleness: true}", Both::Stricter),
    ("{job_name: a, track_timestamps_staleness: false}", Both::Take),
    ("{job_name: a, metric_name_validation_scheme: utf8}", Both::Take),
    ("{job_name: a, metric_name_validation_scheme: legacy}", Both::Refuse),
    (
        "{job_name: a, metric_name_validation_scheme: legacy, metric_name_escaping_scheme: underscores}",
        Both::Stricter,
    ),
    ("{job_name: a, follow_redirects: false, enable_http2: true, keep_dropped_targets: 5}", Both::Take),
    ("{job_name: a, target_limit: 5}", Both::Stricter),
    ("{job_name: a, http_sd_configs: [{url: 'http://a'}]}", Both::Stricter),
    ("{job_name: a, unknown: 5}", Both::Refuse),
];

#[test]
fn what_we_take_promtool_takes_and_what_it_refuses_we_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let (promtool, path) = (Suite::New.program("promtool"), folder.path().join("config.yml"));
    let mut wrong = Vec::new();
    for (block, expected) in BLOCKS {
        std::fs::write(&path, format!("scrape_configs: [{block}]\n")).unwrap();
        let ours = crate::relay_scrape::loaded(&path);
        // Without a look at files that are named.
        let theirs =
            Command::new(&promtool).args(["check", "config", "--syntax-only"]).arg(&path).output().unwrap();
        let found = match (ours.is_ok(), theirs.status.success()) {
            (true, true) => Both::Take,
            (false, false) => Both::Refuse,
            (false, true) => Both::Stricter,
            (true, false) => panic!("we take what Prometheus refuses: {block}: {theirs:?}"),
        };
        if found != *expected {
            wrong.push(format!(
                "{block}: {found:?} {:?} {}",
                ours.err(),
                String::from_utf8_lossy(&theirs.stderr)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A job that nothing listens for, and no account.
fn alone(more: &str) -> Case {
    let text = format!(
        "scrape_configs:\n  - job_name: a\n    static_configs: [{{targets: ['{{listener}}']}}]\n{more}"
    );
    Case::file(&text).without(&["BALENA_TOKEN", "BALENA_API_URL"])
}

const NO_TOKEN: &str = "fleetpush: no balena token: ";

#[rstest]
#[case::an_account_in_the_file(alone("balena:\n  name: acme"), "run", 1)]
#[case::once(alone("balena:\n  name: acme"), "once", 2)]
#[case::check(alone("balena:\n  name: acme"), "check", 2)]
#[case::fleets_are_asked_for(alone(""), "fleets", 2)]
#[case::a_variable_of_an_account(alone("").with("BALENA_FLEETS_INCLUDE", "acme/*"), "run", 1)]
#[case::its_twin(alone("").with("FLEETPUSH_BALENA_CA_FILE", "x.pem"), "check", 2)]
#[tokio::test]
async fn where_an_account_is_meant_its_token_is_missed(
    #[case] case: Case,
    #[case] command: &str,
    #[case] code: i32,
) {
    let said = case.arguments(&[command]).run().await;
    assert_eq!(said.code, code, "{}", said.stderr);
    assert!(said.stderr.starts_with(NO_TOKEN), "{}", said.stderr);
}

#[tokio::test]
async fn without_a_word_of_an_account_no_token_is_missed() {
    for case in [alone(""), alone("").with("BALENA_API_URL", "https://api.balena-cloud.com")] {
        // The listener answers nobody, so that nothing comes of it; but a token is not asked for.
        let said = case.arguments(&["once", "--once.deadline", "100ms"]).run().await;
        assert!(!said.stderr.contains("token"), "{}", said.stderr);
    }
}

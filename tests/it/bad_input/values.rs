//! Durations, sizes, labels, names, patterns and the log's settings in the file.

use super::{Case, refused};

fn labels(text: &str) -> Case {
    Case::file(&format!("external_labels:\n  {text}"))
}

fn grouping(text: &str) -> Case {
    Case::file(&format!("pushgateways:\n  - url: http://gateway:9091\n    grouping:\n      {text}"))
}

refused! {
    a_duration_without_unit: Case::file("stale_after: 5")
        => r#"fleetpush: config.yml:2:14: stale_after: "5" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_duration_in_words: Case::file("stale_after: 5 minutes")
        => r#"fleetpush: config.yml:2:14: stale_after: "5 minutes" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_duration_of_nothing: Case::file("stale_after: 0s")
        => "fleetpush: config.yml:2:14: stale_after: must be longer than 0; write it like 60s";
    a_negative_duration: Case::file("stale_after: -5m")
        => r#"fleetpush: config.yml:2:14: stale_after: "-5m" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_empty_duration: Case::file("stale_after: ''")
        => "fleetpush: config.yml:2:14: stale_after: is empty; give it a value or leave it out";
    a_duration_with_a_fraction: Case::file("stale_after: 1.5h")
        => r#"fleetpush: config.yml:2:14: stale_after: "1.5h" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_duration_that_overflows: Case::file("stale_after: 999999999999999y")
        => r#"fleetpush: config.yml:2:14: stale_after: "999999999999999y" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_interval_in_words: Case::file("interval: 5 minutes")
        => r#"fleetpush: config.yml:2:11: interval: "5 minutes" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_interval_of_nothing: Case::file("interval: 0")
        => "fleetpush: config.yml:2:11: interval: must be longer than 0; write it like 60s";
    an_account_s_interval: Case::file("balena:\n  interval: often")
        => r#"fleetpush: config.yml:4:13: balena.interval: "often" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_account_s_timeout: Case::file("balena:\n  timeout: 60")
        => r#"fleetpush: config.yml:4:12: balena.timeout: "60" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_gateway_s_timeout: Case::file("pushgateways:\n  - url: http://gateway\n    timeout: 0s")
        => "fleetpush: config.yml:6:14: pushgateways.timeout: must be longer than 0; write it like 60s";
    an_endpoint_s_timeout: Case::file("remote_write:\n  - url: http://r/w\n    remote_timeout: soon")
        => r#"fleetpush: config.yml:6:21: remote_write.remote_timeout: "soon" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_backoff: Case::file("remote_write:\n  - url: http://r/w\n    queue_config:\n      min_backoff: 1")
        => r#"fleetpush: config.yml:8:20: remote_write.queue_config.min_backoff: "1" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    backoffs_in_the_wrong_order:
        Case::file("remote_write:\n  - url: http://r/w\n    queue_config:\n      min_backoff: 5s\n      max_backoff: 1s")
        => "fleetpush: config.yml:10:20: remote_write.queue_config.max_backoff: is shorter than min_backoff (5s); make it longer";
    a_metadata_interval:
        Case::file("remote_write:\n  - url: http://r/w\n    metadata_config:\n      send_interval: 1")
        => r#"fleetpush: config.yml:8:22: remote_write.metadata_config.send_interval: "1" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_queue_s_age: Case::file("queue:\n  max_age: 8 days")
        => r#"fleetpush: config.yml:4:12: queue.max_age: "8 days" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_size_without_number: Case::file("queue:\n  max_size: big")
        => r#"fleetpush: config.yml:4:13: queue.max_size: "big" is not a size; write it like 512MiB or 1GiB"#;
    a_size_with_another_unit: Case::file("queue:\n  max_size: 1G")
        => r#"fleetpush: config.yml:4:13: queue.max_size: "1G" is not a size; write it like 512MiB or 1GiB"#;
    a_size_of_nothing: Case::file("queue:\n  max_size: 0")
        => r#"fleetpush: config.yml:4:13: queue.max_size: "0" is not a size; write it like 512MiB or 1GiB"#;
    a_negative_size: Case::file("queue:\n  max_size: -1GiB")
        => r#"fleetpush: config.yml:4:13: queue.max_size: "-1GiB" is not a size; write it like 512MiB or 1GiB"#;
    a_size_that_overflows: Case::file("queue:\n  max_size: 99999999TiB")
        => r#"fleetpush: config.yml:4:13: queue.max_size: "99999999TiB" is not a size; write it like 512MiB or 1GiB"#;
    a_body_s_size: Case::file("balena:\n  max_body_size: lots")
        => r#"fleetpush: config.yml:4:18: balena.max_body_size: "lots" is not a size; write it like 512MiB or 1GiB"#;

    an_empty_job: Case::file("job: ''")
        => "fleetpush: config.yml:2:6: job: is empty; give it a value or leave it out";
    a_blank_instance: Case::file("instance: '  '").without(&["FLEETPUSH_INSTANCE"])
        => "fleetpush: config.yml:2:11: instance: is empty; give it a value or leave it out";
    an_empty_account_name: Case::file("balena:\n  name: ''")
        => "fleetpush: config.yml:4:9: balena.name: is empty; give it a value or leave it out";
    an_empty_gateway_name: Case::file("pushgateways:\n  - url: http://gateway\n    name: ''")
        => "fleetpush: config.yml:6:11: pushgateways.name: is empty; give it a value or leave it out";
    an_empty_queue_folder: Case::file("queue:\n  dir: ''")
        => "fleetpush: config.yml:4:8: queue.dir: is empty; give it a value or leave it out";

    label_of_the_metric_s_name: labels("__name__: x")
        => "fleetpush: config.yml:4:3: external_labels: the label __name__ is the metric's own name; remove it";
    label_with_a_hyphen: labels("bad-name: x")
        => r#"fleetpush: config.yml:4:3: external_labels: "bad-name" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    label_that_begins_with_a_digit: labels("9a: x")
        => r#"fleetpush: config.yml:4:3: external_labels: "9a" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    label_of_other_letters: labels("größe: x")
        => r#"fleetpush: config.yml:4:3: external_labels: "größe" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    label_without_a_name: labels("'': x")
        => r#"fleetpush: config.yml:4:3: external_labels: "" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    label_job: labels("job: x")
        => "fleetpush: config.yml:4:3: external_labels: the label job is set by `job:` or FLEETPUSH_JOB; remove it";
    label_without_a_value: labels("site: ''")
        => "fleetpush: config.yml:4:9: external_labels.site: the label site is empty; give it a value or remove it";
    label_without_anything: labels("site:")
        => "fleetpush: config.yml:4:7: external_labels.site: the label site is empty; give it a value or remove it";
    label_twice: labels("site: a\n  site: b")
        => "fleetpush: config.yml:6:3: the key site stands in line 4 too; keep one of them";
    grouping_by_the_metric_s_name: grouping("__name__: x")
        => "fleetpush: config.yml:8:7: pushgateways.grouping: the label __name__ is refused by gateways; remove it";
    grouping_by_a_reserved_name: grouping("__tenant__: x")
        => "fleetpush: config.yml:8:7: pushgateways.grouping: the label __tenant__ is refused by gateways; remove it";
    grouping_with_a_hyphen: grouping("bad-name: x")
        => r#"fleetpush: config.yml:8:7: pushgateways.grouping: "bad-name" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    grouping_that_begins_with_a_digit: grouping("9a: x")
        => r#"fleetpush: config.yml:8:7: pushgateways.grouping: "9a" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    grouping_by_le: grouping("le: x")
        => "fleetpush: config.yml:8:7: pushgateways.grouping: the label le breaks the gateway's page for everyone; remove it";
    grouping_by_quantile: grouping("quantile: x")
        => "fleetpush: config.yml:8:7: pushgateways.grouping: the label quantile breaks the gateway's page for everyone; remove it";
    grouping_by_job: grouping("job: x")
        => "fleetpush: config.yml:8:7: pushgateways.grouping: the label job is set by `job:` or FLEETPUSH_JOB; remove it";
    grouping_by_instance: grouping("instance: x")
        => "fleetpush: config.yml:8:7: pushgateways.grouping: the label instance is set by `instance:` or FLEETPUSH_INSTANCE; remove it";
    grouping_of_other_letters: grouping("größe: x")
        => r#"fleetpush: config.yml:8:7: pushgateways.grouping: "größe" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    grouping_without_a_value: grouping("site: ''")
        => "fleetpush: config.yml:8:13: pushgateways.grouping.site: the label site is empty; give it a value or remove it";

    a_pattern: Case::file("balena:\n  fleets:\n    include: ['acme/[a']")
        => r#"fleetpush: config.yml:6:15: balena.fleets.include: "acme/[a" is no pattern (invalid range pattern); write it like acme/*"#;
    a_pattern_of_exclusion: Case::file("balena:\n  fleets:\n    exclude:\n      - acme/*\n      - 'a***'")
        => r#"fleetpush: config.yml:10:9: balena.fleets.exclude: "a***" is no pattern (wildcards are either regular `*` or recursive `**`); write it like acme/*"#;
    an_empty_pattern: Case::file("balena:\n  fleets:\n    include: ['']")
        => "fleetpush: config.yml:6:15: balena.fleets.include: is empty; give it a value or leave it out";
    a_log_level: Case::file("log:\n  level: loud").without(&["FLEETPUSH_LOG_LEVEL"])
        => r#"fleetpush: config.yml:4:10: log.level: "loud" is not one of trace, debug, info, warn, error"#;
    a_log_level_in_capitals: Case::file("log:\n  level: INFO").without(&["FLEETPUSH_LOG_LEVEL"])
        => r#"fleetpush: config.yml:4:10: log.level: "INFO" is not one of trace, debug, info, warn, error"#;
    a_log_format: Case::file("log:\n  format: xml")
        => r#"fleetpush: config.yml:4:11: log.format: "xml" is not one of logfmt, json"#;
    a_protobuf_message: Case::file("remote_write:\n  - url: http://r/w\n    protobuf_message: 3.0")
        => r#"fleetpush: config.yml:6:23: remote_write.protobuf_message: "3.0" is not one of auto, 1.0, 2.0, prometheus.WriteRequest, io.prometheus.write.v2.Request"#;
}

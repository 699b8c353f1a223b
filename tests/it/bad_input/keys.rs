//! Keys that are not known, that are not ours, and values of another type than their key takes.

use super::{Case, refused};

const GATEWAY: &str = "pushgateways:\n  - url: http://gateway:9091\n";
const ENDPOINT: &str = "remote_write:\n  - url: http://receiver/write\n";

/// A gateway with more lines in its block.
fn gateway(more: &str) -> Case {
    Case::file(&format!("{GATEWAY}{more}"))
}

/// An endpoint with more lines in its block.
fn endpoint(more: &str) -> Case {
    Case::file(&format!("{ENDPOINT}{more}"))
}

refused! {
    unknown_at_the_top: Case::file("interval: 60s\nlog_levle: debug\njob: x")
        => "fleetpush: config.yml:4:1: log_levle: no such key; the keys here are interval, stale_after, job, instance, external_labels, labels, balena, pushgateways, remote_write, scrape_configs, queue, web, shard, log";
    unknown_at_the_top_with_a_near_one: Case::file("intervall: 5m")
        => "fleetpush: config.yml:2:1: intervall: no such key; did you mean interval?";
    unknown_in_balena: Case::file("balena:\n  nme: acme")
        => "fleetpush: config.yml:4:3: balena.nme: no such key; did you mean name?";
    unknown_in_a_list_of_accounts: Case::file("balena:\n  - name: acme\n    tokenfile: x")
        => "fleetpush: config.yml:6:5: balena.tokenfile: no such key; did you mean token_file?";
    unknown_in_fleets: Case::file("balena:\n  fleets:\n    only: [acme/a]")
        => "fleetpush: config.yml:6:5: balena.fleets.only: no such key; the keys here are include, exclude";
    unknown_in_pushgateways: gateway("    gruping: {a: b}")
        => "fleetpush: config.yml:6:5: pushgateways.gruping: no such key; did you mean grouping?";
    unknown_in_remote_write: endpoint("    retries: 5")
        => "fleetpush: config.yml:6:5: remote_write.retries: no such key; the keys here are name, url, remote_timeout, protobuf_message, headers, basic_auth, authorization, oauth2, bearer_token, bearer_token_file, tls_config, proxy_url, proxy_from_environment, start, write_relabel_configs, queue_config, metadata_config, send_exemplars";
    unknown_in_basic_auth: gateway("    basic_auth:\n      user: x")
        => "fleetpush: config.yml:8:7: pushgateways.basic_auth.user: no such key; the keys here are username, password, password_file";
    unknown_in_authorization: gateway("    authorization:\n      token: x")
        => "fleetpush: config.yml:8:7: pushgateways.authorization.token: no such key; the keys here are type, credentials, credentials_file";
    unknown_in_tls_config: gateway("    tls_config:\n      insecure: true")
        => "fleetpush: config.yml:8:7: pushgateways.tls_config.insecure: no such key; the keys here are ca_file, cert_file, key_file, server_name, insecure_skip_verify";
    unknown_in_queue_config: endpoint("    queue_config:\n      max_sample_per_send: 5")
        => "fleetpush: config.yml:8:7: remote_write.queue_config.max_sample_per_send: no such key; did you mean max_samples_per_send?";
    unknown_in_metadata_config: endpoint("    metadata_config:\n      interval: 1m")
        => "fleetpush: config.yml:8:7: remote_write.metadata_config.interval: no such key; the keys here are send, send_interval";
    unknown_in_queue: Case::file("queue:\n  path: /var/lib")
        => "fleetpush: config.yml:4:3: queue.path: no such key; the keys here are dir, max_size, max_age, max_samples_per_send";
    unknown_in_web: Case::file("web:\n  listen_adress: :8000")
        => "fleetpush: config.yml:4:3: web.listen_adress: no such key; did you mean listen_address?";
    unknown_in_shard: Case::file("shard:\n  total: 2")
        => "fleetpush: config.yml:4:3: shard.total: no such key; the keys here are index, count";
    unknown_in_log: Case::file("log:\n  lvl: debug")
        => "fleetpush: config.yml:4:3: log.lvl: no such key; the keys here are level, format";
    a_key_that_is_a_number: Case::file("5: x")
        => "fleetpush: config.yml:2:1: 5: no such key; the keys here are interval, stale_after, job, instance, external_labels, labels, balena, pushgateways, remote_write, scrape_configs, queue, web, shard, log";
    a_key_that_is_a_list: Case::file("? [a, b]\n: x")
        => "fleetpush: config.yml:2:3: a key must be one plain word; a text with { or [ needs quotes";
    a_key_twice: Case::file("interval: 60s\njob: x\ninterval: 30s")
        => "fleetpush: config.yml:6:1: the key interval stands in line 2 too; keep one of them";
    a_nested_key_twice: Case::file("queue:\n  dir: memory\n  dir: /var/lib")
        => "fleetpush: config.yml:6:3: the key dir stands in line 4 too; keep one of them";

    prometheus_global: Case::file("global:\n  scrape_interval: 15s")
        => "fleetpush: config.yml:2:1: global: belongs in Prometheus' own file; here interval and external_labels stand at the top";
    prometheus_rules: Case::file("rule_files: [a.yml]")
        => "fleetpush: config.yml:2:1: rule_files: belongs in Prometheus' own file; remove it";
    sigv4: endpoint("    sigv4:\n      region: eu")
        => "fleetpush: config.yml:6:5: remote_write.sigv4: not supported; use basic_auth, authorization or oauth2, or a proxy that signs the requests";
    azuread: endpoint("    azuread: {cloud: x}")
        => "fleetpush: config.yml:6:5: remote_write.azuread: not supported; use basic_auth, authorization or oauth2, or a proxy that signs the requests";
    google_iam: endpoint("    google_iam: {credentials_file: x}")
        => "fleetpush: config.yml:6:5: remote_write.google_iam: not supported; use basic_auth, authorization or oauth2, or a proxy that signs the requests";
    unknown_in_write_relabel_configs: endpoint("    write_relabel_configs:\n      - {action: drop, regexp: x}")
        => "fleetpush: config.yml:8:24: remote_write.write_relabel_configs.regexp: no such key; did you mean regex?";
    http_headers: endpoint("    http_headers: {X-A: {values: [b]}}")
        => "fleetpush: config.yml:6:5: remote_write.http_headers: not supported; use headers";
    no_proxy: endpoint("    no_proxy: localhost")
        => "fleetpush: config.yml:6:5: remote_write.no_proxy: not supported; set the variable NO_PROXY";
    proxy_connect_header: endpoint("    proxy_connect_header: {a: [b]}")
        => "fleetpush: config.yml:6:5: remote_write.proxy_connect_header: not supported; remove it";
    tls_ca_inline: endpoint("    tls_config:\n      ca: PEM")
        => "fleetpush: config.yml:8:7: remote_write.tls_config.ca: not supported; write it into a file and name that as ca_file";
    tls_cert_inline_at_a_gateway: gateway("    tls_config:\n      cert: PEM")
        => "fleetpush: config.yml:8:7: pushgateways.tls_config.cert: not supported; write it into a file and name that as cert_file";
    tls_key_inline: endpoint("    tls_config:\n      key: PEM")
        => "fleetpush: config.yml:8:7: remote_write.tls_config.key: not supported; write it into a file and name that as key_file";
    tls_min_version: endpoint("    tls_config:\n      min_version: TLS12")
        => "fleetpush: config.yml:8:7: remote_write.tls_config.min_version: not supported; TLS 1.2 and 1.3 are spoken, so leave it out";
    username_file: endpoint("    basic_auth:\n      username_file: x")
        => "fleetpush: config.yml:8:7: remote_write.basic_auth.username_file: not supported; write the name itself as username";
    password_ref: endpoint("    basic_auth:\n      password_ref: x")
        => "fleetpush: config.yml:8:7: remote_write.basic_auth.password_ref: not supported; have it written into a file and name that as password_file";
    several_shards: Case::file("shard:\n  index: 1\n  count: 2")
        => "fleetpush: config.yml:4:10: shard.index: several shards are not supported yet; leave it out";
    several_accounts: Case::file("balena:\n  - name: a\n  - name: b")
        => "fleetpush: config.yml:6:5: balena: several accounts are not supported yet; run one process for each";
    mode_counts: Case::file("balena:\n  mode: counts")
        => "fleetpush: config.yml:4:9: balena.mode: only the mode rows is supported; leave it out";
    api_version_6: Case::file("balena:\n  api_version: v6")
        => "fleetpush: config.yml:4:16: balena.api_version: only v7 is supported; leave it out";

    the_file_is_a_list: Case::file("- interval: 60s")
        => "fleetpush: config.yml:2:1: the file must be a map (lines like `key: value`), not a list";
    the_file_is_a_word: Case::file("interval=60s")
        => "fleetpush: config.yml:2:1: the file must be a map (lines like `key: value`), not a single value";
    a_list_for_a_value: Case::file("interval: [60s]")
        => "fleetpush: config.yml:2:11: interval: must be a single value, not a list";
    a_map_for_a_value: Case::file("job:\n  name: x")
        => "fleetpush: config.yml:4:3: job: must be a single value, not a map";
    a_value_for_a_map: Case::file("queue: memory")
        => "fleetpush: config.yml:2:8: queue: must be a map (lines like `key: value`), not a single value";
    a_list_for_a_map: Case::file("log: [debug]")
        => "fleetpush: config.yml:2:6: log: must be a map (lines like `key: value`), not a list";
    a_value_for_an_account: Case::file("balena: token")
        => "fleetpush: config.yml:2:9: balena: must be a map (lines like `key: value`), not a single value";
    a_value_in_a_list_of_accounts: Case::file("balena:\n  - token")
        => "fleetpush: config.yml:4:5: balena: each entry must be a map (lines like `key: value`), not a single value";
    a_value_for_fleets: Case::file("balena:\n  fleets: acme/*")
        => "fleetpush: config.yml:4:11: balena.fleets: must be a map (lines like `key: value`), not a single value";
    a_value_for_a_list_of_patterns: Case::file("balena:\n  fleets:\n    include: acme/*")
        => "fleetpush: config.yml:6:14: balena.fleets.include: must be a list (lines that begin with `- `), not a single value";
    a_map_in_a_list_of_patterns: Case::file("balena:\n  fleets:\n    include: [{a: b}]")
        => "fleetpush: config.yml:6:15: balena.fleets.include: each entry must be a single value, not a map";
    a_map_for_a_list_of_gateways: Case::file("pushgateways:\n  url: http://gateway:9091")
        => "fleetpush: config.yml:4:3: pushgateways: must be a list (lines that begin with `- `), not a map";
    a_value_for_a_list_of_gateways: Case::file("pushgateways: http://gateway:9091")
        => "fleetpush: config.yml:2:15: pushgateways: must be a list (lines that begin with `- `), not a single value";
    a_value_in_a_list_of_gateways: Case::file("pushgateways:\n  - http://gateway:9091")
        => "fleetpush: config.yml:4:5: pushgateways: each entry must be a map (lines like `key: value`), not a single value";
    a_list_for_grouping: gateway("    grouping: [a]")
        => "fleetpush: config.yml:6:15: pushgateways.grouping: must be a map (lines like `key: value`), not a list";
    a_list_for_a_label: gateway("    grouping:\n      site: [north]")
        => "fleetpush: config.yml:8:13: pushgateways.grouping.site: must be a single value, not a list";
    a_map_for_a_header: endpoint("    headers:\n      X-A: {b: c}")
        => "fleetpush: config.yml:8:12: remote_write.headers.X-A: must be a single value, not a map";
    a_value_for_basic_auth: endpoint("    basic_auth: user")
        => "fleetpush: config.yml:6:17: remote_write.basic_auth: must be a map (lines like `key: value`), not a single value";
    a_value_for_tls_config: endpoint("    tls_config: insecure")
        => "fleetpush: config.yml:6:17: remote_write.tls_config: must be a map (lines like `key: value`), not a single value";
    a_value_for_queue_config: endpoint("    queue_config: 5")
        => "fleetpush: config.yml:6:19: remote_write.queue_config: must be a map (lines like `key: value`), not a single value";
    a_value_for_labels: Case::file("labels: fleet_name")
        => "fleetpush: config.yml:2:9: labels: must be a list (lines that begin with `- `), not a single value";
    a_list_in_labels: Case::file("labels: [[fleet_name]]")
        => "fleetpush: config.yml:2:10: labels: each entry must be a single value, not a list";
    other_labels: Case::file("labels: [fleet_name, fleet_id]")
        => "fleetpush: config.yml:2:9: labels: must be [fleet_name] or [fleet_name, fleet_slug]";
    a_list_for_external_labels: Case::file("external_labels: [a]")
        => "fleetpush: config.yml:2:18: external_labels: must be a map (lines like `key: value`), not a list";
    a_value_for_scrape_configs: Case::file("scrape_configs: node")
        => "fleetpush: config.yml:2:17: scrape_configs: must be a list (lines that begin with `- `), not a single value";
    a_number_for_a_boolean: Case::file("web:\n  enable_lifecycle: 1")
        => r#"fleetpush: config.yml:4:21: web.enable_lifecycle: "1" is neither true nor false; write one of them"#;
    a_word_for_a_boolean: gateway("    delete_on_exit: yes")
        => r#"fleetpush: config.yml:6:21: pushgateways.delete_on_exit: "yes" is neither true nor false; write one of them"#;
    a_word_for_a_number: Case::file("queue:\n  max_samples_per_send: many")
        => r#"fleetpush: config.yml:4:25: queue.max_samples_per_send: "many" is not a whole number above 0"#;
    no_number_at_all: endpoint("    queue_config:\n      max_samples_per_send: 0")
        => r#"fleetpush: config.yml:8:29: remote_write.queue_config.max_samples_per_send: "0" is not a whole number above 0"#;
    a_shard_as_in_the_variable: Case::file("shard: 0/1")
        => "fleetpush: config.yml:2:8: shard: must be a map (lines like `key: value`), not a single value";
}

//! Variables that cannot be meant.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use super::{Case, SECRET, refused};

const SUB_VARIABLES: [&str; 2] = ["PUSHGATEWAY_URL", "REMOTE_WRITE_URL"];

/// One variable of a sink whose URL is not set.
fn orphan(name: &str, value: &str) -> Case {
    Case::good().without(&SUB_VARIABLES).with(name, value)
}

fn one(name: &str, value: &str) -> Case {
    Case::variables(&[(name, value)])
}

/// A client of OAuth2 with its secret, and these beside it.
fn client(more: &[(&str, &str)]) -> Case {
    let client = [("REMOTE_WRITE_OAUTH2_CLIENT_ID", "me"), ("REMOTE_WRITE_OAUTH2_CLIENT_SECRET", SECRET)];
    Case::variables(&[&client[..], more].concat())
}

refused! {
    grouping_without_a_gateway: orphan("PUSHGATEWAY_GROUPING", "a=b")
        => "fleetpush: PUSHGATEWAY_GROUPING: is set but PUSHGATEWAY_URL is not; set PUSHGATEWAY_URL too, or remove this variable";
    password_without_a_gateway: orphan("PUSHGATEWAY_PASSWORD", SECRET)
        => "fleetpush: PUSHGATEWAY_PASSWORD: is set but PUSHGATEWAY_URL is not; set PUSHGATEWAY_URL too, or remove this variable";
    token_file_without_a_gateway: orphan("PUSHGATEWAY_BEARER_TOKEN_FILE", "x")
        => "fleetpush: PUSHGATEWAY_BEARER_TOKEN_FILE: is set but PUSHGATEWAY_URL is not; set PUSHGATEWAY_URL too, or remove this variable";
    delete_on_exit_without_a_gateway: orphan("PUSHGATEWAY_DELETE_ON_EXIT", "true")
        => "fleetpush: PUSHGATEWAY_DELETE_ON_EXIT: is set but PUSHGATEWAY_URL is not; set PUSHGATEWAY_URL too, or remove this variable";
    tenant_without_an_endpoint: orphan("REMOTE_WRITE_TENANT", "a")
        => "fleetpush: REMOTE_WRITE_TENANT: is set but REMOTE_WRITE_URL is not; set REMOTE_WRITE_URL too, or remove this variable";
    headers_without_an_endpoint: orphan("REMOTE_WRITE_HEADERS", "a=hunter2")
        => "fleetpush: REMOTE_WRITE_HEADERS: is set but REMOTE_WRITE_URL is not; set REMOTE_WRITE_URL too, or remove this variable";
    message_without_an_endpoint: orphan("REMOTE_WRITE_PROTOBUF_MESSAGE", "auto")
        => "fleetpush: REMOTE_WRITE_PROTOBUF_MESSAGE: is set but REMOTE_WRITE_URL is not; set REMOTE_WRITE_URL too, or remove this variable";

    twins_that_differ: one("FLEETPUSH_BALENA_TOKEN", "hunter2-other")
        => "fleetpush: FLEETPUSH_BALENA_TOKEN: is set, and BALENA_TOKEN is set to something else; keep one of them";
    twins_of_urls_that_differ: one("FLEETPUSH_BALENA_API_URL", "https://api.example.org")
        => "fleetpush: FLEETPUSH_BALENA_API_URL: is set, and BALENA_API_URL is set to something else; keep one of them";

    a_token_and_its_file: one("BALENA_TOKEN_FILE", "x")
        => "fleetpush: BALENA_TOKEN_FILE: stands beside BALENA_TOKEN; keep one of them";
    a_token_of_two_lines: one("BALENA_TOKEN", "hunter2\nhunter2")
        => "fleetpush: BALENA_TOKEN: has a line break or another control character; a secret is one line";
    a_token_file_that_is_missing: one("BALENA_TOKEN_FILE", "/nowhere/token").with("BALENA_TOKEN", "")
        => "fleetpush: BALENA_TOKEN_FILE: cannot read /nowhere/token (no such file or directory); look at its path and permissions";
    a_token_file_that_is_empty:
        one("BALENA_TOKEN_FILE", "{folder}/token").with("BALENA_TOKEN", "").beside("token", "")
        => "fleetpush: BALENA_TOKEN_FILE: the file token is empty; put the secret into it";
    the_twin_s_token_file_that_is_missing:
        one("FLEETPUSH_BALENA_TOKEN_FILE", "/nowhere/token").with("BALENA_TOKEN", "")
        => "fleetpush: FLEETPUSH_BALENA_TOKEN_FILE: cannot read /nowhere/token (no such file or directory); look at its path and permissions";
    an_api_without_scheme: one("BALENA_API_URL", "api.balena-cloud.com")
        => "fleetpush: BALENA_API_URL: does not begin with http:// or https://; write it like https://host/path";
    an_api_in_the_open: one("BALENA_API_URL", "http://api.balena-cloud.com")
        => "fleetpush: BALENA_API_URL: is plain http, which shows the token to everyone on the way; write https://, or set BALENA_ALLOW_HTTP=true or balena.allow_http";
    another_api_version: one("BALENA_API_VERSION", "v6")
        => "fleetpush: BALENA_API_VERSION: only v7 is supported; leave it out";
    allow_http: one("BALENA_ALLOW_HTTP", "1")
        => r#"fleetpush: BALENA_ALLOW_HTTP: "1" is neither true nor false; write one of them"#;
    a_pattern: one("BALENA_FLEETS_INCLUDE", "acme/*,[")
        => r#"fleetpush: BALENA_FLEETS_INCLUDE: "[" is no pattern (invalid range pattern); write it like acme/*"#;
    a_ca_file_that_is_missing: one("BALENA_CA_FILE", "/nowhere/ca.pem")
        => "fleetpush: BALENA_CA_FILE: cannot read /nowhere/ca.pem (no such file or directory); look at its path and permissions";
    an_interval_in_words: one("CRAWL_INTERVAL", "1 minute")
        => r#"fleetpush: CRAWL_INTERVAL: "1 minute" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_interval_with_a_fraction: one("CRAWL_INTERVAL", "0.5")
        => r#"fleetpush: CRAWL_INTERVAL: "0.5" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_interval_of_nothing: one("CRAWL_INTERVAL", "0")
        => "fleetpush: CRAWL_INTERVAL: must be longer than 0; write it like 60s";
    a_log_level: one("FLEETPUSH_LOG_LEVEL", "verbose")
        => r#"fleetpush: FLEETPUSH_LOG_LEVEL: "verbose" is not one of trace, debug, info, warn, error"#;
    a_log_format: one("FLEETPUSH_LOG_FORMAT", "text")
        => r#"fleetpush: FLEETPUSH_LOG_FORMAT: "text" is not one of logfmt, json"#;
    a_listen_address: one("FLEETPUSH_LISTEN_ADDRESS", "8000")
        => r#"fleetpush: FLEETPUSH_LISTEN_ADDRESS: "8000" is not an address, or its host is not known; write :8000, 127.0.0.1:8000, [::1]:8000 or off"#;
    a_queue_s_size: one("FLEETPUSH_QUEUE_MAX_SIZE", "1 gig")
        => r#"fleetpush: FLEETPUSH_QUEUE_MAX_SIZE: "1 gig" is not a size; write it like 512MiB or 1GiB"#;
    a_queue_s_age: one("FLEETPUSH_QUEUE_MAX_AGE", "8")
        => r#"fleetpush: FLEETPUSH_QUEUE_MAX_AGE: "8" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    several_shards: one("FLEETPUSH_SHARD", "1/4")
        => "fleetpush: FLEETPUSH_SHARD: several shards are not supported yet; leave it out";
    a_configuration_file_that_is_missing: one("FLEETPUSH_CONFIG_FILE", "/nowhere/config.yml")
        => "fleetpush: /nowhere/config.yml: the configuration file cannot be read (no such file or directory); look at its path and permissions";

    labels_without_equals_sign: one("FLEETPUSH_EXTERNAL_LABELS", "site")
        => "fleetpush: FLEETPUSH_EXTERNAL_LABELS: has a part without `=`; write it like name=value,name=value";
    labels_with_a_hyphen: one("FLEETPUSH_EXTERNAL_LABELS", "site=north,bad-name=x")
        => r#"fleetpush: FLEETPUSH_EXTERNAL_LABELS: "bad-name" is not a label name; use the letters a to z, digits and _, and no digit first"#;
    labels_of_the_metric_s_name: one("FLEETPUSH_EXTERNAL_LABELS", "__name__=x")
        => "fleetpush: FLEETPUSH_EXTERNAL_LABELS: the label __name__ is the metric's own name; remove it";
    labels_without_a_value: one("FLEETPUSH_EXTERNAL_LABELS", "site=")
        => "fleetpush: FLEETPUSH_EXTERNAL_LABELS: the label site is empty; give it a value or remove it";
    labels_twice: one("FLEETPUSH_EXTERNAL_LABELS", "site=a,site=b")
        => "fleetpush: FLEETPUSH_EXTERNAL_LABELS: the label site stands twice; keep one of them";
    labels_with_job: one("FLEETPUSH_EXTERNAL_LABELS", "job=a")
        => "fleetpush: FLEETPUSH_EXTERNAL_LABELS: the label job is set by `job:` or FLEETPUSH_JOB; remove it";
    grouping_by_le: one("PUSHGATEWAY_GROUPING", "le=1")
        => "fleetpush: PUSHGATEWAY_GROUPING: the label le breaks the gateway's page for everyone; remove it";
    grouping_by_job: one("PUSHGATEWAY_GROUPING", "job=a")
        => "fleetpush: PUSHGATEWAY_GROUPING: the label job is set by `job:` or FLEETPUSH_JOB; remove it";
    grouping_twice: one("PUSHGATEWAY_GROUPING", "site=a,site=b")
        => "fleetpush: PUSHGATEWAY_GROUPING: the label site stands twice; keep one of them";
    grouping_without_a_value: one("PUSHGATEWAY_GROUPING", "site=")
        => "fleetpush: PUSHGATEWAY_GROUPING: the label site is empty; give it a value or remove it";
    grouping_that_begins_with_a_digit: one("PUSHGATEWAY_GROUPING", "9a=b")
        => r#"fleetpush: PUSHGATEWAY_GROUPING: "9a" is not a label name; use the letters a to z, digits and _, and no digit first"#;

    a_gateway_with_a_job: one("PUSHGATEWAY_URL", "http://gateway:9091/metrics/job/balena")
        => "fleetpush: PUSHGATEWAY_URL: already holds /metrics/job/…; give the gateway's base URL, and labels by grouping";
    a_gateway_without_scheme: one("PUSHGATEWAY_URL", "gateway:9091")
        => "fleetpush: PUSHGATEWAY_URL: does not begin with http:// or https://; write it like https://host/path";
    a_gateway_with_a_user: one("PUSHGATEWAY_URL", "http://me:hunter2@gateway:9091")
        => "fleetpush: PUSHGATEWAY_URL: holds a user name or password; take them out, credentials have settings of their own";
    an_endpoint_without_scheme: one("REMOTE_WRITE_URL", "receiver/api/v1/write")
        => "fleetpush: REMOTE_WRITE_URL: does not begin with http:// or https://; write it like https://host/path";
    a_gateway_s_user_without_password: one("PUSHGATEWAY_USERNAME", "me")
        => "fleetpush: PUSHGATEWAY_USERNAME: has no password; set PUSHGATEWAY_PASSWORD or PUSHGATEWAY_PASSWORD_FILE";
    a_gateway_s_password_without_user: one("PUSHGATEWAY_PASSWORD", SECRET)
        => "fleetpush: PUSHGATEWAY_PASSWORD: has no user name; set PUSHGATEWAY_USERNAME";
    a_gateway_s_password_file_without_user: one("PUSHGATEWAY_PASSWORD_FILE", "x")
        => "fleetpush: PUSHGATEWAY_PASSWORD_FILE: has no user name; set PUSHGATEWAY_USERNAME";
    an_endpoint_s_user_without_password: one("REMOTE_WRITE_USERNAME", "123456")
        => "fleetpush: REMOTE_WRITE_USERNAME: has no password; set REMOTE_WRITE_PASSWORD or REMOTE_WRITE_PASSWORD_FILE";
    an_endpoint_s_password_without_user: one("REMOTE_WRITE_PASSWORD", SECRET)
        => "fleetpush: REMOTE_WRITE_PASSWORD: has no user name; set REMOTE_WRITE_USERNAME";
    a_gateway_s_user_and_token:
        Case::variables(&[("PUSHGATEWAY_USERNAME", "me"), ("PUSHGATEWAY_PASSWORD", SECRET), ("PUSHGATEWAY_BEARER_TOKEN", SECRET)])
        => "fleetpush: PUSHGATEWAY_BEARER_TOKEN: stands beside PUSHGATEWAY_USERNAME; keep one of them";
    an_endpoint_s_password_and_token:
        Case::variables(&[("REMOTE_WRITE_PASSWORD_FILE", "x"), ("REMOTE_WRITE_BEARER_TOKEN_FILE", "x")])
        => "fleetpush: REMOTE_WRITE_BEARER_TOKEN_FILE: stands beside REMOTE_WRITE_PASSWORD_FILE; keep one of them";
    an_endpoint_s_token_and_its_file:
        Case::variables(&[("REMOTE_WRITE_BEARER_TOKEN", SECRET), ("REMOTE_WRITE_BEARER_TOKEN_FILE", "x")])
        => "fleetpush: REMOTE_WRITE_BEARER_TOKEN_FILE: stands beside REMOTE_WRITE_BEARER_TOKEN; keep one of them";
    a_client_without_an_endpoint: orphan("REMOTE_WRITE_OAUTH2_CLIENT_ID", "me")
        => "fleetpush: REMOTE_WRITE_OAUTH2_CLIENT_ID: is set but REMOTE_WRITE_URL is not; set REMOTE_WRITE_URL too, or remove this variable";
    a_client_alone: one("REMOTE_WRITE_OAUTH2_CLIENT_ID", "me")
        => "fleetpush: REMOTE_WRITE_OAUTH2_CLIENT_ID: is not enough for OAuth2; set REMOTE_WRITE_OAUTH2_CLIENT_SECRET or REMOTE_WRITE_OAUTH2_CLIENT_SECRET_FILE too";
    scopes_of_nobody: one("REMOTE_WRITE_OAUTH2_SCOPES", "a")
        => "fleetpush: REMOTE_WRITE_OAUTH2_SCOPES: is not enough for OAuth2; set REMOTE_WRITE_OAUTH2_CLIENT_ID too";
    a_client_without_a_token_s_place: client(&[])
        => "fleetpush: REMOTE_WRITE_OAUTH2_CLIENT_ID: is not enough for OAuth2; set REMOTE_WRITE_OAUTH2_TOKEN_URL too";
    a_client_s_secret_and_its_file: client(&[("REMOTE_WRITE_OAUTH2_CLIENT_SECRET_FILE", "x")])
        => "fleetpush: REMOTE_WRITE_OAUTH2_CLIENT_SECRET_FILE: stands beside REMOTE_WRITE_OAUTH2_CLIENT_SECRET; keep one of them";
    a_token_s_place_without_scheme: client(&[("REMOTE_WRITE_OAUTH2_TOKEN_URL", "login/token")])
        => "fleetpush: REMOTE_WRITE_OAUTH2_TOKEN_URL: does not begin with http:// or https://; write it like https://host/path";
    a_client_and_a_token: client(&[
        ("REMOTE_WRITE_OAUTH2_TOKEN_URL", "https://login/token"), ("REMOTE_WRITE_BEARER_TOKEN", SECRET)])
        => "fleetpush: REMOTE_WRITE_OAUTH2_CLIENT_ID: stands beside REMOTE_WRITE_BEARER_TOKEN; keep one of them";
    a_client_and_a_user: client(&[
        ("REMOTE_WRITE_OAUTH2_TOKEN_URL", "https://login/token"), ("REMOTE_WRITE_USERNAME", "me"),
        ("REMOTE_WRITE_PASSWORD", SECRET)])
        => "fleetpush: REMOTE_WRITE_OAUTH2_CLIENT_ID: stands beside REMOTE_WRITE_USERNAME; keep one of them";
    delete_on_exit: one("PUSHGATEWAY_DELETE_ON_EXIT", "maybe")
        => r#"fleetpush: PUSHGATEWAY_DELETE_ON_EXIT: "maybe" is neither true nor false; write one of them"#;
    a_protobuf_message: one("REMOTE_WRITE_PROTOBUF_MESSAGE", "v2")
        => r#"fleetpush: REMOTE_WRITE_PROTOBUF_MESSAGE: "v2" is not one of auto, 1.0, 2.0, prometheus.WriteRequest, io.prometheus.write.v2.Request"#;
    headers_without_equals_sign: one("REMOTE_WRITE_HEADERS", "X-A=b,hunter2")
        => "fleetpush: REMOTE_WRITE_HEADERS: has a part without `=`; write it like name=value,name=value";
    headers_of_ours: one("REMOTE_WRITE_HEADERS", "Authorization=hunter2")
        => "fleetpush: REMOTE_WRITE_HEADERS: the header Authorization is set by fleetpush itself; remove it (credentials belong in basic_auth or authorization, or the variables for them)";
    headers_of_two_lines: one("REMOTE_WRITE_HEADERS", "X-A=hunter2\nX-B: c")
        => "fleetpush: REMOTE_WRITE_HEADERS: the value of the header X-A has a line break or another control character; remove that";
    a_tenant_of_two_lines: one("REMOTE_WRITE_TENANT", "a\nX-B: c")
        => "fleetpush: REMOTE_WRITE_TENANT: the value of the header X-Scope-OrgID has a line break or another control character; remove that";
    a_tenant_twice:
        Case::variables(&[("REMOTE_WRITE_TENANT", "a"), ("REMOTE_WRITE_HEADERS", "x-scope-orgid=b")])
        => "fleetpush: REMOTE_WRITE_TENANT: the header X-Scope-OrgID is set twice; keep one of them";
}

#[test]
fn a_variable_of_ours_that_is_no_text_is_refused_and_others_do_not_matter() {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetpush"))
        .arg("--config.check")
        .env_clear()
        .env("BALENA_TOKEN", OsStr::from_bytes(b"hunter2\xff"))
        .output()
        .expect("the binary was built for these tests");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said, "fleetpush: BALENA_TOKEN: is not UTF-8 text; set it anew, or remove it\n");
    let output = Command::new(env!("CARGO_BIN_EXE_fleetpush"))
        .arg("--config.check")
        .env_clear()
        .env("SOMETHING_ELSE", OsStr::from_bytes(b"\xff"))
        .output()
        .expect("the binary was built for these tests");
    assert_eq!(output.status.code(), Some(0));
}

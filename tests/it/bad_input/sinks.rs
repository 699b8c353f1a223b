//! Names, credentials, TLS files and headers of the sinks in the file.

use super::{Case, SECRET, refused};

fn gateway(more: &str) -> Case {
    Case::file(&format!("pushgateways:\n  - url: https://gateway\n    {more}"))
}

fn endpoint(more: &str) -> Case {
    Case::file(&format!("remote_write:\n  - url: https://receiver/write\n    {more}"))
}

/// Two sinks of one name.
fn two(block: &str, one: &str, other: &str) -> Case {
    Case::file(&format!("{block}:\n  - {one}\n  - {other}"))
}

fn secret(name: &str) -> Case {
    Case::file(&format!("balena:\n  token_file: '{name}'")).account_in_file()
}

refused! {
    two_gateways_of_one_name: two("pushgateways", "{name: a, url: http://g1}", "{name: a, url: http://g2}")
        => r#"fleetpush: config.yml:6:5: pushgateways: a second entry is named "a"; give each a name of its own"#;
    two_gateways_of_one_url: two("pushgateways", "{url: http://g1}", "{url: http://g1/}")
        => r#"fleetpush: config.yml:6:5: pushgateways: a second entry is named "http://g1"; give each a name of its own"#;
    a_gateway_named_as_that_of_the_variables: gateway("name: env")
        => r#"fleetpush: PUSHGATEWAY_URL: adds an entry named "env", and the file has one of that name; rename that one"#;
    two_endpoints_of_one_name: two("remote_write", "{name: a, url: http://r1}", "{name: a, url: http://r2}")
        => r#"fleetpush: config.yml:6:5: remote_write: a second entry is named "a"; give each a name of its own"#;
    two_endpoints_that_differ_in_their_query:
        two("remote_write", "{url: 'http://r1/w?a=1'}", "{url: 'http://r1/w?a=2'}")
        => r#"fleetpush: config.yml:6:5: remote_write: a second entry is named "http://r1/w"; give each a name of its own"#;
    an_endpoint_named_as_that_of_the_variables: endpoint("name: env")
        => r#"fleetpush: REMOTE_WRITE_URL: adds an entry named "env", and the file has one of that name; rename that one"#;

    a_user_without_password: gateway("basic_auth: {username: me}")
        => "fleetpush: config.yml:6:17: pushgateways.basic_auth: has no password; add password or password_file";
    a_password_without_user: gateway(&format!("basic_auth: {{password: {SECRET}}}"))
        => "fleetpush: config.yml:6:17: pushgateways.basic_auth: has no username; add one";
    a_user_that_is_empty: gateway(&format!("basic_auth: {{username: '', password: {SECRET}}}"))
        => "fleetpush: config.yml:6:28: pushgateways.basic_auth.username: is empty; give it a value or leave it out";
    a_password_and_its_file: gateway(&format!("basic_auth: {{username: me, password: {SECRET}, password_file: x}}"))
        => "fleetpush: config.yml:6:66: pushgateways.basic_auth.password_file: stands beside config.yml:6:42: pushgateways.basic_auth.password; keep one of them";
    a_password_of_two_lines:
        gateway(&format!("basic_auth: {{username: me, password: \"{SECRET}\\nx\"}}"))
        => "fleetpush: config.yml:6:42: pushgateways.basic_auth.password: has a line break or another control character; a secret is one line";
    a_password_file_that_is_missing: gateway("basic_auth: {username: me, password_file: nowhere}")
        => "fleetpush: config.yml:6:47: pushgateways.basic_auth.password_file: cannot read nowhere (no such file or directory); look at its path and permissions";
    basic_auth_and_authorization:
        gateway(&format!("basic_auth: {{username: me, password: {SECRET}}}\n    authorization: {{credentials: {SECRET}}}"))
        => "fleetpush: config.yml:8:20: pushgateways.authorization: stands beside basic_auth; keep one of them";
    basic_auth_and_a_bearer_token:
        endpoint(&format!("basic_auth: {{username: me, password: {SECRET}}}\n    bearer_token: {SECRET}"))
        => "fleetpush: config.yml:8:19: remote_write.bearer_token: stands beside basic_auth; keep one of them";
    authorization_and_a_bearer_token:
        endpoint(&format!("authorization: {{credentials: {SECRET}}}\n    bearer_token_file: x"))
        => "fleetpush: config.yml:8:24: remote_write.bearer_token_file: stands beside authorization; keep one of them";
    a_bearer_token_and_its_file: endpoint(&format!("bearer_token: {SECRET}\n    bearer_token_file: x"))
        => "fleetpush: config.yml:8:24: remote_write.bearer_token_file: stands beside config.yml:6:19: remote_write.bearer_token; keep one of them";
    a_bearer_token_at_a_gateway: gateway(&format!("bearer_token: {SECRET}"))
        => "fleetpush: config.yml:6:5: pushgateways.bearer_token: no such key; the keys here are name, url, grouping, delete_on_exit, timeout, basic_auth, authorization, oauth2, tls_config, proxy_url, headers";
    authorization_without_credentials: endpoint("authorization: {type: Bearer}")
        => "fleetpush: config.yml:6:20: remote_write.authorization: has no credentials; add credentials or credentials_file";
    authorization_of_the_basic_kind: endpoint(&format!("authorization: {{type: Basic, credentials: {SECRET}}}"))
        => "fleetpush: config.yml:6:27: remote_write.authorization.type: cannot be Basic here; use basic_auth";
    authorization_of_two_words: endpoint(&format!("authorization: {{type: A B, credentials: {SECRET}}}"))
        => r#"fleetpush: config.yml:6:27: remote_write.authorization.type: "A B" is not one word, such as Bearer"#;

    a_token_file_that_is_empty: secret("{folder}/token").beside("token", " \n")
        => "fleetpush: config.yml:4:15: balena.token_file: the file token is empty; put the secret into it";
    a_token_file_of_two_lines: secret("{folder}/token").beside("token", "hunter2\nhunter2\n")
        => "fleetpush: config.yml:4:15: balena.token_file: the file token has several lines; a secret is one line";
    a_token_file_that_is_missing: secret("nowhere/token")
        => "fleetpush: config.yml:4:15: balena.token_file: cannot read nowhere/token (no such file or directory); look at its path and permissions";
    a_token_file_that_is_a_folder: secret("/")
        => "fleetpush: config.yml:4:15: balena.token_file: cannot read / (is a directory); look at its path and permissions";
    a_token_and_its_file: Case::file(&format!("balena:\n  token: {SECRET}\n  token_file: x")).account_in_file()
        => "fleetpush: config.yml:6:15: balena.token_file: stands beside config.yml:4:10: balena.token; keep one of them";
    an_empty_token: Case::file("balena:\n  token: ''").account_in_file()
        => "fleetpush: config.yml:4:10: balena.token: is empty; give it a value or leave it out";
    an_empty_token_file: Case::file("balena:\n  token_file: ''").account_in_file()
        => "fleetpush: config.yml:4:15: balena.token_file: is empty; give it a value or leave it out";

    a_ca_file_that_is_missing: endpoint("tls_config: {ca_file: nowhere.pem}")
        => "fleetpush: config.yml:6:27: remote_write.tls_config.ca_file: cannot read nowhere.pem (no such file or directory); look at its path and permissions";
    a_ca_file_that_is_a_folder: endpoint("tls_config: {ca_file: /}")
        => "fleetpush: config.yml:6:27: remote_write.tls_config.ca_file: cannot read / (is a directory); look at its path and permissions";
    a_certificate_without_key: endpoint("tls_config: {cert_file: x}")
        => "fleetpush: config.yml:6:29: remote_write.tls_config.cert_file: has no key_file beside it; add one";
    a_key_without_certificate: endpoint("tls_config: {key_file: x}")
        => "fleetpush: config.yml:6:28: remote_write.tls_config.key_file: has no cert_file beside it; add one";
    a_ca_file_without_certificates: Case::good().with("BALENA_CA_FILE", "{folder}/ca").beside("ca", "x")
        => "fleetpush: BALENA_CA_FILE: the file ca has no certificate in PEM form (-----BEGIN …)";
    a_key_file_that_is_a_certificate:
        gateway("tls_config: {cert_file: '{folder}/pem', key_file: '{folder}/pem'}")
            .beside("pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
        => "fleetpush: config.yml:6:62: pushgateways.tls_config.key_file: the file pem has no private key in PEM form (-----BEGIN …)";

    a_server_name_that_is_an_address: endpoint("tls_config: {server_name: 10.0.0.1}")
        => r#"fleetpush: config.yml:6:31: remote_write.tls_config.server_name: "10.0.0.1" is an address; write a host's name, or leave it out"#;
    a_server_name_beside_a_proxy:
        endpoint("tls_config: {server_name: inner}\n    proxy_url: http://proxy:3128")
        => "fleetpush: config.yml:6:31: remote_write.tls_config.server_name: cannot be used together with proxy_url; leave one of them out";
    a_header_of_ours: endpoint("headers: {Content-Type: text/plain}")
        => "fleetpush: config.yml:6:15: remote_write.headers: the header Content-Type is set by fleetpush itself; remove it (credentials belong in basic_auth or authorization, or the variables for them)";
    a_header_with_credentials: endpoint(&format!("headers: {{Authorization: Bearer {SECRET}}}"))
        => "fleetpush: config.yml:6:15: remote_write.headers: the header Authorization is set by fleetpush itself; remove it (credentials belong in basic_auth or authorization, or the variables for them)";
    a_header_of_two_lines: endpoint(&format!("headers: {{X-A: \"{SECRET}\\nX-B: c\"}}"))
        => "fleetpush: config.yml:6:20: remote_write.headers.X-A: the value of the header X-A has a line break or another control character; remove that";
    a_header_with_a_blank: endpoint("headers: {X A: b}")
        => r#"fleetpush: config.yml:6:15: remote_write.headers: "X A" is not the name of a header; use letters, digits and -, such as X-Scope-OrgID"#;
    a_header_twice: endpoint("headers: {X-A: b, x-a: c}")
        => "fleetpush: config.yml:6:28: remote_write.headers.x-a: the header x-a is set twice; keep one of them";
}

//! OAuth2's block in either kind of sink.

use super::{Case, SECRET, refused};

/// A block with these lines in an endpoint.
fn oauth2(keys: &str) -> Case {
    Case::file(&format!("remote_write:\n  - url: https://receiver/write\n    oauth2: {{{keys}}}"))
}

/// A block that is good but for these keys.
fn with(keys: &str) -> Case {
    oauth2(&format!("client_id: me, client_secret: {SECRET}, token_url: https://login/token, {keys}"))
}

fn gateway(keys: &str) -> Case {
    Case::file(&format!("pushgateways:\n  - url: https://gateway\n    oauth2: {{{keys}}}"))
}

fn beside(other: &str) -> Case {
    let block = format!("oauth2: {{client_id: me, client_secret: {SECRET}, token_url: https://login/token}}");
    Case::file(&format!("remote_write:\n  - url: https://receiver/write\n    {other}\n    {block}"))
}

refused! {
    without_client_id: oauth2(&format!("client_secret: {SECRET}, token_url: https://login/token"))
        => "fleetpush: config.yml:6:13: remote_write.oauth2: has no client_id; add one";
    without_secret: oauth2("client_id: me, token_url: https://login/token")
        => "fleetpush: config.yml:6:13: remote_write.oauth2: has no client_secret; add client_secret or client_secret_file";
    without_token_url: gateway(&format!("client_id: me, client_secret: {SECRET}"))
        => "fleetpush: config.yml:6:13: pushgateways.oauth2: has no token_url; add one";
    a_secret_and_its_file: with("client_secret_file: x")
        => "fleetpush: config.yml:6:105: remote_write.oauth2.client_secret_file: stands beside config.yml:6:44: remote_write.oauth2.client_secret; keep one of them";
    a_secret_file_that_is_missing: oauth2("client_id: me, client_secret_file: nowhere, token_url: https://login/token")
        => "fleetpush: config.yml:6:49: remote_write.oauth2.client_secret_file: cannot read nowhere (no such file or directory); look at its path and permissions";
    a_token_url_without_scheme: oauth2(&format!("client_id: me, client_secret: {SECRET}, token_url: login/token"))
        => "fleetpush: config.yml:6:64: remote_write.oauth2.token_url: does not begin with http:// or https://; write it like https://host/path";
    a_token_url_with_credentials:
        oauth2(&format!("client_id: me, client_secret: {SECRET}, token_url: 'https://me:{SECRET}@login/token'"))
        => "fleetpush: config.yml:6:64: remote_write.oauth2.token_url: holds a user name or password; take them out, credentials have settings of their own";
    a_scope_of_two_words: with("scopes: [a b]")
        => "fleetpush: config.yml:6:94: remote_write.oauth2.scopes: holds white space; write each scope as an entry of its own";
    scopes_that_are_no_list: with("scopes: a")
        => "fleetpush: config.yml:6:93: remote_write.oauth2.scopes: must be a list (lines that begin with `- `), not a single value";
    a_parameter_that_another_key_sets: with("endpoint_params: {scope: a}")
        => "fleetpush: config.yml:6:103: remote_write.oauth2.endpoint_params: scope is set by scopes; write it there";
    an_authority_that_is_missing: with("tls_config: {ca_file: nowhere}")
        => "fleetpush: config.yml:6:107: remote_write.oauth2.tls_config.ca_file: cannot read nowhere (no such file or directory); look at its path and permissions";
    an_inline_authority: with("tls_config: {ca: PEM}")
        => "fleetpush: config.yml:6:98: remote_write.oauth2.tls_config.ca: not supported; write it into a file and name that as ca_file";
    a_server_name_through_a_proxy: with("tls_config: {server_name: a}, proxy_url: 'http://proxy'")
        => "fleetpush: config.yml:6:111: remote_write.oauth2.tls_config.server_name: cannot be used together with proxy_url; leave one of them out";
    an_unknown_key: with("client: x")
        => "fleetpush: config.yml:6:85: remote_write.oauth2.client: no such key; the keys here are client_id, client_secret, client_secret_file, scopes, token_url, endpoint_params, tls_config, proxy_url, proxy_from_environment";
    a_signed_grant: with("grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer")
        => "fleetpush: config.yml:6:85: remote_write.oauth2.grant_type: not supported; only the grant for client_id and client_secret is, so leave it out";
    a_signed_grants_key: gateway("client_certificate_key_file: x")
        => "fleetpush: config.yml:6:14: pushgateways.oauth2.client_certificate_key_file: not supported; only the grant for client_id and client_secret is, so leave it out";
    an_audience: with("audience: x")
        => "fleetpush: config.yml:6:85: remote_write.oauth2.audience: belongs to signed grants, which are not supported; where the server wants an audience, write it into endpoint_params";
    a_secret_of_a_manager: with("client_secret_ref: x")
        => "fleetpush: config.yml:6:85: remote_write.oauth2.client_secret_ref: not supported; have it written into a file and name that as client_secret_file";
    no_proxy: with("no_proxy: x")
        => "fleetpush: config.yml:6:85: remote_write.oauth2.no_proxy: not supported; set the variable NO_PROXY";
    beside_basic_auth: beside(&format!("basic_auth: {{username: me, password: {SECRET}}}"))
        => "fleetpush: config.yml:8:13: remote_write.oauth2: stands beside basic_auth; keep one of them";
    beside_authorization: beside(&format!("authorization: {{credentials: {SECRET}}}"))
        => "fleetpush: config.yml:8:13: remote_write.oauth2: stands beside authorization; keep one of them";
    beside_a_bearer_token: beside(&format!("bearer_token: {SECRET}"))
        => "fleetpush: config.yml:8:13: remote_write.oauth2: stands beside bearer_token; keep one of them";
}

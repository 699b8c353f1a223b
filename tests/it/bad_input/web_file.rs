//! The page's own file.

use super::{Case, SECRET, refused};
use crate::tls::Authority;

const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuXcjcm5avyCiJoD2uS24xa2lb6fjMB3G";

/// A page's file of this text, beside a certificate and two keys.
fn page(text: &str) -> Case {
    let authority = Authority::new();
    let leaf = authority.issue("localhost");
    Case::good()
        .beside("web.yml", text)
        .beside("tls.crt", &leaf.cert_pem)
        .beside("tls.key", &leaf.key_pem)
        .beside("other.key", &authority.issue("localhost").key_pem)
        .beside("empty.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .arguments(&["--web.config.file", "{folder}/web.yml"])
}

fn tls(keys: &str) -> Case {
    page(&format!("tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n  {keys}\n"))
}

refused! {
    a_file_that_is_missing: Case::good().arguments(&["--web.config.file", "{folder}/nowhere.yml"])
        => "fleetpush: nowhere.yml: the configuration file cannot be read (no such file or directory); look at its path and permissions";
    a_file_of_a_variable_that_is_missing: Case::variables(&[("FLEETPUSH_WEB_CONFIG_FILE", "/nowhere/web.yml")])
        => "fleetpush: /nowhere/web.yml: the configuration file cannot be read (no such file or directory); look at its path and permissions";
    an_empty_flag: Case::good().arguments(&["--web.config.file="])
        => "fleetpush: --web.config.file: is empty; give it a value or leave it out";
    an_unknown_key: page("tls_config: {}")
        => "fleetpush: web.yml:1:1: tls_config: no such key; the keys here are tls_server_config, http_server_config, basic_auth_users, rate_limit";
    an_unknown_key_of_tls: tls("client_ca: x\n  ca_file: x")
        => "fleetpush: web.yml:5:3: tls_server_config.ca_file: no such key; the keys here are cert_file, key_file, cert, key, client_auth_type, client_ca_file, client_ca, client_allowed_sans, min_version, max_version, cipher_suites, curve_preferences, prefer_server_cipher_suites";
    a_hash_that_is_a_password: page(&format!("basic_auth_users:\n  ops: {SECRET}"))
        => r#"fleetpush: web.yml:2:8: basic_auth_users.ops: is not a bcrypt hash; make one with `htpasswd -nBC 10 ""`, it begins with $2"#;
    a_hash_of_no_work: page(&format!("basic_auth_users:\n  ops: {}", HASH.replace("$04", "$03")))
        => "fleetpush: web.yml:2:8: basic_auth_users.ops: has a cost outside of 4 to 31; make the hash anew";
    a_user_with_a_colon: page(&format!("basic_auth_users:\n  'a:b': {HASH}"))
        => "fleetpush: web.yml:2:3: basic_auth_users: a user's name cannot hold a colon: no client could send it";
    a_user_twice: page(&format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}"))
        => "fleetpush: web.yml:3:3: the key a stands in line 2 too; keep one of them";
    tls_without_certificate: page("tls_server_config:\n  min_version: TLS13")
        => "fleetpush: web.yml:2:3: tls_server_config: has no cert_file; add one";
    tls_without_key: page("tls_server_config:\n  cert_file: tls.crt")
        => "fleetpush: web.yml:2:3: tls_server_config: has no key_file; add one";
    a_certificate_that_is_missing: page("tls_server_config:\n  cert_file: nowhere.crt\n  key_file: tls.key")
        => "fleetpush: web.yml:2:14: tls_server_config.cert_file: cannot read nowhere.crt (no such file or directory); look at its path and permissions";
    a_certificate_that_is_none: page("tls_server_config:\n  cert_file: tls.key\n  key_file: tls.key")
        => "fleetpush: web.yml:2:14: tls_server_config.cert_file: the file tls.key has no certificate in PEM form (-----BEGIN …)";
    a_certificate_that_cannot_be_read: page("tls_server_config:\n  cert_file: empty.pem\n  key_file: tls.key")
        => "fleetpush: web.yml:2:3: tls_server_config: empty.pem holds no certificate that can be read";
    a_key_of_another_certificate: page("tls_server_config:\n  cert_file: tls.crt\n  key_file: other.key")
        => "fleetpush: web.yml:2:3: tls_server_config: other.key does not belong to tls.crt: replace one of them";
    an_inline_key_that_is_none: page(&format!("tls_server_config:\n  cert_file: tls.crt\n  key: {SECRET}"))
        => "fleetpush: web.yml:3:8: tls_server_config.key: has no private key in PEM form (-----BEGIN …)";
    a_certificate_and_its_file: tls("cert: x")
        => "fleetpush: web.yml:2:14: tls_server_config.cert_file: stands beside web.yml:4:9: tls_server_config.cert; keep one of them";
    an_authority_without_a_type: tls("client_ca_file: tls.crt")
        => "fleetpush: web.yml:4:19: tls_server_config.client_ca_file: asks nothing of clients without client_auth_type; add RequireAndVerifyClientCert";
    a_type_without_an_authority: tls("client_auth_type: RequireAndVerifyClientCert")
        => "fleetpush: web.yml:4:21: tls_server_config.client_auth_type: has no client_ca_file to verify by; add one";
    an_unknown_type: tls("client_auth_type: Sometimes")
        => r#"fleetpush: web.yml:4:21: tls_server_config.client_auth_type: "Sometimes" is not one of NoClientCert, RequestClientCert, RequireAnyClientCert, RequireClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"#;
    names_without_a_required_certificate: tls("client_auth_type: RequestClientCert\n  client_allowed_sans: [a]")
        => "fleetpush: web.yml:5:24: tls_server_config.client_allowed_sans: needs a client_auth_type that requires a certificate; set RequireAndVerifyClientCert";
    no_name_at_all: tls("client_auth_type: RequireAnyClientCert\n  client_allowed_sans: []")
        => "fleetpush: web.yml:5:24: tls_server_config.client_allowed_sans: is empty, so nobody would be let in; leave it out";
    an_unknown_version: tls("min_version: SSL3")
        => r#"fleetpush: web.yml:4:16: tls_server_config.min_version: "SSL3" is not one of TLS13, TLS12, TLS11, TLS10"#;
    an_old_version_at_most: tls("max_version: TLS11")
        => "fleetpush: web.yml:4:16: tls_server_config.max_version: is older than anything that is spoken here; write TLS12 or TLS13";
    no_version_left: tls("min_version: TLS13\n  max_version: TLS12")
        => "fleetpush: web.yml:4:16: tls_server_config.min_version: is newer than max_version; no version is left";
    an_unknown_cipher: tls("cipher_suites: [FOO]")
        => r#"fleetpush: web.yml:4:19: tls_server_config.cipher_suites: "FOO" is not one of TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"#;
    no_cipher_left: tls("max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]")
        => "fleetpush: web.yml:2:3: tls_server_config: has no cipher suite of TLS 1.2 that is spoken here; add one, or TLS 1.3";
    an_unknown_curve: tls("curve_preferences: [P256]")
        => r#"fleetpush: web.yml:4:23: tls_server_config.curve_preferences: "P256" is not one of X25519, CurveP256, CurveP384, CurveP521"#;
    no_curve_left: tls("curve_preferences: [CurveP521]")
        => "fleetpush: web.yml:4:23: tls_server_config.curve_preferences: is not spoken here, so none is left; add X25519 or CurveP256";
    another_header: page("http_server_config:\n  headers: {Server: x}")
        => r#"fleetpush: web.yml:2:13: http_server_config.headers: "Server" cannot be set; the headers that can are Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy"#;
    a_header_in_another_case: page("http_server_config:\n  headers: {x-frame-options: deny}")
        => r#"fleetpush: web.yml:2:13: http_server_config.headers: "x-frame-options" cannot be set; the headers that can are Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy"#;
    a_headers_other_value: page("http_server_config:\n  headers: {X-Frame-Options: DENY}")
        => r#"fleetpush: web.yml:2:30: http_server_config.headers.X-Frame-Options: "DENY" is not one of deny, sameorigin"#;
    a_header_of_letters_that_no_header_has: page("http_server_config:\n  headers: {Content-Security-Policy: ä}")
        => "fleetpush: web.yml:2:38: http_server_config.headers.Content-Security-Policy: holds a character that no header can have; use those of ASCII";
    http2_that_is_no_boolean: page("http_server_config:\n  http2: sometimes")
        => r#"fleetpush: web.yml:2:10: http_server_config.http2: "sometimes" is neither true nor false; write one of them"#;
    a_rate_without_burst: page("rate_limit: {interval: 1s}")
        => "fleetpush: web.yml:1:24: rate_limit.interval: has no burst beside it; add one, such as 20";
    a_rate_without_interval: page("rate_limit: {burst: 5}")
        => "fleetpush: web.yml:1:21: rate_limit.burst: has no interval beside it; add one, such as 1s";
    a_rate_of_no_duration: page("rate_limit: {interval: 1, burst: 5}")
        => r#"fleetpush: web.yml:1:24: rate_limit.interval: "1" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
}

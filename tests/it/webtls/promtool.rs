//! What we take as a page's file, `promtool check web-config` takes too, and what it refuses we refuse. Where we
//! refuse more, it stands here.

use std::path::PathBuf;

use fleetpush::page::Guard;
use fleetpush::telemetry::Telemetry;

use super::{Files, HASH};
use crate::servers::{Suite, promtool_check_web_config};
use crate::tls::Authority;

/// Whether a file is taken: by us, by the old promtool, by the new one.
struct Row {
    what: &'static str,
    text: String,
    ours: bool,
    stock: bool,
    new: bool,
}

const TAKEN: (bool, bool, bool) = (true, true, true);
const REFUSED: (bool, bool, bool) = (false, false, false);
/// Newer than the old one.
const NEWER: (bool, bool, bool) = (true, false, true);
/// It would protect less than it says, or nothing.
const STRICTER: (bool, bool, bool) = (false, true, true);
const STRICTER_AND_NEWER: (bool, bool, bool) = (false, false, true);

fn row(what: &'static str, text: impl Into<String>, (ours, stock, new): (bool, bool, bool)) -> Row {
    Row { what, text: text.into(), ours, stock, new }
}

fn tls(what: &'static str, keys: &str, taken: (bool, bool, bool)) -> Row {
    row(what, format!("tls_server_config: {{cert_file: tls.crt, key_file: tls.key, {keys}}}\n"), taken)
}

fn rows(files: &Files) -> Vec<Row> {
    let verified = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt";
    let pem = |name: &str| {
        let text = std::fs::read_to_string(files.path(name)).unwrap();
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let inline = format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", pem("tls.crt"), pem("tls.key"));
    let user = |hash: &str| format!("basic_auth_users: {{ops: '{hash}'}}\n");
    let headers = "X-Frame-Options: deny, Strict-Transport-Security: max-age=1, X-XSS-Protection: x, \
        Content-Security-Policy: y, X-Content-Type-Options: nosniff";
    vec![
        row("nothing", "", TAKEN),
        row("an empty map", "{}\n", TAKEN),
        row("an unknown key", "bogus: 1\n", REFUSED),
        row("a list", "- a\n", REFUSED),
        row("a user", user(HASH), TAKEN),
        row("a user by an older version of bcrypt", user(&HASH.replacen("2b", "2a", 1)), TAKEN),
        row("a user by another version of bcrypt", user(&HASH.replacen("2b", "2y", 1)), TAKEN),
        row("a password", user("hunter2"), REFUSED),
        row("a hash of a low cost", user(&HASH.replacen("$04", "$03", 1)), REFUSED),
        row("a hash of a high cost", user(&HASH.replacen("$04", "$32", 1)), REFUSED),
        row("a hash of letters that none has", user(&HASH.replacen("abc", "a!c", 1)), STRICTER),
        row("a user twice", format!("basic_auth_users: {{a: '{HASH}', a: '{HASH}'}}\n"), REFUSED),
        row("a user without a name", format!("basic_auth_users: {{'': '{HASH}'}}\n"), TAKEN),
        row("a user that no client can send", format!("basic_auth_users: {{'a:b': '{HASH}'}}\n"), STRICTER),
        tls("TLS", "", TAKEN),
        row("TLS inline", inline, NEWER),
        row("TLS inline that is none", "tls_server_config: {cert: x, key: y}\n", REFUSED),
        row("TLS without files", "tls_server_config: {min_version: TLS13}\n", STRICTER),
        row("TLS with a type alone", "tls_server_config: {client_auth_type: NoClientCert}\n", REFUSED),
        row("TLS without a key", "tls_server_config: {cert_file: tls.crt}\n", REFUSED),
        row(
            "TLS with a missing file",
            "tls_server_config: {cert_file: no.crt, key_file: tls.key}\n",
            REFUSED,
        ),
        row("another's key", "tls_server_config: {cert_file: tls.crt, key_file: other.key}\n", REFUSED),
        row("a certificate as key", "tls_server_config: {cert_file: tls.crt, key_file: tls.crt}\n", REFUSED),
        tls("an unknown key of TLS", "foo: 1", REFUSED),
        tls("a certificate twice", "cert: x", STRICTER_AND_NEWER),
        tls("nothing asked", "client_auth_type: NoClientCert", TAKEN),
        tls("a certificate asked for", "client_auth_type: RequestClientCert", TAKEN),
        tls("any certificate", "client_auth_type: RequireAnyClientCert", TAKEN),
        tls("any certificate by its old name", "client_auth_type: RequireClientCert", TAKEN),
        tls("a verified one", verified, TAKEN),
        tls(
            "one that is verified if given",
            &verified.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
            TAKEN,
        ),
        tls("an unknown type", "client_auth_type: Sometimes", REFUSED),
        tls("an authority without a type", "client_ca_file: clients.crt", REFUSED),
        tls(
            "an authority for nothing",
            "client_ca_file: clients.crt, client_auth_type: NoClientCert",
            REFUSED,
        ),
        tls(
            "a missing authority",
            "client_ca_file: no.crt, client_auth_type: RequireAndVerifyClientCert",
            REFUSED,
        ),
        tls(
            "an authority that is none",
            "client_ca_file: tls.key, client_auth_type: RequireAndVerifyClientCert",
            STRICTER,
        ),
        tls("the system's authorities", "client_auth_type: RequireAndVerifyClientCert", STRICTER),
        tls("names", &format!("{verified}, client_allowed_sans: [a, 10.0.0.1]"), NEWER),
        tls("names of nobody", "client_allowed_sans: [a]", STRICTER_AND_NEWER),
        tls("no name", &format!("{verified}, client_allowed_sans: []"), STRICTER_AND_NEWER),
        tls("TLS 1.3", "min_version: TLS13", TAKEN),
        tls("old TLS too", "min_version: TLS10", TAKEN),
        tls("old TLS alone", "max_version: TLS11", STRICTER),
        tls("no TLS", "min_version: TLS13, max_version: TLS12", STRICTER),
        tls("an unknown version", "min_version: SSL3", REFUSED),
        tls("a cipher", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", TAKEN),
        tls("a cipher of TLS 1.3", "cipher_suites: [TLS_AES_128_GCM_SHA256]", TAKEN),
        tls(
            "a weak cipher too",
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]",
            TAKEN,
        ),
        tls("an unknown cipher", "cipher_suites: [FOO]", REFUSED),
        tls("curves", "curve_preferences: [X25519, CurveP256, CurveP384]", TAKEN),
        tls("a curve that we do not have too", "curve_preferences: [CurveP521, CurveP256]", TAKEN),
        tls("a curve that we do not have alone", "curve_preferences: [CurveP521]", STRICTER),
        tls("an unknown curve", "curve_preferences: [P256]", REFUSED),
        tls("the client's order", "prefer_server_cipher_suites: false", TAKEN),
        row("HTTP/2", "http_server_config: {http2: true}\n", TAKEN),
        row("no HTTP/2", "http_server_config: {http2: false}\n", TAKEN),
        row("headers", format!("http_server_config: {{headers: {{{headers}}}}}\n"), TAKEN),
        row("a header in another case", "http_server_config: {headers: {x-frame-options: deny}}\n", REFUSED),
        row("a header's unknown value", "http_server_config: {headers: {X-Frame-Options: DENY}}\n", REFUSED),
        row("another header", "http_server_config: {headers: {Server: x}}\n", REFUSED),
        row("a rate", "rate_limit: {interval: 1s, burst: 20}\n", NEWER),
        row("a rate without burst", "rate_limit: {interval: 1s}\n", STRICTER_AND_NEWER),
        row("a rate that is no duration", "rate_limit: {interval: x, burst: 1}\n", REFUSED),
    ]
}

fn folder() -> Files {
    let (files, authority) = (Files::new(), Authority::new());
    files.pair("tls", &authority.issue("localhost"));
    files.pair("other", &authority.issue("localhost"));
    files.write("clients.crt", &Authority::new().pem);
    files
}

#[test]
fn what_we_take_promtool_takes_and_what_it_refuses_we_refuse() {
    let files = folder();
    let rows = rows(&files);
    let path = |number: usize, row: &Row| PathBuf::from(files.write(&format!("{number}.yml"), &row.text));
    let paths: Vec<PathBuf> = rows.iter().enumerate().map(|(number, row)| path(number, row)).collect();
    let [stock, new] = Suite::ALL.map(|suite| promtool_check_web_config(suite, &paths));
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let ours = Guard::open(&paths[number], Telemetry::new()).map_err(|error| error.to_string());
        let found = (ours.is_ok(), stock[number].0, new[number].0);
        if found != (row.ours, row.stock, row.new) {
            let said = (ours.err(), &stock[number].1, &new[number].1);
            wrong.push(format!("{}: {found:?} {said:?}", row.what));
        }
        assert!(!row.ours || row.new, "{}: we take what the exporters do not", row.what);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documented_file_is_taken() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
    let text = document.split_once("```yaml web\n").unwrap().1.split("```").next().unwrap();
    let files = folder();
    let path = PathBuf::from(files.write("web.yml", text));
    Guard::open(&path, Telemetry::new()).unwrap();
    for suite in Suite::ALL {
        let (taken, said) = promtool_check_web_config(suite, std::slice::from_ref(&path)).remove(0);
        assert!(taken, "{said}");
    }
}

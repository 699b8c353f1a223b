//! What we take as a page's file, `promtool check web-config` takes too, and what it refuses we refuse. Where we
//! refuse more, it stands here.

use std::path::PathBuf;

use fleetpush::page::Guard;
use fleetpush::telemetry::Telemetry;

use super::{Files, HASH};
use crate::servers::{Suite, promtool_check_web_config};
use crate::tls::Authority;

/// Whether a file is taken: by us, by the old promtool, by the new one.
type Taken = (bool, bool, bool);

const TAKEN: Taken = (true, true, true);
const REFUSED: Taken = (false, false, false);
/// Newer than the old one.
const NEWER: Taken = (true, false, true);
/// It would protect less than it says, or nothing.
const STRICTER: Taken = (false, true, true);
const STRICTER_AND_NEWER: Taken = (false, false, true);

struct Row {
    what: &'static str,
    text: String,
    taken: Taken,
}

/// Files as a whole.
const FILES: &[(Taken, &[(&str, &str)])] = &[
    (
        TAKEN,
        &[
            ("nothing", ""),
            ("an empty map", "{}"),
            ("HTTP/2", "http_server_config: {http2: true}"),
            ("no HTTP/2", "http_server_config: {http2: false}"),
            (
                "a header",
                "http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}",
            ),
            (
                "a header of any value",
                "http_server_config: {headers: {X-XSS-Protection: x, Content-Security-Policy: y}}",
            ),
            ("a header of one value", "http_server_config: {headers: {X-Content-Type-Options: nosniff}}"),
        ],
    ),
    (NEWER, &[("a rate", "rate_limit: {interval: 1s, burst: 20}")]),
    (
        REFUSED,
        &[
            ("an unknown key", "bogus: 1"),
            ("a list", "- a"),
            ("TLS inline that is none", "tls_server_config: {cert: x, key: y}"),
            ("TLS with a type alone", "tls_server_config: {client_auth_type: NoClientCert}"),
            ("TLS without a key", "tls_server_config: {cert_file: tls.crt}"),
            ("TLS with a missing file", "tls_server_config: {cert_file: no.crt, key_file: tls.key}"),
            ("another's key", "tls_server_config: {cert_file: tls.crt, key_file: other.key}"),
            ("a certificate as key", "tls_server_config: {cert_file: tls.crt, key_file: tls.crt}"),
            ("a header in another case", "http_server_config: {headers: {x-frame-options: deny}}"),
            ("a header's unknown value", "http_server_config: {headers: {X-Frame-Options: DENY}}"),
            ("another header", "http_server_config: {headers: {Server: x}}"),
            ("a rate that is no duration", "rate_limit: {interval: x, burst: 1}"),
        ],
    ),
    (STRICTER, &[("TLS without files", "tls_server_config: {min_version: TLS13}")]),
    (STRICTER_AND_NEWER, &[("a rate without burst", "rate_limit: {interval: 1s}")]),
];

/// Keys beside a certificate and its key. `{verified}` asks clients for one of `clients.crt`.
const TLS: &[(Taken, &[(&str, &str)])] = &[
    (
        TAKEN,
        &[
            ("TLS", ""),
            ("nothing asked", "client_auth_type: NoClientCert"),
            ("a certificate asked for", "client_auth_type: RequestClientCert"),
            ("any certificate", "client_auth_type: RequireAnyClientCert"),
            ("any certificate by its old name", "client_auth_type: RequireClientCert"),
            ("a verified one", "{verified}"),
            (
                "one that is verified if given",
                "client_auth_type: VerifyClientCertIfGiven, client_ca_file: clients.crt",
            ),
            ("TLS 1.3", "min_version: TLS13"),
            ("old TLS too", "min_version: TLS10"),
            ("a cipher", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"),
            ("a cipher of TLS 1.3", "cipher_suites: [TLS_AES_128_GCM_SHA256]"),
            (
                "a weak cipher too",
                "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]",
            ),
            ("curves", "curve_preferences: [X25519, CurveP256, CurveP384]"),
            ("a curve that we do not have too", "curve_preferences: [CurveP521, CurveP256]"),
            ("the client's order", "prefer_server_cipher_suites: false"),
        ],
    ),
    (NEWER, &[("names", "{verified}, client_allowed_sans: [a, 10.0.0.1]")]),
    (
        REFUSED,
        &[
            ("an unknown key of TLS", "foo: 1"),
            ("an unknown type", "client_auth_type: Sometimes"),
            ("an authority without a type", "client_ca_file: clients.crt"),
            ("an authority for nothing", "client_ca_file: clients.crt, client_auth_type: NoClientCert"),
            ("a missing authority", "client_ca_file: no.crt, client_auth_type: RequireAndVerifyClientCert"),
            ("an unknown version", "min_version: SSL3"),
            ("an unknown cipher", "cipher_suites: [FOO]"),
            ("an unknown curve", "curve_preferences: [P256]"),
        ],
    ),
    (
        STRICTER,
        &[
            (
                "an authority that is none",
                "client_ca_file: tls.key, client_auth_type: RequireAndVerifyClientCert",
            ),
            ("the system's authorities", "client_auth_type: RequireAndVerifyClientCert"),
            ("old TLS alone", "max_version: TLS11"),
            ("no TLS", "min_version: TLS13, max_version: TLS12"),
            ("a curve that we do not have alone", "curve_preferences: [CurveP521]"),
        ],
    ),
    (
        STRICTER_AND_NEWER,
        &[
            ("a certificate twice", "cert: x"),
            ("names of nobody", "client_allowed_sans: [a]"),
            ("no name", "{verified}, client_allowed_sans: []"),
        ],
    ),
];

/// Users with what stands as their hash.
fn users() -> Vec<(Taken, &'static str, String)> {
    let with = |from: &str, to: &str| format!("ops: '{}'", HASH.replacen(from, to, 1));
    vec![
        (TAKEN, "a user", with("", "")),
        (TAKEN, "a user by an older version of bcrypt", with("2b", "2a")),
        (TAKEN, "a user by another version of bcrypt", with("2b", "2y")),
        (TAKEN, "a user without a name", format!("'': '{HASH}'")),
        (REFUSED, "a password", "ops: 'hunter2'".to_owned()),
        (REFUSED, "a hash of a low cost", with("$04", "$03")),
        (REFUSED, "a hash of a high cost", with("$04", "$32")),
        (REFUSED, "a user twice", format!("a: '{HASH}', a: '{HASH}'")),
        (STRICTER, "a hash of letters that none has", with("abc", "a!c")),
        (STRICTER, "a user that no client can send", format!("'a:b': '{HASH}'")),
    ]
}

fn rows(files: &Files) -> Vec<Row> {
    let pem = |name: &str| {
        let text = std::fs::read_to_string(files.path(name)).unwrap();
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let inline = format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", pem("tls.crt"), pem("tls.key"));
    let mut all = vec![Row { what: "TLS inline", text: inline, taken: NEWER }];
    for (taken, rows) in FILES {
        all.extend(rows.iter().map(|(what, text)| Row { what, text: format!("{text}\n"), taken: *taken }));
    }
    for (taken, rows) in TLS {
        let text = |keys: &str| {
            let verified = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt";
            let keys = keys.replace("{verified}", verified);
            format!("tls_server_config: {{cert_file: tls.crt, key_file: tls.key, {keys}}}\n")
        };
        all.extend(rows.iter().map(|(what, keys)| Row { what, text: text(keys), taken: *taken }));
    }
    let user = |(taken, what, user)| Row { what, text: format!("basic_auth_users: {{{user}}}\n"), taken };
    all.extend(users().into_iter().map(user));
    assert_eq!(all.len(), 65);
    all
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
        let said = Guard::open(&paths[number], Telemetry::new()).map_err(|error| error.to_string());
        let found = (said.is_ok(), stock[number].0, new[number].0);
        if found != row.taken {
            let said = (said.err(), &stock[number].1, &new[number].1);
            wrong.push(format!("{}: {found:?} {said:?}", row.what));
        }
        let (ours, _, new) = row.taken;
        assert!(!ours || new, "{}: we take what the exporters do not", row.what);
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

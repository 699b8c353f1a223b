//! The complete file of `docs/configuration.md` is good, and has every key. What stands around it is held in `docs`.

use std::collections::BTreeSet;
use std::fs;

use fleetpush::config::reference::FILE;

use super::Case;
use crate::docs::reference::{Leaf, leaves};

#[tokio::test]
async fn the_complete_file_is_good_and_has_every_key() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let document = fs::read_to_string(page).expect("a page is text");
    let example = document.split_once("```yaml\n").expect("the file").1.split("```").next().expect("its end");
    let secrets = "/run/secrets/";
    assert!(example.contains(secrets), "{example}");
    let mut case = Case::raw(example.replace(secrets, "{folder}/").as_bytes())
        .account_in_file()
        // A variable would win over the file.
        .without(&["PUSHGATEWAY_URL", "REMOTE_WRITE_URL", "FLEETPUSH_INSTANCE"])
        .without(&["FLEETPUSH_LOG_LEVEL", "FLEETPUSH_LISTEN_ADDRESS"])
        .arguments(&["--config.check"]);
    for name in example.split(secrets).skip(1) {
        case = case.beside(name.lines().next().expect("a name"), "hunter2\n");
    }
    let said = case.run().await;
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "the configuration is good", ""));
    let shown: BTreeSet<&str> = example
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let files = [
        "token",
        "ca_file",
        "password",
        "cert_file",
        "key_file",
        "credentials",
        "bearer_token",
        "client_secret",
        "config_file",
    ];
    let missing: Vec<String> = leaves(FILE)
        .iter()
        .filter(|leaf| !shown.contains(leaf.key().name) && !files.contains(&leaf.key().name))
        .map(Leaf::dotted)
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "show them in \"A complete file\" of docs/configuration.md");
}

//! docs/dependencies.md and Cargo.toml name the same crates.

use std::collections::BTreeSet;
use std::fs;

use super::root;

/// The crates that are in one and not in the other.
fn differ(manifest: &str, page: &str) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim_matches(['[', ']']).ends_with("dependencies");
        } else if let Some((name, _)) =
            line.split_once(" = ").filter(|_| inside && !line.starts_with(['#', ' ']))
        {
            used.insert(name.trim().to_owned());
        }
    }
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.trim().trim_start_matches("tests: ").split([',', ';']));
    let told: BTreeSet<String> =
        names.map(|name| name.trim().trim_end_matches(" (build)").to_owned()).collect();
    assert!(used.len() > 30 && told.len() > 30, "{used:?} {told:?}");
    used.symmetric_difference(&told).cloned().collect()
}

#[test]
fn every_dependency_has_its_reason_in_the_page_and_none_is_left_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("our manifest");
    let page = fs::read_to_string(root().join("docs/dependencies.md")).expect("a page is text");
    assert_eq!(differ(&manifest, &page), Vec::<String>::new());
    assert_eq!(differ(&manifest.replace("\nsnap = ", "\nsnip = "), &page), ["snap", "snip"]);
}

//! A file that has become bad is refused at a reload; what runs goes on.

use super::{Case, SECRET};
use crate::program::get;

#[tokio::test]
async fn a_bad_file_at_a_reload_changes_nothing_and_is_told_with_its_place() {
    let case = Case::file("interval: 60s");
    let program = case.start();
    let page = program.page().await;
    let bad = format!("# password: {SECRET}\nintervall: 5m\n# password: {SECRET}\n");
    let case = case.beside("config.yml", &bad);
    program.signal("HUP");
    program.logged("config.yml:2:1: intervall: no such key; did you mean interval?").await;
    assert!(get(&format!("{page}/metrics")).await.contains("fleetpush_config_last_reload_successful 0"));
    assert!(!program.stderr().contains(SECRET), "{}", program.stderr());
    let _case = case.beside("config.yml", "interval: 30s\n");
    program.signal("HUP");
    program.logged("configuration reloaded").await;
    assert!(get(&format!("{page}/metrics")).await.contains("fleetpush_config_last_reload_successful 1"));
}

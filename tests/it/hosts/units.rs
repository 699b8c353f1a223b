//! The units as text, and what systemd's own tools say of them.

use std::fs;
use std::process::Command;

use rstest::rstest;

use super::{Environment, checked, output, read, repository};
use crate::program::TOKEN;

const UNITS: [&str; 2] = ["deploy/systemd/fleetpush.service", "deploy/systemd/fleetpush-once.service"];
const SETTINGS: &str = "deploy/systemd/fleetpush.default";

/// The values of a key of a unit, in their order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let text = read(unit);
    let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

#[rstest]
#[case::service(UNITS[0])]
#[case::once(UNITS[1])]
fn the_exposure_is_at_most_1_5(#[case] unit: &str) {
    let security = |path: &std::path::Path| {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--no-pager", "--offline=true", "--threshold=15"]).arg(path);
        command
    };
    output(&mut security(&repository(unit)));
    // Without one of its walls it is above.
    let folder = tempfile::tempdir().expect("a folder");
    let open = folder.path().join("open.service");
    fs::write(&open, read(unit).replace("SystemCallFilter=", "#")).expect("our folder");
    assert!(!security(&open).output().expect("it starts").status.success());
}

#[test]
fn service_and_timer_have_the_same_walls_and_the_same_folder() {
    let walls = |unit: &str| {
        let text = read(unit);
        let (_, rest) = text.split_once("# The queue:").expect("where the walls begin");
        rest.split("[Install]").next().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(walls(UNITS[0]), walls(UNITS[1]));
    assert!(walls(UNITS[0]).lines().count() > 25);
}

#[test]
fn the_timer_is_due_every_two_minutes_within_prometheus_lookback() {
    let timer = "deploy/systemd/fleetpush-once.timer";
    let due = values(timer, "OnCalendar");
    assert_eq!(due.len(), 1);
    let said = output(
        Command::new("systemd-analyze").args(["calendar", "--iterations=2"]).arg(&due[0]).env("TZ", "UTC"),
    );
    assert!(said.contains("Normalized form: *-*-* *:00/2:00"), "{said}");
    // Two runs and their delays: one may fail within the five minutes that Prometheus looks back.
    let seconds = |key: &str| -> u64 {
        let all = values(timer, key);
        all[0].trim_end_matches('s').parse().expect("seconds")
    };
    assert!(2 * 120 + seconds("RandomizedDelaySec") + seconds("AccuracySec") < 300);
    assert_eq!(values(timer, "FixedRandomDelay"), ["yes"], "or the spacing would jump");
    let whole = values(UNITS[1], "TimeoutStartSec")[0].trim_end_matches('s').parse::<u64>().expect("seconds");
    assert!((60 + 50..120).contains(&whole), "above a collect and the deadline, below the period");
}

/// What systemd makes of the settings file, with the lines that are only proposed set as well.
fn settings(proposed: bool) -> Environment {
    let text = read(SETTINGS);
    let mut all = Environment::new();
    for line in text.lines() {
        let line = if proposed { line.strip_prefix('#').unwrap_or(line) } else { line };
        if let Some((name, value)) = line.split_once('=')
            && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        {
            all.insert(name.to_owned(), value.trim_matches('"').to_owned());
        }
    }
    all
}

#[rstest]
#[case::as_installed(false, 1)]
#[case::with_every_proposal(true, 6)]
#[tokio::test]
async fn the_environment_of_the_units_is_a_good_configuration(#[case] proposed: bool, #[case] count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("balena-token"), TOKEN).expect("our folder");
    fs::write(folder.path().join("fleetpush.yml"), "interval: 60s\n").expect("our folder");
    for unit in UNITS {
        let mut environment = settings(proposed);
        assert_eq!(environment.len(), count, "{environment:?}");
        for line in values(unit, "Environment") {
            let (name, value) = line.split_once('=').expect("a variable");
            // %d: the folder of the credentials.
            let value = value.replace("%d", folder.path().to_str().expect("a plain path"));
            environment.insert(name.to_owned(), value);
        }
        assert!(environment["BALENA_TOKEN_FILE"].ends_with("/balena-token"));
        if let Some(file) = environment.get_mut("FLEETPUSH_CONFIG_FILE") {
            let own = folder.path().join("fleetpush.yml");
            *file = own.to_str().expect("a plain path").to_owned();
        }
        let (code, said) = checked(&environment).await;
        assert_eq!(
            (code, said.as_str()),
            (0, "the configuration is good\n"),
            "{unit}: and nothing to warn of"
        );
    }
}

//! Flags and commands that cannot be meant, and commands without what they need.

use rstest::rstest;

use super::{Case, refused};

fn flag(name: &str, value: &str) -> Case {
    Case::good().arguments(&[name, value])
}

refused! {
    a_deadline: flag("--once.deadline", "x")
        => r#"fleetpush: --once.deadline: "x" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    a_deadline_of_nothing: flag("--once.deadline", "0s")
        => "fleetpush: --once.deadline: must be longer than 0; write it like 60s";
    a_grace: flag("--shutdown.grace", "10")
        => r#"fleetpush: --shutdown.grace: "10" is not a duration; write it like 60s, 5m, 1h30m or 8d"#;
    an_empty_grace: flag("--shutdown.grace", "")
        => "fleetpush: --shutdown.grace: is empty; give it a value or leave it out";
    a_log_level: flag("--log.level", "loud")
        => r#"fleetpush: --log.level: "loud" is not one of trace, debug, info, warn, error"#;
    a_log_format: flag("--log.format", "xml")
        => r#"fleetpush: --log.format: "xml" is not one of logfmt, json"#;
    a_listen_address: flag("--web.listen-address", "8000")
        => r#"fleetpush: --web.listen-address: "8000" is not an address, or its host is not known; write :8000, 127.0.0.1:8000, [::1]:8000 or off"#;
    a_path_of_our_own: flag("--web.telemetry-path", "/-/x")
        => r#"fleetpush: --web.telemetry-path: "/-/x" is among the program's own paths (/-/healthy, /-/ready, /-/reload); write it like /metrics"#;
    a_path_without_slash: flag("--web.telemetry-path", "metrics")
        => r#"fleetpush: --web.telemetry-path: "metrics" is not a path for metrics; write it like /metrics"#;
    a_configuration_file_that_is_missing: flag("--config.file", "/nowhere/config.yml")
        => "fleetpush: /nowhere/config.yml: the configuration file cannot be read (no such file or directory); look at its path and permissions";
    an_unknown_flag: Case::good().arguments(&["--log.levle=debug"])
        => "error: unexpected argument '--log.levle' found

  tip: a similar argument exists: '--log.level'

Usage: fleetpush --log.level <LEVEL>

For more information, try '--help'.";
    an_unknown_command: Case::good().arguments(&["onec"])
        => "error: unrecognized subcommand 'onec'

  tip: a similar subcommand exists: 'once'

Usage: fleetpush [OPTIONS] [COMMAND]

For more information, try '--help'.";
    no_gateway_to_delete_at: Case::good().without(&["PUSHGATEWAY_URL"]).arguments(&["pushgateway", "delete"])
        => "fleetpush: there is no Pushgateway: set PUSHGATEWAY_URL or `pushgateways:`";
}

const NO_TOKEN: &str = "fleetpush: no balena token: set BALENA_TOKEN, BALENA_TOKEN_FILE, or `balena:` with token_file \
    in the file of --config.file (an API key is made in the balena dashboard under Preferences, Access tokens)";

#[rstest]
#[case::run_by_default(&[], 1)]
#[case::run(&["run"], 1)]
#[case::once(&["once"], 2)]
#[case::check(&["check"], 2)]
#[case::fleets(&["fleets"], 2)]
#[tokio::test]
async fn without_a_token_nothing_is_sent_and_one_line_says_so(#[case] command: &[&str], #[case] code: i32) {
    let case = Case::good().without(&["BALENA_TOKEN"]).arguments(command);
    let said = case.run().await;
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (code, "", NO_TOKEN));
    case.nothing_was_sent();
}

#[rstest]
#[case::run(&["run"])]
#[case::once(&["once"])]
#[case::check(&["check"])]
#[case::fleets(&["fleets"])]
#[case::delete(&["pushgateway", "delete"])]
#[case::check_of_the_configuration(&["--config.check"])]
#[tokio::test]
async fn every_command_refuses_a_bad_configuration(#[case] command: &[&str]) {
    let said = Case::file("intervall: 5m").arguments(command).refused().await;
    assert_eq!(said, "fleetpush: config.yml:2:1: intervall: no such key; did you mean interval?");
}

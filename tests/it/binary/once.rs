//! `once` and `check`: what they deliver or leave alone, and how they end.

use fleetpush::demo::balena::{Fault, Times};
use rstest::rstest;

use super::{api, receiver, samples_of};
use crate::program::{Program, TOKEN};

/// Both sinks of one receiver.
fn sinks(remote: &receiver::Server) -> [(&'static str, String); 2] {
    [("REMOTE_WRITE_URL", remote.write_url()), ("PUSHGATEWAY_URL", remote.base_url())]
}

fn borrowed<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[derive(Clone, Copy)]
enum Ill {
    Nothing,
    Api,
    RemoteWrite,
    Gateway,
    ApiAndGateway,
}

#[rstest]
#[case::everything_is_well(Ill::Nothing, 0)]
#[case::the_api_fails(Ill::Api, 3)]
#[case::remote_write_fails(Ill::RemoteWrite, 4)]
#[case::the_gateway_fails(Ill::Gateway, 4)]
#[case::both_fail_and_the_api_wins(Ill::ApiAndGateway, 3)]
#[tokio::test]
async fn once_delivers_and_its_exit_code_says_what_failed(#[case] ill: Ill, #[case] code: i32) {
    let (api, remote, gateway) = (api().await, receiver().await, receiver().await);
    let refused = || Fault::status_with(403, "go away");
    if matches!(ill, Ill::Api | Ill::ApiAndGateway) {
        api.inject(Fault::status(500), Times::Always);
    }
    if matches!(ill, Ill::RemoteWrite) {
        remote.inject(refused(), Times::Always);
    }
    if matches!(ill, Ill::Gateway | Ill::ApiAndGateway) {
        gateway.inject(refused(), Times::Always);
    }
    let urls = [("REMOTE_WRITE_URL", remote.write_url()), ("PUSHGATEWAY_URL", gateway.base_url())];
    // What was left out of the log must still be said.
    let environment = [borrowed(&urls), vec![("FLEETPUSH_LOG_LEVEL", "error")]].concat();
    let mut program = Program::command(&["once"], &api, &environment);
    assert_eq!(program.code().await, code, "{}", program.stderr());
    assert_eq!(api.request_count(), 1, "asked once");

    let (counted, out) = (!matches!(ill, Ill::Api | Ill::ApiAndGateway), program.stdout());
    let fleets = if counted { 3 } else { 0 };
    let size = out.strip_prefix("3 fleets, ").and_then(|rest| rest.strip_suffix(" series a cycle\n"));
    assert_eq!(size.is_some_and(|series| series.parse::<usize>().is_ok()), counted, "{out:?}");
    assert_eq!(out.is_empty(), !counted, "{out:?}");
    if !matches!(ill, Ill::RemoteWrite) {
        assert_eq!(samples_of(&remote, "balena_up"), 1);
        assert_eq!(samples_of(&remote, "balena_devices"), fleets);
    }
    if matches!(ill, Ill::Nothing | Ill::Api | Ill::RemoteWrite) {
        assert_eq!(gateway.groups().len(), 2);
    }
    let said = program.stderr();
    let complaints: Vec<&str> = said.lines().filter(|line| line.starts_with("fleetpush: ")).collect();
    let due: &[&str] = match ill {
        Ill::Nothing => &[],
        Ill::Api => &["account balena: "],
        Ill::RemoteWrite => &["remote_write env: "],
        Ill::Gateway => &["pushgateway env: "],
        Ill::ApiAndGateway => &["account balena: ", "pushgateway env: "],
    };
    assert_eq!(complaints.len(), due.len(), "{said}");
    for (complaint, part) in complaints.iter().zip(due) {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[tokio::test]
async fn once_without_a_sink_asks_nothing_and_names_the_settings() {
    let api = api().await;
    let mut program = Program::command(&["once"], &api, &[]);
    assert_eq!(program.code().await, 2);
    let said = program.stderr();
    assert!(said.starts_with("fleetpush: there is nowhere to deliver to: set PUSHGATEWAY_URL "), "{said}");
    assert_eq!((api.request_count(), program.stdout().as_str()), (0, ""));
}

#[tokio::test]
async fn a_check_of_what_is_well_stores_nothing() {
    let (api, remote) = (api().await, receiver().await);
    let mut program = Program::command(&["check"], &api, &borrowed(&sinks(&remote)));
    assert_eq!(program.code().await, 0, "{}", program.stdout());
    let out = program.stdout();
    let lines: Vec<&str> = out.lines().collect();
    let [findings @ .., size, room] = &lines[..] else { panic!("{out}") };
    assert_eq!(findings.len(), 5, "{out}");
    assert!(room.starts_with("while a receiver is away the queue takes "), "{out}");
    assert!(findings.iter().all(|line| line.starts_with("ok    ")), "{out}");
    assert!(size.starts_with("3 fleets, ") && size.ends_with(" series a cycle"), "{out}");
    nothing_is_stored(&remote);
}

fn nothing_is_stored(remote: &receiver::Server) {
    assert_eq!(remote.samples().len(), 0);
    assert_eq!(remote.groups().len(), 0);
    assert!(remote.deliveries().iter().all(|delivery| delivery.series.is_empty()));
    let changing = |one: &receiver::Request| one.path().starts_with("/metrics") && one.method != "GET";
    assert!(!remote.requests().iter().any(changing));
}

#[rstest]
#[case::a_bad_token(&[("BALENA_TOKEN", "wrong")], "", Fault::status(0), 3, "API of account balena", "the token is wrong")]
#[case::an_api_that_is_not_there(
    &[("BALENA_API_URL", "http://127.0.0.1:1")], "", Fault::status(0), 3, "token of account balena", "check the port"
)]
#[case::a_gateway_that_refuses(&[], "/-/ready", Fault::status(401), 4, "pushgateway env", "set basic_auth")]
#[case::a_gateway_that_is_ill(&[], "/-/ready", Fault::status(503), 4, "pushgateway env", "look at the gateway's log")]
#[case::a_gateway_that_is_not_there(
    &[("PUSHGATEWAY_URL", "http://127.0.0.1:1")], "", Fault::status(0), 4, "pushgateway env", "check the port"
)]
#[case::a_receiver_that_refuses(&[], "/api/v1/write", Fault::status(401), 4, "remote_write env", "check the credentials")]
#[case::a_wrong_path(&[], "/api/v1/write", Fault::status(404), 4, "remote_write env", "check the URL's path")]
#[case::a_receiver_that_is_not_there(
    &[("REMOTE_WRITE_URL", "http://127.0.0.1:1")], "", Fault::status(0), 4, "remote_write env", "check the port"
)]
#[tokio::test]
async fn a_check_names_what_fails_and_the_next_step(
    #[case] more: &[(&str, &str)],
    #[case] part: &str,
    #[case] fault: Fault,
    #[case] code: i32,
    #[case] what: &str,
    #[case] step: &str,
) {
    let (api, remote) = (api().await, receiver().await);
    if !part.is_empty() {
        remote.inject_on(part, fault, Times::Always);
    }
    let sinks = sinks(&remote);
    let mut environment = borrowed(&sinks);
    environment.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    environment.extend(more);
    let mut program = Program::command(&["check"], &api, &environment);
    assert_eq!(program.code().await, code, "{}", program.stdout());
    let out = program.stdout();
    let failed: Vec<&str> = out.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(failed.iter().any(|line| line.contains(what) && line.contains(step)), "{out}");
    // An account that does not answer fails twice: its token cannot be tried either.
    assert_eq!(failed.len(), if code == 3 { 2 } else { 1 }, "{out}");
    assert_eq!(out.contains(" series a cycle"), code != 3, "{out}");
    assert!(!out.contains(TOKEN), "{out}");
    nothing_is_stored(&remote);
}

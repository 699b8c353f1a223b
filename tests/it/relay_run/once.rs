//! The pages of scripts: `fleetpush once --from`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rstest::rstest;
use serde_json::json;

use super::{World, alive, ended};

fn once(world: &World, arguments: &[&str], input: Option<&str>) -> (i32, String, String) {
    let config = world.config(&json!([]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetpush"));
    command.env_clear().args(["once", "--config.file", &config]).args(arguments);
    command.env("FLEETPUSH_INSTANCE", "site-7");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn once_delivers_a_page_of_a_script_and_ends_what_the_next_one_lacks() {
    let world = World::new().await;
    let page = world
        .write("backup.prom", "# TYPE size gauge\nsize{disk=\"a\"} 7\nsize{disk=\"b\",job=\"mine\"} 8\n");
    let (code, said, log) = once(&world, &["--from", &page], None);
    assert_eq!((code, said.trim()), (0, "2 series of the page"), "{log}");
    let all = world.receiver.samples();
    let of = |disk: &str| {
        let found = all.iter().find(|(labels, _)| labels.get("disk").is_some_and(|known| known == disk));
        let (labels, samples) = found.unwrap();
        (labels["job"].clone(), labels["instance"].clone(), samples.len())
    };
    assert_eq!(of("a"), ("backup".into(), "site-7".into(), 1));
    assert_eq!(of("b"), ("mine".into(), "site-7".into(), 1));
    assert!(
        world.receiver.groups().keys().any(|key| key["job"] == "backup"),
        "{:?}",
        world.receiver.groups()
    );
    assert!(!all.keys().any(|labels| labels["__name__"] == "up"), "nothing was scraped");
    world.write("backup.prom", "size{disk=\"b\",job=\"mine\"} 9\n");
    assert_eq!(once(&world, &["--from", &page], None).0, 0);
    let all = world.receiver.samples();
    let samples = |disk: &str| {
        let found = all.iter().find(|(labels, _)| labels.get("disk").is_some_and(|known| known == disk));
        found.unwrap().1.clone()
    };
    assert!(ended(&samples("a")) && alive(&samples("b")), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_takes_a_page_from_its_standard_input_in_either_format() {
    let world = World::new().await;
    let open = "# TYPE runs counter\nruns_total 3\n# EOF\n";
    let (code, _, log) = once(&world, &["--from", "-", "--job", "night", "--instance", "box"], Some(open));
    assert_eq!(code, 0, "{log}");
    assert_eq!(once(&world, &["--from", "-"], Some("plain 1\n")).0, 0);
    let named = |name: &str| {
        let all = world.receiver.samples();
        let labels = all.keys().find(|labels| labels["__name__"] == name).unwrap().clone();
        (labels["job"].clone(), labels["instance"].clone())
    };
    assert_eq!(named("runs_total"), ("night".into(), "box".into()));
    assert_eq!(named("plain"), ("stdin".into(), "site-7".into()));
}

#[rstest]
#[case::no_page("x{a=\"1\"\n", "-", 3, "standard input: the page cannot be read: line 1, column 8")]
#[case::a_series_twice("x 1\nx 2\n", "-", 3, "standard input: the series x{")]
#[case::no_file("", "/nowhere/page.prom", 2, "/nowhere/page.prom cannot be read: No such file")]
#[case::a_folder("", "/", 2, "/ cannot be read: Is a directory")]
#[tokio::test(flavor = "multi_thread")]
async fn once_says_what_is_wrong_with_a_page_and_delivers_nothing_of_it(
    #[case] input: &str,
    #[case] from: &str,
    #[case] code: i32,
    #[case] says: &str,
) {
    let world = World::new().await;
    let (exit, said, log) = once(&world, &["--from", from], Some(input));
    assert_eq!(exit, code, "{said}{log}");
    assert!(log.contains(says), "{says:?} is missing in\n{log}");
    assert!(!world.receiver.samples().keys().any(|labels| labels["__name__"] == "x"));
}

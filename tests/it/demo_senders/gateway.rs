//! The simulated Pushgateway beside the real ones: the same requests, byte by byte, get the same statuses from all
//! three and leave the same groups behind.

use std::collections::BTreeSet;

use fleetpush::demo::receiver::Personality;
use rstest::rstest;

use super::push::{
    Groups, Push, TURNED, cut, delete, framed, gauge, gzip, gzip_with_a_wrong_sum, listed, metric, post,
    push, put, real_groups, simulated_groups,
};
use crate::remote_rig::simulated;
use crate::servers::{Pushgateway, Suite};
use crate::wire::pack;

/// Parts of a gateway's words that our sender and our hints go by.
const WORDS: [&str; 11] = [
    "must not have timestamps",
    "was collected before with the same name and label values",
    "is not a ",
    "text format parsing error",
    "has a label with an invalid name",
    "unexpected EOF",
    "improper label name",
    "invalid base64 encoding",
    "odd number of components in label string",
    "job name is required",
    "is not utf8",
];

#[rstest]
#[case::put_replaces_a_group_and_post_the_families_it_brings(vec![
    put("j", "a 1\nb{x=\"1\"} 2\n", 200),
    post("j", "b{x=\"2\"} 3\nc 4\n", 200),
    put("k", "a{y=\"q\\\"\\\\\\nz\"} NaN\nb 5\n", 200),
    put("k", "b 6\n", 200),
    put("emptied", "d 7\n", 200),
    put("emptied", "", 200),
    post("made", "", 200),
    post("kept", "e 8\n", 200),
    post("kept", "", 200),
])]
#[case::delete_removes_exactly_one_group(vec![
    put("j", "a 1\n", 200),
    put("j/instance/i", "b 1\n", 200),
    put("k", "c 1\n", 200),
    delete("unknown", 202),
    delete("j/other/i", 202),
    push("DELETE", "/metrics/job/j", "a body", 202),
    delete("k", 400).encoding("gzip"),
    put("l", "d 1\n", 200),
    delete("l", 202),
    put("l", "e 1\n", 200),
])]
#[case::other_methods_and_places_are_no_pushes(vec![
    push("GET", "/metrics/job/j", "", 405),
    push("HEAD", "/metrics/job/j", "", 405),
    push("PATCH", "/metrics/job/j", "a 1\n", 405),
    push("OPTIONS", "/metrics/job/j", "", 200),
    push("PUT", "/metrics", "a 1\n", 405),
    push("DELETE", "/metrics", "", 405),
    push("PUT", "/metrics/job", "a 1\n", 404),
    push("PUT", "/metrics/job/", "a 1\n", 307),
    push("GET", "/metrics/job/", "", 404),
    push("PUT", "/metrics/jobs/x", "a 1\n", 404),
    push("PUT", "/metrics/instance/x/job/y", "a 1\n", 404),
    push("GET", "/-/ready", "", 200),
    push("GET", "/metrics", "", 200),
])]
#[case::paths_are_decoded_and_then_cut(vec![
    put("j/instance", "a 1\n", 400),
    put("slash/", "b 1\n", 200),
    put("k/label/", "c 1\n", 200),
    put("k/a//b", "d 1\n", 301),
    put("k/a/..", "d 1\n", 301),
    put("k/a/%2E%2E", "d 1\n", 301),
    put("k/a/.", "d 1\n", 301),
    put("k/path/a%2Fb", "d 1\n", 400),
    put("k/path/a%2Fb%2Fc", "d 1\n", 200),
    put("a+b%20c%25%2B%3F%23;:@~%C3%BC", "e 1\n", 200),
    put("n/l/%00%0A%22%5C", "f 1\n", 200),
    put("n/bad-name/x", "g 1\n", 400),
    put("n/9a/x", "g 1\n", 400),
    put("n/__name__/x", "g 1\n", 400),
    put("n/__x/x", "g 1\n", 400),
    put("o/l/1/l/2", "h 1\n", 200),
    put("p/job/q", "i 1\n", 200),
    put(&format!("long/l/{}", "x".repeat(20_000)), "l 1\n", 200),
])]
#[case::base64_is_url_safe_with_or_without_padding(vec![
    put("j/path@base64/Pj4-Pz8_", "a 1\n", 200),
    put("j/path@base64/Pj4+Pz8=", "a 1\n", 400),
    put("j/empty@base64/=", "b 1\n", 200),
    put("k/empty@base64/%3D", "c 1\n", 200),
    put("l/empty@base64/==", "d 1\n", 200),
    put("m/empty@base64/", "e 1\n", 200),
    push("PUT", "/metrics/job@base64/bXkvb3Jn", "f 1\n", 200),
    push("PUT", "/metrics/job%40base64/bXkvb3Jn/x/y", "g 1\n", 200),
    push("PUT", "/metrics/job@base64/YQ==/x/y", "h 1\n", 200),
    push("PUT", "/metrics/job@base64/YQ/x/y", "i 1\n", 200),
    push("DELETE", "/metrics/job/a/x@base64/eQ", "", 202),
    push("PUT", "/metrics/job@base64/=/x/y", "j 1\n", 400),
    push("PUT", "/metrics/job@base64/!!!/x/y", "j 1\n", 400),
])]
#[case::the_groups_labels_win_and_no_series_is_there_twice(vec![
    put("j", "a{job=\"body\",instance=\"body\"} 1\n", 200),
    put("j/instance/url", "b{job=\"body\",instance=\"body\"} 1\n", 200),
    put("k/x/1", "c{x=\"1\"} 1\nc{x=\"2\"} 1\n", 400),
    put("dup/instance/x", "d 1\n", 200),
    put("dup", "d{instance=\"x\"} 1\n", 400),
    put("e", "e 1\n", 200),
    put("e/l/", "e 1\n", 200),
    put("f", "f 1\nf 2\n", 400),
])]
#[case::a_name_has_one_type_in_all_groups(vec![
    put("j", "# TYPE devs gauge\ndevs 1\n", 200),
    put("k", "# TYPE devs counter\ndevs 1\n", 400),
    put("l", "devs 1\n", 400),
    put("m", "# HELP devs Other.\n# TYPE devs gauge\ndevs 1\n", 200),
    put("j", "# TYPE devs counter\ndevs 1\n", 400),
    delete("m", 202),
    put("j", "# TYPE devs counter\ndevs 1\n", 200),
    put("n", "# TYPE go_goroutines counter\ngo_goroutines 1\n", 400),
    put("o", "go_info 1\n", 400),
    put("p", "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1\n", 200),
])]
#[case::the_gateways_own_times_are_kept(vec![
    put("j", "push_time_seconds 5\na 1\n", 200),
    put("k", "push_failure_time_seconds 5\na 1\n", 200),
    put("l", "# TYPE push_time_seconds counter\npush_time_seconds 5\n", 200),
    put("j", "push_time_seconds 6\n", 200),
    put("k", "# TYPE push_failure_time_seconds gauge\npush_failure_time_seconds 6\nb 1\n", 200),
    put("j", "push_failure_time_seconds 6\n", 400),
    put("l", "# TYPE push_failure_time_seconds counter\npush_failure_time_seconds 6\n", 400),
])]
#[case::a_refused_push_is_noted_and_one_that_cannot_be_read_is_not(vec![
    put("ok", "# TYPE t gauge\nt 1\n", 200),
    put("time", "a 1 1700000000000\n", 400),
    put("twice", "a 1\na 2\n", 400),
    put("type", "# TYPE t counter\nt 1\n", 400),
    put("reserved", "a{__x=\"1\"} 1\n", 400),
    put("unread", "a 1", 400),
    put("ok", "t 2 1\n", 400),
    post("ok", "t 2 1\n", 400),
    post("again", "a 1 1\n", 400),
    post("again", "a 1\n", 200),
])]
#[case::texts_are_read_strictly(vec![
    put("j", "a 1\r\n", 400),
    put("k", "a NaN\nb +Inf\nc -Inf\nd 1e300\ne -0\nf inf\ng nan\nh Infinity\ni .5\nj 5.\n", 200),
    put("j", "a 0x10\n", 400),
    put("j", "a 1_000\n", 400),
    put("j", "a 1e400\n", 400),
    put("j", "a one\n", 400),
    put("j", "a \n", 400),
    put("j", "a\n", 400),
    put("j", "a 1 \n", 400),
    put("j", "a 1 1700000000.123\n", 400),
    put("j", "a 1 2 3\n", 400),
    put("j", "a 1 2 \n", 400),
    put("j", "a{x=\"1\"} 1 # {t=\"1\"} 1\n", 400),
    put("j", "1a 1\n", 400),
    put("j", "{\"my.metric\",x=\"1\"} 1\n", 400),
    put("j", b"a{x=\"\xff\"} 1\n", 400),
    put("l", " \t a  {  x = \"1\" , }   1\n\n\t\nb\t{y=\"\"}\t1\nc {} 1\nd:e 1\n", 200),
    put("j", "a{,} 1\n", 400),
    put("j", "a{x=\"1\",,y=\"2\"} 1\n", 400),
    put("j", "a{x=\"1\"y=\"2\"} 1\n", 400),
    put("j", "a{x=1} 1\n", 400),
    put("j", "a{x=\"1\" 1\n", 400),
    put("j", "a{x=\"1\n2\"} 1\n", 400),
    put("j", "a{x=\"\\q\"} 1\n", 400),
    put("j", "a{x=\"1\",x=\"2\"} 1\n", 400),
    put("j", "a{x:y=\"1\"} 1\n", 400),
    put("j", "a{__name__=\"1\"} 1\n", 400),
    put("m", "\n", 200),
])]
#[case::comments_of_texts_are_read_strictly(vec![
    put("j", "# TYPE a gauge\n# TYPE a gauge\na 1\n", 400),
    put("j", "a 1\n# TYPE a gauge\n", 400),
    put("j", "# HELP a x\n# HELP a x\na 1\n", 400),
    put("j", "# HELP a \\q\na 1\n", 400),
    put("j", "# HELP a-b x\na 1\n", 400),
    put("j", "# TYPE a info\na 1\n", 400),
    put("j", "# TYPE a unknown\na 1\n", 400),
    put("j", "# TYPE a gauge \na 1\n", 400),
    put("j", "# TYPE a gauge", 400),
    put("k", "# HELP a Help \\\\ of\\n a.\n# HELP b  two  spaces \na 1\nb 1\n", 200),
    put("l", "# TYPE c gauge\n# TYPE d counter\nc{x=\"1\"} 1\nd 1\nc{x=\"2\"} 2\n", 200),
    put("m", "#HELP e x\n#  TYPE  e  GAUGE\ne 1\n# any\n#\n", 200),
    put("n", "# HELP f\n# TYPE f\n# HELP\n# TYPE\nf 1\n", 200),
    put("o", "# HELP g Only help.\n# TYPE g gauge\n", 200),
    put("p", "# TYPE x counter\n# UNIT x y\nx_total 1\n# EOF\n", 200),
])]
#[case::only_delimited_protobuf_is_not_a_text(vec![
    put("a", "a 1\n", 200).header("content-type", "application/json"),
    put("b", "b 1\n", 200).header("content-type", "application/openmetrics-text; version=1.0.0"),
    put("c", gauge("c"), 400).header("content-type", "application/vnd.google.protobuf"),
    put("c", gauge("c"), 400).header("content-type", "application/x-protobuf"),
    put("d", gauge("d"), 200).header("content-type", TURNED),
    put("e", gauge("e"), 200).protobuf(),
    put("f", gauge("f").split_off(1), 400).protobuf(),
    put("g", [gauge("g"), gauge("h")[..8].to_vec()].concat(), 400).protobuf(),
    put("h", [gauge("g"), metric("g", &[("x", "last")], None)].concat(), 200).protobuf(),
    put("i", "", 200).protobuf(),
    put("k", b"\x00", 200).protobuf(),
    put("l", b"\x03\x0a\x01l", 200).protobuf(),
    put("m", b"\x03\x0a\xff", 400).protobuf(),
])]
#[case::what_protobuf_says_is_checked(vec![
    put("a", metric("a", &[("x", "1"), ("x", "2")], None), 400).protobuf(),
    put("b", metric("b", &[("__x", "1")], None), 400).protobuf(),
    put("c", metric("c", &[("x-y", "1")], None), 200).protobuf().old(400),
    put("d", metric("d", &[("x", "1")], Some(1_700_000_000_000)), 400).protobuf(),
    put("e", metric("my.metric", &[("x", "1")], None), 200).protobuf(),
    put("f", metric("", &[], None), 200).protobuf(),
    put("g", metric("g", &[("z", "1"), ("y", "2")], None), 200).protobuf(),
    put("h", metric("h", &[("z", ""), ("job", "x")], None), 200).protobuf(),
    put("i", b"\x07\x0a\x01i\x18\x01\x22\x00", 400).protobuf(),
    put("k", b"\x05\x0a\x03a\xffb", 200).protobuf(),
    put("l", b"\x13\x0a\x01l\x18\x03\x22\x0c\x0a\x08\x0a\x01x\x12\x03a\xffb\x2a\x00", 400).protobuf(),
])]
#[case::gzip_and_framed_snappy_are_undone(vec![
    put("a", gzip(b"a 1\n"), 200).encoding("gzip"),
    put("b", gzip(&gauge("b")), 200).encoding("gzip").protobuf(),
    put("c", gzip(b"c 1\n"), 200).encoding("GZIP").old(400),
    put("d", gzip(b"d 1\n"), 400),
    put("e", "e 1\n", 400).encoding("gzip"),
    put("f", "", 400).encoding("gzip"),
    put("g", pack(b"g 1\n"), 400).encoding("snappy"),
    put("h", framed(b"h 1\n"), 200).encoding("snappy").old(400),
    put("i", "i 1\n", 400).encoding("snappy").old(200),
    put("j", "j 1\n", 200).encoding("deflate"),
    put("k", "k 1\n", 200).encoding("zstd"),
    put("l", "l 1\n", 200).encoding("identity"),
    put("m", cut(gzip(b"m 1\nn 1\n"), 8), 400).encoding("gzip").old(200),
    put("n", gzip_with_a_wrong_sum(b"m 1\nn 1\n"), 400).encoding("gzip").old(200),
    put("o", gzip(b"o 1\n"), 400).encoding("gzip, identity"),
])]
#[case::an_empty_instance_beside_none_spoils_the_gateway(vec![
    put("j", "a 1\n", 200),
    put("j/instance/", "b 1\n", 400),
    put("k", "c 1\n", 400),
    push("GET", "/metrics", "", 500),
    push("GET", "/-/ready", "", 200),
    delete("j/instance/", 202),
    put("k", "c 1\n", 200),
    push("GET", "/metrics", "", 200),
])]
#[case::a_key_that_is_no_utf8_spoils_the_gateway(vec![
    put("j", "a 1\n", 200),
    put("j/l/%FF", "b 1\n", 400),
    put("k", "c 1\n", 400),
    push("GET", "/metrics", "", 500),
    delete("j/l/%FF", 202),
    put("k", "c 1\n", 200),
    push("GET", "/metrics", "", 200),
])]
#[tokio::test]
async fn the_simulated_gateway_is_the_real_one(#[case] pushes: Vec<Push>) {
    let (old, new) = tokio::join!(Pushgateway::start(Suite::Stock, &[]), Pushgateway::start(Suite::New, &[]));
    let simulated = simulated(Personality::Prometheus3).await;
    // A deletion is answered before it is done, a push after what was to be done before it.
    let last = put("last", "last 1\n", 200);
    for push in pushes.iter().chain([&last]) {
        let what = format!("{} {:.60} {:?}", push.method, push.path, String::from_utf8_lossy(&push.body));
        let (status, _) = push.send(old.url()).await;
        assert_eq!(status, push.old.unwrap_or(push.status), "the old gateway: {what}");
        let (status, real) = push.send(new.url()).await;
        assert_eq!(status, push.status, "the new gateway: {what}: {real}");
        let (status, text) = push.send(&simulated.base_url()).await;
        assert_eq!(status, push.status, "the simulated gateway: {what}: {text}");
        let words = |text: &str| WORDS.map(|word| text.contains(word));
        assert_eq!(words(&text), words(&real), "{what}: {text:?} for {real:?}");
    }
    let groups = simulated_groups(&simulated);
    assert_eq!(listed(&simulated).await, groups.iter().map(|(key, group)| (key.clone(), group.0)).collect());
    assert_eq!(groups, real_groups(&new).await, "the new gateway");

    // What only the new one takes, or only the old one, is in groups of their own.
    let theirs = pushes.iter().filter(|push| push.old.is_some());
    let theirs: BTreeSet<_> = theirs.map(|push| push.path.trim_start_matches("/metrics/job/")).collect();
    let shared = |mut groups: Groups| {
        groups.retain(|key, _| !theirs.contains(&*key["job"]));
        groups
    };
    assert_eq!(shared(groups), shared(real_groups(&old).await), "the old gateway");
}

#[tokio::test]
async fn the_simulated_page_is_the_real_ones() {
    let pushes = [
        put(
            "j",
            "# HELP a Help \\\\ of\\n a.\n# TYPE a gauge\na{x=\"\\\"\\\\\\n\"} 1.5\na{y=\"2\"} NaN\n",
            200,
        ),
        put("k/instance/i", "# HELP b Infinite.\n# TYPE b counter\nb{d=\"+\"} +Inf\nb{d=\"-\"} -Inf\n", 200),
        put("k/instance/h", "# HELP b Infinite.\n# TYPE b counter\nb 3\nc 4\n", 200),
    ];
    let lines = |page: &str| -> Vec<String> {
        let ours = |line: &&str| {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            ["a", "b", "c"]
                .iter()
                .any(|family| name.strip_prefix(family).is_some_and(|rest| rest.starts_with([' ', '{'])))
        };
        page.lines().filter(ours).map(str::to_owned).collect()
    };
    let simulated = simulated(Personality::Prometheus3).await;
    for suite in Suite::ALL {
        let real = Pushgateway::start(suite, &[]).await;
        for push in &pushes {
            assert_eq!(push.send(real.url()).await.0, 200);
            assert_eq!(push.send(&simulated.base_url()).await.0, 200);
        }
        let (status, page) = push("GET", "/metrics", "", 200).send(&simulated.base_url()).await;
        assert_eq!(status, 200);
        let expected = lines(&real.metrics().await);
        assert_eq!(expected.len(), 11, "{expected:?}");
        assert_eq!(lines(&page), expected, "{suite:?}");
    }
}

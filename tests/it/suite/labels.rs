//! Names and values of labels.

use super::case::scraped;
use super::decode::Series;

/// The series `test_metric` of a page.
async fn series(page: &str) -> Series {
    scraped(page).await.last().one("test_metric").clone()
}

fn is_name(name: &str, colons: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[tokio::test]
async fn label_lexicographic_ordering() {
    let series =
        series("test_metric{zebra=\"z\",apple=\"a\",Mango=\"m\",_under=\"u\",banana=\"b\"} 42\n").await;
    let names: Vec<&str> = series.labels.iter().map(|(name, _)| name.as_str()).collect();
    // By bytes: capitals, underscores, small letters.
    assert_eq!(names, ["Mango", "__name__", "_under", "apple", "banana", "instance", "job", "zebra"]);
}

#[tokio::test]
async fn metric_name_label_present() {
    let seen = scraped("test_metric{a=\"b\"} 42\nother 1\n").await;
    assert!(seen.last().series.iter().all(|series| !series.name().is_empty()));
    assert_eq!(seen.last().one("test_metric").label("__name__"), Some("test_metric"));
}

#[tokio::test]
async fn metric_name_format_valid() {
    let seen = scraped("valid_metric_name 42\n_other:name 1\n").await;
    assert!(seen.last().names().contains(&"_other:name"));
    assert!(seen.last().names().iter().all(|name| is_name(name, true)), "{:?}", seen.last().names());
}

#[tokio::test]
async fn label_name_format_valid() {
    let series = series("test_metric{valid_label=\"v\",_other9=\"o\"} 42\n").await;
    assert_eq!(series.own_labels(), [("_other9", "o"), ("valid_label", "v")]);
    assert!(series.labels.iter().all(|(name, _)| is_name(name, false)));
}

#[tokio::test]
async fn no_duplicate_label_names() {
    let seen = scraped("test_metric{foo=\"bar\",job=\"theirs\",exported_job=\"older\"} 42\n").await;
    for series in &seen.last().series {
        let mut names: Vec<_> = series.labels.iter().map(|(name, _)| name).collect();
        names.dedup();
        assert_eq!(names.len(), series.labels.len(), "{:?}", series.labels);
    }
    let own = seen.last().one("test_metric").own_labels().len();
    assert_eq!(own, 3, "nothing of it is lost: foo, their job, and their exported_job");
}

#[tokio::test]
async fn label_names_not_empty() {
    let series = series("test_metric{foo=\"bar\"} 42\n").await;
    assert!(series.labels.iter().all(|(name, _)| !name.is_empty()));
    assert_eq!(series.own_labels(), [("foo", "bar")]);
}

#[tokio::test]
async fn unicode_in_label_values() {
    let series = series("test_metric{emoji=\"🚀\",chinese=\"测试\"} 42\n").await;
    assert_eq!(series.own_labels(), [("chinese", "测试"), ("emoji", "🚀")]);
}

#[tokio::test]
async fn special_chars_in_label_values() {
    let series =
        series("test_metric{path=\"C:\\\\dir\",quote=\"a \\\"b\\\"\",line=\"one\\ntwo\",tab=\"a\tb\"} 42\n")
            .await;
    let expected = [("line", "one\ntwo"), ("path", "C:\\dir"), ("quote", "a \"b\""), ("tab", "a\tb")];
    assert_eq!(series.own_labels(), expected);
}

#[tokio::test]
async fn label_values_may_be_empty() {
    // The same as no such label, and the specification forbids to send one.
    assert_eq!(series("test_metric{empty=\"\",full=\"x\"} 42\n").await.own_labels(), [("full", "x")]);
}

#[tokio::test]
async fn reserved_label_prefix() {
    // What begins with two underscores is kept out of what is sent, but for the name itself.
    let seen = scraped("test_metric{foo=\"bar\"} 42\n").await;
    for series in &seen.last().series {
        let reserved = series.labels.iter().filter(|(name, _)| name.starts_with("__"));
        assert_eq!(reserved.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["__name__"]);
    }
}

#[tokio::test]
async fn very_long_label_names() {
    let name = format!("very_long_label_name_{}", "x".repeat(200));
    let series = series(&format!("test_metric{{{name}=\"value\"}} 42\n")).await;
    assert_eq!(series.own_labels(), [(&*name, "value")]);
}

#[tokio::test]
async fn very_long_label_values() {
    let value = "very_long_value_".repeat(100);
    let series = series(&format!("test_metric{{label=\"{value}\"}} 42\n")).await;
    assert_eq!(series.own_labels(), [("label", &*value)]);
}

#[tokio::test]
async fn many_labels_per_series() {
    let labels: Vec<(String, String)> =
        (0..40).map(|n| (format!("label_{n:02}"), format!("value_{n}"))).collect();
    let text: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let series = series(&format!("test_metric{{{}}} 42\n", text.join(","))).await;
    let expected: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(series.own_labels(), expected);
}

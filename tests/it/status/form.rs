//! Who gets the page, and what a browser may do with it.

use base64::Engine;
use fleetpush::demo::balena::{Device, Fleet, Simulation};
use reqwest::{Method, StatusCode};
use rstest::rstest;

use super::{BROWSER, Site, ask, html, json_of, until};
use crate::end_to_end::HOSTILE;

async fn running() -> (Site, crate::program::Program, String) {
    let simulation = Simulation::new().with(Fleet::new("acme", "lobby").devices(3, &Device::operational()));
    let site = Site::new(&simulation).await;
    let program = site.start(&[], serde_json::json!({}));
    let page = program.page().await;
    until(&page, "a count", |status| status["totals"]["fleets"] == 1).await;
    (site, program, page)
}

#[rstest]
#[case::a_browser("/", BROWSER, "text/html; charset=utf-8")]
#[case::a_browser_that_searches("/?q=a&sort=name", BROWSER, "text/html; charset=utf-8")]
#[case::curl("/", "*/*", "text/plain; version=0.0.4; charset=utf-8")]
#[case::a_scraper(
    "/",
    "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    "application/openmetrics-text; version=1.0.0; charset=utf-8"
)]
#[case::a_scraper_with_parameters(
    "/?format=prometheus&q=x",
    "*/*",
    "text/plain; version=0.0.4; charset=utf-8"
)]
#[case::a_client_of_json_that_does_not_ask_for_it(
    "/",
    "application/json",
    "text/plain; version=0.0.4; charset=utf-8"
)]
#[case::json("/?format=json", "*/*", "application/json")]
#[case::json_for_a_browser("/?q=lobby&format=json", BROWSER, "application/json")]
#[case::json_where_metrics_are("/metrics?format=json", "*/*", "text/plain; version=0.0.4; charset=utf-8")]
#[case::json_elsewhere("/anything?format=json", "*/*", "text/plain; version=0.0.4; charset=utf-8")]
#[tokio::test]
async fn the_page_is_for_browsers_and_metrics_for_everybody_else(
    #[case] path: &str,
    #[case] accept: &str,
    #[case] expected: &str,
) {
    let (_site, _program, page) = running().await;
    for method in [Method::GET, Method::HEAD] {
        let answer = ask(method.clone(), &format!("{page}{path}"), accept).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], expected, "{method}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let body = answer.text().await.unwrap();
        assert_eq!(body.is_empty(), method == Method::HEAD, "{body}");
    }
}

#[tokio::test]
async fn the_page_is_one_file_that_may_do_nothing_but_ask_for_itself() {
    let (_site, _program, page) = running().await;
    let answer = ask(Method::GET, &page, BROWSER).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("referrer-policy"), "no-referrer");
    let policy = header("content-security-policy");
    let text = answer.text().await.unwrap();
    let inside = |tag: &str| {
        let rest = text.split_once(&format!("<{tag}>")).expect("there is one").1;
        rest.split_once(&format!("</{tag}>")).expect("and it ends").0.to_owned()
    };
    let (style, script) = (inside("style"), inside("script"));
    let mut directives: Vec<&str> = policy.split(';').map(str::trim).collect();
    directives.sort_unstable();
    let (style_hash, script_hash) = (hash(&style), hash(&script));
    assert_eq!(
        directives,
        [
            "base-uri 'none'",
            "connect-src 'self'",
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "img-src data:",
            &format!("script-src 'sha256-{script_hash}'"),
            &format!("style-src 'sha256-{style_hash}'"),
        ]
    );
    let rest = text.replace(&style, "").replace(&script, "");
    for no in ["style=", " src=", "//", "@import", "url(", "javascript:", " onload", " onclick", "http-equiv"]
    {
        assert!(!rest.contains(no) && !style.contains(no), "{no}: {rest}");
    }
}

/// By a program that has nothing to do with ours.
fn hash(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    std::fs::write(&file, text).unwrap();
    let said = std::process::Command::new("sha256sum").arg(&file).output();
    let said = said.expect("sha256sum is missing: install coreutils").stdout;
    let hex = String::from_utf8(said).unwrap();
    let bytes = hex.as_bytes()[..64]
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    base64::engine::general_purpose::STANDARD.encode(bytes.collect::<Vec<_>>())
}

/// Names of the world, beside those that break whoever builds text by hand.
pub const STRANGE: [&str; 6] = [
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror=window.pwned=1>",
    "مرحبا بالعالم",
    "\u{202e}gnitirw rorrim",
    "👩\u{200d}🚀 e\u{301}\u{323} 🇪🇺",
    "</title></style></script><b>",
];

/// An account with all of these names, and a very long one.
pub fn strange() -> (Simulation, Vec<String>) {
    let mut names: Vec<String> = HOSTILE.iter().chain(&STRANGE).map(|name| (*name).to_owned()).collect();
    names.push("x".repeat(300));
    let simulation = Simulation::new();
    for name in &names {
        simulation.add(Fleet::new("acme", name).devices(2, &Device::operational()));
    }
    (simulation, names)
}

#[tokio::test]
async fn any_name_of_a_fleet_is_text() {
    let (simulation, mut names) = strange();
    let site = Site::new(&simulation).await;
    let program = site.start(&[], serde_json::json!({}));
    let page = program.page().await;
    let status = until(&page, "all fleets", |status| status["totals"]["fleets"] == names.len()).await;
    let mut told: Vec<&str> =
        status["fleets"].as_array().unwrap().iter().map(|fleet| fleet["name"].as_str().unwrap()).collect();
    told.sort_unstable();
    names.sort_unstable();
    assert_eq!(told, names);
    let text = html(&page).await;
    assert_eq!(text.matches("<script").count(), 1, "our own");
    for tag in ["<img", "<b>", "onerror=\"", "\u{202e}", "</title></style>"] {
        assert!(
            !text.replace("<b>All well</b>", "").replace("<b>Works</b>", "").contains(tag),
            "{tag}: {text}"
        );
    }
    assert!(text.contains("&lt;script&gt;window.pwned=1&lt;/script&gt;"), "{text}");
    assert!(text.contains("new␊line"), "{text}");
    let found = json_of(&page, "q=%3Cscript%3E&").await;
    assert_eq!(found["matching"], 1);
    let searched = html(&format!("{page}/?q=%22%3E%3Cimg+src%3Dx%3E")).await;
    assert!(
        searched.contains("value=\"&quot;&gt;&lt;img src=x&gt;\"") && !searched.contains("<img"),
        "{searched}"
    );
}

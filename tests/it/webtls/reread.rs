//! The page's file and those that it names are read again while it runs; what is broken leaves the old in force.

use reqwest::Client;

use super::page::Page;
use super::{Files, HASH, PASSWORD, client};
use crate::program::LIMIT;
use crate::servers::eventually;
use crate::tls::Authority;

/// bcrypt of the empty password, at the lowest cost.
const EMPTY: &str = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq";

async fn status(client: &Client, url: &str, password: &str) -> Option<u16> {
    let answer = client.get(url).basic_auth("ops", Some(password)).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// How often the files were read again, as the page says it.
async fn reads(client: &Client, base: &str, password: &str, result: &str) -> f64 {
    let text = client.get(format!("{base}/metrics")).basic_auth("ops", Some(password)).send().await.unwrap();
    let text = text.text().await.unwrap();
    let name = format!("fleetpush_web_config_reads_total{{result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0.0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let (files, old, new) = (Files::new(), Authority::new(), Authority::new());
    files.pair("tls", &old.issue("127.0.0.1"));
    files.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n");
    let page = Page::start(&files.path("web.yml")).await;
    let (base, url) = (format!("https://{0}", page.address), format!("https://{}/-/healthy", page.address));
    let (by_old, by_new) = (client(&old, None), client(&new, None));
    assert_eq!((status(&by_old, &url, "").await, status(&by_new, &url, "").await), (Some(200), None));
    files.pair("tls", &new.issue("127.0.0.1"));
    assert_eq!(status(&by_new, &url, "").await, Some(200));
    // One that stands stays, a new one meets the new certificate.
    assert_eq!(status(&by_old, &url, "").await, Some(200));
    assert_eq!(status(&client(&old, None), &url, "").await, None);
    assert_eq!(reads(&by_new, &base, "", "ok").await, 1.0);
    assert_eq!(page.program.stderr().matches("were read again").count(), 1);
}

#[tokio::test]
async fn a_certificate_is_replaced_as_kubernetes_does_it() {
    let (files, old, new) = (Files::new(), Authority::new(), Authority::new());
    for (folder, authority) in [("v1", &old), ("v2", &new)] {
        std::fs::create_dir(files.path(folder)).unwrap();
        files.pair(&format!("{folder}/tls"), &authority.issue("127.0.0.1"));
    }
    let swap = |to: &str| {
        std::os::unix::fs::symlink(to, files.path("data.half")).unwrap();
        std::fs::rename(files.path("data.half"), files.path("data")).unwrap();
    };
    swap("v1");
    files.write("web.yml", "tls_server_config: {cert_file: data/tls.crt, key_file: data/tls.key}\n");
    let page = Page::start(&files.path("web.yml")).await;
    let url = format!("https://{}/-/healthy", page.address);
    assert_eq!(status(&client(&old, None), &url, "").await, Some(200));
    swap("v2");
    assert_eq!(status(&client(&new, None), &url, "").await, Some(200));
    assert!(!page.program.stderr().contains("level=error"), "{}", page.program.stderr());
}

#[tokio::test]
async fn a_certificate_whose_key_is_not_there_yet_leaves_the_old_one() {
    let (files, old, new) = (Files::new(), Authority::new(), Authority::new());
    files.pair("tls", &old.issue("127.0.0.1"));
    files.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n");
    let page = Page::start(&files.path("web.yml")).await;
    let url = format!("https://{}/-/healthy", page.address);
    let leaf = new.issue("127.0.0.1");
    files.write("tls.crt", &leaf.cert_pem);
    for _ in 0..3 {
        assert_eq!(status(&client(&old, None), &url, "").await, Some(200));
    }
    let log = page.program.stderr();
    assert_eq!(log.matches("tls.key does not belong to").count(), 1, "{log}");
    files.write("tls.key", &leaf.key_pem);
    assert_eq!(status(&client(&new, None), &url, "").await, Some(200));
}

#[tokio::test]
async fn users_change_and_a_broken_file_is_told_once_and_counted() {
    let files = Files::new();
    files.write("web.yml", &format!("basic_auth_users: {{ops: {HASH}}}\n"));
    let page = Page::start(&files.path("web.yml")).await;
    let base = format!("http://{}", page.address);
    let url = format!("{base}/-/healthy");
    let client = Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    assert_eq!(status(&client, &url, PASSWORD).await, Some(200));
    assert_eq!(status(&client, &url, "").await, Some(401));
    files.write("web.yml", &format!("basic_auth_users: {{ops: {EMPTY}}}\n"));
    assert_eq!(status(&client, &url, PASSWORD).await, Some(401), "what was remembered is forgotten");
    assert_eq!(status(&client, &url, "").await, Some(200));

    for (number, broken) in
        ["basic_auth_users: {ops: x}\n", "basic_auth", "", "tls_server_config: {}\n", "{}\n"]
            .iter()
            .enumerate()
    {
        files.write("web.yml", broken);
        for _ in 0..5 {
            assert_eq!(status(&client, &url, "").await, Some(200), "{broken}");
            assert_eq!(status(&client, &url, PASSWORD).await, Some(401), "{broken}");
        }
        assert_eq!(reads(&client, &base, "", "failed").await, (number + 1) as f64, "{broken}");
    }
    std::fs::remove_file(files.path("web.yml")).unwrap();
    assert_eq!(status(&client, &url, "").await, Some(200));
    let log = page.program.stderr();
    assert_eq!(log.matches("cannot be read again, going on with the old ones").count(), 6, "{log}");
    assert!(log.contains("basic_auth_users cannot be removed while the page is served"), "{log}");
    assert!(!log.contains("ops: x"), "{log}");
    files.write("web.yml", &format!("basic_auth_users: {{ops: {HASH}}}\n"));
    assert_eq!(status(&client, &url, PASSWORD).await, Some(200));
    assert_eq!(reads(&client, &base, PASSWORD, "ok").await, 2.0);
}

#[tokio::test]
async fn tls_is_not_taken_away_while_the_page_is_served() {
    let (files, authority) = (Files::new(), Authority::new());
    files.pair("tls", &authority.issue("127.0.0.1"));
    files.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n");
    let page = Page::start(&files.path("web.yml")).await;
    files.write("web.yml", "");
    let url = format!("https://{}/-/healthy", page.address);
    assert_eq!(status(&client(&authority, None), &url, "").await, Some(200));
    page.program.logged("tls_server_config cannot be removed").await;
    // A reload reads the main file alone, and finds nothing that would need a restart.
    page.program.signal("HUP");
    page.program.logged("configuration reloaded").await;
    let still = async || (status(&client(&authority, None), &url, "").await == Some(200)).then_some(());
    eventually("an answer with TLS", LIMIT, still).await;
}

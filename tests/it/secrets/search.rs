//! Looks for secrets in all that a process has said, in each spelling.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::program::{LIMIT, Program};

/// Spellings of a secret.
pub(super) mod forms {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

    pub(in super::super) fn percent(text: &str) -> String {
        let one = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    }

    pub(super) fn json(text: &str) -> String {
        let whole = serde_json::Value::from(text).to_string();
        whole.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("a string").to_owned()
    }

    pub(super) fn html(text: &str) -> String {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    }

    /// What is the same in the base64 of every text with this in it, for each of the three places that it may
    /// begin at.
    fn base64_inside(text: &str) -> Vec<String> {
        let inside = |before: usize| {
            let padded = format!("{}{text}", "x".repeat(before));
            let from = (before * 8).div_ceil(6);
            let to = padded.len() * 8 / 6;
            let cut = |coded: String| coded.get(from..to).expect("ASCII").to_owned();
            [cut(STANDARD_NO_PAD.encode(&padded)), cut(URL_SAFE_NO_PAD.encode(&padded))]
        };
        (0..3).flat_map(inside).collect()
    }

    /// Every spelling, with its name.
    pub(in super::super) fn all(secret: &str) -> Vec<(&'static str, String)> {
        let coded = percent(secret);
        let mut all = vec![
            ("plain", secret.to_owned()),
            ("json", json(secret)),
            ("json in json", json(&json(secret))),
            (
                "json of Go",
                json(secret).replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"),
            ),
            // Readers of logfmt take both, and the log writes this one.
            ("logfmt", json(secret).replace('\'', "\\'")),
            ("debug", format!("{secret:?}").trim_matches('"').to_owned()),
            ("percent", coded.clone()),
            ("percent in small letters", coded.to_lowercase()),
            ("percent twice", percent(&coded)),
            ("url", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
            ("html", html(secret)),
            ("html of Go", html(secret).replace("&quot;", "&#34;")),
            ("html of the page", html(secret).replace("&#39;", "&#x27;")),
        ];
        all.extend(base64_inside(secret).into_iter().map(|form| ("base64", form)));
        all
    }
}

/// Every file below a folder; a socket holds nothing.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| !std::fs::metadata(path).expect("what is there").file_type().is_socket()).collect()
}

/// Which spellings of which secrets stand in a text.
pub(super) fn find(text: &str, secrets: &[String]) -> Vec<String> {
    let found = |secret: &String| {
        let forms = forms::all(secret).into_iter().filter(|(_, form)| text.contains(form.as_str()));
        forms.map(|(name, _)| format!("{secret} as {name}")).collect::<Vec<_>>()
    };
    secrets.iter().flat_map(found).collect()
}

/// All that was said, by place.
#[derive(Default)]
pub(super) struct Places(Vec<(String, String)>);

impl Places {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// What the page has at each of its paths, with its headers.
    pub(super) async fn visit(&mut self, page: &str) {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        for path in ["/metrics", "/", "/?format=json", "/-/ready", "/-/healthy", "/nothing"] {
            for accept in ["text/html", "application/openmetrics-text", "*/*"] {
                let answer =
                    client.get(format!("{page}{path}")).header("accept", accept).send().await.unwrap();
                let head = format!("{:?}", answer.headers());
                self.add(format!("{path} as {accept}"), head + &answer.text().await.unwrap());
            }
        }
    }

    /// The answer to a reload.
    pub(super) async fn reload(&mut self, page: &str) {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let answer = client.post(format!("{page}/-/reload")).send().await.unwrap();
        assert_eq!(answer.status(), 500);
        self.add("reload", answer.text().await.unwrap());
    }

    /// Ends a process and takes all that it wrote, its output among it.
    pub(super) fn of_program(&mut self, program: Program) {
        for path in files(program.folder()) {
            let bytes = std::fs::read(&path).expect("its own file");
            self.add(path.display().to_string(), String::from_utf8_lossy(&bytes));
        }
    }

    fn holding(&self, secrets: &[String]) -> Vec<String> {
        let each = self.0.iter().flat_map(|(place, text)| {
            find(text, secrets).into_iter().map(move |found| format!("{place}: {found}"))
        });
        each.collect()
    }

    /// Fails where a secret stands anywhere.
    pub(super) fn hold_none_of(&self, secrets: &[String]) {
        let said: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        assert!(said > 0, "nothing was said, so this shows nothing");
        let holding = self.holding(secrets);
        let texts: Vec<String> = self
            .0
            .iter()
            .filter(|(_, text)| !find(text, secrets).is_empty())
            .flat_map(|(_, text)| text.lines().filter(|line| !find(line, secrets).is_empty()))
            .take(10)
            .map(str::to_owned)
            .collect();
        assert!(holding.is_empty(), "{holding:#?}\n{}", texts.join("\n"));
    }
}

mod tests {
    use std::fs;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::{needles, secret};
    use super::*;

    #[test]
    fn a_planted_secret_is_found_in_every_spelling() {
        for one in needles() {
            for (name, form) in forms::all(&one) {
                let text = format!("level=error error=\"x {form} y\"");
                let found = find(&text, std::slice::from_ref(&one));
                assert!(found.iter().any(|found| found.ends_with(name)), "{one} as {name}: {form}");
            }
        }
        for before in ["", "a", "me:", "user"] {
            let coded = STANDARD.encode(format!("{before}{}more", secret("pw")));
            assert!(!find(&coded, &[secret("pw")]).is_empty(), "{before:?}");
        }
        assert_eq!(find("nothing to be seen", &needles()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_planted_secret_is_found_in_every_place() {
        let mut program = Program::start(&["--version"], &[]);
        program.code().await;
        let planted = forms::json(&secret("pw"));
        fs::create_dir_all(program.folder().join("a/b")).unwrap();
        for name in ["stdout", "stderr", "a/b/queue"] {
            fs::write(program.folder().join(name), format!("\u{0}x{planted}x")).unwrap();
        }
        let mut places = Places::default();
        places.of_program(program);
        assert_eq!(places.0.len(), 3);
        for (place, _) in &places.0 {
            let holding = places.holding(&[secret("pw")]);
            assert!(holding.iter().any(|one| one.starts_with(place.as_str())), "{place}");
        }

        let (ask, mut asked) = tokio::sync::mpsc::channel::<fleetpush::page::ReloadRequest>(1);
        tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                answer.send(Err(secret("pw"))).ok();
            }
        });
        let telemetry = fleetpush::telemetry::Telemetry::new();
        let sink = fleetpush::telemetry::SinkName {
            name: "x".into(),
            kind: fleetpush::telemetry::SinkKind::RemoteWrite,
            url: secret("pw").as_str().into(),
        };
        telemetry.sink_registered(&sink);
        telemetry.collected(&fleetpush::telemetry::Collected {
            source: &secret("pw"),
            result: "ok",
            error: None,
            codes: &[],
            took: LIMIT,
            fleets: 0,
            series: 0,
            at: fleetpush::sample::Millis(0),
            skew_seconds: None,
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = format!("http://{}", listener.local_addr().unwrap());
        let latest = tokio::sync::watch::Sender::new(fleetpush::sample::Latest::default());
        let state = fleetpush::page::PageState {
            latest: latest.subscribe(),
            telemetry,
            clock: fleetpush::clock::Clock::SYSTEM,
            telemetry_path: "/metrics".into(),
            lifecycle: Some(ask),
        };
        let stop = tokio_util::sync::CancellationToken::new();
        tokio::spawn(fleetpush::page::serve(listener, state, stop));
        let mut places = Places::default();
        places.visit(&page).await;
        places.reload(&page).await;
        let holding = places.holding(&[secret("pw")]);
        for place in [
            "/metrics as */*",
            "/metrics as application/openmetrics-text",
            "/ as text/html",
            "/?format=json as */*",
            "reload",
        ] {
            assert!(
                holding.iter().any(|one| one.starts_with(&format!("{place}: "))),
                "{place}: {holding:#?}"
            );
        }
    }
}

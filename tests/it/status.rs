//! The status page: what the real binary answers to browsers and to whoever asks for the same as JSON, and how a
//! browser shows it.

mod browser;
mod docs;
mod fleets;
mod form;
mod relay;
mod scene;
mod words;

use std::fs;

use fleetpush::demo::balena::{self, Simulation};
use fleetpush::demo::receiver;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{LIMIT, Program, TOKEN};
use crate::servers::eventually;

pub const BROWSER: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

/// Asks without unpacking.
async fn ask(method: Method, url: &str, accept: &str) -> Response {
    let client = Client::builder().no_gzip().no_proxy().timeout(LIMIT).build().unwrap();
    client.request(method, url).header("accept", accept).send().await.expect("an answer")
}

/// The page as a browser gets it.
async fn html(url: &str) -> String {
    ask(Method::GET, url, BROWSER).await.text().await.unwrap()
}

/// The same as JSON; `query` goes before the wish for it.
async fn json_of(page: &str, query: &str) -> Value {
    let text = ask(Method::GET, &format!("{page}/?{query}format=json"), "*/*").await.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An account, receivers, and a folder for the configuration and the queue.
struct Site {
    api: balena::Server,
    folder: TempDir,
    receivers: Vec<receiver::Server>,
}

impl Site {
    async fn new(simulation: &Simulation) -> Self {
        let api = balena::Server::start(simulation.clone(), balena::Options::default()).await.unwrap();
        Site { api, folder: tempfile::tempdir().unwrap(), receivers: Vec::new() }
    }

    async fn receiver(&mut self) -> &receiver::Server {
        self.receivers.push(receiver::Server::start(receiver::Options::default()).await.unwrap());
        self.receivers.last().unwrap()
    }

    /// Starts with remote-write endpoints of these names, one for each receiver, and a gateway at the last one.
    fn start(&self, endpoints: &[&str], more: Value) -> Program {
        let quick = json!({"min_backoff": "2s", "max_backoff": "2s"});
        let endpoint = |(name, receiver): (&&str, &receiver::Server)| json!({"name": name, "url": receiver.write_url(), "queue_config": quick});
        let gateway = self
            .receivers
            .get(endpoints.len())
            .map(|gateway| json!({"name": "gate", "url": gateway.base_url()}));
        let mut settings = json!({
            "interval": "1s",
            "instance": "test",
            "balena": {"token": TOKEN, "url": self.api.base_url()},
            "remote_write": endpoints.iter().zip(&self.receivers).map(endpoint).collect::<Vec<_>>(),
            "pushgateways": gateway.into_iter().collect::<Vec<_>>(),
            "queue": {"dir": self.folder.path().join("queue")},
            "web": {"listen_address": "127.0.0.1:0"},
        });
        for (key, value) in more.as_object().expect("a map") {
            settings[key] = value.clone();
        }
        fs::write(self.folder.path().join("fleetpush.yml"), settings.to_string()).unwrap();
        self.command(&[])
    }

    fn command(&self, arguments: &[&str]) -> Program {
        let file = self.folder.path().join("fleetpush.yml");
        Program::start(&[&["--config.file", file.to_str().unwrap()], arguments].concat(), &[])
    }
}

/// Waits until the page says what is asked for, and gives what it says.
async fn until(page: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, LIMIT, async || Some(json_of(page, "").await).filter(|value| so(value))).await
}

/// Every text of a list.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

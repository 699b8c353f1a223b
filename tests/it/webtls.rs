//! TLS and credentials at both ends: the page behind its file beside real servers behind the same file, and the
//! real binary as a sender to receivers that want something of it.

mod bounds;
pub mod front;
mod oauth2;
mod page;
mod parity;
mod promtool;
mod receivers;
mod reread;
mod senders;

use std::path::PathBuf;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use serde_json::json;
use tempfile::TempDir;

use crate::program::{LIMIT, Program};
use crate::tls::{Authority, Leaf};

pub const PASSWORD: &str = "open-sesame";
/// bcrypt of it, at the lowest cost.
pub const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuXcjcm5avyCiJoD2uS24xa2lb6fjMB3G";

/// A folder of one test.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    /// Writes a file as careful people do: it is there as a whole or not at all.
    pub fn write(&self, name: &str, text: &str) -> String {
        let (path, half) = (self.path(name), self.path(&format!("{name}.half")));
        std::fs::write(&half, text).unwrap();
        std::fs::rename(&half, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A certificate and its key, as `<name>.crt` and `<name>.key`.
    pub fn pair(&self, name: &str, leaf: &Leaf) -> (String, String) {
        (
            self.write(&format!("{name}.crt"), &leaf.cert_pem),
            self.write(&format!("{name}.key"), &leaf.key_pem),
        )
    }
}

/// A server behind TLS, client certificates and users at once, and what its clients need.
pub struct Walled {
    pub files: Files,
    /// Who has signed the server's certificate.
    pub authority: Authority,
    /// Who signs clients' certificates.
    pub clients: Authority,
}

impl Walled {
    pub fn new() -> Self {
        let (files, authority, clients) = (Files::new(), Authority::new(), Authority::new());
        files.pair("tls", &authority.issue("127.0.0.1"));
        files.write("clients.crt", &clients.pem);
        let web = format!(
            "tls_server_config: {{cert_file: tls.crt, key_file: tls.key, client_ca_file: clients.crt, \
             client_auth_type: RequireAndVerifyClientCert}}\nbasic_auth_users: {{ops: {HASH}}}\n"
        );
        files.write("web.yml", &web);
        Walled { files, authority, clients }
    }

    /// The file that says so.
    pub fn web(&self) -> PathBuf {
        self.files.path("web.yml")
    }

    /// What a client has to say that is let in, in Prometheus' keys.
    pub fn credentials(&self, name: &str, password: &str) -> serde_json::Value {
        let (cert, key) = self.files.pair(name, &self.clients.issue(name));
        let authority = self.files.write("ca.crt", &self.authority.pem);
        json!({
            "tls_config": {"ca_file": authority, "cert_file": cert, "key_file": key},
            "basic_auth": {"username": "ops", "password": password},
        })
    }
}

/// The real binary, on a machine that knows one authority, which has signed nothing here.
pub fn start(files: &Files, arguments: &[&str], api: &balena::Server) -> Program {
    let known = files.write("system.crt", &Authority::new().pem);
    let environment = [("SSL_CERT_FILE", known.as_str()), ("FLEETPUSH_LOG_LEVEL", "trace")];
    Program::command(arguments, api, &environment)
}

/// A simulated account of one fleet.
pub async fn api() -> balena::Server {
    let fleet = Fleet::new("acme", "lobby").devices(3, &Device::operational());
    balena::Server::start(Simulation::new().with(fleet), balena::Options::default()).await.unwrap()
}

/// A client that believes an authority alone, with a certificate of its own where one is given.
pub fn client(authority: &Authority, identity: Option<&Leaf>) -> Client {
    builder(authority, identity).build().unwrap()
}

pub fn builder(authority: &Authority, identity: Option<&Leaf>) -> ClientBuilder {
    let root = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let client = Client::builder().no_proxy().timeout(LIMIT).tls_certs_only([root]);
    match identity {
        None => client,
        Some(leaf) => {
            let pem = format!("{}\n{}", leaf.cert_pem, leaf.key_pem);
            client.identity(Identity::from_pem(pem.as_bytes()).unwrap())
        }
    }
}

//! The only place that builds an HTTP client: TLS, proxy, credentials, time-outs and bounds come from
//! checked settings; a request goes in, an answer of bounded size comes out. It never follows a redirect,
//! tries again only where an OAuth2 token was refused, with another one, and no text of it holds a secret, a
//! URL's userinfo or its query.

mod build;
mod error;
mod files;
mod mask;
mod oauth2;
mod text;

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use url::Url;

pub use self::error::HttpError;
use self::mask::Mask;
use self::oauth2::Tokens;
pub use self::text::{chain, excerpt, excerpt_of, redact};
use crate::config::{Auth, HttpSettings};

/// One request. Credentials and the configured headers are added to it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes: the host for which the client was made.
    pub url: Url,
    /// Its headers, which win over configured ones.
    pub headers: HeaderMap,
    /// Its body; empty: none.
    pub body: Bytes,
    /// How many bytes of the answer are read (after decompression).
    pub body_cap: u64,
}

impl Request {
    /// A GET of `url` that reads up to `body_cap` bytes.
    pub fn get(url: Url, body_cap: u64) -> Self {
        Request { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), body_cap }
    }
}

/// An answer with its body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most the request's `body_cap` bytes.
    pub body: Bytes,
    /// Whether the body was longer.
    pub truncated: bool,
}

/// An answer whose body is read piece by piece.
#[derive(Debug)]
pub struct Streaming {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    limit: u64,
    left: u64,
}

impl Streaming {
    /// The next piece, nothing at the end.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`] beyond the request's `body_cap`, and whatever stops the connection.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some(piece) = self.response.chunk().await.map_err(HttpError::from_client)? else {
            return Ok(None);
        };
        match self.left.checked_sub(piece.len() as u64) {
            Some(left) => self.left = left,
            None => return Err(HttpError::TooLarge { limit: self.limit }),
        }
        Ok(Some(piece))
    }
}

/// Speaks to one server.
#[derive(Debug)]
pub struct Client {
    settings: HttpSettings,
    url: Url,
    built: Mutex<Option<Built>>,
    /// Where the settings want a token that is fetched.
    tokens: Option<Tokens>,
}

#[derive(Debug)]
struct Built {
    client: reqwest::Client,
    stamp: files::Stamp,
}

impl Client {
    /// A client for the server of `url`. TLS files are read here for the first time.
    ///
    /// # Errors
    /// [`HttpError`] where a TLS file is not usable or settings contradict each other.
    pub fn new(settings: &HttpSettings, url: &Url) -> Result<Client, HttpError> {
        // Taken before the files are read: where they change in between the first request builds again.
        let stamp = files::stamp_now(&settings.tls);
        let built = Built { client: build::client(settings, url)?, stamp };
        let tokens = match &settings.auth {
            Auth::OAuth2(oauth2) => Some(Tokens::new(oauth2, settings.timeout)?),
            _ => None,
        };
        let built = Mutex::new(Some(built));
        Ok(Client { settings: settings.clone(), url: url.clone(), built, tokens })
    }

    /// Sends a request and reads its answer; a body above the bound is cut, which the answer says, and so it
    /// does where a refusal's body breaks off: its status says enough.
    ///
    /// # Errors
    /// [`HttpError`] where there is no complete answer.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let cap = usize::try_from(request.body_cap).unwrap_or(usize::MAX);
        let mut streaming = self.stream(Request { body_cap: u64::MAX, ..request }).await?;
        let mut body = Vec::new();
        let mut truncated = false;
        loop {
            let mut piece = match streaming.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // Servers that do not read what they refuse reset the connection behind their answer.
                Err(_) if !(200..300).contains(&streaming.status) => {
                    truncated = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            truncated = piece.len() > cap - body.len();
            piece.truncate(cap - body.len());
            body.extend_from_slice(&piece);
            if truncated {
                break;
            }
        }
        let Streaming { status, headers, .. } = streaming;
        Ok(Answer { status, headers, body: body.into(), truncated })
    }

    /// Sends a request and gives its answer before the body has come.
    ///
    /// # Errors
    /// [`HttpError`] where there is no answer.
    pub async fn stream(&self, request: Request) -> Result<Streaming, HttpError> {
        let Some(tokens) = &self.tokens else { return self.ask(request, None).await };
        let token = tokens.current(None).await?;
        let first = self.ask(request.clone(), Some(&token)).await?;
        // One that was fetched for this very request is refused for another reason than its age.
        if first.status != 401 || token.is_new {
            return Ok(first);
        }
        let token = tokens.current(Some(&token)).await?;
        self.ask(request, Some(&token)).await
    }

    async fn ask(&self, request: Request, token: Option<&oauth2::Given>) -> Result<Streaming, HttpError> {
        let client = self.client().await?;
        let mut headers = self.headers().await?;
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.header.clone());
        }
        let mut url = request.url;
        if let Some(name) = &self.settings.tls.server_name {
            headers.insert(HOST, authority(&url)?);
            url.set_host(Some(name)).map_err(|_| HttpError::Settings("server_name is no host name"))?;
        }
        for name in request.headers.keys() {
            headers.remove(name);
        }
        headers.extend(request.headers);
        let mut outgoing = client.request(request.method, url).headers(headers);
        if !request.body.is_empty() {
            outgoing = outgoing.body(request.body);
        }
        let response = outgoing.send().await.map_err(HttpError::from_client)?;
        Ok(Streaming {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            response,
            limit: request.body_cap,
            left: request.body_cap,
        })
    }

    /// A foreign text with our own secrets masked: some servers and proxies repeat what they were sent.
    pub async fn without_secrets(&self, text: &str) -> String {
        let mut mask = Mask::default();
        if let Some(tokens) = &self.tokens {
            tokens.mask(&mut mask).await;
        }
        match &self.settings.auth {
            Auth::None | Auth::OAuth2(_) => {}
            Auth::Basic { username, password } => {
                if let Ok(password) = files::secret(password).await {
                    mask.add(password.expose_secret());
                    mask.add(&format!("{username}:{}", password.expose_secret()));
                }
            }
            Auth::Header { credentials, .. } => {
                if let Ok(secret) = files::secret(credentials).await {
                    mask.add(secret.expose_secret());
                }
            }
        }
        for (_, value) in &self.settings.headers {
            mask.add(worth_masking(value.expose_secret().trim()));
        }
        mask.add(worth_masking(self.url.query().unwrap_or_default()));
        for (_, value) in self.url.query_pairs() {
            mask.add(worth_masking(&value));
        }
        for (user, password) in self.settings.proxy.urls().iter().flat_map(text::userinfo) {
            mask.add(&password);
            mask.add(&format!("{user}:{password}"));
        }
        mask.apply(text)
    }

    /// The beginning of a foreign body in one line of at most so many bytes, with our own secrets masked.
    pub async fn excerpt(&self, body: &[u8], bytes: usize) -> String {
        // Masked first: white space is changed, and a secret may be cut, by what follows.
        shortened(&self.without_secrets(&String::from_utf8_lossy(body)).await, bytes)
    }

    /// The client of the files as they are now: while one is unusable every request fails.
    async fn client(&self) -> Result<reqwest::Client, HttpError> {
        let stamp = files::stamp(&self.settings.tls).await;
        if let Some(built) = self.built().as_ref().filter(|built| built.stamp == stamp) {
            return Ok(built.client.clone());
        }
        let client = build::client(&self.settings, &self.url)?;
        *self.built() = Some(Built { client: client.clone(), stamp });
        Ok(client)
    }

    fn built(&self) -> MutexGuard<'_, Option<Built>> {
        // Nothing can panic while it is held.
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn headers(&self) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.settings.headers {
            let key = HeaderName::try_from(name.as_str())
                .map_err(|_| HttpError::Unsendable { what: format!("the header name {name:?}") })?;
            headers
                .insert(key, sensitive(value.expose_secret().trim_end(), || format!("the header {name}"))?);
        }
        match &self.settings.auth {
            Auth::None | Auth::OAuth2(_) => {}
            Auth::Basic { username, password } => {
                let password = files::secret(password).await?;
                let pair = format!("{username}:{}", password.expose_secret());
                let coded = base64::engine::general_purpose::STANDARD.encode(pair);
                headers
                    .insert(AUTHORIZATION, sensitive(&format!("Basic {coded}"), || "the password".into())?);
            }
            Auth::Header { scheme, credentials } => {
                let secret = files::secret(credentials).await?;
                let value = format!("{scheme} {}", secret.expose_secret());
                headers.insert(AUTHORIZATION, sensitive(value.trim(), || "the token".into())?);
            }
        }
        Ok(headers)
    }
}

fn shortened(text: &str, bytes: usize) -> String {
    let mut text = excerpt_of(text.as_bytes(), bytes);
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
    }
    text
}

/// A value of two or three characters is no secret, and would be masked in the middle of words.
fn worth_masking(text: &str) -> &str {
    if text.chars().count() > 3 { text } else { "" }
}

fn sensitive(text: &str, what: impl Fn() -> String) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpError::Unsendable { what: what() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn authority(url: &Url) -> Result<HeaderValue, HttpError> {
    let host = url.host_str().unwrap_or_default();
    let text = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::from_str(&text).map_err(|_| HttpError::Settings("the URL has no host"))
}

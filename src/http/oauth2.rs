//! OAuth2's client credentials: settings go in, the `Authorization` header of the token comes out. A token is
//! kept until shortly before its end, and fetched by one request at a time. As Prometheus does it, the client
//! is named in a `Basic` header first, and in the body where that is refused.

mod answer;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded;

use self::answer::Issued;
use super::mask::Mask;
use super::{Answer, Client, HttpError, Request, files, redact, sensitive, shortened, worth_masking};
use crate::config::{Auth, HttpSettings, OAuth2};

/// A token is not used in the last seconds of its life: the receiver's clock may be ahead.
const MARGIN: Duration = Duration::from_secs(10);
/// So much of an answer is read; tokens are a few kilobytes at most.
const ANSWER_CAP: u64 = 1 << 20;
/// So many bytes of a refusal are shown.
const SHOWN: usize = 256;
/// A late answer may repeat one of the last tokens.
const REMEMBERED: usize = 4;

/// Where a client's name and secret stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Header,
    Body,
}

/// Gives out tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    settings: OAuth2,
    client: Box<Client>,
    state: Mutex<State>,
    /// The last tokens, for the mask.
    given: Lock<VecDeque<SecretString>>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// What the token endpoint has taken before.
    style: Option<Style>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    /// The client's secret that it was given for.
    secret: SecretString,
    /// None: it has no end.
    until: Option<Instant>,
}

impl Token {
    fn is_good(&self, secret: &SecretString) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
            && self.secret.expose_secret() == secret.expose_secret()
    }
}

/// A token for one request.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) header: HeaderValue,
    /// Whether it was fetched for this request.
    pub(super) is_new: bool,
}

impl Tokens {
    pub(super) fn new(settings: &OAuth2, timeout: Duration) -> Result<Self, HttpError> {
        let http = HttpSettings {
            auth: Auth::None,
            tls: settings.tls.clone(),
            proxy: settings.proxy.clone(),
            headers: Vec::new(),
            timeout,
        };
        let client = Box::new(Client::new(&http, &settings.token_url)?);
        Ok(Tokens { settings: settings.clone(), client, state: Mutex::default(), given: Lock::default() })
    }

    /// The token as it is now; another one than `refused`, where that is given.
    pub(super) async fn current(&self, refused: Option<&Given>) -> Result<Given, HttpError> {
        // Held while a token is fetched: who comes meanwhile waits for that one.
        let mut state = self.state.lock().await;
        let secret = files::secret(&self.settings.client_secret).await?;
        let good = state.token.as_ref().filter(|token| token.is_good(&secret));
        let good = good.filter(|token| refused.is_none_or(|refused| refused.header != token.header));
        if let Some(token) = good {
            return Ok(Given { header: token.header.clone(), is_new: false });
        }
        state.token = None;
        let issued = self.fetch(&mut state.style, &secret).await?;
        let header = header(&issued).ok_or_else(|| self.refused(200, "a token that no header can hold"))?;
        self.remember(issued.token);
        let until = issued.lifetime.map(|life| Instant::now() + life.saturating_sub(MARGIN.min(life / 2)));
        state.token = Some(Token { header: header.clone(), secret, until });
        Ok(Given { header, is_new: true })
    }

    async fn fetch(&self, style: &mut Option<Style>, secret: &SecretString) -> Result<Issued, HttpError> {
        let first = self.ask(style.unwrap_or(Style::Header), secret).await;
        let refusal = match first {
            Err(error) if error.is_refusal() && style.is_none() => error,
            Ok(issued) => {
                style.get_or_insert(Style::Header);
                return Ok(issued);
            }
            Err(error) => return Err(error),
        };
        match self.ask(Style::Body, secret).await {
            Ok(issued) => {
                *style = Some(Style::Body);
                Ok(issued)
            }
            // What is not about the client itself says more: there it was known.
            Err(error) if answer::is_about_client(&refusal) => Err(error),
            Err(_) => Err(refusal),
        }
    }

    /// One request for a token. Boxed, since a client fetches its tokens by another client.
    fn ask<'a>(
        &'a self,
        style: Style,
        secret: &'a SecretString,
    ) -> Pin<Box<dyn Future<Output = Result<Issued, HttpError>> + Send + 'a>> {
        Box::pin(async move {
            let at = redact(&self.settings.token_url);
            let request = self.request(style, secret)?;
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(source) => return Err(HttpError::Token { at, source: Box::new(source) }),
            };
            let Answer { status, headers, body, .. } = answer;
            match answer::read(status, &body) {
                Ok(issued) => Ok(issued),
                Err(answer::Failure { text, next_step }) => {
                    let mut mask = Mask::default();
                    self.mask(&mut mask).await;
                    let text = shortened(&mask.apply(&text), SHOWN);
                    Err(match next_step {
                        Some(next_step) => HttpError::TokenRefused { at, status, text, next_step },
                        None => {
                            let said = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                            let retry_after = said.map(Box::from);
                            HttpError::TokenBusy { at, status, text, retry_after }
                        }
                    })
                }
            }
        })
    }

    fn request(&self, style: Style, secret: &SecretString) -> Result<Request, HttpError> {
        let OAuth2 { client_id, scopes, endpoint_params, .. } = &self.settings;
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let mut form = form_urlencoded::Serializer::new(String::new());
        // Some servers want another word here.
        if !endpoint_params.iter().any(|(name, _)| name == "grant_type") {
            form.append_pair("grant_type", "client_credentials");
        }
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        for (name, value) in endpoint_params {
            form.append_pair(name, value.expose_secret());
        }
        match style {
            Style::Header => {
                let pair = basic(client_id, secret);
                let coded = base64::engine::general_purpose::STANDARD.encode(pair.expose_secret());
                headers.insert(
                    AUTHORIZATION,
                    sensitive(&format!("Basic {coded}"), || "the client's secret".into())?,
                );
            }
            Style::Body => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose_secret());
            }
        }
        Ok(Request {
            method: Method::POST,
            url: self.settings.token_url.clone(),
            headers,
            body: form.finish().into(),
            body_cap: ANSWER_CAP,
        })
    }

    fn refused(&self, status: u16, text: &str) -> HttpError {
        let (at, text) = (redact(&self.settings.token_url), text.to_owned());
        HttpError::TokenRefused { at, status, text, next_step: answer::NO_TOKEN }
    }

    fn remember(&self, token: SecretString) {
        // Nothing can panic while it is held.
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.truncate(REMEMBERED - 1);
        given.push_front(token);
    }

    /// Adds every secret of ours.
    pub(super) async fn mask(&self, mask: &mut Mask) {
        if let Ok(secret) = files::secret(&self.settings.client_secret).await {
            mask.add(secret.expose_secret());
            mask.add(basic(&self.settings.client_id, &secret).expose_secret());
        }
        for (_, value) in &self.settings.endpoint_params {
            mask.add(worth_masking(value.expose_secret()));
        }
        mask.add(worth_masking(self.settings.token_url.query().unwrap_or_default()));
        for token in self.given.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            mask.add(token.expose_secret());
        }
        let proxies = self.settings.proxy.urls().iter().flat_map(super::text::userinfo);
        for (user, password) in proxies {
            mask.add(&password);
            mask.add(&format!("{user}:{password}"));
        }
    }
}

/// Both halves are coded like a form's values (RFC 6749, 2.3.1).
fn basic(client_id: &str, secret: &SecretString) -> SecretString {
    let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("{}:{}", coded(client_id), coded(secret.expose_secret())).into()
}

fn header(issued: &Issued) -> Option<HeaderValue> {
    let Issued { scheme, token, .. } = issued;
    sensitive(&format!("{scheme} {}", token.expose_secret()), String::new).ok()
}

//! The files that settings name: secrets, certificates, keys. Secrets are read at each request;
//! certificates when their time of change or length differs from the last time.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::{Certificate, Identity};
use secrecy::{ExposeSecret, SecretString};

use super::HttpError;
use crate::config::{Secret, TlsSettings};

/// What tells a changed file from an unchanged one: a missing file has none.
pub(super) type Stamp = Vec<Option<(Option<SystemTime>, u64)>>;

/// The secret as it is now, without white space at its end.
pub(super) async fn secret(secret: &Secret) -> Result<SecretString, HttpError> {
    let path = match secret {
        Secret::Value(value) => return Ok(trimmed(value.expose_secret())),
        Secret::File(path) => path,
    };
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| HttpError::Secret { path: path.clone(), source })?;
    let text = SecretString::from(text);
    if text.expose_secret().trim().is_empty() {
        return Err(HttpError::SecretEmpty { path: path.clone() });
    }
    Ok(trimmed(text.expose_secret()))
}

fn trimmed(text: &str) -> SecretString {
    SecretString::from(text.trim_end())
}

/// The stamp of all files of these settings.
pub(super) async fn stamp(tls: &TlsSettings) -> Stamp {
    let mut stamp = Vec::new();
    for path in paths(tls) {
        stamp.push(tokio::fs::metadata(path).await.ok().map(one));
    }
    stamp
}

/// The same at once, for the start.
pub(super) fn stamp_now(tls: &TlsSettings) -> Stamp {
    paths(tls).map(|path| std::fs::metadata(path).ok().map(one)).collect()
}

fn paths(tls: &TlsSettings) -> impl Iterator<Item = &PathBuf> {
    let pair = tls.client_cert.iter().flat_map(|(cert, key)| [cert, key]);
    tls.ca_file.iter().chain(pair)
}

fn one(meta: Metadata) -> (Option<SystemTime>, u64) {
    (meta.modified().ok(), meta.len())
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, HttpError> {
    let pem = read(path)?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|error| content(path, &super::chain(&error.without_url())))?;
    if certificates.is_empty() {
        return Err(content(path, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

/// The client's certificate and key.
pub(super) fn identity(cert: &Path, key: &Path) -> Result<Identity, HttpError> {
    let mut pem = read(cert)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    Identity::from_pem(&pem).map_err(|_| content(key, "it and its certificate are no PEM pair"))
}

fn read(path: &Path) -> Result<Vec<u8>, HttpError> {
    std::fs::read(path).map_err(|source| HttpError::TlsFile { path: path.into(), source })
}

fn content(path: &Path, reason: &str) -> HttpError {
    HttpError::TlsContent { path: path.into(), reason: reason.into() }
}

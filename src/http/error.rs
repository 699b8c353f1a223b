//! Why a request got no answer. No text here holds a URL's query, userinfo or a secret.

use std::io;
use std::path::PathBuf;

use super::text::chain;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A secret's file cannot be read.
    #[error("the secret file {path} cannot be read")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret's file holds nothing.
    #[error("the secret file {path} is empty")]
    SecretEmpty {
        /// The file.
        path: PathBuf,
    },
    /// A secret or a header's value holds a byte that no header may hold.
    #[error("{what} cannot be sent in a header: it holds a line break or another control character")]
    Unsendable {
        /// What it is, never its value.
        what: String,
    },
    /// A certificate or key file cannot be read.
    #[error("the TLS file {path} cannot be read")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key file holds something else.
    #[error("the TLS file {path} is not usable: {reason}")]
    TlsContent {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The settings cannot be used together.
    #[error("{0}")]
    Settings(&'static str),
    /// The client cannot be built.
    #[error("the HTTP client cannot be set up (on a machine without CA certificates set ca_file): {}", chain(.0))]
    Setup(reqwest::Error),
    /// No connection: name, network, TLS, proxy.
    #[error("no connection: {}", chain(.0))]
    Connect(reqwest::Error),
    /// The time was over before the answer was.
    #[error("no complete answer in time")]
    Timeout,
    /// The connection was lost before or during the answer.
    #[error("the connection was lost: {}", chain(.0))]
    Lost(reqwest::Error),
    /// The body broke off, or its content coding is damaged.
    #[error("the answer broke off or cannot be decompressed: {}", chain(.0))]
    Coding(reqwest::Error),
    /// The answer is larger than is read.
    #[error("the answer is larger than {limit} bytes after decompression")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
}

impl HttpError {
    /// Whether the same request may succeed later without anyone changing the settings. Files count as
    /// such: they are read again, and rotation replaces them in more than one step.
    pub fn is_transient(&self) -> bool {
        match self {
            HttpError::Secret { .. }
            | HttpError::SecretEmpty { .. }
            | HttpError::TlsFile { .. }
            | HttpError::TlsContent { .. }
            | HttpError::Connect(_)
            | HttpError::Timeout
            | HttpError::Lost(_)
            | HttpError::Coding(_) => true,
            HttpError::Unsendable { .. }
            | HttpError::Settings(_)
            | HttpError::Setup(_)
            | HttpError::TooLarge { .. } => false,
        }
    }

    /// Sorts an error of the client; the URL is taken out of it first.
    pub(super) fn from_client(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_builder() {
            HttpError::Setup(error)
        } else if error.is_timeout() {
            HttpError::Timeout
        } else if error.is_connect() {
            HttpError::Connect(error)
        } else if error.is_decode() {
            HttpError::Coding(error)
        } else {
            HttpError::Lost(error)
        }
    }
}

//! Why a configuration is not taken. Every text says where, what and what to do; none shows a secret's value
//! nor a neighbouring line of the file.

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is wrong. `place` is the file's position with the key, the variable or the flag.
    #[error("{place}: {what}")]
    Setting {
        /// Where it stands.
        place: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The file cannot be read.
    #[error("{path}: the configuration file cannot be read ({}); look at its path and permissions", reason(.cause))]
    File {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{path}: over {} MiB long; is this the configuration file?", limit >> 20)]
    TooLong {
        /// The file.
        path: String,
        /// What is read at most.
        limit: u64,
    },
}

/// The system's own words without their number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}

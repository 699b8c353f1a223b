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
    #[error("{path}: the configuration file cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{path}: over {limit} bytes long; is this the configuration file?")]
    TooLong {
        /// The file.
        path: String,
        /// What is read at most.
        limit: u64,
    },
    /// The file is no YAML, or has a key that is not known, or a value of another type.
    #[error("{path}:{line}:{column}: {what}")]
    Yaml {
        /// The file.
        path: String,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// The column, from 1; 0 where it is not known.
        column: u64,
        /// What is wrong.
        what: String,
    },
}

//! The reference of the configuration as data, as it stands beside each key: `make docs` writes
//! `docs/configuration.md` from it, and a test holds the two together. Never: anything that the running program
//! reads, so that none of these texts is linked into it.

use super::block::Block;
use super::file::File;
use super::foreign::{self, Foreign};
use super::web_file::WebFileBlock;

/// A block of a file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name of its type, which tells it from others.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its keys, in the order of the declaration.
    pub keys: &'static [Key],
}

/// A key of a block.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is typed.
    pub name: &'static str,
    /// What it takes, in words; empty where that is seen by [`Self::inside`].
    pub takes: &'static str,
    /// What holds without it: in backticks where it could be typed so, else in words; empty: nothing.
    pub default: &'static str,
    /// What it is, for operators.
    pub meaning: &'static str,
    /// Whether it takes a list.
    pub list: bool,
    /// The block that it holds, or holds a list of.
    pub inside: Option<&'static Section>,
}

/// The file of `--config.file`.
pub const FILE: &Section = File::SECTION;

/// The file of `--web.config.file`.
pub const WEB_FILE: &Section = WebFileBlock::SECTION;

/// Prometheus' own keys that have no meaning here.
pub const FOREIGN: &[(&str, Foreign)] = foreign::KEYS;

//! Pages of other programs, taken along.
//!
//! In goes what a target's page says; out comes one [`crate::sample::Batch`] for each time that it was asked.
//! Never: a line of a page that is left out, a page that is taken in part.

pub mod parse;

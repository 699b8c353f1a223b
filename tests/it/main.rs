//! x
mod page;

//! x
mod servers;

//! x
mod demo_api;

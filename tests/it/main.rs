//! x
mod servers;
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod api_error;
mod api_shape;
mod auth;
mod collect;
mod tls;
mod demo_api;
mod demo_receiver;
mod page;

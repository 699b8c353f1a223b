//! Every test that stands outside a module, in one binary: it links once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets an error has failed")]

mod api_error;
mod api_shape;
mod auth;
mod binary;
mod collect;
mod demo_api;
mod demo_receiver;
mod end_to_end;
mod page;
mod program;
mod receiver;
mod remote_rig;
mod secrets;
mod servers;
mod tls;
mod verdict;
mod worker;
mod worker_faults;

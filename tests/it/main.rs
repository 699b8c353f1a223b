//! Every test that stands outside a module, in one binary: it links once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets an error has failed")]

mod api_error;
mod api_shape;
mod auth;
mod bad_input;
mod binary;
mod caches;
mod collect;
mod demo_api;
mod demo_receiver;
mod demo_senders;
mod encodings;
mod end_to_end;
mod long_answer;
mod metrics_docs;
mod page;
mod program;
mod pushgateway;
mod queue_commands;
mod receiver;
mod remote_rig;
mod secrets;
mod servers;
mod storm;
mod strict;
mod tls;
mod verdict;
mod walls;
mod wire;
mod wire_bytes;
mod worker;
mod worker_faults;

//! Brings the state of balena fleets into Prometheus, from anywhere, losing nothing.
pub mod app;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod config;
pub mod demo;
pub mod encode;
pub mod http;
pub mod page;
pub mod pb;
pub mod queue;
pub mod retry;
pub mod sample;
pub mod schedule;
pub mod sink;
pub mod telemetry;

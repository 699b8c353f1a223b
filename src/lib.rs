//! Brings the state of balena fleets into Prometheus, from anywhere, losing nothing.
//!
//! The rooms in the data's order; `ARCHITECTURE.md` walks through them:
//! [`cli`] and [`config`] (what was asked for) · [`app`] (joins the rooms) · [`schedule`] (when) ·
//! [`collect`] (balena API to [`sample::Batch`]) · [`relay`] (other programs' pages) · [`relabel`] (rules × labels) ·
//! [`sample`] (the words that all rooms share) · [`encode`] with [`pb`] (batches to bytes) · [`queue`] ·
//! [`sink`] (Pushgateway, remote write) · [`page`] · [`http`], [`retry`], [`clock`], [`telemetry`] (what the
//! others stand on) · [`demo`] (simulated peers).
//!
//! Invariant: nothing is reported that was not counted, and nothing is dropped without a counter and a line.
//! Invariant: a batch holds no two equal series, and a series' times strictly rise.
//! Invariant: a record is cut once; an endpoint has one request in flight, the oldest first.
//! Invariant: what an answer means is decided by pure functions; only `http`, `collect`, `sink`, `page`,
//! `demo` and `cli` do I/O.
//! Invariant: `collect` and `sink` never import each other; `demo` imports neither `collect` nor `encode`.
//! Invariant: no text that is logged, shown or sent holds a secret.

pub mod cli;

pub mod config;

pub mod app;

pub mod schedule;

pub mod collect;

pub mod relay;

pub mod sample;

pub mod relabel;

pub mod encode;

pub mod pb;

pub mod queue;

pub mod sink;

pub mod page;

pub mod http;

pub mod retry;

pub mod clock;

pub mod telemetry;

pub mod demo;

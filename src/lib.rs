//! Brings the state of balena fleets into Prometheus, from anywhere, losing nothing.
pub mod clock;
pub mod config;
pub mod demo;
pub mod pb;
pub mod queue;
pub mod sample;
pub mod telemetry;

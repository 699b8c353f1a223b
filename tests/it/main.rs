//! x
mod demo_api;
mod demo_receiver;

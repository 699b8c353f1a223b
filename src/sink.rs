//! Where batches and records leave: Pushgateways are pushed the latest batch of each source, remote-write
//! endpoints every record of the queue in order. What an answer means is decided by pure functions; the
//! loops around them do the I/O. Never: counting, and never a sample dropped without a counter and a line.

mod advice;
pub mod pushgateway;
pub mod remote_write;
pub mod worker;

//! The cases of the official remote-write sender suites against the real binary, each by its name there. A case is a
//! page that is scraped once a second and what must have come of it when the sender was ended. What a suite lets pass
//! without a request does not pass here: every case waits for what it speaks of.

mod backoff;
mod batching;
mod case;
mod catch_up;
mod combined;
mod decode;
mod edge;
mod errors;
mod exemplars;
mod fallback;
mod histograms;
mod labels;
mod metadata;
mod old;
mod parity;
mod peers;
mod protocol;
mod response;
mod retry;
mod rw1_compat;
mod samples;
mod sender;
mod site;
mod symbols;
mod timed;
mod timestamps;

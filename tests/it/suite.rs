//! The cases of the official remote-write sender suites against the real binary, each by its name there. A case is a
//! page that is scraped once a second and what must have come of it when the sender was ended. What a suite lets pass
//! without a request does not pass here: every case waits for what it speaks of.

mod case;
mod decode;
mod old;
mod peers;
mod sender;
mod site;

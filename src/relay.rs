//! Pages of other programs, taken along.
//!
//! In go the jobs of `scrape_configs:`; out comes one [`crate::sample::Batch`] for each time that a target was asked:
//! the series of its page under the target's labels, and what Prometheus says of a scrape (`up` and `scrape_…`).
//! Never: a line of a page that is left out, a page that is taken in part.
//!
//! How it is used:
//! - [`Jobs::new`] for a configuration, and [`Jobs::groups`] once: a [`Group`] for each interval. Whoever runs it
//!   decides about ticks and calls [`Group::scrape`] with the tick's time. All targets of the group are asked at once;
//!   each batch is given as it is ready, all with that time.
//! - The [`Round`] that comes back names the sources that are no more, which are to be ended, and groups for intervals
//!   that are new (labels of a target may set its interval), which are to be run as well.
//! - [`Page`] alone reads pages from elsewhere, such as a file.
//!
//! Invariant: two targets that run at one time have different sources. A source is named by `job` and `instance`, and
//! where these are the same by what else tells the targets apart.
//! Invariant: a failed scrape says `up` 0, and of the page nothing.

mod error;
mod group;
mod known;
mod labels;
mod names;
mod page;
pub mod parse;
mod points;
mod reading;
mod said;
mod scrape;
mod target;
mod targets;

pub use error::ScrapeError;
pub use group::{Group, Jobs, JobsError, Round};
pub use page::{Counts, Ended, Page, Rewrite};
pub use reading::Reading;

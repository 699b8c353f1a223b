//! The file as it is typed: which keys there are, what each takes, and the reference of it; blocks that have a module
//! of their own stand there. `remote_write:` and `scrape_configs:` take Prometheus' own keys; those of
//! them that we do not have stand in `foreign`. Never: whether a value makes sense.

use std::io::Read as _;

use super::ConfigError;
use super::accounts::AccountBlock;
use super::block::{OneOrMany, Pairs, Placed, Read, Reader, Typed, blocks};
use super::endpoints::EndpointBlock;
use super::gateways::GatewayBlock;
use super::scrape::ScrapeBlock;
use super::yaml::{self, At};

/// A file that is longer is no configuration.
const LIMIT: u64 = 1 << 20;

blocks! {
    /// The file itself.
    File {
        /// How often the fleets are counted, and so how often everything is pushed and sent. Prometheus looks back five
        /// minutes: stay at `4m` or below. `CRAWL_INTERVAL` wins over it.
        interval: Typed as "duration or seconds" = "`60s`",
        /// How long the last counts stand on the page and at gateways while collecting fails; then they are withdrawn
        /// everywhere, so that nobody takes old counts for new ones.
        stale_after: Typed as "duration" = "`5m`",
        /// The label `job` of everything that is pushed or sent by remote write; on the page the scraper sets it. Give each
        /// of two processes that see the same fleets another one.
        job: Typed as "text" = "`balena`",
        /// The label `instance` of the program's own series and of those about collecting, and of its group at a gateway.
        /// Set it where the host's name changes: in a cluster to the workload's name, at a site to the site's.
        instance: Typed as "text" = "the host name",
        /// Labels that are added to what leaves by remote write, where a series lacks them. Not `job`.
        external_labels: Pairs as "map of labels",
        /// The labels of a fleet's series. `[fleet_name]` is the reference exporter's set: fleets of one name in two
        /// organizations are summed, with a warning.
        labels: Option<Placed<Vec<Typed>>> as "`[fleet_name]` or `[fleet_name, fleet_slug]`"
            = "`[fleet_name, fleet_slug]`",
        /// The balena account whose fleets are counted.
        balena: OneOrMany<Placed<AccountBlock>> as "map, or a list of one",
        /// The Pushgateways that the counts are pushed to.
        pushgateways: Vec<Placed<GatewayBlock>>,
        /// The remote-write endpoints that the counts are sent to, in Prometheus' own keys: a block that works there can be
        /// pasted.
        remote_write: Vec<Placed<EndpointBlock>>,
        /// What is scraped and relayed, in Prometheus' own keys: a block that works there can be pasted. See
        /// [scraping](#scraping).
        scrape_configs: Vec<Placed<ScrapeBlock>>,
        /// The queue on the disk that samples wait in until each remote-write endpoint has taken them.
        queue: QueueBlock,
        /// The page that Prometheus scrapes and that browsers open.
        web: WebBlock,
        /// Must be one of one in this version.
        shard: ShardBlock,
        /// The log, on standard error.
        log: LogBlock,
    }
    /// The queue is used where there is remote write. Changes of these keys need a new start.
    QueueBlock {
        /// The folder that the queue is kept in, for this process alone: a second one on it ends with 5. With `memory` it is
        /// kept in the process, and what is not delivered at its end is lost. See also `FLEETPUSH_QUEUE_DIR`.
        dir: Typed as "path, or `memory`" = "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/fleetpush`, else `/var/lib/fleetpush`",
        /// How much room it may take on the disk; when it is full the oldest samples go first, and are counted. `fleetpush
        /// check` says how long that lasts with your fleets. In memory it is at most `64MiB`.
        max_size: Typed as "size" = "`1GiB`",
        /// How much older than the newest sample one may become before it is dropped. Longer than a receiver takes samples
        /// from the past is no use.
        max_age: Typed as "duration" = "`8d`",
        /// How many samples a record of the queue holds at most, and so a request to any endpoint. Lower it for receivers
        /// that refuse large requests.
        max_samples_per_send: Typed as "whole number above 0" = "`2000`",
    }
    /// Changes of these keys need a new start; what `config_file` names is read again by itself.
    WebBlock {
        /// Where the page listens. `off` is for no page at all, as in CronJobs or behind a firewall.
        listen_address: Typed as "address, or `off`" = "`:8000`",
        /// The path of the metrics. Nothing below `/-/`, where the program's own paths are.
        telemetry_path: Typed as "path of a URL" = "`/metrics`",
        /// Whether `POST /-/reload` reads the configuration again. Whoever reaches the page can do so then.
        enable_lifecycle: Typed as "boolean" = "`false`",
        /// The file that protects the page by TLS and by users, see [the page's file](#the-pages-file).
        config_file: Typed as "path" = "none: everyone is let in",
    }
    /// Splitting fleets between processes is not built yet.
    ShardBlock {
        /// Which of the shards this process is, counted from 0.
        index: Typed as "`0`" = "`0`",
        /// How many shards there are.
        count: Typed as "`1`" = "`1`",
    }
    /// Changes of these keys need a new start.
    LogBlock {
        /// The least level that is shown. `debug` shows each request, `trace` also what the libraries say.
        level: Typed as "`trace`, `debug`, `info`, `warn` or `error`" = "`info`",
        /// The form of the lines: `logfmt` for people, `json` for what collects logs.
        format: Typed as "`logfmt` or `json`" = "`logfmt`",
    }
}

/// Reads the file, and what it says that changes nothing here.
pub(super) fn read(path: &str) -> Result<(File, Vec<String>), ConfigError> {
    document(path)
}

/// The bytes of a file that is not longer than a configuration may be.
pub(super) fn bytes(path: &str) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |cause| ConfigError::File { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::TooLong { path: path.to_owned(), limit: LIMIT });
    }
    Ok(bytes)
}

/// Reads any file of ours as what its root must be.
pub(super) fn document<T: Read>(path: &str) -> Result<(T, Vec<String>), ConfigError> {
    let bytes = bytes(path)?;
    let mut reader = Reader { path, warnings: Vec::new() };
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = end_of(&bytes[..error.valid_up_to()]);
            return Err(reader.wrong(at, "", "not UTF-8 text; is this the file, and saved as UTF-8?"));
        }
    };
    let root = yaml::parse(text).map_err(|wrong| reader.wrong(wrong.at, "", wrong.what))?;
    let root = T::read(root, "", &mut reader)?;
    Ok((root, reader.warnings))
}

/// The position after this text.
fn end_of(text: &[u8]) -> At {
    let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    At { line, column: String::from_utf8_lossy(last).chars().count() + 1 }
}

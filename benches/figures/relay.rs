//! A page that is scraped and sent on, side by side with those who do it as well: Prometheus' agent and
//! vmagent. All run at once for the same time, each with a receiver of its own, so that what disturbs one disturbs
//! all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::peer::{Peer, Taken};
use super::{Row, cpu};

const SERIES: usize = 100_000;
const EVERY: Duration = Duration::from_secs(10);
/// Scrapes before the measuring begins: connections, tables and heaps have their sizes then.
const BEFORE: u64 = 2;
const MEASURED: u64 = 6;
const LONGEST: Duration = Duration::from_secs(240);

/// Where the tests unpack the real servers.
const SERVERS: &str = "target/test-servers/new/usr/bin";

/// One of those who are compared.
struct Sender {
    name: &'static str,
    /// What is asked of it; none: it is only compared with.
    limits: Option<[f64; 2]>,
    child: Child,
    receiver: Peer,
    begun: Option<(Duration, Taken)>,
    ended: Option<(Duration, Taken, f64)>,
}

/// CPU, bytes and peak memory of each.
pub fn rows(binary: &Path) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = Peer::page(SERIES);
    let target = page.url.trim_start_matches("http://").to_owned();
    let start = |name: &'static str, version: &str, limits| {
        let home = folder.path().join(name.replace(' ', "-"));
        fs::create_dir(&home).expect("a new folder");
        let receiver = Peer::receiver();
        let mut command = command(name, version, &home, (&target, &receiver.url), binary);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.join("log")).expect("a new file"))
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{name}: {error}; `make test-servers` unpacks what is compared with")
            });
        Sender { name, limits, child, receiver, begun: None, ended: None }
    };
    let ours = Some([0.7, 60.0]);
    let mut all = [
        start("fleetpush 1.0", "1.0", ours),
        start("fleetpush 2.0", "2.0", ours),
        start("vmagent 1.0", "1.0", None),
        start("Prometheus agent 1.0", "1.0", None),
        start("Prometheus agent 2.0", "2.0", None),
    ];
    let started = Instant::now();
    while all.iter().any(|sender| sender.ended.is_none()) {
        assert!(started.elapsed() < LONGEST, "not everything arrives; the logs are in {:?}", folder.keep());
        sleep(Duration::from_millis(50));
        all.iter_mut().for_each(Sender::look);
    }
    all.into_iter().flat_map(Sender::rows).collect()
}

impl Sender {
    /// Notes where it stands when the measuring begins and ends.
    fn look(&mut self) {
        let taken = self.receiver.taken();
        let (first, last) = (BEFORE * SERIES as u64, (BEFORE + MEASURED) * SERIES as u64);
        let process = self.child.id();
        let used = || cpu::process(process).unwrap_or_else(|| panic!("{} has ended", self.name));
        if self.begun.is_none() && taken.samples >= first {
            self.begun = Some((used(), taken));
        }
        if self.ended.is_none() && taken.samples >= last {
            let peak = cpu::peak_mib(process).expect("it still runs");
            self.ended = Some((used(), taken, peak));
        }
    }

    fn rows(mut self) -> Vec<Row> {
        self.child.kill().expect("it still runs");
        self.child.wait().expect("it ends");
        let ((used_before, before), (used_after, after, peak)) =
            self.begun.zip(self.ended).expect("it was measured");
        let samples = (after.samples - before.samples) as f64;
        let used = (used_after - used_before).as_secs_f64() * 1e6 / samples;
        let bytes = (after.bytes - before.bytes) as f64 / samples;
        let what = format!("{SERIES} series relayed every {} s, {}", EVERY.as_secs(), self.name);
        let limit = |place: usize, unit: &str| {
            self.limits.map_or_else(String::new, |limits| format!("≤ {} {unit}", limits[place]))
        };
        let mut rows = vec![
            Row::new(
                format!("{what}, CPU a million samples"),
                format!("{used:.2} s ({bytes:.1} bytes a sample)"),
                limit(0, "s"),
            ),
            Row::new(format!("{what}, peak memory"), format!("{peak:.1} MiB"), limit(1, "MiB")),
        ];
        if let Some(limits) = self.limits {
            rows = rows
                .into_iter()
                .zip([used, peak].into_iter().zip(limits))
                .map(|(row, (value, limit))| row.within(value, limit))
                .collect();
        }
        rows
    }
}

fn command(name: &str, version: &str, home: &Path, (target, url): (&str, &str), binary: &Path) -> Command {
    let seconds = EVERY.as_secs();
    let jobs = format!(
        "scrape_configs:\n  - job_name: page\n    scrape_interval: {seconds}s\n    static_configs:\n      - targets: ['{target}']\n"
    );
    let message = if version == "2.0" { "io.prometheus.write.v2.Request" } else { "prometheus.WriteRequest" };
    let write = format!("remote_write:\n  - url: {url}\n    protobuf_message: {message}\n");
    let path = |what: &str| -> PathBuf { home.join(what) };
    let file = path("config.yml");
    let server = |program: &str| Command::new(Path::new(SERVERS).join(program));
    let free = "127.0.0.1:0";
    match name.split(' ').next() {
        Some("fleetpush") => {
            let queue = format!("queue: {{dir: {}}}\n", path("queue").display());
            fs::write(&file, format!("{jobs}{write}{queue}")).expect("a new file");
            let mut command = Command::new(binary);
            command.env_clear().env("FLEETPUSH_LISTEN_ADDRESS", free).arg("--config.file").arg(file);
            command
        }
        Some("vmagent") => {
            fs::write(&file, jobs).expect("a new file");
            let mut command = server("vmagent");
            command
                .arg(format!("-promscrape.config={}", file.display()))
                .arg(format!("-remoteWrite.url={url}"))
                .arg(format!("-remoteWrite.tmpDataPath={}", path("data").display()))
                .arg("-remoteWrite.forcePromProto")
                .arg(format!("-httpListenAddr={free}"));
            command
        }
        _ => {
            let global = format!("global: {{scrape_interval: {seconds}s}}\n");
            fs::write(&file, format!("{global}{jobs}{write}")).expect("a new file");
            let mut command = server("prometheus");
            command
                .arg("--agent")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.agent.path={}", path("data").display()))
                .arg(format!("--web.listen-address={free}"));
            command
        }
    }
}

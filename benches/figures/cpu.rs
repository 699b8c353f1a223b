//! CPU time as the kernel counts it: a noisy neighbour makes a run longer, but hardly dearer.

use std::fs;
use std::time::Duration;

/// `/proc` counts in ticks of 10 ms (`USER_HZ`), so whatever is measured must last for many of them.
const TICK: Duration = Duration::from_millis(10);

/// What this process has used, all its threads together.
pub fn own() -> Duration {
    ticks(13) + ticks(14)
}

/// What its ended and awaited children have used.
pub fn children() -> Duration {
    ticks(15) + ticks(16)
}

/// What `work` costs this process.
pub fn of(work: impl FnOnce()) -> Duration {
    let before = own();
    work();
    own() - before
}

/// The largest resident memory that a process has had, in MiB; nothing once it has ended.
pub fn peak_mib(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

/// The average number of processes that wanted to run in the last 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(", ")
}

/// The processor's name and how many of it there are.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = info.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let names: Vec<&str> = named.map(|(_, name)| name).collect();
    format!("{} × {}", names.len(), names.first().unwrap_or(&"unknown processor"))
}

/// What another process has used so far; nothing once it has ended.
pub fn process(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(field(&stat, 13) + field(&stat, 14))
}

fn ticks(number: usize) -> Duration {
    field(&fs::read_to_string("/proc/self/stat").expect("Linux has it"), number)
}

fn field(stat: &str, field: usize) -> Duration {
    // The name in brackets may hold spaces.
    let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
    // Fields count from 0, and two stand before `rest`.
    let number: u32 = rest.split(' ').nth(field - 2).and_then(|text| text.parse().ok()).expect("a number");
    TICK * number
}

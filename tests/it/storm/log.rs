//! What a run's log says: what it committed, and what it was doing when it was killed.

use std::fmt;

/// What a process was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The receiver has taken a request, and the queue does not know it yet.
    Answered,
    /// Samples are being written to the queue.
    Committing,
    /// A request is out.
    Sending,
    /// The API is being asked.
    Collecting,
}

impl Phase {
    pub const ALL: [Self; 4] = [Self::Collecting, Self::Committing, Self::Sending, Self::Answered];

    /// Whether a line says that it begins.
    pub fn begins(self, line: &str) -> bool {
        match self {
            Self::Collecting => line.contains("message=collecting"),
            Self::Committing => line.contains("message=committing"),
            Self::Sending => line.contains("message=sending"),
            Self::Answered => {
                line.contains("message=answered")
                    && field(line, "code").is_some_and(|code| code.starts_with('2'))
            }
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Collecting => "collecting",
            Self::Committing => "committing",
            Self::Sending => "sending",
            Self::Answered => "answered but not acknowledged",
        })
    }
}

/// What a source said at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub source: String,
    pub samples: usize,
    /// None where there were no samples.
    pub at: Option<i64>,
}

/// One run.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// What was about to be committed, in this order.
    pub said: Vec<Said>,
    /// How many of them the queue has confirmed to be on the disk.
    pub committed: usize,
    /// What it was doing at its end.
    pub phases: Vec<Phase>,
    /// Samples behind which the cursor has moved.
    pub acknowledged: usize,
}

impl Life {
    pub fn of(log: &str) -> Self {
        let mut life = Self::default();
        let (mut source, mut sink) = (None, None);
        for line in log.lines() {
            if let Some(phase) = Phase::ALL.into_iter().find(|phase| phase.begins(line)) {
                match phase {
                    Phase::Collecting | Phase::Committing => source = Some(phase),
                    Phase::Sending | Phase::Answered => sink = Some(phase),
                }
                if phase == Phase::Committing {
                    life.said.push(said(line));
                }
            } else if line.contains("message=committed") {
                source = None;
                life.committed += 1;
                assert!(life.said.contains(&said(line)), "{line}");
            } else if line.contains("message=collected") || line.contains("message=\"collecting failed") {
                source = None;
            } else if line.contains("message=acknowledged") {
                sink = None;
                life.acknowledged += number(line, "samples");
            } else if line.contains("message=answered") || line.contains("message=\"delivery failed") {
                sink = None;
            }
        }
        life.phases = source.into_iter().chain(sink).collect();
        life
    }

    /// Samples of all that was said.
    pub fn samples(&self) -> usize {
        self.said.iter().map(|said| said.samples).sum()
    }

    /// Cycles of the account that were said.
    pub fn cycles(&self) -> usize {
        self.said.iter().filter(|said| said.source.starts_with("account/")).count()
    }
}

fn said(line: &str) -> Said {
    let text = |name| field(line, name).map(str::to_owned);
    let at = field(line, "at_ms").and_then(|text| text.parse().ok());
    Said { source: text("source").expect("a source"), samples: number(line, "samples"), at }
}

fn number(line: &str, name: &str) -> usize {
    field(line, name).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// The value of a key of a line in logfmt, where it is one word.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

mod tests {
    use super::*;

    #[test]
    fn the_phases_of_a_killed_run_are_its_last_lines() {
        let asked = "level=debug source=balena message=collecting\n";
        let collected = "level=info source=balena fleets=1 series=2 took_ms=1 message=collected\n";
        let committing = "level=trace source=account/balena samples=2 at_ms=5 message=committing\n";
        let committed = "level=debug source=account/balena samples=2 at_ms=5 message=committed\n";
        let sending = "level=trace sink=env record=0 sample=0 samples=2 message=sending\n";
        let answered = |code| format!("level=trace sink=env code={code} message=answered\n");
        let acknowledged = "level=trace sink=env record=0 sample=0 samples=2 message=acknowledged\n";
        let failed = "level=warn sink=env error=x message=\"delivery failed, trying again\"\n";
        let (yes, no) = (answered(204), answered(503));
        for (lines, phases) in [
            (vec![asked], vec![Phase::Collecting]),
            (vec![asked, collected], vec![]),
            (vec![asked, collected, committing], vec![Phase::Committing]),
            (vec![asked, collected, committing, committed, sending], vec![Phase::Sending]),
            (vec![asked, sending, &*yes], vec![Phase::Collecting, Phase::Answered]),
            (vec![sending, &*yes, acknowledged], vec![]),
            (vec![sending, &*no], vec![]),
            (vec![sending, failed], vec![]),
        ] {
            assert_eq!(Life::of(&lines.concat()).phases, phases, "{lines:?}");
        }
        let life = Life::of(&[committing, committed, committing, acknowledged].concat());
        assert_eq!((life.samples(), life.cycles(), life.committed, life.acknowledged), (4, 2, 1, 2));
        assert_eq!(life.said[0].at, Some(5));
    }
}

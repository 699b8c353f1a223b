//! What a source says at one time.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{Labels, MetricName, Millis, SeriesId, Text, Value};

/// One thing that is asked at its own interval.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A balena account, by its configured name.
    Account(Text),
    /// A relayed page, by the labels that its `up` carries.
    Target {
        /// The label `job`.
        job: Text,
        /// The label `instance`.
        instance: Text,
    },
    /// The program's own metrics.
    Own,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Account(name) => f.write_str(name),
            Source::Target { job, instance } => write!(f, "{job}/{instance}"),
            Source::Own => f.write_str("fleetpush"),
        }
    }
}

/// A family's type, with the numbers of remote write's metadata (both versions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No type is known.
    Unknown = 0,
    /// Only rises; its series end in `_total`.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Counts of what was observed, by cumulative buckets: `_bucket` with `le`, `_sum`, `_count`.
    Histogram = 3,
    /// A histogram whose counts may fall: `_bucket`, `_gsum`, `_gcount`.
    GaugeHistogram = 4,
    /// Quantiles of what was observed: with `quantile`, `_sum`, `_count`.
    Summary = 5,
    /// Labels about something, with the value 1.
    Info = 6,
    /// One series for each state, of which each is 0 or 1.
    StateSet = 7,
}

impl Kind {
    /// The type with this number of remote write's metadata; unknown numbers are [`Kind::Unknown`].
    pub fn from_number(number: u32) -> Kind {
        match number {
            1 => Kind::Counter,
            2 => Kind::Gauge,
            3 => Kind::Histogram,
            4 => Kind::GaugeHistogram,
            5 => Kind::Summary,
            6 => Kind::Info,
            7 => Kind::StateSet,
            _ => Kind::Unknown,
        }
    }
}

/// Whose statement a family is, which decides the labels it leaves with (see [`crate::encode`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// About the account's fleets: two pushers that see the same fleets say the same.
    Fleet,
    /// About this process: it carries `instance`.
    State,
    /// Said by a relayed page: its series carry every label already.
    Relayed,
}

/// Whether a batch speaks for all of its source's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A series of the source that is not in the batch has ended.
    Whole,
    /// Collecting failed a short while ago: only [`Role::State`] families are here, and the fleets' last
    /// counts stand as they were.
    StateOnly,
}

/// Whether a batch's time may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// Nothing speaks against our clock.
    Trusted,
    /// Our clock and the API's differ by over five minutes: a sample from the future would block every
    /// other sender at some receivers, so the batch is not queued.
    Skewed,
}

/// One series' sample in a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its labels, without the name.
    pub labels: Labels,
    /// Its value.
    pub value: Value,
    /// What a relayed page says of this sample alone. None nearly always, so it is a pointer.
    pub own: Option<Box<Own>>,
}

/// What a page may say of one sample beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Its own time, where it is not the batch's. Such a series gets no stale marker, as with Prometheus.
    pub at: Option<Millis>,
    /// When counting began.
    pub start: Option<Millis>,
    /// Single observations, in the page's order.
    pub exemplars: Vec<Exemplar>,
}

/// One observation that is part of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// What it points to, such as a trace's id.
    pub labels: Labels,
    /// What was observed.
    pub value: Value,
    /// When; none: at the time of its sample.
    pub at: Option<Millis>,
}

/// Series of one name with their type and help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name that its series carry (a counter's ends in `_total`).
    pub name: MetricName,
    /// The name under which type and help are told, where it is another one: those of `a_bucket`, `a_sum` and
    /// `a_count` are told of `a`.
    pub of: Option<MetricName>,
    /// Its type.
    pub kind: Kind,
    /// What it means, in one sentence without an end.
    pub help: Text,
    /// The unit that the page names; mostly none.
    pub unit: Text,
    /// Whose statement it is.
    pub role: Role,
    /// Its series, each label set once.
    pub series: Vec<Series>,
}

impl Family {
    /// The name under which type, help and unit are told.
    pub fn described_as(&self) -> &MetricName {
        self.of.as_ref().unwrap_or(&self.name)
    }
}

/// Two series of one batch are equal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Equal labels under one name.
    #[error("two series are equal: {0}")]
    Duplicate(SeriesId),
    /// Two families of one name.
    #[error("the family {0} stands twice")]
    FamilyTwice(MetricName),
}

/// What one source says at one time; no two series are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    source: Source,
    at: Millis,
    scope: Scope,
    clock: ClockTrust,
    /// Shared, so that a batch at another time is no second copy.
    families: Arc<[Family]>,
}

impl Batch {
    /// Checks and keeps what a source said.
    ///
    /// # Errors
    /// [`BatchError`] where two series or two families are equal, which every receiver refuses.
    pub fn new(source: Source, at: Millis, scope: Scope, families: Vec<Family>) -> Result<Self, BatchError> {
        let mut names = HashSet::with_capacity(families.len());
        for family in &families {
            if !names.insert(&family.name) {
                return Err(BatchError::FamilyTwice(family.name.clone()));
            }
            let mut seen = HashSet::with_capacity(family.series.len());
            if let Some(twin) = family.series.iter().find(|series| !seen.insert(&series.labels)) {
                return Err(BatchError::Duplicate(SeriesId {
                    name: family.name.clone(),
                    labels: twin.labels.clone(),
                }));
            }
        }
        Ok(Self::of_distinct(source, at, scope, families))
    }

    /// Keeps what a source said that has already made sure that no two series and no two families are equal.
    pub fn of_distinct(source: Source, at: Millis, scope: Scope, families: Vec<Family>) -> Self {
        Batch { source, at, scope, clock: ClockTrust::Trusted, families: families.into() }
    }

    /// A source that has no series any more.
    pub fn nothing(source: Source, at: Millis) -> Self {
        Self::of_distinct(source, at, Scope::Whole, Vec::new())
    }

    /// The same batch, with a word on whether its time may be believed.
    #[must_use]
    pub fn with_clock(self, clock: ClockTrust) -> Self {
        Batch { clock, ..self }
    }

    /// The same batch at another time (a series' timestamps must rise strictly).
    #[must_use]
    pub fn at_time(self, at: Millis) -> Self {
        Batch { at, ..self }
    }

    /// Who says it.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The one time of all its samples.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// Whether absent series have ended.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether its time may be believed.
    pub fn clock(&self) -> ClockTrust {
        self.clock
    }

    /// What is said.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The same, to keep.
    pub fn shared_families(&self) -> Arc<[Family]> {
        self.families.clone()
    }

    /// How many series it holds.
    pub fn series_count(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }
}

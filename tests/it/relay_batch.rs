//! Batches of relayed pages for tests, built of a few words.

use fleetpush::sample::{
    Batch, Exemplar, Family, Kind, LabelName, Labels, MetricName, Millis, Own, Role, Scope, Series, Source,
    Text, Value,
};

pub fn target(job: &str, instance: &str) -> Source {
    Source::Target { job: job.into(), instance: instance.into() }
}

/// Labels of any names, with empty values left out.
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    let named = pairs
        .iter()
        .map(|(name, value)| (LabelName::relayed(&Text::from(*name)).expect("a name"), Text::from(*value)));
    Labels::new(named).expect("no twins")
}

pub fn series(pairs: &[(&str, &str)], value: f64) -> Series {
    Series { labels: labels(pairs), value: Value::from(value), own: None }
}

pub fn exemplar(pairs: &[(&str, &str)], value: f64, at: Option<i64>) -> Exemplar {
    Exemplar { labels: labels(pairs), value: Value::from(value), at: at.map(Millis) }
}

/// The same series with something of its own.
pub fn with(series: Series, own: Own) -> Series {
    Series { own: Some(Box::new(own)), ..series }
}

/// A family that is told under its own name.
pub fn family(name: &str, kind: Kind, series: Vec<Series>) -> Family {
    Family {
        name: MetricName::relayed(&Text::from(name)).expect("a name"),
        of: None,
        kind,
        help: format!("What {name} means").as_str().into(),
        unit: "".into(),
        role: Role::Relayed,
        series,
    }
}

/// A part of a histogram or summary, or an OpenMetrics counter.
pub fn part(base: &str, end: &str, kind: Kind, series: Vec<Series>) -> Family {
    let of = Some(MetricName::relayed(&Text::from(base)).expect("a name"));
    Family {
        of,
        help: format!("What {base} means").as_str().into(),
        ..family(&format!("{base}{end}"), kind, series)
    }
}

/// What a page with these families makes of a target: each series gets the target's labels where it lacks them.
pub fn batch(source: &Source, at: i64, families: Vec<Family>) -> Batch {
    let Source::Target { job, instance } = source else { panic!("{source} is no target") };
    let own = labels(&[("job", job), ("instance", instance)]);
    let families = families.into_iter().map(|family| Family {
        series: family
            .series
            .into_iter()
            .map(|one| Series { labels: one.labels.with_missing(&own), ..one })
            .collect(),
        ..family
    });
    Batch::new(source.clone(), Millis(at), Scope::Whole, families.collect()).expect("no twins")
}

/// A target that is no more.
pub fn gone(source: &Source, at: i64) -> Batch {
    Batch::new(source.clone(), Millis(at), Scope::Whole, Vec::new()).expect("nothing")
}

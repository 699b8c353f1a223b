//! The program's own pushes leave the same groups at the simulated Pushgateway as at the real ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetpush::clock::Clock;
use fleetpush::config::Gateway;
use fleetpush::demo::receiver::Personality;
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Latest, MetricName, Millis, Role, Scope, Series, Source, Value,
};
use fleetpush::sink::pushgateway::Pusher;
use fleetpush::telemetry::Telemetry;
use tokio::time::Instant;

use super::push::{Groups, put, real_groups, simulated_groups};
use crate::remote_rig::{LIMIT, Rig, labels, now, simulated};
use crate::servers::{Pushgateway, Suite};

/// The source of the counts.
fn account() -> Source {
    Source::Account("balena".into())
}

fn family(name: &str, kind: Kind, role: Role, series: &[(&str, f64)]) -> Family {
    let series = series.iter().map(|(fleet, value)| Series {
        labels: labels(&[("fleet_name", fleet)]),
        value: Value::from(*value),
        own: None,
    });
    let name = MetricName::new(name).expect("a name");
    Family {
        name,
        kind,
        help: "Help \\ of\n\"it\".".into(),
        role,
        series: series.collect(),
        of: None,
        unit: "".into(),
    }
}

fn latest(source: Source, scope: Scope, families: Vec<Family>) -> Latest {
    let batch = Batch::new(source.clone(), Millis(now()), scope, families).expect("no twins");
    Arc::new(BTreeMap::from([(source, Arc::new(batch))]))
}

/// After each push: a whole batch, the state alone, the program's own metrics, a deletion.
async fn groups_of(url: &str, groups: impl AsyncFn() -> Groups) -> Vec<Groups> {
    let gateway = Gateway {
        name: "test".into(),
        url: url.parse().expect("a URL"),
        grouping: vec![(LabelName::new("site").expect("a name"), "a/b ü?#%+".into())],
        delete_on_exit: false,
        http: Rig::new(url).endpoint.http,
    };
    let pusher = Pusher::new(gateway, "my job".into(), "..".into(), Clock::SYSTEM, Telemetry::new())
        .expect("usable settings");
    let devices = [
        ("", 1.0),
        ("a\"b\\c\nd", -2.5),
        ("{ünï} 漢字 🚀", 1e300),
        ("nan", f64::NAN),
        ("inf", f64::INFINITY),
    ];
    let counts = family("balena_devices", Kind::Gauge, Role::Fleet, &devices);
    let state = |value| family("balena_up", Kind::Gauge, Role::State, &[("state", value)]);
    let own = family("fleetpush_ticks_missed_total", Kind::Counter, Role::State, &[("own", 3.0)]);
    let steps = [
        latest(account(), Scope::Whole, vec![counts, state(1.0)]),
        latest(account(), Scope::StateOnly, vec![state(0.0)]),
        latest(Source::Own, Scope::Whole, vec![own]),
    ];
    let mut seen = Vec::new();
    for latest in &steps {
        for (_, outcome) in pusher.push_all(latest, Instant::now() + LIMIT).await {
            outcome.expect("it is taken");
        }
        seen.push(groups().await);
    }
    assert_eq!(pusher.delete(&[account()]).await.expect("it is deleted"), 1);
    // A deletion is answered before it is done, a push after what was to be done before it.
    assert_eq!(put("last", "last 1\n", 200).send(url).await.0, 200);
    seen.push(groups().await);
    seen
}

#[tokio::test]
async fn our_own_pushes_leave_the_same_groups_at_every_gateway() {
    let server = simulated(Personality::Prometheus3).await;
    let expected = groups_of(&server.base_url(), async || simulated_groups(&server)).await;
    let sizes: Vec<usize> =
        expected.iter().map(|groups| groups.values().map(|group| group.3.len()).sum()).collect();
    assert_eq!(sizes, [2, 2, 3, 2]);
    for suite in Suite::ALL {
        let gateway = Pushgateway::start(suite, &[]).await;
        assert_eq!(
            groups_of(gateway.url(), async || real_groups(&gateway).await).await,
            expected,
            "{suite:?}"
        );
    }
}

//! An account that tells the time: the devices of one fleet, counted by status, are the digits of a number
//! that rises every few milliseconds. So the counts of two cycles are never equal, and each says when it was
//! taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetpush::demo::balena::{Device, Fleet, Simulation};
use fleetpush::demo::receiver::{Labels, Sample};
use tokio::task::JoinHandle;

use crate::remote_rig::now;

const FLEET: &str = "odometer";
const EVERY: Duration = Duration::from_millis(5);
const DIGITS: [fn() -> Device; 6] = [
    Device::operational,
    Device::disconnected,
    Device::reduced,
    Device::updating,
    Device::configuring,
    Device::post_provisioning,
];
const STATUSES: [&str; 6] =
    ["operational", "disconnected", "reduced-functionality", "updating", "configuring", "post-provisioning"];

pub struct Odometer {
    pub simulation: Simulation,
    /// When each number was about to be shown, milliseconds since the epoch.
    shown: Arc<Mutex<Vec<i64>>>,
    task: JoinHandle<()>,
}

impl Drop for Odometer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Odometer {
    pub fn start() -> Self {
        let simulation = Simulation::new().with(Fleet::new("acme", "quiet").device(&Device::operational()));
        let id = simulation.add(Fleet::new("acme", FLEET));
        let shown = Arc::new(Mutex::new(vec![now()]));
        let (driven, times) = (simulation.clone(), shown.clone());
        let task = tokio::spawn(async move {
            for number in 1_usize.. {
                tokio::time::sleep(EVERY).await;
                let digits = DIGITS.iter().enumerate().flat_map(|(place, device)| {
                    let digit = number / 10_usize.pow(u32::try_from(place).expect("one of six")) % 10;
                    std::iter::repeat_with(device).take(digit)
                });
                times.lock().expect("no panic").push(now());
                driven.set_devices(id, digits.collect());
            }
        });
        Self { simulation, shown, task }
    }

    /// Holds what a receiver has stored against what was shown; says how many cycles it has.
    pub fn compare(&self, stored: &BTreeMap<Labels, Vec<Sample>>) -> usize {
        let mut cycles = BTreeMap::<i64, usize>::new();
        let mut seen = 0;
        for (place, status) in STATUSES.iter().enumerate() {
            let wanted = |labels: &Labels| {
                let has = |name: &str, value: &str| labels.get(name).is_some_and(|have| have == value);
                has("__name__", "balena_devices_by_status")
                    && has("fleet_name", FLEET)
                    && has("status", status)
            };
            for sample in stored.iter().filter(|(labels, _)| wanted(labels)).flat_map(|(_, samples)| samples)
            {
                let weight = 10_usize.pow(u32::try_from(place).expect("one of six"));
                *cycles.entry(sample.timestamp).or_default() += sample.value() as usize * weight;
                seen += 1;
            }
        }
        assert_eq!(seen, cycles.len() * STATUSES.len(), "a cycle came without some of its statuses");
        let shown = self.shown.lock().expect("no panic").clone();
        let times: Vec<(i64, usize)> = cycles.into_iter().collect();
        for (place, (at, number)) in times.iter().enumerate() {
            let (before, after) = (place.checked_sub(1).map(|place| times[place]), times.get(place + 1));
            if let Some((earlier, less)) = before {
                assert!(less <= *number, "{number} at {at} is less than {less} before");
                let gone = shown.get(number + 1).copied().unwrap_or(i64::MAX);
                assert!(gone + 50 >= earlier, "{number} at {at} was not shown any more at {earlier}");
            }
            if let Some((later, _)) = after {
                assert!(shown[*number] <= *later, "{number} at {at} was not shown before {later}");
            }
        }
        times.len()
    }
}

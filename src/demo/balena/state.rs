//! The simulated account.
//! In: changes at run time. Out: rows for the API, and the truth for tests to compare with.
//! Never: HTTP.

use std::sync::{Arc, Mutex};

use super::super::http::lock;
use super::fleet::{Device, Fleet, slug};

/// The rows; the order is the order of an answer that asks for none.
#[derive(Debug)]
pub(super) struct State {
    pub(super) fleets: Vec<Fleet>,
    /// Devices that belong to no fleet.
    pub(super) orphans: Vec<Device>,
    /// Position + 1 is the id.
    pub(super) organizations: Vec<String>,
    /// Position + 1 is the id.
    pub(super) device_types: Vec<String>,
    next_fleet: i64,
    next_device: i64,
    random: fastrand::Rng,
}

impl State {
    fn settle(&mut self, fleet: &mut Fleet) {
        if fleet.id == 0 {
            fleet.id = self.next_fleet;
        }
        self.next_fleet = self.next_fleet.max(fleet.id + 1);
        if fleet.uuid.is_empty() {
            fleet.uuid = hex(&mut self.random);
        }
        intern(&mut self.organizations, &fleet.organization);
        intern(&mut self.device_types, &fleet.device_type);
        self.settle_devices(&mut fleet.devices);
    }

    fn settle_devices(&mut self, devices: &mut [Device]) {
        for device in devices {
            if device.id == 0 {
                device.id = self.next_device;
            }
            self.next_device = self.next_device.max(device.id + 1);
            if device.uuid.is_empty() {
                device.uuid = hex(&mut self.random);
            }
            if device.name.is_empty() {
                device.name = format!("device-{}", device.id);
            }
            if let Some(slug) = &device.device_type {
                intern(&mut self.device_types, slug);
            }
        }
    }

    /// A row that was changed moves to the end, as in the real database.
    fn change(&mut self, id: i64, change: impl FnOnce(&mut Fleet)) -> bool {
        let Some(position) = self.fleets.iter().position(|fleet| fleet.id == id) else { return false };
        let mut fleet = self.fleets.remove(position);
        change(&mut fleet);
        self.settle(&mut fleet);
        self.fleets.push(fleet);
        true
    }

    fn tick(&mut self) {
        let mut random = self.random.fork();
        let mut new = Vec::new();
        for fleet in &mut self.fleets {
            for device in &mut fleet.devices {
                if random.u8(..) < 13 {
                    let (id, uuid, name) = (device.id, device.uuid.clone(), device.name.clone());
                    *device = Device { id, uuid, name, ..some_device(&mut random, device.is_online) };
                }
            }
            if random.u8(..) < 5 {
                new.push(fleet.id);
            }
            if fleet.devices.len() > 2 && random.u8(..) < 5 {
                fleet.devices.remove(random.usize(..fleet.devices.len()));
            }
        }
        for id in new {
            let mut device = [Device::configuring()];
            self.settle_devices(&mut device);
            if let Some(fleet) = self.fleets.iter_mut().find(|fleet| fleet.id == id) {
                fleet.devices.extend(device);
            }
        }
    }
}

/// A device in some state; what was online mostly goes, what was not mostly comes.
fn some_device(random: &mut fastrand::Rng, was_online: bool) -> Device {
    match (random.u8(..8), was_online) {
        (0, _) => Device::updating(),
        (1, _) => Device::reduced(),
        (2, _) => Device::without_vpn(),
        (_, true) => Device::disconnected(),
        (_, false) => Device::operational(),
    }
}

fn hex(random: &mut fastrand::Rng) -> String {
    format!("{:032x}", random.u128(..))
}

fn intern(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|have| have == name) {
        names.push(name.to_owned());
    }
}

/// The account that a simulated API serves. Clones share it: a test changes it while the server runs.
#[derive(Clone, Debug)]
pub struct Simulation(Arc<Mutex<State>>);

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulation {
    /// An account without fleets.
    pub fn new() -> Self {
        Self::seeded(1)
    }

    fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            fleets: Vec::new(),
            orphans: Vec::new(),
            organizations: Vec::new(),
            device_types: Vec::new(),
            next_fleet: 1,
            next_device: 1,
            random: fastrand::Rng::with_seed(seed),
        })))
    }

    /// An account of many fleets in three organizations, nine devices of ten online; the same for the same seed.
    pub fn generate(fleets: usize, devices_per_fleet: usize, seed: u64) -> Self {
        const PLACES: [&str; 6] = ["lobby", "kiosk", "gateway", "signage", "sensor", "camera"];
        const TYPES: [&str; 3] = ["raspberrypi4-64", "intel-nuc", "raspberrypi3"];
        const ORGANIZATIONS: [&str; 3] = ["acme", "globex", "initech"];
        let simulation = Self::seeded(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        for number in 0..fleets {
            let place = PLACES[number % PLACES.len()];
            let name = if number < PLACES.len() { place.to_owned() } else { format!("{place}-{number}") };
            let fleet = Fleet::new(ORGANIZATIONS[number % ORGANIZATIONS.len()], &name)
                .device_type(TYPES[random.usize(..TYPES.len())]);
            let devices = (0..devices_per_fleet).map(|_| some_device(&mut random, false)).collect::<Vec<_>>();
            simulation.add(Fleet { devices, ..fleet });
        }
        simulation
    }

    /// Adds a fleet and returns its id.
    pub fn add(&self, mut fleet: Fleet) -> i64 {
        let mut state = lock(&self.0);
        state.settle(&mut fleet);
        let id = fleet.id;
        state.fleets.push(fleet);
        id
    }

    /// As [`Self::add`], for a chain of them.
    #[must_use]
    pub fn with(self, fleet: Fleet) -> Self {
        self.add(fleet);
        self
    }

    /// Adds a device that belongs to no fleet.
    pub fn add_orphan(&self, device: Device) {
        let mut state = lock(&self.0);
        let mut device = [device];
        state.settle_devices(&mut device);
        state.orphans.extend(device);
    }

    /// Deletes a fleet and its devices.
    pub fn remove(&self, id: i64) -> bool {
        let mut state = lock(&self.0);
        let before = state.fleets.len();
        state.fleets.retain(|fleet| fleet.id != id);
        state.fleets.len() != before
    }

    /// Renames a fleet: name and slug change, the id stays.
    pub fn rename(&self, id: i64, app_name: &str) -> bool {
        self.change(id, |fleet| {
            app_name.clone_into(&mut fleet.app_name);
            fleet.slug = slug(&fleet.organization, app_name);
        })
    }

    /// Replaces a fleet's devices.
    pub fn set_devices(&self, id: i64, devices: Vec<Device>) -> bool {
        self.change(id, |fleet| fleet.devices = devices)
    }

    /// Changes anything of a fleet.
    pub fn change(&self, id: i64, change: impl FnOnce(&mut Fleet)) -> bool {
        lock(&self.0).change(id, change)
    }

    /// Lets devices come and go a little; the same after the same seed.
    pub fn tick(&self) {
        lock(&self.0).tick();
    }

    /// All fleets as they are now.
    pub fn fleets(&self) -> Vec<Fleet> {
        lock(&self.0).fleets.clone()
    }

    /// The fleet of this slug.
    pub fn fleet(&self, slug: &str) -> Option<Fleet> {
        lock(&self.0).fleets.iter().find(|fleet| fleet.slug == slug).cloned()
    }

    /// How many devices of the fleet of this slug are online.
    pub fn online(&self, slug: &str) -> Option<usize> {
        lock(&self.0).fleets.iter().find(|fleet| fleet.slug == slug).map(Fleet::online)
    }

    /// How many devices the fleet of this slug has.
    pub fn total(&self, slug: &str) -> Option<usize> {
        lock(&self.0).fleets.iter().find(|fleet| fleet.slug == slug).map(|fleet| fleet.devices.len())
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&lock(&self.0))
    }
}

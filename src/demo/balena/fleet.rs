//! Fleets and devices of the simulated account, with builders for tests.
//! In: builders. Out: plain rows. Never: what changes while the simulation runs.

use std::borrow::Cow;

/// A word of the API: one of the known ones, or whatever a test puts there.
pub type Word = Cow<'static, str>;

/// One device.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Given by the simulation when 0.
    pub id: i64,
    /// 32 hex digits, given by the simulation when empty.
    pub uuid: String,
    /// Given by the simulation when empty.
    pub name: String,
    /// `is_online`: the connection to the VPN, and nothing else.
    pub is_online: bool,
    /// `is_connected_to_vpn`.
    pub is_connected_to_vpn: bool,
    /// `online`, `timeout`, `offline` or `unknown`.
    pub api_heartbeat_state: Word,
    /// In the words of v7; v6 is translated.
    pub overall_status: Word,
    /// `null` unless something is being fetched.
    pub overall_progress: Option<i64>,
    /// `balenaOS 6.1.24`, or `null` before the first contact.
    pub os_version: Option<Word>,
    /// `prod`, `dev` or `null`.
    pub os_variant: Option<Word>,
    /// `17.0.1`, or `null`.
    pub supervisor_version: Option<Word>,
    /// `is_undervolted`.
    pub is_undervolted: bool,
    /// Slug of the device type, the fleet's when `None`.
    pub device_type: Option<Word>,
}

impl Device {
    fn state(vpn: bool, heartbeat: &'static str, status: &'static str) -> Self {
        Self {
            id: 0,
            uuid: String::new(),
            name: String::new(),
            is_online: vpn,
            is_connected_to_vpn: vpn,
            api_heartbeat_state: Cow::Borrowed(heartbeat),
            overall_status: Cow::Borrowed(status),
            overall_progress: (status == "updating").then_some(42),
            os_version: Some(Cow::Borrowed("balenaOS 6.1.24")),
            os_variant: Some(Cow::Borrowed("prod")),
            supervisor_version: Some(Cow::Borrowed("17.0.1")),
            is_undervolted: false,
            device_type: None,
        }
    }

    /// Online and well.
    pub fn operational() -> Self {
        Self::state(true, "online", "operational")
    }

    /// Gone: no VPN, no heartbeat.
    pub fn disconnected() -> Self {
        Self::state(false, "offline", "disconnected")
    }

    /// On the VPN, but its heartbeat is late; counts as online.
    pub fn reduced() -> Self {
        Self::state(true, "timeout", "reduced-functionality")
    }

    /// Alive by its heartbeat, but without the VPN; does not count as online.
    pub fn without_vpn() -> Self {
        Self::state(false, "online", "reduced-functionality")
    }

    /// Online and fetching a release.
    pub fn updating() -> Self {
        Self::state(true, "online", "updating")
    }

    /// Never seen yet.
    pub fn configuring() -> Self {
        let new = Self::state(false, "unknown", "configuring");
        Self { os_version: None, os_variant: None, supervisor_version: None, ..new }
    }

    /// Flashed, waiting to be started again.
    pub fn post_provisioning() -> Self {
        Self::state(false, "unknown", "post-provisioning")
    }

    /// The same device with another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// One fleet, block or app.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// Given by the simulation when 0.
    pub id: i64,
    /// `app_name`; not unique across organizations.
    pub app_name: String,
    /// Handle of the organization.
    pub organization: String,
    /// `handle/name` in lower case, unique.
    pub slug: String,
    /// 32 hex digits.
    pub uuid: String,
    /// Slug of the device type.
    pub device_type: Word,
    /// `is_of__class`: `fleet`, `block` or `app`.
    pub class: Word,
    /// `is_archived`.
    pub is_archived: bool,
    /// `is_public`: anybody sees it, even with a bad key.
    pub is_public: bool,
    /// `is_host`.
    pub is_host: bool,
    /// Whether the key's owner is a member; others' fleets show only when public.
    pub is_directly_accessible: bool,
    /// Its devices.
    pub devices: Vec<Device>,
}

impl Fleet {
    /// An empty fleet of a member of the organization.
    pub fn new(organization: &str, app_name: &str) -> Self {
        Self {
            id: 0,
            app_name: app_name.to_owned(),
            organization: organization.to_owned(),
            slug: slug(organization, app_name),
            uuid: String::new(),
            device_type: Cow::Borrowed("raspberrypi4-64"),
            class: Cow::Borrowed("fleet"),
            is_archived: false,
            is_public: false,
            is_host: false,
            is_directly_accessible: true,
            devices: Vec::new(),
        }
    }

    /// Adds so many devices like this one.
    #[must_use]
    pub fn devices(mut self, count: usize, like: &Device) -> Self {
        self.devices.extend(std::iter::repeat_n(like, count).cloned());
        self
    }

    /// Adds one device.
    #[must_use]
    pub fn device(self, device: &Device) -> Self {
        self.devices(1, device)
    }

    /// Sets the id; ids must be unique.
    #[must_use]
    pub fn id(mut self, id: i64) -> Self {
        self.id = id;
        self
    }

    /// Sets the device type.
    #[must_use]
    pub fn device_type(mut self, slug: &str) -> Self {
        self.device_type = Cow::Owned(slug.to_owned());
        self
    }

    /// Sets the class: `block` or `app`.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        self.class = Cow::Owned(class.to_owned());
        self
    }

    /// Archives it.
    #[must_use]
    pub fn archived(mut self) -> Self {
        self.is_archived = true;
        self
    }

    /// Lets anybody see it.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Makes it the host OS of something.
    #[must_use]
    pub fn host(mut self) -> Self {
        self.is_host = true;
        self
    }

    /// Makes it somebody else's.
    #[must_use]
    pub fn foreign(mut self) -> Self {
        self.is_directly_accessible = false;
        self
    }

    /// How many of its devices are online.
    pub fn online(&self) -> usize {
        self.count(|device| device.is_online)
    }

    /// How many of its devices are such.
    pub fn count(&self, such: impl Fn(&Device) -> bool) -> usize {
        self.devices.iter().filter(|device| such(device)).count()
    }
}

/// The slug of a fleet of this name.
pub(super) fn slug(organization: &str, app_name: &str) -> String {
    format!("{organization}/{app_name}").to_lowercase()
}

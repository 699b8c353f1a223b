//! What fields and neighbours the rows of the simulated API have, and who may see them.
//! In: the simulation's state, a version, a caller. Out: rows and their values. Never: the query language.

use std::borrow::Cow;

use super::fleet::{Device, Fleet};
use super::state::State;

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fleet,
    Device,
    Organization,
    DeviceType,
    Release,
    User,
}

/// One row of a resource.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    Fleet(&'a Fleet),
    Device(&'a Device, Option<&'a Fleet>),
    /// Organizations and device types: an id and a word.
    Named(Kind, i64, &'a str),
    User,
}

/// One value of a field.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    /// A row of another resource, unexpanded.
    Ref(i64),
}

const CREATED: &str = "2026-11-23T20:17:28.390Z";

const FLEET: &[&str] = &[
    "created_at",
    "modified_at",
    "id",
    "actor",
    "should_track_latest_release",
    "is_of__class",
    "organization",
    "app_name",
    "slug",
    "is_for__device_type",
    "should_be_running__release",
    "application_type",
    "is_host",
    "is_archived",
    "uuid",
    "is_public",
];

const DEVICE: &[&str] = &[
    "created_at",
    "modified_at",
    "id",
    "actor",
    "api_heartbeat_state",
    "uuid",
    "local_id",
    "device_name",
    "note",
    "is_of__device_type",
    "belongs_to__application",
    "is_online",
    "last_connectivity_event",
    "is_connected_to_vpn",
    "last_vpn_event",
    "is_locked_until__date",
    "public_address",
    "ip_address",
    "mac_address",
    "memory_usage",
    "memory_total",
    "storage_block_device",
    "storage_usage",
    "storage_total",
    "cpu_temp",
    "cpu_usage",
    "cpu_id",
    "is_undervolted",
    "is_running__release",
    "is_pinned_on__release",
    "should_be_running__release",
    "os_version",
    "os_variant",
    "supervisor_version",
    "provisioning_progress",
    "provisioning_state",
    "status",
    "api_secret",
    "update_status",
    "last_update_status_event",
    "overall_status",
    "overall_progress",
];

/// The fields of a resource in the order of an answer without `$select`.
pub(super) fn fields(kind: Kind, version: u8) -> Vec<&'static str> {
    match kind {
        Kind::Fleet => {
            let mut all = FLEET.to_vec();
            if version < 7 {
                all.insert(11, "depends_on__application");
            }
            all
        }
        Kind::Device => {
            DEVICE.iter().filter(|name| version >= 7 || **name != "is_pinned_on__release").copied().collect()
        }
        Kind::Organization => vec!["created_at", "id", "name", "handle"],
        Kind::DeviceType => vec!["created_at", "id", "slug", "name"],
        Kind::Release => vec!["created_at", "id", "commit", "raw_version", "status", "is_final"],
        Kind::User => vec!["id", "username"],
    }
}

/// Where a navigation leads.
pub(super) fn neighbour(kind: Kind, name: &str, version: u8) -> Option<Kind> {
    Some(match (kind, name) {
        (Kind::Fleet, "owns__device") => Kind::Device,
        (Kind::Fleet, "organization") => Kind::Organization,
        (Kind::Fleet, "is_for__device_type") | (Kind::Device, "is_of__device_type") => Kind::DeviceType,
        (Kind::Fleet, "should_be_running__release" | "owns__release")
        | (Kind::Device, "is_running__release" | "should_be_running__release") => Kind::Release,
        (Kind::Device, "is_pinned_on__release") if version >= 7 => Kind::Release,
        (Kind::Fleet, "is_directly_accessible_by__user") => Kind::User,
        (Kind::Device, "belongs_to__application") => Kind::Fleet,
        _ => return None,
    })
}

/// The state as one caller sees it through one version.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) version: u8,
    /// A caller whose key is not valid.
    pub(super) guest: bool,
}

impl<'a> View<'a> {
    /// The rows of a resource that the caller may see, `None` for resources that do not exist for anybody.
    pub(super) fn all(&self, resource: &str) -> Option<(Kind, Vec<Row<'a>>)> {
        let state = self.state;
        let named = |kind, names: &'a [String]| {
            (1..).zip(names).map(|(id, name)| Row::Named(kind, id, name)).collect::<Vec<_>>()
        };
        Some(match resource {
            "application" => {
                let seen = state.fleets.iter().filter(|fleet| fleet.is_public || self.is_member(fleet));
                (Kind::Fleet, seen.map(Row::Fleet).collect())
            }
            "device" => {
                let owned = state.fleets.iter().flat_map(|fleet| self.devices(fleet));
                let orphans = state.orphans.iter().map(|device| Row::Device(device, None));
                (Kind::Device, owned.chain(orphans).collect())
            }
            "organization" if !self.guest => {
                (Kind::Organization, named(Kind::Organization, &state.organizations))
            }
            "device_type" => (Kind::DeviceType, named(Kind::DeviceType, &state.device_types)),
            "release" => (Kind::Release, Vec::new()),
            _ => return None,
        })
    }

    fn is_member(&self, fleet: &Fleet) -> bool {
        fleet.is_directly_accessible && !self.guest
    }

    fn devices(&self, fleet: &'a Fleet) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let visible = self.is_member(fleet);
        fleet.devices.iter().filter(move |_| visible).map(move |device| Row::Device(device, Some(fleet)))
    }

    fn device_type(&self, slug: &str) -> i64 {
        position(&self.state.device_types, slug)
    }

    /// The rows behind a navigation that [`neighbour`] knows.
    pub(super) fn follow(&self, row: Row<'a>, name: &str) -> Vec<Row<'a>> {
        let device_type = |slug: &'a str| vec![Row::Named(Kind::DeviceType, self.device_type(slug), slug)];
        match (row, name) {
            (Row::Fleet(fleet), "owns__device") => self.devices(fleet).collect(),
            (Row::Fleet(fleet), "organization") => {
                let id = position(&self.state.organizations, &fleet.organization);
                vec![Row::Named(Kind::Organization, id, &fleet.organization)]
            }
            (Row::Fleet(fleet), "is_for__device_type") => device_type(&fleet.device_type),
            (Row::Fleet(fleet), "is_directly_accessible_by__user") if self.is_member(fleet) => {
                vec![Row::User]
            }
            (Row::Device(device, fleet), "is_of__device_type") => {
                device_type_of(device, fleet).map(device_type).unwrap_or_default()
            }
            (Row::Device(_, Some(fleet)), "belongs_to__application") => vec![Row::Fleet(fleet)],
            _ => Vec::new(),
        }
    }

    /// The value of a field, `None` when there is no such field.
    pub(super) fn field(&self, row: Row<'a>, name: &str) -> Option<Value<'a>> {
        match row {
            Row::Fleet(fleet) => self.fleet_field(fleet, name),
            Row::Device(device, fleet) => self.device_field(device, fleet, name),
            Row::Named(kind, id, word) => Some(match (kind, name) {
                (_, "id") => Value::Int(id),
                (_, "created_at") => text(CREATED),
                (Kind::Organization, "handle") | (Kind::DeviceType, "slug") | (_, "name") => text(word),
                _ => return None,
            }),
            Row::User => Some(match name {
                "id" => Value::Int(2),
                "username" => text("admin"),
                _ => return None,
            }),
        }
    }

    fn actor(&self, id: i64) -> Value<'a> {
        if self.version < 7 { Value::Int(id) } else { Value::Ref(id) }
    }

    fn fleet_field(&self, fleet: &'a Fleet, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "id" => Value::Int(fleet.id),
            "app_name" => text(&fleet.app_name),
            "slug" => text(&fleet.slug),
            "uuid" => text(&fleet.uuid),
            "is_of__class" => text(&fleet.class),
            "is_archived" => Value::Bool(fleet.is_archived),
            "is_public" => Value::Bool(fleet.is_public),
            "is_host" => Value::Bool(fleet.is_host),
            "organization" => Value::Ref(position(&self.state.organizations, &fleet.organization)),
            "is_for__device_type" => Value::Ref(self.device_type(&fleet.device_type)),
            "created_at" | "modified_at" => text(CREATED),
            "actor" => self.actor(fleet.id + 2),
            "should_track_latest_release" => Value::Bool(false),
            "application_type" => Value::Ref(1),
            "should_be_running__release" => Value::Null,
            "depends_on__application" if self.version < 7 => Value::Null,
            _ => return None,
        })
    }

    fn device_field(&self, device: &'a Device, fleet: Option<&'a Fleet>, name: &str) -> Option<Value<'a>> {
        let word = |word: &'a Option<Cow<'static, str>>| word.as_deref().map_or(Value::Null, text);
        Some(match name {
            "id" => Value::Int(device.id),
            "is_online" => Value::Bool(device.is_online),
            "overall_status" => text(self.status(device)),
            "api_heartbeat_state" => text(&device.api_heartbeat_state),
            "is_connected_to_vpn" => Value::Bool(device.is_connected_to_vpn),
            "belongs_to__application" => fleet.map_or(Value::Null, |fleet| Value::Ref(fleet.id)),
            "uuid" => text(&device.uuid),
            "device_name" => text(&device.name),
            "overall_progress" => device.overall_progress.map_or(Value::Null, Value::Int),
            "os_version" => word(&device.os_version),
            "os_variant" => word(&device.os_variant),
            "supervisor_version" => word(&device.supervisor_version),
            "is_undervolted" => Value::Bool(device.is_undervolted),
            "is_of__device_type" => {
                device_type_of(device, fleet).map_or(Value::Null, |slug| Value::Ref(self.device_type(slug)))
            }
            "created_at" | "modified_at" | "last_connectivity_event" | "last_vpn_event" => text(CREATED),
            "actor" => self.actor(device.id + 1_000),
            "status" => text("Idle"),
            // What a client that selects everything would carry off.
            "api_secret" => text("simulated-device-secret"),
            "is_pinned_on__release" if self.version < 7 => return None,
            known if DEVICE.contains(&known) => Value::Null,
            _ => return None,
        })
    }

    fn status(&self, device: &'a Device) -> &'a str {
        match device.overall_status.as_ref() {
            "disconnected" if self.version < 7 => "offline",
            "operational" | "reduced-functionality" if self.version < 7 => "idle",
            other => other,
        }
    }
}

fn device_type_of<'a>(device: &'a Device, fleet: Option<&'a Fleet>) -> Option<&'a str> {
    device.device_type.as_deref().or(fleet.map(|fleet| fleet.device_type.as_ref()))
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn position(names: &[String], name: &str) -> i64 {
    (1..).zip(names).find(|(_, have)| *have == name).map_or(0, |(id, _)| id)
}

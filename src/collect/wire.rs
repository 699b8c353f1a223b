//! The API's JSON: an application list goes in, fleets with counted devices come out. No
//! device row is kept. Decoding is strict: another shape is an error, never a zero.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{BufReader, Read};
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// What an absent or empty status is counted as.
pub(super) const UNKNOWN: &str = "unknown";
/// Where a fleet's device rows hold more different words than this, further ones are [`OTHER`].
const WORDS: usize = 32;
const OTHER: &str = "other";

/// A device's status, which needs no memory of its own where it is a known one.
pub(super) type Word = Cow<'static, str>;

/// The words of both versions: nearly all that come.
const KNOWN: [&str; 13] = [
    "operational",
    "disconnected",
    "online",
    "offline",
    "timeout",
    UNKNOWN,
    "configuring",
    "inactive",
    "post-provisioning",
    "reduced-functionality",
    "updating",
    "idle",
    OTHER,
];

/// One fleet of the answer, its devices counted.
#[derive(Debug)]
pub(super) struct FleetRow {
    pub(super) id: u64,
    pub(super) app_name: String,
    pub(super) slug: String,
    pub(super) organization: String,
    pub(super) device_type: String,
    pub(super) devices: Tally,
}

/// A fleet's devices, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) total: u64,
    pub(super) online: u64,
    pub(super) statuses: BTreeMap<Word, u64>,
    pub(super) heartbeats: BTreeMap<Word, u64>,
}

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WhoAmI {
    /// The user's name.
    pub username: String,
}

/// Reads an application list.
pub(super) fn fleets(body: &[u8]) -> Result<Vec<FleetRow>, serde_json::Error> {
    checked(serde_json::from_slice(body)?)
}

/// Reads an application list to its end while it comes, which takes longer and less memory.
pub(super) fn streamed_fleets(body: impl Read) -> Result<Vec<FleetRow>, serde_json::Error> {
    // The parser asks for one byte at a time.
    checked(serde_json::from_reader(BufReader::new(body))?)
}

fn checked(answer: Object<Answer>) -> Result<Vec<FleetRow>, serde_json::Error> {
    let rows: Vec<FleetRow> = answer.0.d.into_iter().map(|row| row.0.into()).collect();
    let empty = rows.iter().find(|row| row.app_name.is_empty() || row.slug.is_empty());
    if let Some(row) = empty {
        return Err(serde_json::Error::custom(format!(
            "the fleet with id {} has an empty name or slug",
            row.id
        )));
    }
    let (mut ids, mut slugs) = (HashSet::new(), HashSet::new());
    match rows.iter().find(|row| !ids.insert(row.id) || !slugs.insert(&row.slug)) {
        Some(row) => Err(serde_json::Error::custom(format!("the fleet {:?} stands twice", row.slug))),
        None => Ok(rows),
    }
}

/// Reads the answer about the token's owner.
pub(super) fn whoami(body: &[u8]) -> Result<WhoAmI, serde_json::Error> {
    serde_json::from_slice::<Object<WhoAmI>>(body).map(|answer| answer.0)
}

#[derive(Deserialize)]
struct Answer {
    d: Vec<Object<Application>>,
}

#[derive(Deserialize)]
struct Application {
    id: u64,
    app_name: String,
    slug: String,
    organization: ToOne<Organization>,
    #[serde(rename = "is_for__device_type")]
    device_type: ToOne<DeviceType>,
    #[serde(rename = "owns__device")]
    devices: Tally,
}

#[derive(Deserialize)]
struct Organization {
    handle: String,
}

#[derive(Deserialize)]
struct DeviceType {
    slug: String,
}

#[derive(Deserialize)]
struct DeviceRow {
    is_online: bool,
    // `deserialize_with` makes an absent field an error, unlike a null.
    #[serde(deserialize_with = "word")]
    overall_status: Word,
    #[serde(deserialize_with = "word")]
    api_heartbeat_state: Word,
}

/// An expanded foreign key: a list of one, or of none.
type ToOne<T> = Vec<Object<T>>;

impl From<Application> for FleetRow {
    fn from(row: Application) -> Self {
        let organization = row.organization.into_iter().next().map(|one| one.0.handle);
        let device_type = row.device_type.into_iter().next().map(|one| one.0.slug);
        FleetRow {
            id: row.id,
            app_name: row.app_name,
            slug: row.slug,
            organization: organization.unwrap_or_default(),
            device_type: device_type.unwrap_or_default(),
            devices: row.devices,
        }
    }
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    deserializer.deserialize_option(WordVisitor)
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_none<E>(self) -> Result<Word, E> {
        Ok(Cow::Borrowed(UNKNOWN))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Word, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E>(self, text: &str) -> Result<Word, E> {
        Ok(match KNOWN.iter().find(|known| **known == text) {
            Some(known) => Cow::Borrowed(known),
            None if text.is_empty() => Cow::Borrowed(UNKNOWN),
            None => Cow::Owned(text.to_owned()),
        })
    }
}

impl Tally {
    fn add(&mut self, row: DeviceRow) {
        self.total += 1;
        self.online += u64::from(row.is_online);
        count(&mut self.statuses, row.overall_status);
        count(&mut self.heartbeats, row.api_heartbeat_state);
    }
}

fn count(words: &mut BTreeMap<Word, u64>, word: Word) {
    if let Some(number) = words.get_mut(&word) {
        *number += 1;
        return;
    }
    let word = if words.len() < WORDS { word } else { Cow::Borrowed(OTHER) };
    *words.entry(word).or_default() += 1;
}

impl<'de> Deserialize<'de> for Tally {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Counting)
    }
}

struct Counting;

impl<'de> Visitor<'de> for Counting {
    type Value = Tally;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of devices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Tally, A::Error> {
        let mut tally = Tally::default();
        while let Some(row) = rows.next_element::<Object<DeviceRow>>()? {
            tally.add(row.0);
        }
        Ok(tally)
    }
}

/// A structure that is read from a JSON object only: derived ones also take a list, in the order of
/// their fields.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

//! What a reader of the status page has asked for: words, an order, a page. What cannot be read is passed
//! over, never refused. Pure.

use serde::{Serialize, Serializer};
use url::form_urlencoded;

/// Longer wishes than a person types are cut.
const LONGEST: usize = 200;

/// The part of an address behind its `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words that a fleet's name or slug must all hold.
    pub search: String,
    /// The order of the fleets.
    pub sort: Sort,
    /// Which page of them, from 1 on.
    pub page: usize,
    /// Whether JSON is asked for.
    pub json: bool,
}

/// An order of fleets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What is compared.
    pub by: Column,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// What fleets can be compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The name.
    Name,
    /// Devices that are online.
    Online,
    /// Devices.
    Devices,
    /// Devices that are not online.
    Offline,
    /// The share of devices that is online.
    Share,
    /// How many more are online than an hour ago.
    Change,
}

impl Column {
    const ALL: [Column; 6] =
        [Column::Name, Column::Online, Column::Devices, Column::Offline, Column::Share, Column::Change];

    const fn as_str(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::Online => "online",
            Column::Devices => "devices",
            Column::Offline => "offline",
            Column::Share => "share",
            Column::Change => "change",
        }
    }

    /// The order that one most likely wants by it.
    pub const fn first(self) -> Sort {
        let descending = matches!(self, Column::Online | Column::Devices | Column::Offline);
        Sort { by: self, descending }
    }
}

impl Default for Sort {
    /// What needs a look comes first.
    fn default() -> Self {
        Column::Share.first()
    }
}

impl Sort {
    /// Every order, with its name for people.
    pub const ALL: [(Sort, &str); 12] = [
        (Column::Share.first(), "lowest share online"),
        (Column::Share.first().turned(), "highest share online"),
        (Column::Offline.first(), "most offline"),
        (Column::Offline.first().turned(), "fewest offline"),
        (Column::Change.first(), "greatest fall"),
        (Column::Change.first().turned(), "greatest rise"),
        (Column::Online.first(), "most online"),
        (Column::Online.first().turned(), "fewest online"),
        (Column::Devices.first(), "most devices"),
        (Column::Devices.first().turned(), "fewest devices"),
        (Column::Name.first(), "name, A to Z"),
        (Column::Name.first().turned(), "name, Z to A"),
    ];

    /// The other way round.
    #[must_use]
    pub const fn turned(self) -> Self {
        Sort { by: self.by, descending: !self.descending }
    }

    /// As it stands in an address.
    pub fn word(self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.by.as_str())
    }

    fn read(word: &str) -> Option<Self> {
        let (name, descending) = word.strip_prefix('-').map_or((word, false), |name| (name, true));
        let by = Column::ALL.into_iter().find(|column| column.as_str() == name)?;
        Some(Sort { by, descending })
    }
}

impl Serialize for Sort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word())
    }
}

impl Query {
    /// Reads what stands behind the `?`; of a name that stands twice the last counts.
    pub fn read(text: &str) -> Self {
        let mut query = Query { page: 1, ..Query::default() };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "q" => query.search = value.trim().chars().take(LONGEST).collect(),
                "sort" => query.sort = Sort::read(&value).unwrap_or_default(),
                "page" => query.page = value.parse().unwrap_or(1).max(1),
                "format" => query.json = value == "json",
                _ => {}
            }
        }
        query
    }

    /// The address of the same fleets, from the `?` on.
    pub fn address(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new("?".to_owned());
        if !self.search.is_empty() {
            pairs.append_pair("q", &self.search);
        }
        if self.sort != Sort::default() {
            pairs.append_pair("sort", &self.sort.word());
        }
        if self.page > 1 {
            pairs.append_pair("page", &self.page.to_string());
        }
        if self.json {
            pairs.append_pair("format", "json");
        }
        pairs.finish().replacen("?&", "?", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_and_written_back() {
        for address in [
            "?",
            "?q=north+1%26%3C%22&sort=-name",
            "?sort=name&page=3",
            "?q=%F0%9F%A6%8A",
            "?format=json",
            "?q=a&format=json",
        ] {
            assert_eq!(Query::read(address.trim_start_matches('?')).address(), address);
        }
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let plain = Query::read("");
        for odd in ["sort=up", "sort=--name", "page=0", "page=-1", "page=x", "format=xml", "&&=&x=%", "q=+++"]
        {
            assert_eq!(Query::read(odd), plain, "{odd}");
        }
        assert_eq!(Query::read("q=%ff%00").search, "\u{fffd}\0");
        assert_eq!(Query::read(&format!("q={}", "ä".repeat(999))).search.chars().count(), LONGEST);
        assert_eq!(Query::read("sort=name&sort=-devices").sort.word(), "-devices");
    }

    #[test]
    fn every_order_has_a_name() {
        for column in Column::ALL {
            for sort in [column.first(), column.first().turned()] {
                assert_eq!(
                    Sort::ALL.iter().filter(|(known, _)| *known == sort).count(),
                    1,
                    "{}",
                    sort.word()
                );
                assert_eq!(Sort::read(&sort.word()), Some(sort));
            }
        }
    }
}

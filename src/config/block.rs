//! From the tree of a YAML file to its blocks: each key is taken by the block that knows it and as the type
//! that it takes; every other key is told by name, with its place and the way out.

use super::ConfigError;
use super::foreign::{self, Foreign};
use super::reference::Section;
use super::value::{Place, Setting, nearest};
use super::yaml::{At, Node, Value};

/// A single value with its place.
pub(super) type Typed = Option<Setting>;

/// What reading a file needs and leaves.
pub(super) struct Reader<'a> {
    /// The file's name, for places.
    pub(super) path: &'a str,
    /// What was accepted without having a meaning here.
    pub(super) warnings: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn place(&self, at: At, key: &str) -> Place {
        Place::File { path: self.path.to_owned(), line: at.line, column: at.column, key: key.to_owned() }
    }

    pub(super) fn wrong(&self, at: At, key: &str, what: impl Into<String>) -> ConfigError {
        ConfigError::Setting { place: self.place(at, key).to_string(), what: what.into() }
    }

    /// A value of another type than its key takes.
    fn mismatch(&self, node: &Node, key: &str, wanted: Wanted) -> ConfigError {
        self.unfit(node, key, if key.is_empty() { "the file " } else { "" }, wanted)
    }

    fn unfit(&self, node: &Node, key: &str, what: &str, wanted: Wanted) -> ConfigError {
        let found = match node.value {
            Value::Empty => "nothing",
            Value::Text(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        let wanted = match wanted {
            Wanted::Single => "a single value",
            Wanted::List => "a list (lines that begin with `- `)",
            Wanted::Map => "a map (lines like `key: value`)",
        };
        self.wrong(node.at, key, format!("{what}must be {wanted}, not {found}"))
    }
}

/// What may stand somewhere. Nothing at all may stand everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Single,
    List,
    Map,
}

impl Wanted {
    fn fits(self, value: &Value) -> bool {
        match value {
            Value::Empty => true,
            Value::Text(_) => self == Wanted::Single,
            Value::List(_) => self == Wanted::List,
            Value::Map(_) => self == Wanted::Map,
        }
    }
}

/// What the value of a key is read as.
pub(super) trait Read: Sized {
    /// What must stand there.
    const WANTED: Wanted;

    /// The keys that may stand there, where it is a block or a list of them.
    const INSIDE: Option<&'static Section> = None;

    /// Reads the value that stands at `key`, which is written with dots.
    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError>;
}

/// A map of known keys.
pub(super) trait Block: Default {
    /// Its keys.
    const KEYS: &'static [&'static str];

    /// What is said of it and of its keys.
    const SECTION: &'static Section;

    /// Takes the value of one of [`Self::KEYS`].
    fn set(&mut self, name: &str, node: Node, key: &str, reader: &mut Reader<'_>) -> Result<(), ConfigError>;
}

/// Reads a block; nothing at all is a block without keys.
pub(super) fn block<T: Block>(node: Node, within: &str, reader: &mut Reader<'_>) -> Result<T, ConfigError> {
    let mut block = T::default();
    let entries = match node.value {
        Value::Empty => Vec::new(),
        Value::Map(entries) => entries,
        _ => return Err(reader.mismatch(&node, within, Wanted::Map)),
    };
    for (name, value) in entries {
        let key = if within.is_empty() { name.text.clone() } else { format!("{within}.{}", name.text) };
        if T::KEYS.contains(&name.text.as_str()) {
            block.set(&name.text, value, &key, reader)?;
            continue;
        }
        match foreign::find(&key) {
            Some(Foreign::Ignored(why)) => {
                let place = reader.place(name.at, &key);
                reader.warnings.push(format!("{place}: changes nothing here: {why}"));
            }
            Some(Foreign::Refused(way_out)) => return Err(reader.wrong(name.at, &key, way_out)),
            None => {
                let hint = match nearest(&name.text, T::KEYS.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the keys here are {}", T::KEYS.join(", ")),
                };
                return Err(reader.wrong(name.at, &key, format!("no such key; {hint}")));
            }
        }
    }
    Ok(block)
}

/// Declares blocks: a struct each, with a field for each key. What stands beside a key is the reference that
/// `make docs` writes: what it is and when to change it as its doc comment, behind `as` what it takes, behind `=` what
/// holds without it (in backticks where it could be typed so).
///
/// ```text
/// /// How long one request may take.
/// timeout: Typed as "duration" = "`60s`",
/// ```
macro_rules! blocks {
    ($(
        $(#[doc = $about:literal])*
        $block:ident { $(
            $(#[doc = $meaning:literal])*
            $field:ident $(= $name:literal)?: $kind:ty $(as $takes:literal)? $(= $default:literal)?,
        )* }
    )*) => { $(
        $(#[doc = $about])*
        #[derive(Debug, Default)]
        pub(super) struct $block { $($(#[doc = $meaning])* pub(super) $field: $kind,)* }

        impl $crate::config::block::Block for $block {
            const KEYS: &'static [&'static str] = &[$($crate::config::block::name!($field $($name)?)),*];

            const SECTION: &'static $crate::config::reference::Section = &$crate::config::reference::Section {
                name: stringify!($block),
                about: concat!($($about),*),
                keys: &[$($crate::config::reference::Key {
                    name: $crate::config::block::name!($field $($name)?),
                    takes: concat!($($takes)?),
                    default: concat!($($default)?),
                    meaning: concat!($($meaning),*),
                    list: matches!(
                        <$kind as $crate::config::block::Read>::WANTED,
                        $crate::config::block::Wanted::List
                    ),
                    inside: <$kind as $crate::config::block::Read>::INSIDE,
                }),*],
            };

            fn set(
                &mut self,
                name: &str,
                node: $crate::config::yaml::Node,
                key: &str,
                reader: &mut $crate::config::block::Reader<'_>,
            ) -> Result<(), $crate::config::ConfigError> {
                $(if name == $crate::config::block::name!($field $($name)?) {
                    self.$field = $crate::config::block::Read::read(node, key, reader)?;
                    return Ok(());
                })*
                Ok(())
            }
        }

        impl $crate::config::block::Read for $block {
            const WANTED: $crate::config::block::Wanted = $crate::config::block::Wanted::Map;
            const INSIDE: Option<&'static $crate::config::reference::Section> =
                Some(<$block as $crate::config::block::Block>::SECTION);

            fn read(
                node: $crate::config::yaml::Node,
                key: &str,
                reader: &mut $crate::config::block::Reader<'_>,
            ) -> Result<Self, $crate::config::ConfigError> {
                $crate::config::block::block(node, key, reader)
            }
        }
    )* };
}
pub(super) use blocks;

/// The name of a field's key.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}
pub(super) use name;

impl Read for Setting {
    const WANTED: Wanted = Wanted::Single;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let place = reader.place(node.at, key);
        match node.value {
            Value::Text(text) => Ok(Setting { text, place }),
            Value::Empty => Ok(Setting { text: String::new(), place }),
            _ => Err(reader.mismatch(&node, key, Self::WANTED)),
        }
    }
}

/// A setting where nothing at all means the empty text, as with some of Prometheus' keys.
#[derive(Debug, Default)]
pub(super) struct Given(pub(super) Typed);

impl Read for Given {
    const WANTED: Wanted = Wanted::Single;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        Setting::read(node, key, reader).map(|setting| Given(Some(setting)))
    }
}

/// Nothing at all is no setting.
impl<T: Read> Read for Option<T> {
    const WANTED: Wanted = T::WANTED;
    const INSIDE: Option<&'static Section> = T::INSIDE;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        match node.value {
            Value::Empty => Ok(None),
            _ => T::read(node, key, reader).map(Some),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    const WANTED: Wanted = Wanted::List;
    const INSIDE: Option<&'static Section> = T::INSIDE;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        match node.value {
            Value::Empty => Ok(Vec::new()),
            Value::List(all) => {
                let entry = |one: Node| match T::WANTED.fits(&one.value) {
                    true => T::read(one, key, reader),
                    false => Err(reader.unfit(&one, key, "each entry ", T::WANTED)),
                };
                all.into_iter().map(entry).collect()
            }
            _ => Err(reader.mismatch(&node, key, Self::WANTED)),
        }
    }
}

/// A map, or a list of maps.
#[derive(Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany(Vec::new())
    }
}

impl<T: Read> Read for OneOrMany<T> {
    const WANTED: Wanted = Wanted::Map;
    const INSIDE: Option<&'static Section> = T::INSIDE;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        match node.value {
            Value::Empty | Value::List(_) => Vec::read(node, key, reader).map(OneOrMany),
            Value::Map(_) => T::read(node, key, reader).map(|one| OneOrMany(vec![one])),
            Value::Text(_) => Err(reader.mismatch(&node, key, Self::WANTED)),
        }
    }
}

/// Something with its place.
#[derive(Debug)]
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

impl<T: Read> Read for Placed<T> {
    const WANTED: Wanted = T::WANTED;
    const INSIDE: Option<&'static Section> = T::INSIDE;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let place = reader.place(node.at, key);
        Ok(Placed { place, value: T::read(node, key, reader)? })
    }
}

/// Names of the operator's own and what stands at each, in the file's order.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Setting, T)>);

/// Names and values.
pub(super) type Pairs = Named<Setting>;
/// Names, each with a list of values.
pub(super) type Lists = Named<Vec<Typed>>;

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<T: Read> Read for Named<T> {
    const WANTED: Wanted = Wanted::Map;

    fn read(node: Node, key: &str, reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let entries = match node.value {
            Value::Empty => Vec::new(),
            Value::Map(entries) => entries,
            _ => return Err(reader.mismatch(&node, key, Self::WANTED)),
        };
        let entry = |(name, value): (super::yaml::Key, Node)| {
            let value = T::read(value, &format!("{key}.{}", name.text), reader)?;
            Ok((Setting { text: name.text, place: reader.place(name.at, key) }, value))
        };
        entries.into_iter().map(entry).collect::<Result<_, _>>().map(Named)
    }
}

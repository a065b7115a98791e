//! Maps of texts as attributes have them, in little memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::json::{ObjectWriter, Text};

/// Texts by name, in the order of the names. All lie in one stretch of memory: a large network has a
/// million of these maps with four entries each, and time and memory go with the number of stretches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Texts {
    /// Each name, and its text behind it.
    octets: String,
    /// Where each name and each text ends.
    ends: Vec<[usize; 2]>,
}

impl Texts {
    /// Those of `entries`; of several equal names the last one counts.
    fn of(mut entries: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Self {
        // Keeps the order of equal names.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let len = entries.iter().map(|(name, text)| name.len() + text.len());
        let mut texts = Self {
            octets: String::with_capacity(len.sum()),
            ends: Vec::with_capacity(entries.len()),
        };
        for (number, (name, text)) in entries.iter().enumerate() {
            if entries
                .get(number + 1)
                .is_some_and(|(next, _)| next == name)
            {
                continue;
            }
            texts.octets.push_str(name);
            let end = texts.octets.len();
            texts.octets.push_str(text);
            texts.ends.push([end, texts.octets.len()]);
        }
        texts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and texts, in the order of the names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut from = 0;
        self.ends.iter().map(move |[middle, end]| {
            let entry = (&self.octets[from..*middle], &self.octets[*middle..*end]);
            from = *end;
            entry
        })
    }

    /// The text of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut entries = self.iter();
        entries
            .find(|(found, _)| *found == name)
            .map(|(_, text)| text)
    }

    /// Writes them as an object at the end of `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        for (name, text) in self.iter() {
            object.any_text(name, text);
        }
        object.close();
    }

    /// The same with `text` as that of `name`.
    pub(super) fn with(&self, name: &str, text: &str) -> Self {
        let entries = self.iter().chain([(name, text)]);
        Self::of(
            entries
                .map(|(name, text)| (name.into(), text.into()))
                .collect(),
        )
    }
}

/// A null text is empty.
impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some((name, text)) = map.next_entry::<Text, Option<Text>>()? {
                    entries.push((name.0, text.map(|text| text.0).unwrap_or_default()));
                }
                Ok(Texts::of(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::json::value_into;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// A map of the standard library does the same.
        #[test]
        fn texts_are_a_map(entries in prop::collection::vec(("[a-c]{0,2}", "[x-z\"ä]{0,3}"), 0..8)) {
            let mut map = BTreeMap::new();
            let mut texts = Texts::default();
            let mut json = Vec::new();
            for (name, text) in &entries {
                map.insert(name.clone(), text.clone());
                texts = texts.with(name, text);
                json.push(format!("{name:?}:{}", serde_json::to_string(text).unwrap()));
            }
            let read: Texts = serde_json::from_str(&format!("{{{}}}", json.join(","))).unwrap();
            prop_assert_eq!(&read, &texts, "the last of equal names counts");
            let owned = texts.iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
            prop_assert_eq!(owned.collect::<BTreeMap<_, _>>(), map.clone());
            prop_assert!(texts.iter().map(|(name, _)| name).is_sorted());
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            texts.write(&mut found);
            value_into(&mut expected, &map);
            prop_assert_eq!(found, expected);
            prop_assert_eq!(texts.is_empty(), map.is_empty());
            for name in ["", "a", "b", "ab"] {
                prop_assert_eq!(texts.get(name), map.get(name).map(String::as_str));
            }
        }
    }
}

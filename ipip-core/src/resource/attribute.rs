//! To whom an address is assigned.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::json::{Extra, ObjectWriter, Text};
use super::texts::Texts;
use super::{parse_rfc3339, rfc3339};
use crate::name::HandleId;

/// Calico reserves addresses for Windows under this handle, in blocks that nobody uses otherwise.
const WINDOWS_RESERVED: &str = "windows-reserved-ipam-handle";

/// The owner of assigned addresses: a handle, by which they can be released, and what is known of
/// the workload (`namespace`, `pod`, `node`, …).
///
/// A block holds each attribute once, however many of its addresses share it, and a clone shares
/// what it was cloned from.
///
/// ```
/// use ipip_core::{name::HandleId, resource::Attribute};
/// let pod = Attribute::new(Some(HandleId::try_new("k8s-pod-network.3a1f")?))
///     .with("namespace", "default")
///     .with("pod", "podA");
/// assert_eq!(pod.handle(), Some("k8s-pod-network.3a1f"));
/// # Ok::<(), ipip_core::name::NameError>(())
/// ```
#[derive(Clone, Default)]
pub struct Attribute(Arc<Shared>);

#[derive(Default)]
struct Shared {
    fields: Fields,
    /// What counts of `handle_id`, in octets.
    handle_len: usize,
    /// The JSON and the hash, made when they are first needed, and then for all clones: a block is
    /// written and searched far more often than an attribute is made.
    json: OnceLock<Box<[u8]>>,
    hash: OnceLock<u64>,
    /// What is known of the workload, as callers want it.
    secondary: OnceLock<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Fields {
    handle_id: Option<String>,
    secondary: Texts,
    alternate_owner: Texts,
    released_at: Option<String>,
    extra: Extra,
}

impl Attribute {
    /// The owner `handle`, with nothing known of the workload. Without a handle the addresses can
    /// be released one by one only.
    #[must_use]
    pub fn new(handle: Option<HandleId>) -> Self {
        Self::from(Fields {
            handle_id: handle.map(|handle| handle.as_str().to_owned()),
            ..Fields::default()
        })
    }

    /// The same with `key` set to `value`; Calico's keys are `namespace`, `pod`, `node`, `type`
    /// and `timestamp`.
    #[must_use]
    pub fn with(self, key: &str, value: &str) -> Self {
        let mut fields = match Arc::try_unwrap(self.0) {
            Ok(shared) => shared.fields,
            Err(shared) => shared.fields.clone(),
        };
        fields.secondary = fields.secondary.with(key, value);
        Self::from(fields)
    }

    /// What stands for an address that was released at `time` (whole seconds) and is cooling down.
    pub(super) fn cooling_since(time: SystemTime) -> Self {
        Self::from(Fields {
            released_at: Some(rfc3339(time)),
            ..Fields::default()
        })
    }

    /// The handle, if there is one. Old Windows data ends it with `\r\n`, which does not count
    /// (cni-plugin issue 821).
    #[must_use]
    pub fn handle(&self) -> Option<&str> {
        self.0.fields.handle_id.as_deref()?.get(..self.0.handle_len)
    }

    /// What is known of the workload (`secondary` in the JSON).
    #[must_use]
    pub fn secondary(&self) -> &BTreeMap<String, String> {
        self.0.secondary.get_or_init(|| {
            let known = self.0.fields.secondary.iter();
            known
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        })
    }

    /// What `secondary` says of `key`; makes no map.
    pub(crate) fn known(&self, key: &str) -> Option<&str> {
        self.0.fields.secondary.get(key)
    }

    /// When the addresses were released, as RFC 3339 text, if they are cooling down: assigned for
    /// everybody, and owned by nobody.
    #[must_use]
    pub fn released_at(&self) -> Option<&str> {
        self.0.fields.released_at.as_deref()
    }

    /// Whether addresses with this attribute are cooling down, and so neither to be released nor
    /// anybody's.
    #[must_use]
    pub fn is_cooling_down(&self) -> bool {
        let fields = &self.0.fields;
        fields.released_at.is_some() && fields.handle_id.is_none() && fields.secondary.is_empty()
    }

    /// Whether Calico set the addresses aside for a Windows host; a block with no others is empty.
    #[must_use]
    pub fn is_windows_reserved(&self) -> bool {
        self.handle() == Some(WINDOWS_RESERVED)
    }

    /// When a cooling address was released; `None` too if the text is no instant.
    pub(super) fn cooling(&self) -> Option<SystemTime> {
        let released_at = self.released_at().filter(|_| self.is_cooling_down())?;
        parse_rfc3339(released_at)
    }

    /// The entry as Calico 3.32 and later write it: what is empty is left out. Earlier ones read a
    /// missing field as null.
    pub(super) fn json(&self) -> &[u8] {
        self.0.json.get_or_init(|| {
            let mut json = Vec::with_capacity(256);
            self.0.fields.write(&mut json);
            json.into_boxed_slice()
        })
    }

    /// Equal for equal attributes, and rarely for others.
    pub(super) fn hash(&self) -> u64 {
        *self.0.hash.get_or_init(|| {
            let fields = &self.0.fields;
            let mut hasher = DefaultHasher::new();
            (&fields.handle_id, &fields.secondary).hash(&mut hasher);
            (&fields.alternate_owner, &fields.released_at).hash(&mut hasher);
            hasher.finish()
        })
    }
}

impl From<Fields> for Attribute {
    fn from(fields: Fields) -> Self {
        let handle = fields.handle_id.as_deref().unwrap_or_default();
        Self(Arc::new(Shared {
            handle_len: handle.find('\r').unwrap_or(handle.len()),
            fields,
            ..Shared::default()
        }))
    }
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.hash() == other.hash() && self.json() == other.json()
    }
}

impl Eq for Attribute {}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({})", String::from_utf8_lossy(self.json()))
    }
}

impl Fields {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        if let Some(handle) = &self.handle_id {
            object.any_text("handle_id", handle);
        }
        if !self.secondary.is_empty() {
            object.field_with("secondary", |out| self.secondary.write(out));
        }
        if !self.alternate_owner.is_empty() {
            let texts = &self.alternate_owner;
            object.field_with("alternateOwnerAttrs", |out| texts.write(out));
        }
        if let Some(at) = &self.released_at {
            object.field("releasedAt", at);
        }
        object.end(&self.extra);
    }
}

/// A missing or null map is empty, a null text is empty; of several equal names the last counts.
impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = Attribute;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attribute, A::Error> {
                let mut fields = Fields::default();
                let texts = |texts: Option<Texts>| texts.unwrap_or_default();
                while let Some(Text(name)) = map.next_key()? {
                    let is = |known: &str| name.eq_ignore_ascii_case(known);
                    if is("handle_id") {
                        fields.handle_id = map.next_value()?;
                    } else if is("secondary") {
                        fields.secondary = texts(map.next_value()?);
                    } else if is("alternateOwnerAttrs") {
                        fields.alternate_owner = texts(map.next_value()?);
                    } else if is("releasedAt") {
                        fields.released_at = map.next_value()?;
                    } else {
                        fields.extra.push(name.into_owned(), map.next_value()?);
                    }
                }
                Ok(fields.into())
            }
        }
        deserializer.deserialize_map(Entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn read(text: &str) -> Attribute {
        serde_json::from_str(text).unwrap()
    }

    fn written(attribute: &Attribute) -> &str {
        std::str::from_utf8(attribute.json()).unwrap()
    }

    #[test]
    fn forms_of_all_versions_are_read() {
        for (text, expected) in [
            (r#"{"handle_id":null,"secondary":null}"#, "{}"),
            ("{}", "{}"),
            (
                r#"{"secondary":{"b":null,"a":"<"},"handle_id":"h"}"#,
                r#"{"handle_id":"h","secondary":{"a":"\u003c","b":""}}"#,
            ),
            (
                r#"{"releasedAt":"2026-08-22T13:40:00Z"}"#,
                r#"{"releasedAt":"2026-08-22T13:40:00Z"}"#,
            ),
            (
                r#"{"x":{"y":1},"handle_id":"h","alternateOwnerAttrs":{"pod":"p"}}"#,
                r#"{"handle_id":"h","alternateOwnerAttrs":{"pod":"p"},"x":{"y":1}}"#,
            ),
        ] {
            assert_eq!(written(&read(text)), expected);
        }
    }

    #[test]
    fn a_windows_handle_is_cut_at_the_carriage_return_and_kept_in_the_json() {
        let text = r#"{"handle_id":"h\r\n"}"#;
        let attribute = read(text);
        assert_eq!(attribute.handle(), Some("h"));
        assert_eq!(written(&attribute), text);
    }

    #[test]
    fn only_an_entry_of_nobody_cools_down() {
        let since = UNIX_EPOCH + Duration::from_secs(1_787_405_600);
        let cooling = Attribute::cooling_since(since);
        assert_eq!(
            written(&cooling),
            r#"{"releasedAt":"2026-08-22T13:33:20Z"}"#
        );
        assert_eq!(cooling.cooling(), Some(since));
        for text in [
            r#"{"handle_id":"h","releasedAt":"2026-08-22T13:33:20Z"}"#,
            r#"{"releasedAt":"yesterday"}"#,
            "{}",
        ] {
            assert_eq!(read(text).cooling(), None, "{text}");
        }
    }

    #[test]
    fn clones_are_equal_and_changes_stay_apart() {
        let one = Attribute::new(None).with("a", "1");
        let other = one.clone().with("a", "2");
        assert_eq!(one, Attribute::new(None).with("a", "1"));
        assert_ne!(one, other);
        assert_eq!(one.secondary()["a"], "1");
    }
}

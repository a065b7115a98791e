//! To whom an address is assigned.

use std::collections::BTreeMap;

use super::ResourceError;
use super::json::{Extra, Object, ObjectWriter};
use crate::name::HandleId;

/// The owner of assigned addresses: a handle, by which they can be released, and what is known of
/// the workload (`namespace`, `pod`, `node`, …).
///
/// A block holds each attribute once, however many of its addresses share it.
///
/// ```
/// use ipip_core::{name::HandleId, resource::Attribute};
/// let pod = Attribute::new(Some(HandleId::try_new("k8s-pod-network.3a1f")?))
///     .with("namespace", "default")
///     .with("pod", "podA");
/// assert_eq!(pod.handle(), Some("k8s-pod-network.3a1f"));
/// # Ok::<(), ipip_core::name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attribute {
    handle_id: Option<String>,
    secondary: BTreeMap<String, String>,
    alternate_owner: BTreeMap<String, String>,
    released_at: Option<String>,
    extra: Extra,
}

impl Attribute {
    /// The owner `handle`, with nothing known of the workload. Without a handle the addresses can
    /// be released one by one only.
    #[must_use]
    pub fn new(handle: Option<HandleId>) -> Self {
        Self {
            handle_id: handle.map(|handle| handle.as_str().to_owned()),
            ..Self::default()
        }
    }

    /// The same with `key` set to `value`; Calico's keys are `namespace`, `pod`, `node`, `type`
    /// and `timestamp`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.secondary.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The handle, if there is one. Old Windows data ends it with `\r\n`, which does not count
    /// (cni-plugin issue 821).
    #[must_use]
    pub fn handle(&self) -> Option<&str> {
        let handle = self.handle_id.as_deref()?;
        handle.split('\r').next()
    }

    /// What is known of the workload (`secondary` in the JSON).
    #[must_use]
    pub fn secondary(&self) -> &BTreeMap<String, String> {
        &self.secondary
    }

    /// When the addresses were released, as RFC 3339 text, if they are cooling down: assigned for
    /// everybody, and owned by nobody.
    #[must_use]
    pub fn released_at(&self) -> Option<&str> {
        self.released_at.as_deref()
    }

    /// Whether addresses with this attribute are cooling down, and so not to be released.
    pub(super) fn is_cooling_down(&self) -> bool {
        self.released_at.is_some() && self.handle_id.is_none() && self.secondary.is_empty()
    }

    pub(super) fn from_object(mut object: Object) -> Result<Self, ResourceError> {
        Ok(Self {
            handle_id: object.take("handle_id")?,
            secondary: map(&mut object, "secondary")?,
            alternate_owner: map(&mut object, "alternateOwnerAttrs")?,
            released_at: object.take("releasedAt")?,
            extra: object.into_extra(),
        })
    }

    /// Writes the entry as Calico 3.32 and later do: what is empty is left out. Earlier ones read
    /// a missing field as null.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        if let Some(handle) = &self.handle_id {
            object.field("handle_id", handle);
        }
        if !self.secondary.is_empty() {
            object.field("secondary", &self.secondary);
        }
        if !self.alternate_owner.is_empty() {
            object.field("alternateOwnerAttrs", &self.alternate_owner);
        }
        if let Some(at) = &self.released_at {
            object.field("releasedAt", at);
        }
        object.end(&self.extra);
    }
}

/// A map of texts; a missing or null map is empty, a null text is empty.
fn map(object: &mut Object, name: &'static str) -> Result<BTreeMap<String, String>, ResourceError> {
    let texts: BTreeMap<String, Option<String>> = object.take(name)?.unwrap_or_default();
    Ok(texts
        .into_iter()
        .map(|(k, v)| (k, v.unwrap_or_default()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let attribute = Attribute::from_object(Object::parse(text.as_bytes()).unwrap()).unwrap();
        let mut out = Vec::new();
        attribute.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms_of_all_versions_are_read() {
        for (text, written) in [
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
            assert_eq!(round_trip(text), written);
        }
    }

    #[test]
    fn a_windows_handle_is_cut_at_the_carriage_return_and_kept_in_the_json() {
        let text = r#"{"handle_id":"h\r\n"}"#;
        let attribute = Attribute::from_object(Object::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(attribute.handle(), Some("h"));
        assert_eq!(round_trip(text), text);
    }
}

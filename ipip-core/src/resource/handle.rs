//! In which blocks a handle has addresses.

use std::collections::BTreeMap;

use super::json::{Extra, Object, ObjectWriter};
use super::{BlockPrefix, ResourceError};

/// The blocks in which a handle has addresses, and how many; the id is said by the key alone.
///
/// The counts are bookkeeping. The truth is in the blocks: Calico counts what it asked for, not what
/// it got, so a count may be too high.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handle {
    /// Block prefix as text to count; a handle may have IPv6 blocks, which we keep.
    blocks: BTreeMap<String, i64>,
    deleted: bool,
    extra: Extra,
}

impl Handle {
    /// Reads the stored value.
    ///
    /// # Errors
    /// [`ResourceError`] naming the field.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        if let Some(common) = Self::common(text) {
            return Ok(common);
        }
        Self::any(text)
    }

    fn any(text: &[u8]) -> Result<Self, ResourceError> {
        let mut object = Object::parse(text)?;
        Ok(Self {
            blocks: object.take("block")?.unwrap_or_default(),
            deleted: object.take("deleted")?.unwrap_or_default(),
            extra: object.into_extra(),
        })
    }

    /// Reads what nearly every handle has, addresses in one IPv4 block, as Calico and we write it.
    fn common(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (block, rest) = text.strip_prefix(r#"{"block":{""#)?.split_once(r#"":"#)?;
        let count = rest.strip_suffix(r#"},"deleted":false}"#)?;
        let is_plain = block
            .bytes()
            .all(|octet| octet.is_ascii_digit() || matches!(octet, b'.' | b'/'));
        // Other numbers are for those who know what a number is.
        let is_count = count.starts_with(|first| matches!(first, '1'..='9'))
            && count.bytes().all(|octet| octet.is_ascii_digit());
        let count = count.parse().ok().filter(|_| is_plain && is_count)?;
        Some(Self {
            blocks: [(block.to_owned(), count)].into(),
            ..Self::default()
        })
    }

    /// The value to be stored.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let mut object = ObjectWriter::new(&mut out);
        object.field_with("block", |out| {
            let mut counts = ObjectWriter::new(out);
            for (block, count) in &self.blocks {
                counts.field(block, count);
            }
            counts.close();
        });
        object.field("deleted", &self.deleted);
        object.end(&self.extra);
        out
    }

    /// Whether `text` is just what is stored for `count` addresses in one block, as for nearly every
    /// handle: then there is nothing to be read in it.
    pub(crate) fn is_stored_as(text: &[u8], block: BlockPrefix, count: u32) -> bool {
        let mut expected = Self::default();
        expected.add(block, count);
        expected.to_json() == text
    }

    /// How many addresses are counted in `block`.
    #[must_use]
    pub fn count(&self, block: BlockPrefix) -> u64 {
        let count = self.blocks.get(&block.to_string()).copied();
        count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0)
    }

    /// The IPv4 blocks counted, in the order of their text.
    pub fn blocks(&self) -> impl Iterator<Item = BlockPrefix> {
        self.blocks.keys().filter_map(|text| text.parse().ok())
    }

    /// Whether it counts something else than IPv4 blocks, which we cannot judge.
    pub(crate) fn has_foreign(&self) -> bool {
        self.blocks().count() < self.blocks.len()
    }

    /// Says that there are `count` addresses in `block`, whatever was counted.
    pub(crate) fn set(&mut self, block: BlockPrefix, count: u32) {
        self.forget(block);
        if count > 0 {
            self.add(block, count);
        }
    }

    /// Whether no block is counted, so that the record should be deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Counts `count` more addresses in `block`.
    pub fn add(&mut self, block: BlockPrefix, count: u32) {
        let counted = self.blocks.entry(block.to_string()).or_default();
        *counted = counted.saturating_add(i64::from(count));
    }

    /// Counts `count` addresses fewer in `block`, and forgets the block at zero; a handle that
    /// counted fewer than that forgets it too.
    pub fn subtract(&mut self, block: BlockPrefix, count: u32) {
        let text = block.to_string();
        if let Some(left) = self.blocks.get_mut(&text) {
            *left = left.saturating_sub(i64::from(count));
            if *left <= 0 {
                self.blocks.remove(&text);
            }
        }
    }

    /// Forgets `block`, whatever it counted.
    pub fn forget(&mut self, block: BlockPrefix) {
        self.blocks.remove(&block.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_calico_does() {
        let block = "192.168.166.128/26".parse().unwrap();
        let mut handle = Handle::default();
        handle.add(block, 1);
        assert_eq!(
            handle.to_json(),
            br#"{"block":{"192.168.166.128/26":1},"deleted":false}"#
        );
        handle.add(block, 1);
        handle.subtract(block, 1);
        assert_eq!((handle.count(block), handle.is_empty()), (1, false));
        handle.subtract(block, 1);
        assert!(handle.is_empty());
        handle.subtract(block, 1);
        assert_eq!(handle, Handle::default());
    }

    #[test]
    fn foreign_content_is_kept() {
        let text =
            r#"{"block":{"10.0.0.0/26":3,"fd80:24e2:f998:72d6::/122":1},"deleted":false,"x":[]}"#;
        let mut handle = Handle::from_json(text.as_bytes()).unwrap();
        assert_eq!(handle.to_json(), text.as_bytes());
        assert_eq!(
            handle.blocks().count(),
            1,
            "the IPv6 block is not ours to release"
        );
        handle.subtract("10.0.0.0/26".parse().unwrap(), 9);
        assert_eq!(
            handle.to_json(),
            br#"{"block":{"fd80:24e2:f998:72d6::/122":1},"deleted":false,"x":[]}"#
        );
        for text in ["{}", r#"{"block":null}"#] {
            assert!(Handle::from_json(text.as_bytes()).unwrap().is_empty());
        }
        assert!(Handle::from_json(br#"{"block":{"a":"1"}}"#).is_err());
    }

    #[test]
    fn the_common_form_is_read_as_any_other() {
        for (block, count, is_common) in [
            ("10.0.0.0/26", "1", true),
            ("10.0.0.0/26", "4096", true),
            ("7", "9223372036854775807", true),
            ("10.0.0.0/26", "9223372036854775808", false),
            ("10.0.0.0/26", "0", false),
            ("10.0.0.0/26", "-1", false),
            ("10.0.0.0/26", "+1", false),
            ("10.0.0.0/26", "01", false),
            ("10.0.0.0/26", "1.0", false),
            ("10.0.0.0/26", "", false),
            ("10.0.0.0/26", "null", false),
            ("10.0.0.0/26", r#"1,"10.0.1.0/26":2"#, false),
            (r"10.0.0.0\u002f26", "1", false),
            ("fd80::/122", "1", false),
        ] {
            let text = format!(r#"{{"block":{{"{block}":{count}}},"deleted":false}}"#);
            let (common, any) = (
                Handle::common(text.as_bytes()),
                Handle::any(text.as_bytes()),
            );
            assert_eq!(common.is_some(), is_common, "{text}");
            assert!(common.is_none() || common == any.ok(), "{text}");
        }
        for text in [
            r#"{"block":{"10.0.0.0/26":1},"deleted":true}"#,
            r#"{"block":{"10.0.0.0/26":1},"deleted":false,"x":1}"#,
            r#"{"block":{"10.0.0.0/26":1},"block":{"10.0.1.0/26":1},"deleted":false}"#,
        ] {
            assert_eq!(Handle::common(text.as_bytes()), None, "{text}");
        }
    }
}

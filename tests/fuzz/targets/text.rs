//! Addresses, prefixes, names and keys as people write them.

use ipip_core::addr::Ipv4Prefix;
use ipip_core::datastore::key;
use ipip_core::name::{HandleId, InterfaceName, NodeName};
use ipip_core::resource::{Affinity, BlockPrefix, IpipMode};
use ipnetwork::Ipv4Network;

/// Text; octets that are none are replaced.
pub fn text(octets: &[u8]) {
    let text = &*String::from_utf8_lossy(octets);
    prefix(text);
    names(text);
    keys(text);
    assert_eq!(Affinity::parse(text).to_string(), text);
    if let Ok(mode) = text.parse::<IpipMode>() {
        assert!(mode.as_str().eq_ignore_ascii_case(text));
    }
}

/// The crate `ipnetwork` reads the same, host bits apart.
fn prefix(text: &str) {
    let block = text.parse::<BlockPrefix>();
    let Ok(prefix) = text.parse::<Ipv4Prefix>() else {
        return assert!(block.is_err());
    };
    let theirs: Ipv4Network = text.parse().unwrap();
    assert_eq!(
        (theirs.network(), theirs.ip()),
        (prefix.network(), theirs.network())
    );
    assert_eq!(theirs.broadcast(), prefix.last());
    assert_eq!(
        (theirs.mask(), theirs.prefix()),
        (prefix.netmask(), prefix.len())
    );
    let others = u64::from(prefix.last().to_bits() - prefix.network().to_bits());
    assert_eq!(prefix.size(), 1 + others);
    assert_eq!(prefix.to_string().parse(), Ok(prefix));
    assert_eq!(block.is_ok(), prefix.len() >= 20);
    if let Ok(block) = block {
        assert_eq!(
            (block.prefix(), block.to_string()),
            (prefix, prefix.to_string())
        );
        assert!(key::parse_block(&key::block(prefix)) == Some(prefix));
    }
}

/// A name is its text, and could be no other part of a path.
fn names(text: &str) {
    let is_word = !text.is_empty()
        && !text
            .chars()
            .any(|c| c == '/' || c.is_whitespace() || c.is_control());
    let node = NodeName::try_new(text);
    assert_eq!(node.is_ok(), is_word && text.len() <= 253);
    assert!(node.is_ok_and(|name| name.as_str() == text) || !is_word || text.len() > 253);
    let handle = HandleId::try_new(text);
    assert_eq!(handle.is_ok(), is_word && text.len() <= 253);
    let interface = InterfaceName::try_new(text);
    let allowed = is_word && text.len() <= 15 && !text.contains(':') && text != "." && text != "..";
    assert_eq!(interface.is_ok(), allowed);
}

/// A key that is read is the key that would be written.
fn keys(text: &str) {
    if let Some(prefix) = key::parse_block(text) {
        assert_eq!(key::block(prefix), text);
    }
    if let Some((node, prefix)) = key::parse_affinity(text) {
        assert_eq!(key::affinity(&node, prefix), text);
    }
}

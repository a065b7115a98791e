//! Calico's JSON.

use std::collections::BTreeMap;

use ipip_core::name::HandleId;
use ipip_core::resource::{Attribute, Block, BlockAffinity, Handle, Pool, Release};
use serde_json::value::RawValue;

/// Which value, then its JSON.
pub fn resource(octets: &[u8]) {
    let Some((kind, text)) = octets.split_first() else {
        return;
    };
    match kind % 4 {
        0 => block(text),
        1 => survives(text, BlockAffinity::from_json, BlockAffinity::to_json),
        2 => handle(text),
        _ => survives(
            text,
            |text| Pool::from_json(text).ok().flatten().ok_or(()),
            Pool::to_json,
        ),
    }
}

/// What was read is written so that the same is read again, and the second time nothing changes.
fn survives<T: PartialEq + std::fmt::Debug, E>(
    text: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
    write: impl Fn(&T) -> Vec<u8>,
) {
    let Ok(value) = read(text) else { return };
    let written = write(&value);
    let again = read(&written).ok().expect("what was written is read");
    assert_eq!(again, value);
    assert_eq!(write(&again), written);
    let after = fields(&written).expect("an object");
    // Fields that nobody knows are kept as they were.
    for (name, text) in fields(text).unwrap_or_default() {
        if name.starts_with('x') {
            assert_eq!(after[&name].get(), text.get(), "{name}");
        }
    }
}

fn fields(text: &[u8]) -> serde_json::Result<BTreeMap<String, Box<RawValue>>> {
    serde_json::from_slice(text)
}

/// Counts are anybody's numbers: one more and one fewer is what it was, unless it ends at a limit.
fn handle(text: &[u8]) {
    survives(text, Handle::from_json, Handle::to_json);
    let Ok(mut handle) = Handle::from_json(text) else {
        return;
    };
    let blocks: Vec<_> = handle.blocks().collect();
    for block in blocks {
        let count = handle.count(block);
        handle.add(block, 1);
        handle.subtract(block, 1);
        assert!(handle.count(block) == count || count == i64::MAX.unsigned_abs());
        handle.subtract(block, u32::MAX);
        handle.forget(block);
        assert_eq!(handle.count(block), 0);
    }
}

fn block(text: &[u8]) {
    survives(text, Block::from_json, Block::to_json);
    let Ok(mut block) = Block::from_json(text) else {
        return;
    };
    let size = usize::try_from(block.prefix().size()).unwrap();
    assert_eq!(block.free_count() + block.used_count(), size);
    assert!(block.free().all(|addr| block.prefix().contains(addr)));
    for (addr, attribute) in block.assigned() {
        assert_eq!(block.attribute_of(addr), Some(attribute));
    }
    // Whatever was read, an address can be assigned and released.
    let used = block.used_count();
    let handle = HandleId::try_new("fuzz").unwrap();
    let attribute = Attribute::new(Some(handle.clone())).with("pod", "p");
    match block.assign_any(attribute) {
        Ok(assignment) => {
            assert_eq!(block.used_count(), used + 1);
            survives(&block.to_json(), Block::from_json, Block::to_json);
            let release = Release::of(assignment.addr)
                .from_handle(handle)
                .at(assignment.sequence);
            block.release(&release).unwrap();
        }
        Err(_) => assert_eq!(used, size),
    }
    assert_eq!(block.used_count(), used);
    survives(&block.to_json(), Block::from_json, Block::to_json);
}

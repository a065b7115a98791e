//! What blocks and allocators share: to whom an address is assigned, and what its release names.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::slice;

use ipip_core::name::HandleId;
use ipip_core::resource::{
    Attribute, BlockError, BlockPrefix, BlockPrefixError, Release, Sequence,
};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{optional_text, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// A key and its value.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_pair {
    /// The key, not NULL.
    pub key: *const c_char,
    /// The value, not NULL.
    pub value: *const c_char,
}

/// To whom an address is assigned. All zero is nobody in particular: such an address can be released
/// by itself only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_attribute {
    /// The handle, by which all its addresses can be released at once; NULL for none. 1 to 253 octets
    /// without '/', white space and control characters.
    pub handle: *const c_char,
    /// What is known of the workload, no key twice. Calico's keys are "namespace", "pod", "node",
    /// "type" and "timestamp". NULL if `pairs_len` is 0.
    pub pairs: *const ipip_pair,
    /// How many pairs there are.
    pub pairs_len: usize,
}

/// An address that was assigned.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_assignment {
    /// The address.
    pub address: ipip_ipv4,
    /// Its block's prefix.
    pub block: ipip_prefix,
    /// The sequence number of the assignment, for `struct ipip_release`.
    pub sequence: u64,
}

/// An address to be released, and what the caller knows of its assignment. All zero but for the
/// address releases it whoever has it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_release {
    /// The address.
    pub address: ipip_ipv4,
    /// The handle that it must have; NULL accepts any, and none.
    pub handle: *const c_char,
    /// The sequence number that its assignment must have, so that a second assignment of the address is
    /// left alone; NULL accepts any.
    pub sequence: *const u64,
}

impl ipip_attribute {
    /// # Safety
    /// - Its strings are NULL or end in a zero, and so do those of its pairs.
    /// - `pairs` is NULL or points to `pairs_len` pairs.
    pub(crate) unsafe fn checked(&self) -> Result<Attribute, Failure> {
        // SAFETY: the caller's duty.
        let handle = unsafe { optional_text(self.handle, "handle") }?;
        let mut attribute = Attribute::new(handle.map(HandleId::try_new).transpose()?);
        // SAFETY: the caller's duty.
        for (key, value) in unsafe { pairs(self.pairs, self.pairs_len, "pairs") }? {
            attribute = attribute.with(key, value);
        }
        Ok(attribute)
    }
}

/// The pairs at `pointer`, by their keys, none of which may stand twice.
///
/// # Safety
/// - `pointer` is NULL or points to `len` pairs, whose strings are NULL or end in a zero.
/// - They stay, and nobody writes to them, for `'a`.
pub(crate) unsafe fn pairs<'a>(
    pointer: *const ipip_pair,
    len: usize,
    name: &str,
) -> Result<BTreeMap<&'a str, &'a str>, Failure> {
    let invalid = |text| Err(Failure::new(ipip_status::InvalidArgument, text));
    let mut found = BTreeMap::new();
    if len == 0 {
        return Ok(found);
    }
    required((!pointer.is_null()).then_some(()), name)?;
    if len > PAIRS_MAX {
        return invalid(format!("{name}_len is {len}, allowed are 0 to {PAIRS_MAX}"));
    }
    // SAFETY: not NULL and not longer than memory can be; the rest is the caller's duty.
    for pair in unsafe { slice::from_raw_parts(pointer, len) } {
        // SAFETY: the caller's duty.
        let key = unsafe { text(pair.key, "key") }?;
        // SAFETY: the caller's duty.
        let value = unsafe { text(pair.value, "value") }?;
        if found.insert(key, value).is_some() {
            return invalid(format!("key {key:?} is given twice"));
        }
    }
    Ok(found)
}

/// More pairs than anybody needs, and few enough for any etcd record.
const PAIRS_MAX: usize = 1024;

impl ipip_release {
    /// # Safety
    /// - `handle` is NULL or a string that ends in a zero.
    /// - `sequence` is NULL or points to a number.
    pub(crate) unsafe fn checked(&self) -> Result<Release, Failure> {
        let mut release = Release::of(self.address.into());
        // SAFETY: the caller's duty.
        if let Some(handle) = unsafe { optional_text(self.handle, "handle") }? {
            release = release.from_handle(HandleId::try_new(handle)?);
        }
        // SAFETY: the caller's duty.
        if let Some(sequence) = unsafe { self.sequence.as_ref() } {
            release = release.at(Sequence(*sequence));
        }
        Ok(release)
    }
}

impl ipip_prefix {
    /// The prefix of a block, its size checked too.
    pub(crate) fn block(self) -> Result<BlockPrefix, Failure> {
        Ok(BlockPrefix::try_from(self.checked("block")?)?)
    }
}

impl From<BlockPrefixError> for Failure {
    fn from(error: BlockPrefixError) -> Self {
        Self::of(ipip_status::InvalidArgument, &error, None)
    }
}

impl From<BlockError> for Failure {
    fn from(error: BlockError) -> Self {
        let status = match &error {
            BlockError::Full { .. } => ipip_status::BlockFull,
            BlockError::Outside { .. } | BlockError::Ordinal { .. } => ipip_status::OutsideBlock,
            BlockError::AlreadyAssigned { .. } => ipip_status::AlreadyAssigned,
            BlockError::NotAssigned { .. } => ipip_status::NotAssigned,
            BlockError::HandleMismatch { .. } => ipip_status::HandleMismatch,
            BlockError::SequenceMismatch { .. } => ipip_status::SequenceMismatch,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}

//! A node as Calico stores it.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::name::NodeName;
use ipip_core::resource::Node;

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{TextBuffer, give, guard, octets, or, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// A node as Calico stores it: labels, by which pools select it, its address on the underlay with the
/// length of its subnet, and the address of its tunnel device. Fields that we do not know stay.
///
/// Ownership: whoever got it frees it. Threads: one at a time; threads that share a record need a lock
/// around every call.
#[derive(Debug)]
pub struct ipip_node_record(pub(crate) Node);

/// Makes the record of `node`, without labels and addresses.
///
/// IPIP_STATUS_INVALID_ARGUMENT for a malformed name.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_record_new(
    node: *const c_char,
    record_out: Option<&mut MaybeUninit<*mut ipip_node_record>>,
) -> ipip_status {
    guard(|| {
        let out = required(record_out, "record_out")?;
        // SAFETY: the caller's duty, as documented.
        let name = NodeName::try_new(unsafe { text(node, "node") }?)?;
        give(out, ipip_node_record(Node::new(name)));
        Ok(())
    })
}

/// Sets the label `key`.
///
/// # Safety
/// `key` and `value` are NULL or strings that end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_record_set_label(
    record: Option<&mut ipip_node_record>,
    key: *const c_char,
    value: *const c_char,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        // SAFETY: the caller's duty, as documented.
        let key = unsafe { text(key, "key") }?;
        // SAFETY: the caller's duty, as documented.
        let value = unsafe { text(value, "value") }?;
        record.0 = record.0.clone().with_label(key, value);
        Ok(())
    })
}

/// Sets the address on the underlay and the prefix length of its subnet in bits; 32 makes every other
/// node one of another subnet.
///
/// IPIP_STATUS_INVALID_ARGUMENT if the length is above 32.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_record_set_address(
    record: Option<&mut ipip_node_record>,
    address: ipip_ipv4,
    subnet_len: u8,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        let changed = record
            .0
            .clone()
            .with_addr(NodeAddr(address.into()), subnet_len)
            .map_err(|error| Failure::from(error).in_field("subnet_len"))?;
        record.0 = changed;
        Ok(())
    })
}

/// Sets the address that its tunnel device holds; NULL takes it away.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_record_set_tunnel_address(
    record: Option<&mut ipip_node_record>,
    address: Option<&ipip_ipv4>,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        let addr = address.map(|address| TunnelAddr((*address).into()));
        record.0 = record.0.clone().with_tunnel_addr(addr);
        Ok(())
    })
}

/// The node's name. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_record_name(
    record: Option<&ipip_node_record>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(record.0.name().as_str())
    })
}

/// The value of the label `key`. `needed_out` may be NULL.
///
/// IPIP_STATUS_NOT_FOUND if there is no such label, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// - `key` is NULL or a string that ends in a zero.
/// - `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_record_label(
    record: Option<&ipip_node_record>,
    key: *const c_char,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        // SAFETY: the caller's duty, as documented.
        let key = unsafe { self::text(key, "key") }?;
        let value = record.0.labels().get(key);
        let value = value.ok_or_else(|| record.lacks(&format!("label {key:?}")))?;
        // SAFETY: the caller's duty, as documented.
        unsafe { TextBuffer::new(text, text_len, needed_out) }?.fill(value)
    })
}

/// The address on the underlay, and its subnet (`subnet_out` may be NULL), a /32 if no length is known.
///
/// IPIP_STATUS_NOT_FOUND if it has none.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_record_address(
    record: Option<&ipip_node_record>,
    address_out: Option<&mut MaybeUninit<ipip_ipv4>>,
    subnet_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        let out = required(address_out, "address_out")?;
        let found = record.0.addr().zip(record.0.subnet());
        let (addr, subnet) = found.ok_or_else(|| record.lacks("address"))?;
        out.write(addr.0.into());
        if let Some(out) = subnet_out {
            out.write(subnet.into());
        }
        Ok(())
    })
}

/// The address that its tunnel device holds.
///
/// IPIP_STATUS_NOT_FOUND if it has none.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_record_tunnel_address(
    record: Option<&ipip_node_record>,
    address_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        let out = required(address_out, "address_out")?;
        let addr = record.0.tunnel_addr();
        let addr = addr.ok_or_else(|| record.lacks("tunnel address"))?;
        out.write(addr.0.into());
        Ok(())
    })
}

/// Reads a node as Calico stores it, in JSON.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field and the rule that it breaks.
///
/// # Safety
/// `json` is NULL or points to `json_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_record_from_json(
    json: *const u8,
    json_len: usize,
    record_out: Option<&mut MaybeUninit<*mut ipip_node_record>>,
) -> ipip_status {
    guard(|| {
        let out = required(record_out, "record_out")?;
        // SAFETY: the caller's duty, as documented.
        let json = unsafe { octets(json, json_len, "json") }?;
        give(out, ipip_node_record(Node::from_json(json)?));
        Ok(())
    })
}

/// The node as Calico stores it, in JSON. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_record_to_json(
    record: Option<&ipip_node_record>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let record = required(record, "record")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&String::from_utf8_lossy(&record.0.to_json()))
    })
}

/// Frees the record. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_record_free(record: Option<Box<ipip_node_record>>) {
    or((), || drop(record));
}

impl ipip_node_record {
    fn lacks(&self, what: &str) -> Failure {
        let text = format!("node {} has no {what}", self.0.name());
        Failure::new(ipip_status::NotFound, text)
    }
}

//! What is stored with an assignment: the handle, and what is known of the workload.

use std::collections::BTreeMap;

use ipip_core::resource::{Attribute, Release, Sequence};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::net::Ipv4Addr;

use crate::args;

/// From `handle_id` and `attributes`, a mapping of str to str.
pub(crate) fn attribute(
    handle_id: Option<&Bound<'_, PyAny>>,
    attributes: Option<&Bound<'_, PyAny>>,
) -> PyResult<Attribute> {
    let handle = handle_id
        .map(|id| args::handle("handle_id", id))
        .transpose()?;
    let mut attribute = Attribute::new(handle);
    let Some(attributes) = attributes else {
        return Ok(attribute);
    };
    for (key, value) in args::pairs("attributes", attributes)? {
        attribute = attribute.with(&key, &value);
    }
    Ok(attribute)
}

/// The release that the three arguments ask for.
pub(crate) fn release(
    address: &Bound<'_, PyAny>,
    handle_id: Option<&Bound<'_, PyAny>>,
    sequence: Option<&Bound<'_, PyAny>>,
) -> PyResult<Release> {
    Ok(Release {
        addr: args::address("address", address)?,
        handle: handle_id
            .map(|id| args::handle("handle_id", id))
            .transpose()?,
        sequence: sequence
            .map(|number| self::sequence("sequence", number))
            .transpose()?,
    })
}

/// A sequence number: any of 64 bits.
pub(crate) fn sequence(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Sequence> {
    args::integer(name, value, 0..=u64::MAX).map(Sequence)
}

/// The attributes as a dict.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    attributes: &BTreeMap<String, String>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in attributes {
        dict.set_item(key, value)?;
    }
    Ok(dict)
}

/// An address that was released.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Released {
    /// The address.
    #[pyo3(get)]
    address: Ipv4Addr,
    /// The handle that it had, if any.
    #[pyo3(get)]
    handle_id: Option<String>,
}

#[pymethods]
impl Released {
    fn __repr__(&self) -> String {
        let handle = self
            .handle_id
            .as_ref()
            .map_or("None".to_owned(), |id| format!("'{id}'"));
        format!("<Released {} handle_id={handle}>", self.address)
    }
}

impl From<ipip_core::resource::Released> for Released {
    fn from(released: ipip_core::resource::Released) -> Self {
        Self {
            address: released.addr,
            handle_id: released.handle,
        }
    }
}

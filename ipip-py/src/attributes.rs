//! What is stored with an assignment: the handle, and what is known of the workload.

use std::collections::BTreeMap;

use ipip_core::name::HandleId;
use ipip_core::resource::{self, Attribute, Sequence};
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
) -> PyResult<resource::Release> {
    Ok(resource::Release {
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

/// An address to be released, with handle_id or sequence only if its assignment has these.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Release {
    /// The address.
    #[pyo3(get)]
    address: Ipv4Addr,
    handle: Option<HandleId>,
    /// The sequence number that its assignment must have; None accepts any.
    #[pyo3(get)]
    sequence: Option<u64>,
}

#[pymethods]
impl Release {
    #[new]
    #[pyo3(signature = (address, *, handle_id=None, sequence=None))]
    fn new(
        address: &Bound<'_, PyAny>,
        handle_id: Option<&Bound<'_, PyAny>>,
        sequence: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let release = release(address, handle_id, sequence)?;
        Ok(Self {
            address: release.addr,
            handle: release.handle,
            sequence: release.sequence.map(|sequence| sequence.0),
        })
    }

    /// The handle that it must have; None accepts any, and none.
    #[getter]
    fn handle_id(&self) -> Option<&str> {
        self.handle.as_ref().map(HandleId::as_str)
    }

    fn __repr__(&self) -> String {
        format!("<Release {}>", self.address)
    }
}

/// One of several releases: a `Release`, or an address.
pub(crate) fn release_item(name: &str, value: &Bound<'_, PyAny>) -> PyResult<resource::Release> {
    let Ok(release) = value.cast::<Release>() else {
        return args::address(name, value).map(resource::Release::of);
    };
    let release = release.get();
    Ok(resource::Release {
        addr: release.address,
        handle: release.handle.clone(),
        sequence: release.sequence.map(Sequence),
    })
}

/// An address that was released.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(Clone, PartialEq, Hash)]
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

impl From<resource::Released> for Released {
    fn from(released: resource::Released) -> Self {
        Self {
            address: released.addr,
            handle_id: released.handle,
        }
    }
}

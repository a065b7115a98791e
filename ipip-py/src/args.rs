//! Reading arguments: each fault names the argument, what was found and what is allowed.
//!
//! A wrong type is a `TypeError`, a wrong value an `ipip.InvalidArgument` (a `ValueError`); numbers
//! too large for any Rust type are wrong values like others.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipip_core::addr::Ipv4Prefix;
use ipip_core::mtu::TunnelMtu;
use ipip_core::name::{HandleId, InterfaceName};
use ipip_core::wire::{Dscp, Ecn};
use ipnetwork::Ipv4Network;
use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMapping, PyString, PyType};

use crate::errors;

/// An optional argument for which `None` has a meaning of its own, or whose default is a number.
pub(crate) enum Given<'py> {
    /// Not given.
    Default,
    /// Given, perhaps as `None`.
    Value(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Value(object.to_owned()))
    }
}

impl<'py> Given<'py> {
    /// What `read` makes of the argument, or `default` if there is none.
    pub(crate) fn or<T>(
        &self,
        default: T,
        read: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> PyResult<T> {
        match self {
            Self::Default => Ok(default),
            Self::Value(value) => read(value),
        }
    }
}

/// A `TypeError` that names the argument.
pub(crate) fn wrong_type(name: &str, allowed: &str, found: &Bound<'_, PyAny>) -> PyErr {
    let found = found.get_type().name();
    let found = found.map_or_else(|_| "object".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("argument '{name}' must be {allowed}, not {found}"))
}

/// An object of one of our classes.
pub(crate) fn object<'a, 'py, T: PyClass>(
    name: &str,
    value: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, T>> {
    value.cast().map_err(|_| {
        let class = value.py().get_type::<T>().name();
        let class = class.map_or_else(|_| "object".to_owned(), |class| class.to_string());
        wrong_type(name, &format!("ipip.{class}"), value)
    })
}

/// True or False, and nothing that merely could pass for it.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.extract().map_err(|_| wrong_type(name, "bool", value))
}

/// An `ipip.InvalidArgument` that names the argument.
pub(crate) fn invalid(py: Python<'_>, name: &str, fault: impl Display) -> PyErr {
    errors::invalid_argument(py, format!("argument '{name}': {fault}"))
}

/// An integer within `allowed`; anything with `__index__` is one.
pub(crate) fn integer(
    name: &str,
    value: &Bound<'_, PyAny>,
    allowed: RangeInclusive<u64>,
) -> PyResult<u64> {
    let py = value.py();
    let outside = || {
        let (min, max) = (allowed.start(), allowed.end());
        invalid(
            py,
            name,
            format!("{} is outside {min} to {max}", short_repr(value)),
        )
    };
    match value.extract::<u64>() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        Ok(_) => Err(outside()),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => {
            Err(wrong_type(name, "int", value))
        }
        Err(_) => Err(outside()),
    }
}

/// An integer of 0 to 255.
pub(crate) fn octet(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u8> {
    let number = integer(name, value, 0..=u8::MAX.into())?;
    Ok(u8::try_from(number).unwrap_or(u8::MAX))
}

/// An integer of 0 to 65,535.
pub(crate) fn word(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u16> {
    let number = integer(name, value, 0..=u16::MAX.into())?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

/// A differentiated services code point, 0 to 63.
pub(crate) fn dscp(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Dscp> {
    let number = integer(name, value, 0..=Dscp::MAX.into())?;
    Ok(Dscp::of_tos(u8::try_from(number << 2)?))
}

/// An explicit congestion notification code point, 0 to 3.
pub(crate) fn ecn(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Ecn> {
    Ok(Ecn::of_tos(u8::try_from(integer(name, value, 0..=3)?)?))
}

/// Text.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let text = value
        .cast::<PyString>()
        .map_err(|_| wrong_type(name, "str", value))?;
    match text.to_cow() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid(
            value.py(),
            name,
            "text with lone surrogates is not Unicode",
        )),
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(
    name: &str,
    value: &Bound<'_, PyAny>,
    choices: &[(&str, T)],
) -> PyResult<T> {
    let found = text(name, value)?;
    let chosen = choices.iter().find(|(word, _)| *word == found);
    chosen.map(|(_, choice)| *choice).ok_or_else(|| {
        let allowed: Vec<_> = choices
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect();
        invalid(
            value.py(),
            name,
            format!("{found:?} is none of {}", allowed.join(", ")),
        )
    })
}

/// The pairs of a mapping of str to str.
pub(crate) fn pairs(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let mapping = value.cast::<PyMapping>();
    let mapping = mapping.map_err(|_| wrong_type(name, "a mapping of str to str", value))?;
    let pair = |item: Bound<'_, PyAny>| {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        Ok((text(name, &key)?, text(name, &value)?))
    };
    mapping.items()?.iter().map(pair).collect()
}

/// An `ipaddress.IPv4Interface`, or its text: an address and the prefix length of its subnet.
pub(crate) fn address_in_subnet(name: &str, value: &Bound<'_, PyAny>) -> PyResult<(Ipv4Addr, u8)> {
    let py = value.py();
    if !value.is_instance_of::<PyString>() {
        if !value.is_instance(interface_type(py)?)? {
            return Err(wrong_type(name, "str or ipaddress.IPv4Interface", value));
        }
        let len = value.getattr("network")?.getattr("prefixlen")?.extract()?;
        return Ok((packed(value)?, len));
    }
    let text = text(name, value)?;
    let parse = |(addr, len): (&str, &str)| Some((addr.parse().ok()?, len.parse().ok()?));
    let found = text.split_once('/').and_then(parse);
    let found = found.filter(|(_, len)| *len <= 32);
    found.ok_or_else(|| {
        let fault = format!("{text:?} is not an address with its subnet, of the form a.b.c.d/len");
        invalid(py, name, fault)
    })
}

/// An address with the prefix length of its subnet, as `ipaddress.IPv4Interface`.
pub(crate) fn in_subnet<'py>(
    py: Python<'py>,
    addr: Ipv4Addr,
    len: u8,
) -> PyResult<Bound<'py, PyAny>> {
    interface_type(py)?.call1(((addr.to_bits(), len),))
}

fn interface_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static INTERFACE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    INTERFACE.import(py, "ipaddress", "IPv4Interface")
}

/// An `ipaddress.IPv4Address`, or its text. An `IPv4Interface` is none: its prefix would be lost.
pub(crate) fn address(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Ipv4Addr> {
    let py = value.py();
    if value.is_instance_of::<PyString>() {
        let text = text(name, value)?;
        return text.parse().map_err(|_| {
            invalid(
                py,
                name,
                format!("{text:?} is not an IPv4 address of the form a.b.c.d"),
            )
        });
    }
    static ADDRESS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let address = ADDRESS.import(py, "ipaddress", "IPv4Address")?;
    if !value.is_instance(address)? || value.is_instance(interface_type(py)?)? {
        return Err(wrong_type(name, "str or ipaddress.IPv4Address", value));
    }
    packed(value)
}

/// An `ipaddress.IPv4Network`, or its text.
pub(crate) fn prefix(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Ipv4Prefix> {
    let py = value.py();
    if value.is_instance_of::<PyString>() {
        let text = text(name, value)?;
        return text
            .parse()
            .map_err(|fault| invalid(py, name, format!("{text:?}: {fault}")));
    }
    if !value.is_instance(network_type(py)?)? {
        return Err(wrong_type(name, "str or ipaddress.IPv4Network", value));
    }
    let network = packed(&value.getattr("network_address")?)?;
    let len = value.getattr("prefixlen")?.extract()?;
    Ipv4Prefix::try_new(network, len).map_err(|fault| invalid(py, name, fault))
}

/// A prefix as `ipaddress.IPv4Network`.
pub(crate) fn network<'py>(py: Python<'py>, prefix: Ipv4Prefix) -> PyResult<Bound<'py, PyAny>> {
    network_type(py)?.call1(((prefix.network().to_bits(), prefix.len()),))
}

/// A prefix that Python sees as an `ipaddress.IPv4Network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(pub(crate) Ipv4Network);

impl From<Ipv4Network> for Network {
    fn from(network: Ipv4Network) -> Self {
        Self(network)
    }
}

impl<'py> IntoPyObject<'py> for Network {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        network_type(py)?.call1(((self.0.network().to_bits(), self.0.prefix()),))
    }
}

fn network_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static NETWORK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    NETWORK.import(py, "ipaddress", "IPv4Network")
}

fn packed(address: &Bound<'_, PyAny>) -> PyResult<Ipv4Addr> {
    let octets = address.getattr("packed")?;
    let octets: [u8; 4] = octets.cast::<PyBytes>()?.as_bytes().try_into()?;
    Ok(octets.into())
}

/// A path in the file system; `allowed` says what the argument may be.
pub(crate) fn path(name: &str, value: &Bound<'_, PyAny>, allowed: &str) -> PyResult<PathBuf> {
    let py = value.py();
    let path = value.extract::<PathBuf>().map_err(|error: PyErr| {
        if error.is_instance_of::<PyTypeError>(py) {
            return wrong_type(name, allowed, value);
        }
        errors::named(py, name, error)
    })?;
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(invalid(py, name, "a path has no null character in it"));
    }
    Ok(path)
}

/// The items of any iterable but text, each read by `read`.
pub(crate) fn each<'py, T>(
    name: &str,
    values: &Bound<'py, PyAny>,
    read: impl Fn(&str, &Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    if values.is_instance_of::<PyString>() {
        return Err(wrong_type(name, "an iterable", values));
    }
    let items = values.try_iter();
    let items = items.map_err(|_| wrong_type(name, "an iterable", values))?;
    items.map(|item| read(name, &item?)).collect()
}

/// The name of a network interface.
pub(crate) fn interface(name: &str, value: &Bound<'_, PyAny>) -> PyResult<InterfaceName> {
    InterfaceName::try_new(&text(name, value)?).map_err(|fault| invalid(value.py(), name, fault))
}

/// A handle.
pub(crate) fn handle(name: &str, value: &Bound<'_, PyAny>) -> PyResult<HandleId> {
    HandleId::try_new(&text(name, value)?).map_err(|fault| invalid(value.py(), name, fault))
}

/// An MTU inside the tunnel.
pub(crate) fn tunnel_mtu(name: &str, value: &Bound<'_, PyAny>) -> PyResult<TunnelMtu> {
    let octets = integer(name, value, 0..=u32::MAX.into())?;
    let octets = u32::try_from(octets).unwrap_or(u32::MAX);
    TunnelMtu::try_new(octets).map_err(|fault| invalid(value.py(), name, fault))
}

/// Seconds as an int or float; `None` is without end.
pub(crate) fn timeout(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Duration> {
    let Some(value) = value else {
        return Ok(Duration::MAX);
    };
    seconds(
        name,
        value,
        ("float, int or None", "; None waits without end"),
    )
}

/// Seconds, as an int or float.
pub(crate) fn duration(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    seconds(name, value, ("float or int", ""))
}

/// Seconds since any moment that stays the same, as an int or float.
pub(crate) fn moment(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    duration(name, value)
}

fn seconds(
    name: &str,
    value: &Bound<'_, PyAny>,
    (allowed, hint): (&str, &str),
) -> PyResult<Duration> {
    let seconds: f64 = match value.extract() {
        Ok(seconds) => seconds,
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
            return Err(wrong_type(name, allowed, value));
        }
        Err(_) => f64::NAN,
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let found = short_repr(value);
        invalid(
            value.py(),
            name,
            format!("{found} is not a number of seconds from 0 to 1e19{hint}"),
        )
    })
}

/// `repr` for a message: never fails, never long.
fn short_repr(value: &Bound<'_, PyAny>) -> String {
    const MAX: usize = 60;
    // Python itself refuses to print integers of more than 4,300 digits.
    let text = value.repr().map_or_else(
        |_| "a number of thousands of digits".to_owned(),
        |text| text.to_string(),
    );
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A hash for `__hash__`, the same in every process.
pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A truth value as Python writes it.
pub(crate) fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

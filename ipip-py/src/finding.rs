//! What is wrong with a frame, as the dataclasses of `ipip.capture`.

use std::net::Ipv4Addr;

use ipip_core::capture::{self, Expected, Finding};
use ipip_core::peers::PeerError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::args;
use crate::frame::Frame;
use crate::peers::Peers;

/// What is wrong with a frame, a list of ipip.capture.Finding; empty if nothing is.
///
/// mtu is the longest IP packet that should pass where it was captured, in octets; peers are all nodes
/// with their prefixes, the capturing one's included. What is None is not judged.
#[pyfunction]
#[pyo3(signature = (frame, *, mtu=None, peers=None))]
pub(crate) fn findings<'py>(
    frame: &Bound<'py, PyAny>,
    mtu: Option<&Bound<'py, PyAny>>,
    peers: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = frame.py();
    let frame = &args::object::<Frame>("frame", frame)?.get().0;
    let mtu = mtu
        .map(|v| args::integer("mtu", v, 0..=u64::MAX))
        .transpose()?;
    let mtu = mtu.map(|mtu| usize::try_from(mtu).unwrap_or(usize::MAX));
    let found = match peers {
        Some(peers) => {
            let peers = args::object::<Peers>("peers", peers)?.get().read();
            let peers = Some(&*peers);
            capture::findings(frame, &Expected { mtu, peers })
        }
        None => capture::findings(frame, &Expected { mtu, peers: None }),
    };
    found.iter().map(|finding| made(py, finding)).collect()
}

fn made<'py>(py: Python<'py>, finding: &Finding) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("text", finding.to_string())?;
    let class = match finding {
        Finding::TooBig {
            len,
            mtu,
            dont_fragment,
            segmented_later,
        } => {
            fields.set_item("len", len)?;
            fields.set_item("mtu", mtu)?;
            fields.set_item("dont_fragment", dont_fragment)?;
            fields.set_item("segmented_later", segmented_later)?;
            "TooBig"
        }
        Finding::HeaderChecksum {
            depth,
            found,
            computed,
        } => {
            fields.set_item("depth", depth)?;
            fields.set_item("found", found)?;
            fields.set_item("computed", computed)?;
            "HeaderChecksum"
        }
        Finding::TransportChecksum {
            found,
            computed,
            offloaded,
        } => {
            fields.set_item("found", found)?;
            fields.set_item("computed", computed)?;
            fields.set_item("offloaded", offloaded)?;
            "TransportChecksum"
        }
        Finding::Ttl { depth, ttl } => {
            fields.set_item("depth", depth)?;
            fields.set_item("ttl", ttl)?;
            "Ttl"
        }
        Finding::Ecn { outer, inner } => {
            fields.set_item("outer", outer.value())?;
            fields.set_item("inner", inner.value())?;
            "Ecn"
        }
        Finding::EncapsulatedTwice { headers } => {
            fields.set_item("headers", headers)?;
            "EncapsulatedTwice"
        }
        Finding::Spoofed(error) => {
            let (outer, inner) = sources(error);
            fields.set_item("outer_source", outer)?;
            fields.set_item("inner_source", inner)?;
            "Spoofed"
        }
        _ => "Finding",
    };
    let class = py.import("ipip.capture")?.getattr(class)?;
    class.call((), Some(&fields))
}

/// Outer and inner source; an unknown outer one is enough.
fn sources(error: &PeerError) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
    match error {
        PeerError::UnknownNode { outer_source } => (Some(outer_source.0), None),
        PeerError::ForeignSource {
            outer_source,
            inner_source,
        } => (Some(outer_source.0), Some(*inner_source)),
        _ => (None, None),
    }
}

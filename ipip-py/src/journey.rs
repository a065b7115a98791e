//! One inner packet at the points of its way, as the dataclasses of `ipip.capture`.

use ipip_core::capture::{self, PacketKey};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::args;
use crate::frame::Frame;

/// The packets of several points, paired; ordered by the time at which each was first seen: a list of
/// ipip.capture.Journey.
///
/// points are Point objects. A packet is known again by its inner addresses, protocol, identification and
/// payload; equal packets (a repeated one, or one with identification 0) are told apart by their order.
/// Frames without an IPv4 header are left out.
#[pyfunction]
pub(crate) fn journeys<'py>(points: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = points.py();
    let points: Vec<capture::Point> = args::each("points", points, read_point)?;
    let journeys = py.detach(|| capture::journeys(&points));
    let module = py.import("ipip.capture")?;
    let (journey, sighting) = (module.getattr("Journey")?, module.getattr("Sighting")?);
    let made = journeys.iter().map(|found| {
        let sightings = found.sightings.iter();
        let sightings = sightings.map(|s| sighting.call1((s.point, s.frame, s.depth, s.ttl)));
        let sightings = PyTuple::new(py, sightings.collect::<PyResult<Vec<_>>>()?)?;
        journey.call1((key(py, &found.packet)?, sightings))
    });
    made.collect()
}

fn read_point(name: &str, value: &Bound<'_, PyAny>) -> PyResult<capture::Point> {
    let class = value.py().import("ipip.capture")?.getattr("Point")?;
    if !value.is_instance(&class)? {
        return Err(args::wrong_type(name, "ipip.Point", value));
    }
    let frame = |name: &str, value: &Bound<'_, PyAny>| {
        Ok(args::object::<Frame>(name, value)?.get().0.clone())
    };
    Ok(capture::Point {
        name: args::text(name, &value.getattr("name")?)?,
        frames: args::each(name, &value.getattr("frames")?, frame)?,
    })
}

/// An `ipip.Point`.
pub(crate) fn point(py: Python<'_>, point: capture::Point) -> PyResult<Bound<'_, PyAny>> {
    let frames = point.frames.into_iter();
    let frames = frames.map(|frame| Bound::new(py, Frame(frame)));
    let frames = PyTuple::new(py, frames.collect::<PyResult<Vec<_>>>()?)?;
    let class = py.import("ipip.capture")?.getattr("Point")?;
    class.call1((point.name, frames))
}

/// An `ipip.capture.PacketKey`.
pub(crate) fn key<'py>(py: Python<'py>, key: &PacketKey) -> PyResult<Bound<'py, PyAny>> {
    let class = py.import("ipip.capture")?.getattr("PacketKey")?;
    class.call1((
        key.source,
        key.destination,
        key.protocol,
        key.identification,
        key.fragment_offset.units(),
        key.payload_len,
        key.payload_hash,
    ))
}

//! ICMP errors from inside a tunnel, and what its entry keeps of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{self, Endpoints, Ipv4View, Layer, RelayContext};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Octets;
use crate::icmp_error::{IcmpError, Quoted};
use crate::outer::Outer;
use crate::{args, errors};

/// An ICMP error about a packet that a tunnel's entry could have sent.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct TunnelError {
    /// What was reported.
    #[pyo3(get)]
    error: IcmpError,
    /// The outer header, as quoted.
    #[pyo3(get)]
    outer: Quoted,
    /// The inner header, or None: routers need not quote more than 8 octets of it.
    #[pyo3(get)]
    inner: Option<Quoted>,
}

impl TunnelError {
    fn view(&self) -> wire::TunnelError<'_> {
        let outer = self.outer.view();
        wire::TunnelError {
            error: self.error.0,
            outer,
            inner: self.inner.as_ref().map(Quoted::view),
            original: outer.payload,
        }
    }
}

#[pymethods]
impl TunnelError {
    /// What was quoted of the inner packet: what an error to its sender quotes in turn.
    #[getter]
    fn original<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.view().original)
    }

    /// The tunnel MTU in octets that "fragmentation_needed" tells, 68 or more; None for other errors.
    ///
    /// A router older than RFC 1191 does not tell, and one that tells no less than the packet's own length
    /// is mistaken; then it is the next plateau below that length.
    #[getter]
    fn mtu(&self) -> Option<u32> {
        self.view().mtu().map(ipip_core::mtu::TunnelMtu::octets)
    }

    /// What to do about it, by RFC 2003 section 4. outer is what the tunnel's entry writes in front of its
    /// packets.
    ///
    /// mtu is the tunnel's, with this error taken into account (TunnelState.learn_mtu): what
    /// "fragmentation_needed" says. same_network says whether the inner destination is on the entry's own
    /// network, as it seems to the sender.
    #[pyo3(signature = (outer, *, mtu, same_network))]
    fn relay(
        &self,
        outer: &Bound<'_, PyAny>,
        mtu: &Bound<'_, PyAny>,
        same_network: &Bound<'_, PyAny>,
    ) -> PyResult<Relay> {
        let outer = args::object::<Outer>("outer", outer)?;
        let context = RelayContext {
            mtu: args::tunnel_mtu("mtu", mtu)?,
            same_network: args::flag("same_network", same_network)?,
        };
        Ok(Relay(self.view().relay(&outer.get().0, context)))
    }

    fn __repr__(&self) -> String {
        format!("<TunnelError {}>", self.error.__repr__())
    }
}

/// What the entry of a tunnel does about an ICMP error from inside it; made by the static method of its
/// action.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Relay(wire::Relay);

#[pymethods]
impl Relay {
    /// Send error to the source of the inner packet, if that may be answered.
    #[staticmethod]
    fn send(error: &Bound<'_, PyAny>) -> PyResult<Self> {
        let error = args::object::<IcmpError>("error", error)?.get().0;
        Ok(Self(wire::Relay::Send(error)))
    }

    /// Send nothing now, too little was quoted; tell error to the sender of the next packet that it
    /// concerns: TunnelState.remember.
    #[staticmethod]
    fn remember(error: &Bound<'_, PyAny>) -> PyResult<Self> {
        let error = args::object::<IcmpError>("error", error)?.get().0;
        Ok(Self(wire::Relay::Remember(error)))
    }

    /// Nothing: it is for the tunnel's entry alone, or for nobody.
    #[staticmethod]
    fn keep() -> Self {
        Self(wire::Relay::Keep)
    }

    /// "send", "remember" or "keep".
    #[getter]
    fn action(&self) -> &'static str {
        match self.0 {
            wire::Relay::Send(_) => "send",
            wire::Relay::Remember(_) => "remember",
            wire::Relay::Keep => "keep",
        }
    }

    /// What is told, or None.
    #[getter]
    fn error(&self) -> Option<IcmpError> {
        match self.0 {
            wire::Relay::Send(error) | wire::Relay::Remember(error) => Some(IcmpError(error)),
            wire::Relay::Keep => None,
        }
    }

    fn __repr__(&self) -> String {
        let error = self.error();
        let error = error.map_or_else(String::new, |error| error.__repr__());
        format!("Relay.{}({error})", self.action())
    }
}

/// The soft state of one tunnel. now, in each call, is the seconds since any moment that stays the same:
/// time.monotonic() will do.
///
/// mtu is that of the tunnel device, 68 to 65515, never exceeded.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct TunnelState(Mutex<wire::TunnelState>);

impl TunnelState {
    /// Held for less than a microsecond, and never while Python runs.
    fn state(&self) -> MutexGuard<'_, wire::TunnelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl TunnelState {
    #[new]
    fn new(mtu: &Bound<'_, PyAny>) -> PyResult<Self> {
        let state = wire::TunnelState::new(args::tunnel_mtu("mtu", mtu)?);
        Ok(Self(Mutex::new(state)))
    }

    /// The tunnel's MTU in octets.
    fn mtu(&self, now: &Bound<'_, PyAny>) -> PyResult<u32> {
        let now = args::moment("now", now)?;
        Ok(self.state().mtu(now).octets())
    }

    /// Learns the MTU that a TunnelError tells, if it tells one, for 10 minutes; returns the MTU from now
    /// on. ICMP lowers it and never raises it.
    fn learn_mtu(&self, error: &Bound<'_, PyAny>, now: &Bound<'_, PyAny>) -> PyResult<u32> {
        let error = args::object::<TunnelError>("error", error)?;
        let now = args::moment("now", now)?;
        let mtu = self.state().learn_mtu(&error.get().view(), now);
        Ok(mtu.octets())
    }

    /// Keeps for 30 seconds what a Relay says cannot be sent yet; other actions change nothing, nor does
    /// "fragmentation_needed": check says so of any packet that is too long.
    fn remember(&self, relay: &Bound<'_, PyAny>, now: &Bound<'_, PyAny>) -> PyResult<()> {
        let relay = args::object::<Relay>("relay", relay)?;
        let now = args::moment("now", now)?;
        self.state().remember(relay.get().0, now);
        Ok(())
    }

    /// What the sender of the packet at the start of inner has to be told instead of its being carried, if
    /// that may be answered: that it is too long and must stay whole, or what could not be told before,
    /// which is told once. None if it may be carried.
    ///
    /// A packet that is too long and may be cut is to be cut: fragments. Raises PacketError as parse_ipv4
    /// does.
    fn check(
        &self,
        inner: &Bound<'_, PyAny>,
        now: &Bound<'_, PyAny>,
    ) -> PyResult<Option<IcmpError>> {
        let py = inner.py();
        let octets = Octets::of("inner", inner)?;
        let now = args::moment("now", now)?;
        let octets = octets.read(py)?;
        let view = Ipv4View::parse(&octets, Layer::Inner).map_err(errors::wire(py))?;
        Ok(self.state().check(&view, now).err().map(IcmpError))
    }

    fn __repr__(&self) -> String {
        "<TunnelState>".to_owned()
    }
}

/// The ICMP error in the payload of a whole IPv4 packet, checked, about a packet that the entry of the
/// tunnel from local to remote could have sent. That is all the protection there is: who can forge a
/// packet from the underlay and knows both addresses can forge this.
///
/// Raises PacketError: as parse_icmp_error does, then Quoted, QuotedProtocol, QuotedEndpoints,
/// QuotedFragment: it is not about this tunnel.
#[pyfunction]
#[pyo3(signature = (message, *, local, remote))]
pub(crate) fn parse_tunnel_error(
    message: &Bound<'_, PyAny>,
    local: &Bound<'_, PyAny>,
    remote: &Bound<'_, PyAny>,
) -> PyResult<TunnelError> {
    let py = message.py();
    let octets = Octets::of("message", message)?;
    let endpoints = Endpoints {
        local: NodeAddr(args::address("local", local)?),
        remote: NodeAddr(args::address("remote", remote)?),
    };
    let octets = octets.read(py)?;
    let view = wire::IcmpErrorView::parse(&octets).map_err(errors::wire(py))?;
    let error = wire::TunnelError::parse(&view, &endpoints).map_err(errors::relay(py))?;
    Ok(TunnelError {
        error: IcmpError(error.error),
        outer: error.outer.into(),
        inner: error.inner.map(Into::into),
    })
}

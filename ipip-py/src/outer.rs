//! `Outer`: what an encapsulating node writes in front of a packet.

use std::num::NonZeroU8;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{self, DontFragment, DscpPolicy, EcnPolicy, Endpoints, Ttl};
use pyo3::prelude::*;

use crate::args::{self, Given};

const ECN: [(&str, EcnPolicy); 3] = [
    ("kernel", EcnPolicy::Kernel),
    ("normal", EcnPolicy::Normal),
    ("compatibility", EcnPolicy::Compatibility),
];

/// The outer header of a tunnel: its two ends, and what it takes from the inner packet.
///
/// local and remote are the underlay addresses of this node and of the other one. The defaults are
/// what Linux's tunl0 does. ttl (1 to 255) and dscp (0 to 63) of None inherit the inner packet's.
/// ecn is "kernel" (inherited, but congestion becomes ECT(0), RFC 3168), "normal" (inherited, RFC
/// 6040) or "compatibility" (never). dont_fragment True always sets DF, False inherits it.
/// identification (0 to 65535) matters only where DF ends up clear.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Outer(pub(crate) wire::Outer);

#[pymethods]
impl Outer {
    #[new]
    #[pyo3(
        signature = (*, local, remote, ttl=None, dscp=Given::Default, ecn=Given::Default, dont_fragment=Given::Default, identification=Given::Default),
        text_signature = "(*, local, remote, ttl=None, dscp=0, ecn='kernel', dont_fragment=False, identification=0)"
    )]
    fn new<'py>(
        local: &Bound<'py, PyAny>,
        remote: &Bound<'py, PyAny>,
        ttl: Option<&Bound<'py, PyAny>>,
        dscp: Given<'py>,
        ecn: Given<'py>,
        dont_fragment: Given<'py>,
        identification: Given<'py>,
    ) -> PyResult<Self> {
        let endpoints = Endpoints {
            local: NodeAddr(args::address("local", local)?),
            remote: NodeAddr(args::address("remote", remote)?),
        };
        let ttl = ttl
            .map(|ttl| args::integer("ttl", ttl, 1..=255))
            .transpose()?;
        let ttl = ttl.and_then(|ttl| NonZeroU8::new(u8::try_from(ttl).ok()?));
        Ok(Self(wire::Outer {
            ttl: ttl.map_or(Ttl::Inherit, Ttl::Fixed),
            dscp: dscp.or(DscpPolicy::default(), dscp_policy)?,
            ecn: ecn.or(EcnPolicy::Kernel, |ecn| args::choice("ecn", ecn, &ECN))?,
            dont_fragment: if dont_fragment.or(false, |flag| args::flag("dont_fragment", flag))? {
                DontFragment::Always
            } else {
                DontFragment::Inherit
            },
            identification: identification.or(0, |id| args::word("identification", id))?,
            ..wire::Outer::tunl0(endpoints)
        }))
    }

    /// This node's underlay address: the outer source.
    #[getter]
    fn local(&self) -> std::net::Ipv4Addr {
        self.0.endpoints.local.0
    }

    /// The other node's underlay address: the outer destination.
    #[getter]
    fn remote(&self) -> std::net::Ipv4Addr {
        self.0.endpoints.remote.0
    }

    /// The outer TTL, 1 to 255; None inherits the inner one.
    #[getter]
    fn ttl(&self) -> Option<u8> {
        match self.0.ttl {
            Ttl::Inherit => None,
            Ttl::Fixed(ttl) => Some(ttl.get()),
        }
    }

    /// The outer DSCP, 0 to 63; None inherits the inner one.
    #[getter]
    fn dscp(&self) -> Option<u8> {
        match self.0.dscp {
            DscpPolicy::Inherit => None,
            DscpPolicy::Fixed(dscp) => Some(dscp.value()),
        }
    }

    /// How the outer ECN field is made: "kernel", "normal" or "compatibility".
    #[getter]
    fn ecn(&self) -> &'static str {
        let word = ECN.iter().find(|(_, policy)| *policy == self.0.ecn);
        word.map_or("", |(word, _)| word)
    }

    /// Whether DF is always set; else it is inherited.
    #[getter]
    fn dont_fragment(&self) -> bool {
        self.0.dont_fragment == DontFragment::Always
    }

    /// The outer identification, 0 to 65535.
    #[getter]
    fn identification(&self) -> u16 {
        self.0.identification
    }

    pub(crate) fn __repr__(&self) -> String {
        let number = |n: Option<u8>| n.map_or("None".to_owned(), |n| n.to_string());
        format!(
            "Outer(local='{}', remote='{}', ttl={}, dscp={}, ecn='{}', dont_fragment={}, identification={})",
            self.local(),
            self.remote(),
            number(self.ttl()),
            number(self.dscp()),
            self.ecn(),
            args::boolean(self.dont_fragment()),
            self.identification(),
        )
    }

    /// Its repr shows all that == compares.
    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}

fn dscp_policy(value: &Bound<'_, PyAny>) -> PyResult<DscpPolicy> {
    if value.is_none() {
        return Ok(DscpPolicy::Inherit);
    }
    args::dscp("dscp", value).map(DscpPolicy::Fixed)
}

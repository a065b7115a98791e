//! ipip itself.

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{self, Encapsulator, Endpoints, IpipView, Ipv4View, Layer, Outer};

use crate::reference::Fields;

#[inline(always)]
pub(crate) fn parse(packet: &[u8]) -> Option<Fields> {
    let view = IpipView::parse(packet).ok()?;
    let range = view.inner_range();
    Some(Fields {
        outer: (
            view.outer.source().to_bits(),
            view.outer.destination().to_bits(),
        ),
        inner: (
            view.inner.source().to_bits(),
            view.inner.destination().to_bits(),
        ),
        range: (range.start, range.end),
    })
}

pub(crate) fn tunnel(endpoints: (u32, u32)) -> Encapsulator {
    Encapsulator::new(&Outer::tunl0(Endpoints {
        local: NodeAddr(endpoints.0.into()),
        remote: NodeAddr(endpoints.1.into()),
    }))
}

#[inline(always)]
pub(crate) fn view(inner: &[u8]) -> Option<Ipv4View<'_>> {
    Ipv4View::parse(inner, Layer::Inner).ok()
}

#[inline(always)]
pub(crate) fn build(tunnel: &Encapsulator, inner: &Ipv4View<'_>) -> Option<[u8; 20]> {
    tunnel.header(inner).ok()
}

#[inline(always)]
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    wire::checksum(bytes)
}

//! Packets that are too long for the way to their node, because the underlay carries less than the
//! device's MTU says.

use super::Shared;
use crate::addr::NodeAddr;
use crate::datapath::counters::Reason;
use crate::datapath::forward::outbound;
use crate::mtu::{TunnelMtu, UnderlayMtu};
use crate::wire::{
    FragmentError, Fragments, HEADER_LEN, IcmpError, Ipv4View, Layer, MAX_ICMP_ERROR_LEN, Quoted,
};

impl Shared {
    /// Cuts `inner` to what the way to `node` carries and sends the pieces; one that must stay whole (DF)
    /// goes nowhere, and its sender is told.
    ///
    /// The inner packet is cut, not the outer one, so that its destination puts it together and not the
    /// tunnel's exit (<https://www.rfc-editor.org/rfc/rfc4459#section-3.1>).
    pub(super) fn send_in_pieces(&self, inner: &[u8], node: NodeAddr) -> Result<(), Reason> {
        let mtu = self.tunnel_mtu(node).ok_or(Reason::TooLong)?;
        let packet = Ipv4View::parse(inner, Layer::Inner).map_err(|_| Reason::Unsendable)?;
        let fragments = Fragments::new(&packet, mtu).map_err(|error| {
            if matches!(error, FragmentError::DontFragment { .. }) {
                let mtu = u16::try_from(mtu.octets()).unwrap_or(u16::MAX);
                self.tell_sender(inner, IcmpError::FragmentationNeeded { mtu });
            }
            Reason::TooLong
        })?;
        let mut buffer = vec![0; HEADER_LEN + inner.len()];
        for fragment in fragments {
            let room = buffer.get_mut(HEADER_LEN..).unwrap_or_default();
            let len = fragment.emit(room).map_err(|_| Reason::Unsendable)?;
            let piece = buffer.get_mut(..HEADER_LEN + len).unwrap_or_default();
            let outbound = outbound(piece, self.local, &self.peers())?;
            if !matches!(self.raw.send(outbound.packet, outbound.node.0), Ok(true)) {
                return Err(Reason::SendFailed);
            }
        }
        Ok(())
    }

    /// What the way to a node leaves inside the tunnel.
    pub(super) fn tunnel_mtu(&self, node: NodeAddr) -> Option<TunnelMtu> {
        let way = self.interfaces.mtu_of_way(node.0).ok()?;
        Some(UnderlayMtu::try_new(way).ok()?.tunnel())
    }

    /// Tells the sender of `original`, on this node or in a pod, what became of it. At no limited rate: path MTU
    /// discovery lives on these, and the kernel does not limit its own either (`icmpv4_mask_allow`).
    pub(super) fn tell_sender(&self, original: &[u8], error: IcmpError) {
        let Ok(quoted) = Quoted::parse(original, Layer::Inner) else {
            return;
        };
        if !quoted.may_be_answered() {
            return;
        }
        let mut buffer = [0; MAX_ICMP_ERROR_LEN];
        let written = error.emit(self.local.0, original, &mut buffer);
        if let Some(answer) = written.ok().and_then(|len| buffer.get(..len)) {
            // From here and not through the device: a packet that comes in with an address of this node as
            // its source is a martian to the kernel. If it is lost, the next packet brings another.
            let _ = self.raw.send(answer, quoted.source);
        }
    }
}

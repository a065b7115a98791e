//! ICMP errors about our own packets, said again to those whose packets were in them
//! (<https://www.rfc-editor.org/rfc/rfc2003#section-4>).

use std::os::fd::AsFd;

use super::{Failed, Shared};
use crate::addr::NodeAddr;
use crate::wire::{
    Endpoints, IcmpError, IcmpErrorView, Ipv4View, Layer, MAX_PACKET_LEN, Outer, Quoted, Relay,
    RelayContext, TunnelError,
};

impl Shared {
    pub(super) fn carry_errors(&self) -> Failed {
        let mut buffer = vec![0; MAX_PACKET_LEN];
        self.until_woken(self.icmp.as_fd(), "receive ICMP", || {
            let Some(len) = self.icmp.receive(&mut buffer)? else {
                return Ok(false);
            };
            if let Some((original, told)) = self.understand(buffer.get(..len).unwrap_or_default()) {
                self.tell_sender(original, told);
            }
            Ok(true)
        })
    }

    /// What an ICMP packet says to the sender of which inner packet; `None` if that is nothing, if it is not about
    /// a packet that we could have sent, or if too little of that is quoted. Of an MTU the kernel has taken note
    /// before, so in that case the next packet that is too long is answered.
    fn understand<'a>(&self, packet: &'a [u8]) -> Option<(&'a [u8], IcmpError)> {
        let view = Ipv4View::parse(packet, Layer::Outer).ok()?;
        let error = IcmpErrorView::parse(view.payload()).ok()?;
        let sent = Quoted::parse(error.quoted(), Layer::Outer).ok()?;
        let endpoints = Endpoints {
            local: self.local,
            remote: NodeAddr(sent.destination),
        };
        let about = TunnelError::parse(&error, &endpoints).ok()?;
        let node = self.peers().node_of(about.inner?.destination);
        if node != Some(endpoints.remote) {
            return None;
        }
        let is_too_long = matches!(about.error, IcmpError::FragmentationNeeded { .. });
        if is_too_long && view.source() == self.local.0 {
            // The kernel's own, about what it did not send: `too_long` answers that.
            return None;
        }
        let known = self.tunnel_mtu(endpoints.remote);
        let mtu = match (about.mtu(), known) {
            (Some(told), Some(known)) => told.min(known),
            (told, known) => told.or(known)?,
        };
        let context = RelayContext {
            mtu,
            same_network: false,
        };
        match about.relay(&Outer::tunl0(endpoints), context) {
            Relay::Send(told) => Some((about.original, told)),
            Relay::Remember(_) | Relay::Keep => None,
        }
    }
}

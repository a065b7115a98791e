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
            if let Some(about) = self.understand(buffer.get(..len).unwrap_or_default()) {
                self.pass_on(&about);
            }
            Ok(true)
        })
    }

    /// What an ICMP packet says of a packet that we could have sent. Of an MTU the kernel has taken note before, however
    /// little is quoted, so the next packet that is too long is answered.
    fn understand<'a>(&self, packet: &'a [u8]) -> Option<TunnelError<'a>> {
        let view = Ipv4View::parse(packet, Layer::Outer).ok()?;
        let error = IcmpErrorView::parse(view.payload()).ok()?;
        let sent = Quoted::parse(error.quoted(), Layer::Outer).ok()?;
        let remote = NodeAddr(sent.destination);
        let about = TunnelError::parse(&error, &self.endpoints(remote)).ok()?;
        let is_ours = match about.inner {
            Some(inner) => self.peers().node_of(inner.destination) == Some(remote),
            None => remote != self.local && self.peers().knows(remote),
        };
        // The kernel's own "fragmentation needed" is about what it did not send: `too_long` answers that.
        let is_too_long = matches!(about.error, IcmpError::FragmentationNeeded { .. });
        let is_answered = is_too_long && view.source() == self.local.0;
        (is_ours && !is_answered).then_some(about)
    }

    /// Tells the sender of the packet that was in ours, or keeps what to tell the next one.
    fn pass_on(&self, about: &TunnelError<'_>) {
        let remote = NodeAddr(about.outer.destination);
        let known = self.tunnel_mtu(remote);
        let mtu = match (about.mtu(), known) {
            (Some(told), Some(known)) => Some(told.min(known)),
            (told, known) => told.or(known),
        };
        let Some(mtu) = mtu else {
            return;
        };
        let context = RelayContext {
            mtu,
            same_network: false,
        };
        match about.relay(&Outer::tunl0(self.endpoints(remote)), context) {
            Relay::Send(told) => self.tell_sender(about.original, told),
            relay @ Relay::Remember(_) => self.owed.keep(remote, relay, mtu),
            Relay::Keep => {}
        }
    }

    fn endpoints(&self, remote: NodeAddr) -> Endpoints {
        Endpoints {
            local: self.local,
            remote,
        }
    }
}

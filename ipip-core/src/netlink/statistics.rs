//! What the kernel counts at a link.

use super::error::in_place;
use super::message::link;
use super::message::request;
use super::{Kernel, NetlinkError};
use crate::name::InterfaceName;
use crate::plan::Place;

/// What a link counted since it was made: `ip -s link show`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LinkStatistics {
    pub(crate) received_packets: u64,
    pub(crate) sent_packets: u64,
    pub(crate) received_octets: u64,
    pub(crate) sent_octets: u64,
    /// What it did not send, for whatever reason.
    pub(crate) send_errors: u64,
    pub(crate) receive_drops: u64,
    pub(crate) send_drops: u64,
    /// Received frames whose header made no sense; to the ipip driver, ECN fields that ask for a drop.
    pub(crate) frame_errors: u64,
}

impl Kernel {
    /// Reads what a link counted.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] (`ENODEV`) if there is no such link.
    pub(crate) fn statistics(
        &mut self,
        place: &Place,
        name: &InterfaceName,
    ) -> Result<LinkStatistics, NetlinkError> {
        let question = request::get_link_with_counters(name);
        self.space(place)
            .and_then(|space| space.socket.ask(question, link::statistics))
            .map_err(|fault| fault.about(in_place(&format!("link {name}"), place)))
    }
}

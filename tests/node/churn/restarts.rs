//! Programs that end, at any instant, and start anew.

use ipip_core::netlink::Kernel;

use super::field::Field;

impl Field {
    pub(super) fn restart_event(&mut self) -> bool {
        let Some(at) = self.any_running() else {
            return false;
        };
        match self.chance.below(3) {
            0 => self.note(format!("node {at} is started anew")),
            1 => self.end_in_sync(at),
            _ => self.end_in_attach(at),
        }
        self.start_anew(at);
        if self.chance.one_in(2) {
            self.sync(at);
        }
        true
    }

    fn start_anew(&mut self, at: usize) {
        // What it carried in user space ends with it.
        self.spots[at].node = None;
        let node = self.spots[at].host.open_as(self.config(at));
        self.spots[at].node = Some(node);
    }

    /// It was killed between two messages of a sync.
    fn end_in_sync(&mut self, at: usize) {
        // With a data path behind the tunnel device first: a plan without cannot know which it will be.
        self.sync(at);
        self.spots[at].host.space.sh("ip route flush proto bird");
        let steps = self.node(at).plan().unwrap().steps;
        let done = self.chance.below(steps.len() + 1);
        self.note(format!(
            "node {at} ends after {done} of {} steps",
            steps.len()
        ));
        let mut kernel = Kernel::open(&self.spots[at].host.space.netns).unwrap();
        kernel.apply(&steps[..done]).unwrap();
    }

    /// It was killed when it had committed an address, or taken down a wire, and done no more.
    fn end_in_attach(&mut self, at: usize) {
        let slots = &self.slots;
        let is_here = |slot: &usize| {
            let held = slots[*slot].held.as_ref();
            held.is_some_and(|held| held.spot == at && held.wired)
        };
        let Some(slot) = self.chance.any((0..slots.len()).filter(is_here)) else {
            return self.end_in_sync(at);
        };
        self.note(format!(
            "node {at} ends between the address of {slot} and its wire"
        ));
        self.cut(slot);
    }

    /// The wire of a container goes.
    pub(super) fn cut(&mut self, slot: usize) {
        let held = self.slots[slot].held.as_mut().unwrap();
        held.wired = false;
        let space = &self.spots[held.spot].host.space;
        space.sh(&format!("ip link del {}", held.host_veth));
    }
}

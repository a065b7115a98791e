//! Somebody else, who damages what is ours and has things of their own.

use super::field::Field;
use super::model::blocks;

/// What somebody else may do to a host with a node.
const DAMAGES: [&str; 14] = [
    "ip route flush proto bird",
    "ip route flush proto boot dev {cali}",
    "ip route del {block}",
    "ip route replace blackhole {block} proto bird",
    "ip route replace {block} via 172.18.9.9 dev tunl0 onlink proto bird",
    "ip route add blackhole 10.244.251.0/26 proto bird",
    "ip link set tunl0 mtu 1400",
    "ip link set tunl0 down",
    "ip addr flush dev tunl0",
    "ip addr add 10.244.252.1/32 dev tunl0",
    "ip link set {cali} down",
    "ip link set {cali} address 02:00:00:00:00:01",
    "cd /proc/sys/net/ipv4/conf/{cali}; echo 0 > forwarding; echo 0 > proxy_arp",
    "nft flush ruleset; ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default",
];

impl Field {
    pub(super) fn foreign_event(&mut self) -> bool {
        let at = self.chance.below(self.spots.len());
        match self.chance.below(10) {
            0 => self.add_route(at),
            1 => self.take_place(at),
            2 => self.end_route(at),
            3 => self.add_or_end_link(at),
            4 => return self.rename(),
            5 => return self.cut_any(),
            6 => self.end_device(at),
            _ => self.damage(at),
        }
        if self.spots[at].node.is_some() && self.chance.one_in(2) {
            self.sync(at);
        }
        true
    }

    /// A route of theirs, in our pool but nowhere near.
    fn add_route(&mut self, at: usize) {
        let prefix = format!("10.244.{}.0/26", 240 + self.chance.below(8));
        self.put_route(at, "add", &prefix);
    }

    /// A route of theirs where one of ours is or will be.
    fn take_place(&mut self, at: usize) {
        let blocks = blocks(&self.cluster);
        match self.chance.any(blocks.keys()) {
            Some(prefix) => self.put_route(at, "replace", prefix),
            None => self.add_route(at),
        }
    }

    fn put_route(&mut self, at: usize, verb: &str, prefix: &str) {
        let line = format!("{prefix} dev other0 proto static scope link");
        self.note(format!("{at}: ip route {verb} {line}"));
        let spot = &mut self.spots[at];
        if spot
            .routes
            .insert(prefix.to_owned(), line.clone())
            .is_none()
        {
            spot.host.space.sh(&format!("ip route {verb} {line}"));
        }
    }

    fn end_route(&mut self, at: usize) {
        let spot = &mut self.spots[at];
        if let Some((prefix, line)) = spot.routes.pop_first() {
            spot.host.space.sh(&format!("ip route del {line}"));
            self.note(format!("{at}: {prefix} is theirs no longer"));
        } else {
            self.add_route(at);
        }
    }

    /// A link with a name like ours.
    fn add_or_end_link(&mut self, at: usize) {
        let spot = &mut self.spots[at];
        if let Some(name) = spot.links.pop_first() {
            spot.host.space.sh(&format!("ip link del {name}"));
            return self.note(format!("{at}: link {name} goes"));
        }
        let name = format!("cali{:011}", self.number());
        self.note(format!("{at}: link {name} comes"));
        let spot = &mut self.spots[at];
        spot.host.space.sh(&format!(
            "ip link add {name} type veth peer name inner && ip link set inner up && ip link set {name} up"
        ));
        spot.links.insert(name);
    }

    /// Any container with a wire, on a host with a node.
    fn any_wired(&mut self) -> Option<usize> {
        let (slots, spots) = (&self.slots, &self.spots);
        let is_wired = |slot: &usize| {
            let held = slots[*slot].held.as_ref();
            held.is_some_and(|held| held.wired && spots[held.spot].node.is_some())
        };
        self.chance.any((0..slots.len()).filter(is_wired))
    }

    fn cut_any(&mut self) -> bool {
        let Some(slot) = self.any_wired() else {
            return false;
        };
        self.note(format!("somebody deletes the wire of {slot}"));
        self.cut(slot);
        true
    }

    /// A wire is renamed, so that it is no longer one of ours; and gets its name back, or goes.
    fn rename(&mut self) -> bool {
        let Some(slot) = self.any_wired() else {
            return false;
        };
        let held = self.slots[slot].held.as_mut().unwrap();
        let (at, name) = (held.spot, held.host_veth.clone());
        let space = &self.spots[at].host.space;
        space.sh(&format!(
            "ip link set {name} down; ip link set {name} name renamed; ip link set renamed up"
        ));
        let synced = self.spots[at].node.as_ref().unwrap().sync().unwrap();
        assert!(!synced.conflicts.is_empty(), "{synced}");
        held.wired = self.chance.one_in(2);
        let comes_back = held.wired;
        space.sh(&match comes_back {
            true => format!("ip link set renamed down; ip link set renamed name {name}"),
            false => "ip link del renamed".to_owned(),
        });
        self.note(format!("{at}: {name} was renamed, and back: {comes_back}"));
        true
    }

    /// The tunnel device goes; that of the kernel's driver cannot.
    fn end_device(&mut self, at: usize) {
        self.note(format!("{at}: ip link del tunl0"));
        let _ = self.spots[at].host.space.try_sh("ip link del tunl0");
    }

    /// Something of ours is damaged, if it is there.
    fn damage(&mut self, at: usize) {
        let slots = self.slots.iter().filter_map(|slot| slot.held.as_ref());
        let here = slots.filter(|held| held.spot == at && held.wired);
        let cali = self.chance.any(here.map(|held| held.host_veth.clone()));
        let blocks = blocks(&self.cluster);
        let theirs = &self.spots[at].routes;
        let block = self
            .chance
            .any(blocks.keys().filter(|block| !theirs.contains_key(*block)));
        let is_node = self.spots[at].node.is_some();
        let (Some(cali), Some(block), true) = (cali, block, is_node) else {
            return self.add_route(at);
        };
        let line = self.chance.pick(&DAMAGES);
        let line = line.replace("{cali}", &cali).replace("{block}", block);
        // There may be no tunnel device, or no such route.
        let done = self.spots[at].host.space.try_sh(&line).is_ok();
        self.note(format!("{at}: {line}, done: {done}"));
    }

    pub(super) fn foreign_end(&mut self) {
        for at in 0..self.spots.len() {
            while !self.spots[at].routes.is_empty() {
                self.end_route(at);
            }
            if !self.spots[at].links.is_empty() {
                self.add_or_end_link(at);
            }
        }
    }
}

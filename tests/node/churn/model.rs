//! What each host must hold, said the simple way from the records as they lie in the store, and compared
//! with what `ip` tells.

use std::collections::{BTreeMap, BTreeSet};

use ipip_core::datastore::Store;
use ipip_core::resource::IpipMode;
use serde_json::Value;

use super::field::Field;
use crate::cluster::Cluster;

/// The node of each block.
pub(super) fn blocks(cluster: &Cluster) -> BTreeMap<String, String> {
    let owner = |block: Value| {
        let owner = block["affinity"].as_str().unwrap();
        let owner = owner.strip_prefix("host:").unwrap().to_owned();
        (block["cidr"].as_str().unwrap().to_owned(), owner)
    };
    let blocks = records(cluster, "/calico/ipam/v2/assignment/ipv4/block/");
    blocks.into_values().map(owner).collect()
}

/// The records of nodes by name.
fn nodes(cluster: &Cluster) -> BTreeMap<String, Value> {
    records(cluster, "/calico/resources/v3/projectcalico.org/nodes/")
}

fn records(cluster: &Cluster, below: &str) -> BTreeMap<String, Value> {
    let found = cluster.store.list(below).unwrap().entries;
    let read = |value: &[u8]| serde_json::from_slice(value).unwrap();
    let last = |key: &str| key.rsplit_once('/').unwrap().1.to_owned();
    found
        .iter()
        .map(|found| (last(&found.key), read(&found.value)))
        .collect()
}

/// The second number of an address: here, its subnet.
fn subnet(address: &str) -> &str {
    address.split('.').nth(1).unwrap()
}

impl Field {
    /// Every host is as the model says, and its node has nothing to do.
    pub(super) fn check(&mut self) {
        let running = |field: &Self, at: &usize| field.spots[*at].node.is_some();
        let nodes: Vec<_> = (0..self.spots.len())
            .filter(|at| running(self, at))
            .collect();
        // What one does may be for the others to follow: a tunnel address, a block.
        for at in &nodes {
            self.settle(*at);
        }
        for at in nodes {
            assert_eq!(self.settle(at), self.in_the_way(at), "in the way of {at}");
        }
        for at in 0..self.spots.len() {
            self.compare(at);
        }
        self.compare_containers();
        let report = self.cluster.ipam.check().unwrap();
        assert!(report.is_clean(), "{report:?}");
    }

    /// The routes of ours by prefix, as [`told`] writes them.
    fn ours(&self, at: usize) -> BTreeMap<String, String> {
        let spot = &self.spots[at];
        if spot.node.is_none() {
            return BTreeMap::new();
        }
        let nodes = nodes(&self.cluster);
        let mut ours = BTreeMap::new();
        for (block, owner) in blocks(&self.cluster) {
            let text = if owner == spot.host.name.as_str() {
                format!("blackhole {block} proto bird")
            } else {
                let address = nodes[&owner]["spec"]["bgp"]["ipv4Address"]
                    .as_str()
                    .unwrap();
                let is_near = subnet(address) == subnet(&spot.address);
                let device = match self.mode {
                    // The routers between would have to know the way.
                    IpipMode::Never if !is_near => continue,
                    IpipMode::Never => "eth0",
                    IpipMode::CrossSubnet if is_near => "eth0",
                    _ => "tunl0",
                };
                let gateway = address.split('/').next().unwrap();
                format!("{block} via {gateway} dev {device} proto bird onlink")
            };
            ours.insert(block, text);
        }
        let held = self.slots.iter().filter_map(|slot| slot.held.as_ref());
        for held in held.filter(|held| held.spot == at && held.wired) {
            let (address, device) = (held.address, &held.host_veth);
            let text = format!("{address} dev {device} scope link");
            ours.insert(address.to_string(), text);
        }
        ours
    }

    /// Whether something stays in the way: another's route in the place of ours, or a wire that is gone.
    fn in_the_way(&self, at: usize) -> bool {
        let ours = self.ours(at);
        let theirs = &self.spots[at].routes;
        let mut held = self.slots.iter().filter_map(|slot| slot.held.as_ref());
        theirs.keys().any(|prefix| ours.contains_key(prefix))
            || held.any(|held| held.spot == at && !held.wired)
    }

    fn compare(&self, at: usize) {
        let spot = &self.spots[at];
        let mut expected = self.ours(at);
        expected.extend(spot.routes.clone());
        let router = format!("default via 172.{}.0.1 dev eth0", subnet(&spot.address));
        expected.insert("default".to_owned(), router);
        let expected: BTreeSet<String> = expected.into_values().collect();
        let seen = spot.host.space.sh(
            "ip -j -4 route; ip -j addr; cd /proc/sys/net/ipv4/conf; grep . cali*/forwarding cali*/proxy_arp || true",
        );
        let mut seen = seen.lines();
        let mut json = || serde_json::from_str::<Vec<Value>>(seen.next().unwrap()).unwrap();
        let (routes, links) = (json(), json());
        let found = routes.iter().filter(|route| route["protocol"] != "kernel");
        let found: BTreeSet<String> = found.map(told).collect();
        assert_eq!(found, expected, "routes of {at}");
        self.compare_links(at, &links);
        for setting in seen {
            let (what, value) = setting.split_once(':').unwrap();
            let link = what.split_once('/').unwrap().0;
            assert!(
                spot.links.contains(link) || value == "1",
                "{setting} at {at}"
            );
        }
    }

    fn compare_links(&self, at: usize, links: &[Value]) {
        let spot = &self.spots[at];
        let held = self.slots.iter().filter_map(|slot| slot.held.as_ref());
        let mut expected: BTreeSet<&str> = held
            .filter(|held| held.spot == at && held.wired)
            .map(|held| held.host_veth.as_str())
            .collect();
        expected.extend(spot.links.iter().map(String::as_str));
        let named = |link: &Value| link["ifname"].as_str().unwrap().starts_with("cali");
        let found = links.iter().filter(|link| named(link));
        let found: BTreeSet<&str> = found.map(|link| link["ifname"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "links of {at}");
        let is_up = |link: &&Value| link["flags"].as_array().unwrap().contains(&"UP".into());
        let down = links.iter().find(|link| named(link) && !is_up(link));
        assert_eq!(down, None, "links of {at}");
        let record = nodes(&self.cluster).remove(spot.host.name.as_str());
        let running = record.filter(|_| spot.node.is_some());
        let tunnel = running.and_then(|record| {
            assert_eq!(record["spec"]["bgp"]["ipv4Address"], spot.address.as_str());
            let address = record["spec"]["bgp"]["ipv4IPIPTunnelAddr"].as_str()?;
            Some(address.to_owned())
        });
        let is_wanted = spot.node.is_some() && self.mode != IpipMode::Never;
        assert_eq!(tunnel.is_some(), is_wanted, "{tunnel:?} of {at}");
        let device = links.iter().find(|link| link["ifname"] == "tunl0");
        let held = device.map(|link| link["addr_info"].as_array().unwrap().as_slice());
        let held = held.unwrap_or_default().iter();
        let held: Vec<&str> = held.filter_map(|addr| addr["local"].as_str()).collect();
        assert_eq!(
            held,
            tunnel.iter().collect::<Vec<_>>(),
            "addresses of tunl0 of {at}"
        );
        if let Some(device) = device.filter(|_| is_wanted) {
            assert!(is_up(&device) && device["mtu"] == 1480, "{device}");
        }
    }

    /// One of the containers has its address, and those that were detached have nothing.
    fn compare_containers(&mut self) {
        let at = self.chance.below(self.slots.len());
        let slot = &self.slots[at];
        let wired = slot.held.as_ref().filter(|held| held.wired);
        let inside = slot.space.ip("-4 addr");
        let eth0 = inside.iter().find(|link| link["ifname"] == "eth0");
        let found = eth0.and_then(|link| link["addr_info"][0]["local"].as_str());
        let expected = wired.map(|held| held.address.to_string());
        assert_eq!(found, expected.as_deref(), "container {at}");
    }
}

/// A route in the words of `ip`, without what comes and goes.
fn told(route: &Value) -> String {
    let mut text = String::new();
    let mut say = |label: &str, key: &str| {
        if let Some(value) = route[key].as_str() {
            text += &format!("{label}{value} ");
        }
    };
    say("", "type");
    say("", "dst");
    say("via ", "gateway");
    say("dev ", "dev");
    say("proto ", "protocol");
    say("scope ", "scope");
    let flags = route["flags"].as_array().unwrap().iter();
    let lasting = flags
        .filter_map(Value::as_str)
        .filter(|flag| !flag.contains("down"));
    text += &lasting.collect::<Vec<_>>().join(" ");
    text.trim_end().to_owned()
}

//! Two nodes that have settled, and what it means to settle.

use std::net::Ipv4Addr;

use ipip_core::node::{Node, Synced};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host, Pod};

/// Two nodes, each with a pod, as the reference picture has them.
pub(crate) struct Two {
    pub(crate) cluster: Cluster,
    pub(crate) hosts: [Host; 2],
    pub(crate) nodes: [Node; 2],
    pub(crate) pods: [Pod; 2],
    pub(crate) addrs: [Ipv4Addr; 2],
}

impl Two {
    pub(crate) fn new(mode: IpipMode) -> Self {
        Self::at(mode, ["172.18.0.3/16", "172.18.0.2/16"])
    }

    fn at(mode: IpipMode, addresses: [&str; 2]) -> Self {
        let cluster = Cluster::new(mode);
        let hosts = [
            cluster.host("node-a", addresses[0]),
            cluster.host("node-b", addresses[1]),
        ];
        let nodes = [hosts[0].join(), hosts[1].join()];
        let pods = [Pod::new("podA", "c1"), Pod::new("podB", "c2")];
        let attach = |at: usize| nodes[at].attach(&pods[at].workload).unwrap().address;
        let addrs = [attach(0), attach(1)];
        let two = Self {
            addrs,
            cluster,
            hosts,
            nodes,
            pods,
        };
        two.settle();
        two
    }

    /// Both nodes sync, and a second time find nothing to do.
    pub(crate) fn settle(&self) {
        for node in &self.nodes {
            settle(node);
        }
    }

    /// The block that the pod of the node `at` is from.
    pub(crate) fn block(&self, at: usize) -> String {
        let block = self.cluster.ipam.block_of(self.addrs[at]).unwrap().unwrap();
        block.prefix().to_string()
    }

    #[track_caller]
    pub(crate) fn assert_reach(&self) {
        assert!(
            self.pods[0].reaches(self.addrs[1]),
            "{:?}",
            self.hosts[0].routes()
        );
        assert!(
            self.pods[1].reaches(self.addrs[0]),
            "{:?}",
            self.hosts[1].routes()
        );
    }
}

/// Syncs; a second sync and a plan find nothing to do.
#[track_caller]
pub(crate) fn settle(node: &Node) -> Synced {
    let synced = node.sync().unwrap();
    assert!(synced.is_settled(), "{synced}");
    let plan = node.plan().unwrap();
    assert!(plan.is_empty(), "after\n{synced}still\n{plan}");
    let again = node.sync().unwrap();
    assert!(again.done.is_empty() && again.is_settled(), "{again}");
    synced
}

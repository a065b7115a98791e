//! Two nodes of one pod network, a namespace each, and a datagram from a pod of the one to a pod of the
//! other: `cargo build --release --example node && sudo target/release/examples/node`.
//!
//! They share a store in memory; `datastore::Sqlite` keeps one in a file, for all processes of a machine.
//! On a kernel without the ipip driver each node carries its packets in user space.

use std::error::Error;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ipip_core::datastore::Memory;
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::NodeName;
use ipip_core::node::{Node, NodeConfig, Workload, WorkloadId};
use ipip_core::resource::{IpipMode, Pool};
use ipip_core::sys::netns::Netns;

fn main() -> Result<(), Box<dyn Error>> {
    // Two hosts on one wire, each the other's router.
    let hosts = [Netns::create_unnamed()?, Netns::create_unnamed()?];
    shell(
        &hosts[0],
        &format!(
            "ip link add eth0 type veth peer name eth0 netns {}",
            hosts[1]
        ),
    )?;
    for (host, (own, other)) in hosts.iter().zip([(3, 2), (2, 3)]) {
        shell(
            host,
            &format!("ip addr add 172.18.0.{own}/16 dev eth0; ip link set eth0 up"),
        )?;
        shell(host, &format!("ip route add default via 172.18.0.{other}"))?;
    }

    let store = Arc::new(Memory::new());
    let ipam = Ipam::new(Arc::<Memory>::clone(&store), Ambient::system());
    let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?;
    ipam.create_pool(&pool.with_ipip_mode(IpipMode::Always))?;

    let (mut nodes, mut pods) = (vec![], vec![]);
    for (host, name) in hosts.iter().zip(["node-a", "node-b"]) {
        let config = NodeConfig::new(NodeName::try_new(name)?).with_netns(host.try_clone()?);
        let node = Node::join(Arc::<Memory>::clone(&store), config, Ambient::system())?;
        let pod = Netns::create_unnamed()?;
        let id = WorkloadId::new("default", "pod", &format!("container-of-{name}"));
        let attached = node.attach(&Workload::new(id, pod.path()))?;
        println!(
            "# {name}: pod {} behind {}",
            attached.address, attached.host_veth
        );
        nodes.push(node);
        pods.push((pod, attached.address));
    }
    // Each learns of the other's block. A program that stays would call `run`.
    for node in &nodes {
        let synced = node.sync()?;
        println!(
            "# {}, data path {}\n{synced}",
            node.name(),
            synced.data_path
        );
    }

    let bind = |at: usize| pods[at].0.enter(|| UdpSocket::bind((pods[at].1, 4000)));
    let (near, far) = (bind(0)??, bind(1)??);
    far.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut buffer = [0; 64];
    // A new wire takes up to a second to carry.
    for _ in 0..50 {
        near.send_to(b"hello", (pods[1].1, 4000))?;
        if let Ok((len, from)) = far.recv_from(&mut buffer) {
            println!(
                "# {from} says {:?}",
                String::from_utf8_lossy(&buffer[..len])
            );
            return Ok(());
        }
    }
    Err("nothing arrived".into())
}

/// Runs a line of the shell in a namespace.
fn shell(netns: &Netns, line: &str) -> Result<(), Box<dyn Error>> {
    let status = netns.enter(|| Command::new("sh").args(["-ec", line]).status())??;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{line}: {status}").into())
    }
}

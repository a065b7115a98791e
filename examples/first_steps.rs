//! Packets, addresses and, as root, one wired workload: `cargo run --example first_steps`.

use std::error::Error;
use std::sync::Arc;

use ipip_core::addr::NodeAddr;
use ipip_core::datastore::Memory;
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::mtu::UnderlayMtu;
use ipip_core::name::{HandleId, NodeName};
use ipip_core::node::ensure_workload;
use ipip_core::overlay::WorkloadEndpoint;
use ipip_core::resource::{Attribute, IpipMode, Pool};
use ipip_core::sys::netns::Netns;
use ipip_core::wire::{self, Endpoints, HEADER_LEN, IpipView, Ipv4Header, Outer, protocol};

fn main() -> Result<(), Box<dyn Error>> {
    // An address for the pod, from a block that the node claims.
    let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?;
    ipam.create_pool(&pool.with_ipip_mode(IpipMode::Always))?;
    let node_a = NodeName::try_new("node-a")?;
    let block = ipam.claim(&node_a, "10.244.79.0/26".parse()?)?.block;
    let owner = Attribute::new(Some(HandleId::try_new("default.pod-a")?)).with("pod", "pod-a");
    let pod = ipam.assign(&node_a, "10.244.79.20".parse()?, &owner)?.addr;
    println!("{pod} from block {block}");

    // A packet of the pod, as it travels between the nodes: the outer header goes in front, in place.
    let mut buffer = [0; HEADER_LEN + HEADER_LEN + 5];
    let destination = "10.244.244.73".parse()?;
    let inner = Ipv4Header {
        ttl: 64,
        protocol: protocol::UDP,
        source: pod,
        destination,
        ..Ipv4Header::default()
    };
    inner.emit(&mut buffer[HEADER_LEN..])?;
    let (local, remote) = (
        NodeAddr([172, 18, 0, 3].into()),
        NodeAddr([172, 18, 0, 2].into()),
    );
    let packet = wire::encapsulate(
        &mut buffer,
        HEADER_LEN,
        &Outer::tunl0(Endpoints { local, remote }),
    )?;
    let headers = IpipView::parse(packet)?;
    println!(
        "{} > {}: {} > {}",
        headers.outer.source(),
        headers.outer.destination(),
        pod,
        destination
    );
    assert_eq!(wire::decapsulate(packet)?, headers.inner.packet());

    // The pod's interface, in namespaces that end with this program.
    let (node, inside) = match (Netns::create_unnamed(), Netns::create_unnamed()) {
        (Ok(node), Ok(inside)) => (node, inside),
        (Err(refused), _) | (_, Err(refused)) => {
            println!("not wired, which needs root: {refused}");
            return Ok(());
        }
    };
    let workload = WorkloadEndpoint::new("default", "pod-a", pod, UnderlayMtu::ETHERNET.tunnel());
    print!("{}", ensure_workload(&node, &inside, &workload)?);
    println!(
        "a second call: {} changes",
        ensure_workload(&node, &inside, &workload)?.steps.len()
    );
    Ok(())
}

//! What a person should see.

use std::error::Error;
use std::io::{self, Write};

use ipip_core::capture::Frame;
use ipip_core::capture::describe::{Layer, layers, line, tree};
use ipip_core::datapath::DataPathKind;
use ipip_core::mtu::{OVERHEAD, VXLAN_OVERHEAD};
use ipip_core::netlink::Kernel;
use ipip_core::plan::{ObservedLink, Place};
use ipip_core::resource::IpipMode;
use ipip_core::wire::EchoKind;

use crate::echo::Outcome;
use crate::stage::Stage;
use crate::watch::Point;

/// Lines shown per point; the rest is counted.
const LINES: usize = 8;

/// The address plan: the pool, each block with its mask, first and last address, and who has what.
pub(crate) fn addresses(stage: &Stage, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "address plan, pool {}:", crate::addresses::POOL)?;
    for node in &stage.nodes {
        let block = node.block;
        writeln!(
            out,
            "  {} {}: block {block}, mask {}, {} to {}",
            node.name,
            node.addr,
            block.netmask(),
            block.network(),
            block.last()
        )?;
        writeln!(out, "    tunnel address {}", node.tunnel.address)?;
        for pod in &node.pods {
            writeln!(
                out,
                "    {} {} behind {}",
                pod.endpoint.pod,
                pod.endpoint.address,
                pod.endpoint.host_veth()
            )?;
        }
    }
    Ok(())
}

/// The tunnel device and the routes of each node, as the kernel reports them, and which rule chooses
/// the outer addresses.
pub(crate) fn nodes(stage: &Stage, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for node in &stage.nodes {
        let observed = Kernel::open(&node.netns)?.observe()?;
        writeln!(out, "\n{}:", node.name)?;
        if let Some(link) = observed
            .link(&Place::Node, &node.tunnel.device)
            .filter(|_| stage.tunnelled)
        {
            writeln!(out, "  {}", tunnel_text(link))?;
        }
        for route in &observed.routes {
            writeln!(out, "  {route}")?;
        }
    }
    writeln!(out, "\n{}", outer_rule(stage)?)?;
    Ok(())
}

/// As `ip tunnel show` has it, with what `ip addr` adds. `any/ip`: in a namespace of our own it is the
/// kernel's fallback device or one equal to it, whose inner protocol is 0.
fn tunnel_text(link: &ObservedLink) -> String {
    let any = |addr: std::net::Ipv4Addr| {
        if addr.is_unspecified() {
            "any".to_owned()
        } else {
            addr.to_string()
        }
    };
    let ends = match link.tunnel {
        Some(ends) => format!(
            "any/ip remote {} local {} ttl {} {}",
            any(ends.remote),
            any(ends.local),
            if ends.ttl == 0 {
                "inherit".to_owned()
            } else {
                ends.ttl.to_string()
            },
            if ends.pmtudisc {
                "pmtudisc"
            } else {
                "nopmtudisc"
            },
        ),
        None => format!("{}, wrapped and unwrapped in user space", link.kind),
    };
    let addresses: Vec<_> = link.addresses.iter().map(ToString::to_string).collect();
    let state = if link.up { "up" } else { "down" };
    format!(
        "{}: {ends}, mtu {}, {state}, {}",
        link.name,
        link.mtu,
        addresses.join(" ")
    )
}

fn outer_rule(stage: &Stage) -> Result<String, Box<dyn Error>> {
    let [from, to] = &stage.nodes;
    let Some(data_path) = stage.data_path() else {
        let why = match stage.mode {
            IpipMode::CrossSubnet => format!("{} lies in the subnet of {}", to.addr, from.addr),
            _ => format!("mode {}", stage.mode),
        };
        return Ok(format!(
            "no outer addresses: {why}, so {} is routed directly to {}",
            to.block, to.addr
        ));
    };
    let chosen = match data_path.kind() {
        DataPathKind::Bpf | DataPathKind::Userspace => format!(
            "the outer destination {} is the peer that holds {}, the outer source {} is the node's own address",
            to.addr, to.block, from.addr
        ),
        _ => {
            let answer = Kernel::open(&from.netns)?.route_to(&Place::Node, to.addr.0)?;
            let source = answer
                .source
                .map_or("of no address".to_owned(), |source| source.to_string());
            format!(
                "the outer destination {} is the gateway of the route to {}, the outer source {} is the one that the \
                 kernel's route to that gateway prefers (dev {})",
                to.addr, to.block, source, answer.device
            )
        }
    };
    Ok(format!(
        "outer addresses: {chosen}\ndata path: {}, {}",
        data_path.kind(),
        data_path.reason()
    ))
}

/// What each point saw, the encapsulated frame layer by layer, the overhead, and the last line.
/// Whether everything came back and was seen everywhere.
pub(crate) fn points(
    stage: &Stage,
    points: &[Point],
    outcome: &Outcome,
    out: &mut impl Write,
) -> io::Result<bool> {
    let mut complete = 0;
    for point in points {
        let seen = outcome
            .sent
            .iter()
            .filter(|echo| saw_both_ways(point, **echo, stage))
            .count();
        let first_pod_only = point.title == "pod eth0" || point.title.starts_with("host ");
        let expected = outcome
            .sent
            .iter()
            .filter(|(id, _)| !first_pod_only || *id == stage.pairs[0].identifier)
            .count();
        complete += usize::from(seen == expected);
        let shown: Vec<_> = point.frames.iter().filter(is_shown).collect();
        let others = point.frames.len() - shown.len();
        writeln!(
            out,
            "\n{}{}",
            point.title,
            if is_one_way(point, stage) {
                let receiver = stage.nodes[1].name;
                format!(
                    " of {receiver}: {seen} of {expected} echoes seen arriving; eBPF sends past it"
                )
            } else {
                format!(": {seen} of {expected} echoes seen both ways")
            }
        )?;
        writeln!(
            out,
            "  {} frames of IPv4 and ARP, {others} others not shown; times in UTC",
            shown.len()
        )?;
        for incident in &point.incidents {
            writeln!(out, "  {incident}")?;
        }
        for frame in shown.iter().take(LINES) {
            writeln!(out, "  {}", line(frame))?;
        }
        if shown.len() > LINES {
            writeln!(out, "  … {} more", shown.len() - LINES)?;
        }
    }
    frame_tree(points, out)?;
    if stage.tunnelled {
        writeln!(
            out,
            "\noverhead: {OVERHEAD} octets per packet, one IPv4 header (VXLAN adds {VXLAN_OVERHEAD})"
        )?;
    }
    let (answered, sent) = (outcome.answered, outcome.sent.len());
    let path = stage
        .data_path()
        .map_or("none, routed directly".to_owned(), |path| {
            path.kind().to_string()
        });
    writeln!(
        out,
        "two_nodes: {complete}/{} capture points, {answered}/{sent} echoes, data path: {path}",
        points.len()
    )?;
    Ok(complete == points.len() && answered == sent)
}

/// Request and reply, and on the wire both inside an outer header exactly where a tunnel is.
fn saw_both_ways(point: &Point, (identifier, sequence): (u16, u16), stage: &Stage) -> bool {
    let encapsulated = stage.tunnelled && point.title == "node eth0";
    let ways = if is_one_way(point, stage) {
        &[EchoKind::Request][..]
    } else {
        &[EchoKind::Request, EchoKind::Reply]
    };
    ways.iter().copied().all(|kind| {
        point.echoes().any(|seen| {
            seen == crate::watch::Seen {
                kind,
                identifier,
                sequence,
                encapsulated,
            }
        })
    })
}

/// Whether the point is a tunnel device that packets are sent past.
fn is_one_way(point: &Point, stage: &Stage) -> bool {
    let device = stage.nodes[0].tunnel.device.as_str();
    stage.sends_past_its_device() && point.title.starts_with(device)
}

/// The first frame with as many IP layers as any has: two where a tunnel is.
fn frame_tree(points: &[Point], out: &mut impl Write) -> io::Result<()> {
    let Some(point) = points.last() else {
        return Ok(());
    };
    let ip_layers = |frame: &Frame| {
        layers(frame.link_type, &frame.octets)
            .iter()
            .filter(|layer| matches!(layer, Layer::Ipv4(_)))
            .count()
    };
    let most = point.frames.iter().map(ip_layers).max();
    if let Some(frame) = point
        .frames
        .iter()
        .find(|frame| Some(ip_layers(frame)) == most)
    {
        write!(
            out,
            "\none frame at {}, layer by layer:\n{}",
            point.title,
            tree(frame)
        )?;
    }
    Ok(())
}

/// ARP and IPv4; the rest is the namespaces' own IPv6 chatter.
fn is_shown(frame: &&Frame) -> bool {
    layers(frame.link_type, &frame.octets)
        .iter()
        .any(|layer| matches!(layer, Layer::Arp(_) | Layer::Ipv4(_)))
}

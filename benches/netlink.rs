//! `benches/run netlink`: a hundred thousand routes and a hundred pods through the kernel, beside the least
//! that must be done for them and beside other libraries and tools, in namespaces of its own; needs root.
//!
//! Contestants take turns within a round, so that a busy machine slows all of them alike; each figure
//! is the median over rounds, each ratio the median of the rounds' own ratios.

mod netlink_floor;
mod netlink_node;
mod netlink_pods;
#[expect(dead_code, reason = "the benchmarks of the codec use the rest")]
mod timing;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::name::InterfaceName;
use ipip_core::netlink::{Event, Kernel, Monitor};
use ipip_core::plan::{
    Change, Desired, NextHop, NextHopObject, Observed, Ownership, Place, Route, RouteProtocol,
    RouteTable, Step, Target, ensure, sync,
};
use ipip_core::sys::netns::Netns;
use netlink_floor::{Datagrams, Floor, Seen, add_route, datagrams};
use timing::median;

const ROUTES: u32 = 100_000;
/// pyroute2 takes so long that it gets a tenth.
const FEWER: u32 = 10_000;
const ROUNDS: usize = 7;

/// A namespace with a device that takes routes.
struct World {
    netns: Netns,
    device: u32,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            netns: Netns::create_unnamed().unwrap(),
            device: 0,
        };
        world.sh("ip link set lo up; ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up
                  ip addr add 172.18.0.3/32 dev eth0");
        world.device = world
            .sh("ip -o link show eth0")
            .split(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        world
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.netns.path().display()))
            .arg(program);
        command
    }

    fn sh(&self, script: &str) -> String {
        let output = self.command("sh").args(["-ec", script]).output().unwrap();
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The kernel drops a device's routes with it, in a moment.
    fn clear(&self) {
        self.sh("ip link set eth0 down; ip link set eth0 up");
    }
}

fn prefix(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + number * 64)
}

fn gateway(number: u32, gateways: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xac12_1000 + number % gateways)
}

fn route(number: u32, gateways: u32) -> Route {
    let target = Target::Device {
        device: InterfaceName::try_new("eth0").unwrap(),
        next_hop: NextHop::Onlink(NodeAddr(gateway(number, gateways))),
    };
    Route::new(
        Ipv4Prefix::try_new(prefix(number), 26).unwrap(),
        target,
        RouteProtocol::BIRD,
    )
}

fn add(route: Route) -> Step {
    Step {
        place: Place::Node,
        change: Change::AddRoute(route),
    }
}

fn written(count: u32, gateways: u32, device: u32) -> Datagrams {
    datagrams((0..count).map(|n| add_route((prefix(n), 26), Some(gateway(n, gateways)), device)))
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The median of the rounds' own ratios.
pub(crate) fn ratio(series: &[f64], base: &[f64]) -> f64 {
    let ratios = series.iter().zip(base).map(|(one, base)| one / base);
    median(ratios.collect())
}

/// Prints a line; `series` are seconds for one contestant, ratios are to those of `base`.
pub(crate) fn row(name: &str, series: &[f64], base: &[f64], verdict: impl FnOnce(f64) -> String) {
    let ratio = ratio(series, base);
    let milliseconds = median(series.to_vec()) * 1e3;
    println!(
        "    {name:<44} {milliseconds:>10.1} {ratio:>9.2}  {}",
        verdict(ratio)
    );
}

pub(crate) fn target(met: bool, text: &str) -> String {
    format!("target {text}: {}", if met { "met" } else { "MISSED" })
}

fn insert(world: &World) {
    println!(
        "  {ROUTES} routes added, one gateway {:>18} {:>9}",
        "ms", "x ipip"
    );
    let floor_octets = written(ROUTES, 1, world.device);
    let steps: Vec<Step> = (0..ROUTES).map(|n| add(route(n, 1))).collect();
    let file = std::env::temp_dir().join(format!("ipip-bench-{}.batch", std::process::id()));
    let lines: Vec<String> = (0..ROUTES)
        .map(|n| format!("route add {}\n", route(n, 1)))
        .collect();
    std::fs::write(&file, lines.concat()).unwrap();
    let mut kernel = Kernel::open(&world.netns).unwrap();
    let mut floor = Floor::open(&world.netns);
    let mut series: [Vec<f64>; 5] = Default::default();
    for round in 0..ROUNDS {
        // The first of a round finds the kernel's memory otherwise than the second.
        for contestant in [round % 2, (round + 1) % 2] {
            world.clear();
            series[contestant].push(match contestant {
                0 => seconds(|| floor.change(&floor_octets)),
                _ => seconds(|| assert!(kernel.apply_all(&steps).is_complete())),
            });
        }
        world.clear();
        let mut rtnetlink = std::env::var_os("IPIP_BENCH_RTNETLINK")
            .map(|peer| world.command(&peer.to_string_lossy()));
        series[2].push(
            rtnetlink
                .as_mut()
                .map_or(f64::NAN, |peer| said(peer, ROUTES, world.device)),
        );
        world.clear();
        series[3].push(seconds(|| {
            assert!(
                world
                    .command("ip")
                    .arg("-batch")
                    .arg(&file)
                    .status()
                    .unwrap()
                    .success()
            )
        }));
        world.clear();
        let python = std::env::var_os("IPIP_BENCH_PYTHON").map(|python| {
            let mut command = world.command(&python.to_string_lossy());
            command.arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../benches/netlink_pyroute2.py"
            ));
            said(&mut command, FEWER, world.device) * f64::from(ROUTES / FEWER)
        });
        series[4].push(python.unwrap_or(f64::NAN));
    }
    std::fs::remove_file(file).unwrap();
    let [floor, ours, rtnetlink, batch, python] = &series;
    let floor_ratio = ratio(ours, floor);
    row("least work: octets written beforehand", floor, ours, |_| {
        String::new()
    });
    row("ipip, Kernel::apply_all", ours, ours, |_| {
        target(
            floor_ratio <= 1.1,
            &format!("{floor_ratio:.2} of the least, <= 1.1"),
        )
    });
    row("crate rtnetlink, 64 at a time", rtnetlink, ours, |ratio| {
        target(ratio >= 1.8, ">= 1.8")
    });
    row("ip -batch", batch, ours, |ratio| {
        target(ratio >= 2.5, ">= 2.5")
    });
    row(
        &format!("pyroute2 (of {FEWER}, scaled)"),
        python,
        ours,
        |ratio| target(ratio >= 40.0, ">= 40"),
    );
}

/// The seconds that a contestant of its own prints.
fn said(command: &mut Command, count: u32, device: u32) -> f64 {
    let output = command
        .args([count, device].map(|n| n.to_string()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seconds = text.trim().parse();
    seconds.unwrap_or_else(|_| panic!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The kernel compares each new gateway with all others of the device.
fn insert_through_many(world: &World) {
    println!(
        "  {ROUTES} routes added, 1000 gateways {:>16} {:>9}",
        "ms", "x ipip"
    );
    let octets = written(ROUTES, 1000, world.device);
    let steps: Vec<Step> = (0..ROUTES).map(|n| add(route(n, 1000))).collect();
    let by_objects = by_objects(1000);
    let mut kernel = Kernel::open(&world.netns).unwrap();
    let mut floor = Floor::open(&world.netns);
    let (mut least, mut ours, mut objects) = (vec![], vec![], vec![]);
    let (mut moved, mut moved_objects) = (vec![], vec![]);
    for round in 0..4 {
        for contestant in [round % 2, (round + 1) % 2] {
            world.clear();
            match contestant {
                0 => least.push(seconds(|| floor.change(&octets))),
                _ => ours.push(seconds(|| assert!(kernel.apply_all(&steps).is_complete()))),
            }
        }
        moved.push(renumbered(&mut kernel, false));
        world.clear();
        objects.push(seconds(|| {
            assert!(kernel.apply_all(&by_objects).is_complete());
        }));
        moved_objects.push(renumbered(&mut kernel, true));
    }
    row(
        "least work: octets written beforehand",
        &least,
        &ours,
        |_| String::new(),
    );
    row("ipip, Kernel::apply_all", &ours, &ours, |_| String::new());
    row("ipip, by 1000 next hop objects", &objects, &ours, |_| {
        String::new()
    });
    for (what, series) in [
        ("  then all 1000 nodes renumbered", &moved),
        ("  the same by next hop objects", &moved_objects),
    ] {
        row(what, series, &ours, |_| String::new());
    }
}

fn object(number: u32, gateways: u32) -> NextHopObject {
    let Target::Device {
        device,
        next_hop: NextHop::Onlink(node),
    } = route(number, gateways).target
    else {
        unreachable!("routes are onlink");
    };
    NextHopObject::to_node(&device, node, true, RouteProtocol::BIRD).unwrap()
}

/// The same routes, by an object for each gateway, and these before them.
fn by_objects(gateways: u32) -> Vec<Step> {
    let objects = (0..gateways).map(|n| Change::AddNextHop(object(n, gateways)));
    let routes = (0..ROUTES).map(|n| {
        let mut route = route(n, gateways);
        if let Target::Device { next_hop, .. } = &mut route.target {
            *next_hop = NextHop::Object(object(n, gateways).id);
        }
        Change::AddRoute(route)
    });
    let place = |change| Step {
        place: Place::Node,
        change,
    };
    objects.chain(routes).map(place).collect()
}

/// All 1000 nodes get other addresses: by plain routes, and by objects as a plan does it, which gives an object of
/// another node another number. (To replace the 1000 objects takes 4.9 s: the kernel tells of each of their routes.)
fn renumbered(kernel: &mut Kernel, have_objects: bool) -> f64 {
    let other = |n: u32| n % 1000 + 1000;
    let object_of = |n: u32| object(n, 10_000);
    let routes = (0..ROUTES).map(|n| {
        let mut route = Route {
            target: route(other(n), 10_000).target,
            ..route(n, 1000)
        };
        if let (true, Target::Device { next_hop, .. }) = (have_objects, &mut route.target) {
            *next_hop = NextHop::Object(object_of(other(n)).id);
        }
        Change::ReplaceRoute(route)
    });
    let count = if have_objects { 1000 } else { 0 };
    let added = (0..count).map(|n| Change::AddNextHop(object_of(other(n))));
    let deleted = (0..count).map(|n| Change::DeleteNextHop(object_of(n)));
    let place = |change| Step {
        place: Place::Node,
        change,
    };
    let steps: Vec<Step> = added.chain(routes).chain(deleted).map(place).collect();
    seconds(|| assert!(kernel.apply_all(&steps).is_complete()))
}

/// Everything is as it should be: observe, compare, write nothing.
fn nothing_to_do(world: &World) {
    println!(
        "  {ROUTES} routes observed, nothing to do {:>13} {:>9}",
        "ms", "x ipip"
    );
    world.clear();
    let mut floor = Floor::open(&world.netns);
    floor.change(&written(ROUTES, 1, world.device));
    let wanted: HashMap<(u32, u8), Seen> = (0..ROUTES)
        .map(|n| {
            let seen = Seen {
                gateway: gateway(n, 1).to_bits(),
                device: world.device,
                protocol: 12,
            };
            ((prefix(n).to_bits(), 26), seen)
        })
        .collect();
    let desired = Desired {
        routes: (0..ROUTES).map(|n| route(n, 1)).collect(),
        ..Desired::default()
    };
    let mut kernel = Kernel::open(&world.netns).unwrap();
    let mut table = RouteTable::new(ownership());
    desired.routes.iter().for_each(|r| table.want(r.clone()));
    table.replace_observed(kernel.observe().unwrap().routes);
    assert_eq!(table.plan().steps, []);
    let mut series: [Vec<f64>; 5] = Default::default();
    for _ in 0..3 * ROUNDS {
        series[0].push(seconds(|| {
            let mut right = 0;
            floor.routes(|prefix, seen| right += u32::from(wanted.get(&prefix) == Some(&seen)));
            assert_eq!(right, ROUTES);
        }));
        let mut observed = Observed::default();
        let observing = seconds(|| observed = kernel.observe().unwrap());
        let ensuring = seconds(|| assert_eq!(ensure(&desired, &observed).steps, []));
        let syncing = seconds(|| assert_eq!(sync(&desired, &observed, &ownership()).steps, []));
        let taking_in = seconds(|| {
            table.replace_observed(observed.routes);
            assert_eq!(table.plan().steps, []);
        });
        series[1].push(observing);
        let planning = [ensuring, syncing, taking_in];
        for (series, planning) in series[2..].iter_mut().zip(planning) {
            series.push(observing + planning);
        }
    }
    let [least, observing, ensuring, syncing, table] = &series;
    let verdict = |ours: &[f64]| {
        let ratio = ratio(ours, least);
        target(ratio <= 1.5, &format!("{ratio:.2} of the least, <= 1.5"))
    };
    let floor = "least work: strict dump and hash look-ups";
    row(floor, least, ensuring, |_| String::new());
    row("ipip, observe alone", observing, ensuring, |_| {
        String::new()
    });
    for (name, series) in [
        ("ipip, observe and ensure", ensuring),
        ("ipip, observe and sync", syncing),
        ("ipip, observe, into a RouteTable, its plan", table),
    ] {
        row(name, series, ensuring, |_| verdict(series));
    }
}

fn ownership() -> Ownership {
    let name = |text| InterfaceName::try_new(text).unwrap();
    let pool = Ipv4Prefix::try_new(prefix(0), 8).unwrap();
    // The device of the routes stands for the tunnel device.
    Ownership::new(name("eth0"), name("lo"), [pool])
}

/// One of them is deleted by somebody else, and put back.
fn one_changed(world: &World) {
    const REPEATS: u32 = 200;
    let mut kernel = Kernel::open(&world.netns).unwrap();
    let mut monitor = Monitor::open(&world.netns).unwrap();
    let desired: HashMap<Ipv4Prefix, Route> = (0..ROUTES)
        .map(|n| route(n, 1))
        .map(|r| (r.prefix, r))
        .collect();
    let (mut took, mut processor) = (vec![], 0.0);
    for number in 0..REPEATS {
        // The event waits when the command has ended, so what is timed is our own work and the kernel's.
        world.sh(&format!("ip route del {}/26", prefix(number * 499)));
        let before = processor_time();
        let start = Instant::now();
        let mut corrected = false;
        while !corrected {
            for event in monitor.wait(Duration::from_secs(5)).unwrap() {
                let Event::RouteGone(gone) = event else {
                    continue;
                };
                let right = desired[&gone.prefix].clone();
                corrected = kernel.apply_all(&[add(right)]).is_complete();
            }
        }
        took.push(start.elapsed().as_secs_f64());
        processor += processor_time() - before;
    }
    let (took, processor) = (median(took) * 1e3, processor * 1e3 / f64::from(REPEATS));
    println!("  one route of {ROUTES} deleted by somebody else, told by the monitor, put back");
    println!(
        "    {processor:.3} ms of the processor, {took:.3} ms by the clock; {}",
        target(processor <= 1.0, "<= 1 ms of the processor")
    );
}

/// Seconds that this thread has had of a processor. The kernel counts them when the thread gives it up, or
/// a few hundred times a second; so it gives it up first.
fn processor_time() -> f64 {
    std::thread::sleep(Duration::from_micros(1));
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

fn main() {
    if Netns::create_unnamed().is_err() {
        println!("  skipped: no namespace can be made (root?)");
        return;
    }
    // `cargo bench … -- pods` measures a part.
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    if asked("routes") {
        let world = World::new();
        insert(&world);
        insert_through_many(&world);
    }
    if asked("unchanged") {
        let world = World::new();
        nothing_to_do(&world);
        one_changed(&world);
        netlink_node::run();
    }
    if asked("pods") {
        netlink_pods::wire();
        netlink_node::attach();
        netlink_node::attach_and_detach();
    }
}

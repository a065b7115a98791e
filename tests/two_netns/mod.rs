//! Two network namespaces joined by a veth pair, and the tools that look at them. Everything is
//! made by the test and ends with it; the `ip` binary sets up, so that the library is not its own
//! oracle.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ipip_core::name::InterfaceName;
use ipip_core::sys::netns::Netns;
use libtest_mimic::{Arguments, Failed, Trial};

/// What a test returns.
pub(crate) type Outcome = Result<(), Failed>;
/// A test and its name.
pub(crate) type Case = (&'static str, fn() -> Outcome);

/// The nodes' underlay addresses, as in the reference picture.
pub(crate) const A: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 3);
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);

/// Runs `anywhere` always and `as_root` only where namespaces can be made; elsewhere those are
/// reported as ignored, with the reason.
pub(crate) fn run(anywhere: &[Case], as_root: &[Case]) -> ExitCode {
    let mut args = Arguments::from_args();
    // Two at a time: the tests wait on each other's time otherwise.
    args.test_threads.get_or_insert(2);
    let refused = Netns::create_unnamed().err();
    if let Some(error) = &refused {
        eprintln!("{} tests skipped, they need root: {error}", as_root.len());
    }
    let trial = |case: &Case, skip| {
        // `tests/run long` asks for those that take long by their name.
        Trial::test(case.0, case.1).with_ignored_flag(skip || case.0.starts_with("long_"))
    };
    let anywhere = anywhere.iter().map(|case| trial(case, false));
    let as_root = as_root.iter().map(|case| trial(case, refused.is_some()));
    libtest_mimic::run(&args, anywhere.chain(as_root).collect()).exit_code()
}

/// Fails the test with a message.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::from(message.into()))
}

/// Fails the test unless `condition` holds.
pub(crate) fn ensure(condition: bool, message: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { fail(message()) }
}

/// Fails the test unless both are equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T, what: &str) -> Outcome {
    ensure(found == expected, || {
        let cut = |text: String| text.chars().take(400).collect::<String>();
        let (found, expected) = (cut(format!("{found:?}")), cut(format!("{expected:?}")));
        format!("{what}: found {found}, expected {expected}")
    })
}

/// Waits until `condition` holds, up to two seconds.
pub(crate) fn soon(what: &str, mut condition: impl FnMut() -> bool) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(2);
    while !condition() {
        if Instant::now() > deadline {
            return fail(format!("not within two seconds: {what}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

pub(crate) fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).expect("a valid name")
}

/// A command inside a namespace.
pub(crate) fn inside(netns: &Netns, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={netns}")).arg(program);
    command
}

/// Runs a command line inside a namespace and returns what it printed.
pub(crate) fn sh(netns: &Netns, line: &str) -> Result<String, Failed> {
    let output = inside(netns, "sh").args(["-c", line]).output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return fail(format!("{line}: {}{stderr}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Node namespaces `a` (172.18.0.3) and `b` (172.18.0.2), joined by their `eth0`, which are up.
pub(crate) struct Pair {
    pub(crate) a: Netns,
    pub(crate) b: Netns,
}

impl Pair {
    pub(crate) fn new() -> Result<Self, Failed> {
        let pair = Self {
            a: Netns::create_unnamed()?,
            b: Netns::create_unnamed()?,
        };
        let peer = format!("ip link add eth0 type veth peer name eth0 netns {}", pair.b);
        sh(&pair.a, &peer)?;
        for (netns, addr) in [(&pair.a, A), (&pair.b, B)] {
            // No IPv6: its neighbour discovery would mix into what is counted.
            sh(netns, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")?;
            sh(netns, &format!("ip addr add {addr}/16 dev eth0"))?;
            sh(netns, "ip link set lo up")?;
        }
        for netns in [&pair.a, &pair.b] {
            sh(netns, "ip link set eth0 up")?;
        }
        pair.wait_until_up()?;
        Ok(pair)
    }

    /// Waits for both ends of the veth: the kernel drops what is sent before its delayed work
    /// (linkwatch) has noticed the carrier, up to a second after `ip link set up`.
    pub(crate) fn wait_until_up(&self) -> Outcome {
        for netns in [&self.a, &self.b] {
            soon("eth0 is up", || {
                sh(netns, "ip -o link show eth0").is_ok_and(|text| text.contains("state UP"))
            })?;
        }
        Ok(())
    }
}

/// A directory that goes away with the value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self, Failed> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = format!("ipip-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        std::fs::create_dir(&dir)?;
        Ok(Self(dir))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running tcpdump that writes to a file.
pub(crate) struct Tcpdump {
    child: Child,
    file: PathBuf,
    _scratch: Scratch,
}

impl Tcpdump {
    /// Starts it and returns once it listens.
    pub(crate) fn start(netns: &Netns, interface: &str, filter: &str) -> Result<Self, Failed> {
        let scratch = Scratch::new()?;
        let file = scratch.file("oracle.pcap");
        let mut child = inside(netns, "tcpdump")
            .args([
                "-Z",
                "root",
                "-n",
                "-U",
                "--immediate-mode",
                "-s",
                "2048",
                "-B",
                "16384",
            ])
            .args(["--time-stamp-precision=nano", "-i", interface, "-w"])
            .arg(&file)
            .args(filter.split_whitespace())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let mut said = String::new();
        let mut lines = BufReader::new(stderr);
        while !said.contains("listening on") {
            if lines.read_line(&mut said)? == 0 {
                return fail(format!("tcpdump did not start: {said}"));
            }
        }
        // Keeps the pipe open, or tcpdump's last words end it.
        std::thread::spawn(move || lines.lines().for_each(drop));
        Ok(Self {
            child,
            file,
            _scratch: scratch,
        })
    }

    /// Waits until it has written `count` frames, ends it as Ctrl-C would, and returns all its
    /// frames, octets only.
    pub(crate) fn stop_at(mut self, count: usize) -> Result<Vec<Vec<u8>>, Failed> {
        soon("tcpdump has written the frames", || {
            frames_of(&self.file).is_ok_and(|frames| frames.len() >= count)
        })?;
        // Too many would be a fault as well.
        std::thread::sleep(Duration::from_millis(30));
        interrupt(&mut self.child)?;
        frames_of(&self.file)
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn interrupt(child: &mut Child) -> Outcome {
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status()?;
    child.wait()?;
    Ok(())
}

/// The frames of a classic pcap file with nanoseconds, in this machine's byte order.
pub(crate) fn frames_of(file: &Path) -> Result<Vec<Vec<u8>>, Failed> {
    let octets = std::fs::read(file)?;
    let number = |at: usize| {
        let four = octets.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map(u32::from_ne_bytes)
    };
    same(&number(0), &Some(0xa1b2_3c4d), "magic number")?;
    let (mut at, mut frames) = (24, Vec::new());
    while let Some(len) = number(at + 8) {
        let end = at + 16 + usize::try_from(len)?;
        // A file that is still being written may end inside a frame.
        let Some(frame) = octets.get(at + 16..end) else {
            break;
        };
        frames.push(frame.to_vec());
        at = end;
    }
    Ok(frames)
}

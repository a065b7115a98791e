//! The main job: two nodes, a pod on each, and an echo between them seen at every point of its way.
//!
//! ```text
//! cargo run --release --features bpf --example two_nodes [-- --mode always|crosssubnet|never] [--pods N] [--count N]
//!     [--interval MS] [--data-path auto|kernel|bpf|userspace] [--pcap DIR] [--keep]
//! ```
//!
//! It makes two node namespaces joined by a veth pair (172.18.0.3 and 172.18.0.2) and a namespace for
//! each pod, cuts the pool 10.244.0.0/16 into blocks, joins both nodes, sends ICMP echoes from pod to
//! pod and captures at the pod's `eth0`, the host's `cali…`, `tunl0` and the node's `eth0`. It exits
//! with 0 only if every echo came back and every point saw it.

#[path = "two_nodes/addresses.rs"]
mod addresses;
#[path = "two_nodes/echo.rs"]
mod echo;
#[path = "two_nodes/options.rs"]
mod options;
#[path = "two_nodes/report.rs"]
mod report;
#[path = "two_nodes/stage.rs"]
mod stage;
#[path = "two_nodes/watch.rs"]
mod watch;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipip_core::error_chain;
use ipip_core::sys::userns;
use options::Options;

/// What a shell reports of a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("two_nodes: {wrong}\n{}", options::HINT);
            return ExitCode::from(2);
        }
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let outcome = run(&options, &interrupted);
    // Whatever became of it: it is not what was asked for.
    if interrupted.load(Ordering::Relaxed) {
        eprintln!("two_nodes: interrupted");
        return ExitCode::from(INTERRUPTED);
    }
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if nobody_reads(error.as_ref()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("two_nodes: {}", error_chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// Whether our standard output was closed, as by `two_nodes | head`: nobody is there to be told.
fn nobody_reads(error: &(dyn Error + 'static)) -> bool {
    let refused = error.downcast_ref::<io::Error>();
    refused.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Sets the stage, plays, reports. The stage is struck when it goes out of scope, whatever happened.
fn run(options: &Options, interrupted: &Arc<AtomicBool>) -> Result<bool, Box<dyn Error>> {
    become_able(options)?;
    // A second signal ends the process at once; the next run clears what that leaves.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let (code, flag) = (i32::from(INTERRUPTED), Arc::clone(interrupted));
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, flag)?;
    }
    if let Some(directory) = &options.pcap {
        watch::make_directory(directory)?;
    }
    let out = &mut io::stdout();
    let stage = stage::Stage::set(options, interrupted, out)?;
    report::addresses(&stage, out)?;
    report::nodes(&stage, out)?;
    let watch = watch::Watch::start(&stage)?;
    let outcome = echo::play(&stage, options, interrupted)?;
    let points = watch.stop()?;
    if let Some(directory) = &options.pcap {
        watch::write_pcaps(&points, directory)?;
    }
    let complete = report::points(&stage, &points, &outcome, out)?;
    if options.keep {
        stage.keep(out)?;
    }
    Ok(complete)
}

/// Root, or root in a user namespace of one's own; must come before the first thread.
fn become_able(options: &Options) -> Result<(), Box<dyn Error>> {
    if userns::may_administer()? {
        return Ok(());
    }
    if options.keep {
        return Err("--keep needs root: what an ordinary user makes ends with the run".into());
    }
    userns::enter_new().map_err(|refused| {
        let why = match refused.kind() {
            // ENOSPC, user_namespaces(7): not a full disk, a limit, which may be 0.
            io::ErrorKind::StorageFull => {
                "the system's limit, sysctl user.max_user_namespaces, is reached".to_owned()
            }
            _ => refused.to_string(),
        };
        format!("needs root, or a system that lets ordinary users make user namespaces: {why}")
            .into()
    })
}

//! The main job: two nodes, a pod on each, and an echo between them seen at every point of its way.
//!
//! ```text
//! cargo run --release --example two_nodes [-- --mode always|crosssubnet|never] [--pods N] [--count N]
//!     [--interval MS] [--data-path auto|kernel|userspace] [--pcap DIR] [--keep]
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
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipip_core::sys::userns;
use options::Options;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("two_nodes: {wrong}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("two_nodes: {}", chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// The error and its causes in one sentence.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Sets the stage, plays, reports. The stage is struck when it goes out of scope, whatever happened.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    become_able()?;
    // A second signal ends the process at once; the next run clears what that leaves.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let stage = stage::Stage::set(options, &interrupted)?;
    report::addresses(&stage);
    report::nodes(&stage)?;
    let watch = watch::Watch::start(&stage)?;
    let outcome = echo::play(&stage, options, &interrupted)?;
    let points = watch.stop()?;
    if let Some(directory) = &options.pcap {
        watch::write_pcaps(&points, directory)?;
    }
    let complete = report::points(&stage, &points, &outcome);
    if options.keep {
        stage.keep();
    }
    Ok(complete)
}

/// Root, or root in a user namespace of one's own; must come before the first thread.
fn become_able() -> Result<(), Box<dyn Error>> {
    if userns::may_administer()? {
        return Ok(());
    }
    userns::enter_new().map_err(|refused| {
        format!("needs root, or a system that lets ordinary users make user namespaces: {refused}")
            .into()
    })
}

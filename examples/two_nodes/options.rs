//! What the command line may say.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ipip_core::datapath::Choice;
use ipip_core::resource::IpipMode;

/// Printed after a mistake: short, so that the reason above it is still seen.
pub(crate) const HINT: &str = "usage: two_nodes [OPTION]..., two_nodes --help lists them";

/// Printed by `--help`.
pub(crate) const USAGE: &str = "\
usage: two_nodes [--mode always|crosssubnet|never] [--pods N] [--count N] [--interval MS]
                 [--data-path auto|kernel|bpf|userspace] [--pcap DIR] [--keep]
  --mode       when to tunnel (always)
  --pods       pods on each node, 1 to 60 (1)
  --count      echoes from each pod to its partner, 1 to 10000 (3)
  --interval   milliseconds between two echoes, 0 to 10000 (50)
  --data-path  who carries the packets (auto: the kernel's ipip driver, else eBPF, else user space)
  --pcap       write one capture file per point into DIR
  --keep       leave the namespaces and print how to enter and remove them";

/// The command line, checked.
pub(crate) struct Options {
    pub(crate) mode: IpipMode,
    pub(crate) pods: u16,
    pub(crate) count: u16,
    pub(crate) interval: Duration,
    pub(crate) choice: Choice,
    pub(crate) pcap: Option<PathBuf>,
    pub(crate) keep: bool,
}

impl Options {
    /// `None` where help is asked for.
    pub(crate) fn from_args(
        mut args: impl Iterator<Item = OsString>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self {
            mode: IpipMode::Always,
            pods: 1,
            count: 3,
            interval: Duration::from_millis(50),
            choice: Choice::Auto,
            pcap: None,
            keep: false,
        };
        while let Some(arg) = args.next() {
            // What is not text is no argument of ours; only a path may be such.
            let arg = arg.to_string_lossy();
            let mut given = || args.next().ok_or(format!("{arg} needs a value"));
            let mut value = || Ok::<_, String>(given()?.to_string_lossy().into_owned());
            match &*arg {
                "--mode" => options.mode = value()?.parse().map_err(|e| format!("--mode: {e}"))?,
                "--data-path" => {
                    options.choice = value()?.parse().map_err(|e| format!("--data-path: {e}"))?
                }
                "--pods" => options.pods = number(&arg, &value()?, 1, 60)?,
                "--count" => options.count = number(&arg, &value()?, 1, 10_000)?,
                "--interval" => {
                    options.interval =
                        Duration::from_millis(number(&arg, &value()?, 0, 10_000)?.into())
                }
                "--pcap" => options.pcap = Some(given()?.into()),
                "--keep" => options.keep = true,
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(Some(options))
    }
}

fn number(name: &str, text: &str, min: u16, max: u16) -> Result<u16, String> {
    let found = text.parse().ok().filter(|n| (min..=max).contains(n));
    found.ok_or_else(|| format!("{name} {text:?} is not a number from {min} to {max}"))
}

//! The command line.

use ipip_core::addr::NodeAddr;
use ipip_core::capture::Filter;
use ipip_core::peers::Peers;

pub(crate) const USAGE: &str = "\
read_capture [OPTIONS] FILE…      pcap or pcapng, - is standard input; several files are several points
  --tree                layers as a tree, --json as one JSON object a line; else one line a frame
  --findings            what is wrong with each frame
  --mtu [POINT=]OCTETS  the longest packet that should pass there, or at all other points, for --findings
  --peer PREFIX=NODE    a node and a prefix behind it, any number of them, for --findings
  --journeys            one packet at all points that saw it
  --protocol NUMBER     only frames with an IPv4 header of that protocol (4 is IPIP)
  --between A,B,…       only those from and to these prefixes or addresses";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Line,
    Tree,
    Json,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) files: Vec<String>,
    pub(crate) form: Form,
    pub(crate) findings: bool,
    pub(crate) journeys: bool,
    /// The last one that fits a point counts.
    mtus: Vec<(Option<String>, usize)>,
    pub(crate) peers: Option<Peers>,
    pub(crate) filter: Filter,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            files: Vec::new(),
            form: Form::Line,
            findings: false,
            journeys: false,
            mtus: Vec::new(),
            peers: None,
            filter: Filter::default(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--tree" => options.form = Form::Tree,
                "--json" => options.form = Form::Json,
                "--findings" => options.findings = true,
                "--journeys" => options.journeys = true,
                "--mtu" => options.mtus.push(mtu(&value()?)?),
                "--peer" => {
                    let peers = options.peers.get_or_insert_default();
                    add_peer(peers, &value()?)?;
                }
                "--protocol" => options.filter.protocol = Some(number(&arg, &value()?)?),
                "--between" => {
                    for text in value()?.split(',') {
                        options.filter.between.push(prefix(text)?);
                    }
                }
                "-" => options.files.push("/dev/stdin".to_owned()),
                other if other.starts_with('-') => return Err(format!("unknown option {other}")),
                _ => options.files.push(arg),
            }
        }
        if options.files.is_empty() {
            return Err("no file to read".to_owned());
        }
        if options.form == Form::Json && (options.findings || options.journeys) {
            return Err("--json goes with neither --findings nor --journeys".to_owned());
        }
        Ok(options)
    }

    /// The longest packet that should pass at a point, in octets.
    pub(crate) fn mtu_of(&self, point: &str) -> Option<usize> {
        let last = |name: Option<&str>| {
            let found = self.mtus.iter().rfind(|(n, _)| n.as_deref() == name);
            found.map(|(_, octets)| *octets)
        };
        last(Some(point)).or_else(|| last(None))
    }
}

fn mtu(text: &str) -> Result<(Option<String>, usize), String> {
    match text.rsplit_once('=') {
        Some((point, octets)) => Ok((Some(point.to_owned()), number("--mtu", octets)?)),
        None => Ok((None, number("--mtu", text)?)),
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    let refused = |_| format!("{option} {text}: not a number in its range");
    text.parse().map_err(refused)
}

fn prefix(text: &str) -> Result<ipip_core::addr::Ipv4Prefix, String> {
    let whole = if text.contains('/') {
        text.to_owned()
    } else {
        format!("{text}/32")
    };
    whole.parse().map_err(|error| format!("{text}: {error}"))
}

fn add_peer(peers: &mut Peers, text: &str) -> Result<(), String> {
    let refused = || format!("--peer {text}: not PREFIX=NODE");
    let (block, node) = text.split_once('=').ok_or_else(refused)?;
    let node = node.parse().map_err(|_| refused())?;
    peers.insert(prefix(block)?, NodeAddr(node));
    Ok(())
}

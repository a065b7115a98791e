//! The command line.

use ipip_core::addr::NodeAddr;
use ipip_core::capture::Filter;
use ipip_core::peers::Peers;

pub(crate) const USAGE: &str = "\
read_capture [OPTIONS] FILE…      pcap or pcapng; several files are several points
  --tree                layers as a tree, --json as one JSON object a line; else one line a frame
  --findings            what is wrong with each frame
  --mtu OCTETS          the longest packet that should pass, for --findings
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
    pub(crate) mtu: Option<usize>,
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
            mtu: None,
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
                "--mtu" => options.mtu = Some(number(&arg, &value()?)?),
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

//! Frames from live interfaces and capture files, kept and explained.
//!
//! A [`Frame`] comes from [`Live`] (one interface in one namespace, by AF_PACKET) or from [`Reader`]
//! (a pcap or pcapng file), goes to a file through [`PcapWriter`], and is explained by [`describe`]: one
//! line as tcpdump prints it, its layers as a tree as Wireshark shows them, or all fields as JSON. An
//! encapsulated frame has two IPv4 layers, and both are shown.
//!
//! A [`Filter`] picks frames, [`findings`] say what is wrong with one at its point, and [`journeys`]
//! find the same inner packet at several [`Point`]s.
//!
//! `live` alone touches interfaces, `reader` and `pcap` files; the others are values and pure functions.

pub mod describe;
mod error;
mod filter;
mod finding;
mod frame;
mod journey;
mod live;
mod pcap;
mod pcapng;
mod reader;

pub use error::{CaptureError, Damage, PcapError, ReadError};
pub use filter::Filter;
pub use finding::{Expected, Finding, findings};
pub use frame::{Direction, Frame, LinkType};
pub use journey::{Journey, PacketKey, Point, Sighting, journeys};
pub use live::{Counts, Live, SNAP_LEN, Stopper};
pub use pcap::PcapWriter;
pub use reader::{Interface, Reader};

//! Frames from live interfaces, kept and explained.
//!
//! A [`frame::Frame`] comes from [`live::Live`] (one interface in one namespace, by AF_PACKET), goes
//! to a file through [`pcap::PcapWriter`], and is explained by [`describe`]: one line as tcpdump
//! prints it, or its layers as a tree as Wireshark shows them. An encapsulated frame has two IPv4
//! layers, and both are shown.
//!
//! `live` alone touches the kernel; the other files are values and pure functions.

pub mod describe;
pub mod error;
pub mod frame;
pub mod live;
pub mod pcap;

//! System calls: one file per kernel interface, and the only unsafe code of the crate.
//!
//! Every function here is safe to call and does one thing; what to do is decided in the rooms above.
//! Each file opens what it needs close-on-exec and keeps it in an [`std::os::fd::OwnedFd`].
#![allow(unsafe_code)]

#[cfg(feature = "bpf")]
pub(crate) mod bpf;
#[cfg(feature = "sqlite")]
pub(crate) mod file;
pub mod interface;
pub(crate) mod memory_file;
pub(crate) mod netlink;
pub mod netns;
pub mod packet;
pub mod raw;
mod socket;
pub mod tun;
pub mod userns;
pub mod wake;

//! What a socket must know of an interface: its number, its hardware type and its MTU, by name, in
//! the namespace of the calling thread; and the MTU of the way to an address. Needs no privilege.

use std::ffi::{c_char, c_int, c_ulong};
use std::io;
use std::mem::zeroed;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use super::socket;
use crate::name::InterfaceName;

/// `ARPHRD_ETHER`: frames begin with an Ethernet header.
pub const HARDWARE_ETHERNET: u16 = libc::ARPHRD_ETHER;
/// `ARPHRD_LOOPBACK`: frames begin with an Ethernet header whose addresses are zero.
pub const HARDWARE_LOOPBACK: u16 = libc::ARPHRD_LOOPBACK;
/// `ARPHRD_TUNNEL`: an IPIP tunnel, packets without a link header.
pub const HARDWARE_TUNNEL: u16 = libc::ARPHRD_TUNNEL;
/// `ARPHRD_NONE`: a TUN device, packets without a link header.
pub const HARDWARE_NONE: u16 = libc::ARPHRD_NONE;

/// A socket for questions about the interfaces of one namespace, the one it was opened in.
#[derive(Debug)]
pub struct Interfaces {
    fd: OwnedFd,
}

impl Interfaces {
    /// Opens it in the namespace of the calling thread.
    ///
    /// # Errors
    /// The kernel's answer if the process is out of descriptors.
    pub fn open() -> io::Result<Self> {
        socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).map(|fd| Self { fd })
    }

    /// The interface's number (`ifindex`), 1 and up.
    ///
    /// # Errors
    /// `ENODEV` if there is no interface of that name.
    pub fn index(&self, name: &InterfaceName) -> io::Result<u32> {
        let answer = self.ask(libc::SIOCGIFINDEX, name)?;
        // SAFETY: SIOCGIFINDEX filled this member, and every bit pattern is a number.
        let index = unsafe { answer.ifr_ifru.ifru_ifindex };
        u32::try_from(index).map_err(io::Error::other)
    }

    /// The interface's hardware type (`ARPHRD_*`).
    ///
    /// # Errors
    /// `ENODEV` if there is no interface of that name.
    pub fn hardware_type(&self, name: &InterfaceName) -> io::Result<u16> {
        let answer = self.ask(libc::SIOCGIFHWADDR, name)?;
        // SAFETY: SIOCGIFHWADDR filled this member, and every bit pattern is a number.
        Ok(unsafe { answer.ifr_ifru.ifru_hwaddr.sa_family })
    }

    /// The interface's MTU in octets.
    ///
    /// # Errors
    /// `ENODEV` if there is no interface of that name.
    pub fn mtu(&self, name: &InterfaceName) -> io::Result<u32> {
        let answer = self.ask(libc::SIOCGIFMTU, name)?;
        // SAFETY: SIOCGIFMTU filled this member, and every bit pattern is a number.
        let mtu = unsafe { answer.ifr_ifru.ifru_mtu };
        u32::try_from(mtu).map_err(io::Error::other)
    }

    /// The longest packet that goes to `to` in one piece, in octets: the MTU of the route and its device, or
    /// less if a router on the way has said so. Nothing is sent.
    ///
    /// # Errors
    /// `ENETUNREACH` without a route.
    pub fn mtu_of_way(&self, to: Ipv4Addr) -> io::Result<u32> {
        socket::connect(&self.fd, to)?;
        let mtu = socket::option::<c_int>(&self.fd, libc::IPPROTO_IP, libc::IP_MTU)?;
        u32::try_from(mtu).map_err(io::Error::other)
    }

    fn ask(&self, question: c_ulong, name: &InterfaceName) -> io::Result<libc::ifreq> {
        let mut request = request(name);
        // SAFETY: the three questions of this file read the name and write one member of the request,
        // which is as long as the kernel's and outlives the call.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), question as _, &raw mut request) };
        socket::check(result).map(|()| request)
    }
}

/// An `ifreq` that names an interface and is zero elsewhere.
pub(super) fn request(name: &InterfaceName) -> libc::ifreq {
    // SAFETY: an ifreq is numbers and unions of numbers and pointers; zero is valid for all of them.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // At most 15 octets are copied, so the final zero stays.
    for (to, from) in request.ifr_name[..15].iter_mut().zip(name.as_str().bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_its_type() {
        let interfaces = Interfaces::open().unwrap();
        let lo = InterfaceName::try_new("lo").unwrap();
        assert_eq!(interfaces.hardware_type(&lo).unwrap(), HARDWARE_LOOPBACK);
        assert_eq!(interfaces.index(&lo).unwrap(), 1);
        let sysfs = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
        assert_eq!(interfaces.mtu(&lo).unwrap().to_string(), sysfs.trim());
    }

    #[test]
    fn the_way_to_ourselves_is_as_wide_as_loopback() {
        let interfaces = Interfaces::open().unwrap();
        let lo = interfaces.mtu(&InterfaceName::try_new("lo").unwrap());
        let way = interfaces.mtu_of_way(Ipv4Addr::LOCALHOST);
        // No way is wider than the longest packet.
        assert_eq!(way.unwrap(), lo.unwrap().min(65_535));
    }

    #[test]
    fn a_missing_interface_is_enodev() {
        let nobody = InterfaceName::try_new("fifteen-octets-").unwrap();
        let error = Interfaces::open().unwrap().index(&nobody).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}

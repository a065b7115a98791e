//! bpf(2): maps and programs. Nothing here is pinned: a map lives as long as a descriptor or a program that
//! uses it, a program as long as a descriptor or a hook that it is attached to.
//!
//! The kernel's structures are those of linux/bpf.h; it takes any prefix of its own, so each is as long as
//! the fields that are used.

pub(crate) mod tcx;

use std::ffi::{CString, c_long};
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `BPF_MAP_TYPE_PERCPU_ARRAY`: each processor has its own value.
const PER_CPU_ARRAY: u32 = 6;
/// `BPF_PROG_TYPE_SCHED_CLS`: at the hooks of traffic control.
const CLASSIFIER: u32 = 3;
/// `BPF_F_ANY_ALIGNMENT`: a header may be read as words though its place is no multiple of four for all that the verifier
/// knows. Where machines take that anyway it says nothing; elsewhere (user-mode-linux, MIPS) headers are nearly always
/// aligned, and the kernel reads in pieces what is not.
const ANY_ALIGNMENT: u32 = 1 << 1;
/// Octets of an instruction.
pub(crate) const INSTRUCTION_LEN: usize = 8;
/// Octets of the verifier's account of why it refuses a program; its last lines matter, and a longer one
/// is refused with `ENOSPC`.
const LOG_LEN: usize = 1 << 20;

/// What a map is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MapSpec {
    /// For people who list maps; 15 octets of letters, digits and `_`.
    pub(crate) name: String,
    /// `BPF_MAP_TYPE_*`.
    pub(crate) kind: u32,
    /// Octets of a key.
    pub(crate) key_len: u32,
    /// Octets of a value.
    pub(crate) value_len: u32,
    /// How many keys it can hold.
    pub(crate) entries: u32,
    /// `BPF_F_*`.
    pub(crate) flags: u32,
}

/// Keys and values that programs and this process share.
#[derive(Debug)]
pub(crate) struct Map {
    fd: OwnedFd,
    key_len: usize,
    /// Of all that a look-up writes.
    value_len: usize,
    /// Octets of the value of one processor, as they lie one behind the other.
    stride: usize,
}

/// A program that the kernel has accepted.
#[derive(Debug)]
pub(crate) struct Program {
    fd: OwnedFd,
}

/// Why a program was not accepted: the kernel's answer, and the verifier's last words.
#[derive(Debug)]
pub(crate) struct LoadError {
    pub(crate) source: io::Error,
    pub(crate) log: String,
}

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP: u32 = 1;
const MAP_UPDATE: u32 = 2;
const MAP_DELETE: u32 = 3;
const PROGRAM_LOAD: u32 = 5;

#[repr(C)]
#[derive(Default)]
struct CreateMap {
    kind: u32,
    key_len: u32,
    value_len: u32,
    entries: u32,
    flags: u32,
    inner_map: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_len: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

const _: () = assert!(size_of::<CreateMap>() == 44 && size_of::<Element>() == 32);
const _: () = assert!(size_of::<LoadProgram>() == 64);

impl Map {
    /// A map without entries; an array has all of them, zero.
    ///
    /// # Errors
    /// `EPERM` without `CAP_BPF` (or `CAP_SYS_ADMIN`), `ENOSYS` on a kernel without bpf(2), `EINVAL` if it does
    /// not know the kind.
    pub(crate) fn create(spec: &MapSpec) -> io::Result<Self> {
        let value_len = usize::try_from(spec.value_len).map_err(io::Error::other)?;
        let (stride, count) = if spec.kind == PER_CPU_ARRAY {
            (value_len.next_multiple_of(8), possible_processors()?)
        } else {
            (value_len, 1)
        };
        let mut request = CreateMap {
            kind: spec.kind,
            key_len: spec.key_len,
            value_len: spec.value_len,
            entries: spec.entries,
            flags: spec.flags,
            name: name(&spec.name),
            ..CreateMap::default()
        };
        // SAFETY: the request has no pointers.
        let fd = descriptor(unsafe { bpf(MAP_CREATE, &mut request) }?)?;
        Ok(Self {
            fd,
            key_len: usize::try_from(spec.key_len).map_err(io::Error::other)?,
            value_len: stride * count,
            stride,
        })
    }

    /// Puts `value` under `key`, in the place of what was there.
    ///
    /// # Errors
    /// `ENOSPC` or `E2BIG` if the map is full, `EINVAL` for octets of another length, which is what maps with a
    /// value for each processor always answer.
    pub(crate) fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if key.len() != self.key_len || value.len() != self.value_len {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut request = Element {
            map: self.number()?,
            key: address(key.as_ptr()),
            value: address(value.as_ptr()),
            ..Element::default()
        };
        // SAFETY: the kernel reads as many octets as the map's keys and values have, which both have (just
        // checked), and they outlive the call.
        unsafe { bpf(MAP_UPDATE, &mut request) }.map(drop)
    }

    /// Forgets `key`; whether it was there.
    ///
    /// # Errors
    /// `EINVAL` for a key of another length, or a map whose keys cannot be taken away.
    pub(crate) fn remove(&self, key: &[u8]) -> io::Result<bool> {
        if key.len() != self.key_len {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut request = Element {
            map: self.number()?,
            key: address(key.as_ptr()),
            ..Element::default()
        };
        // SAFETY: the kernel reads as many octets as the map's keys have, which this one has (just checked),
        // and it outlives the call.
        match unsafe { bpf(MAP_DELETE, &mut request) } {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The values under `key`: one, or one for each processor.
    ///
    /// # Errors
    /// `ENOENT` if there is none, `EINVAL` for a key of another length.
    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        if key.len() != self.key_len {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut values = vec![0; self.value_len];
        let mut request = Element {
            map: self.number()?,
            key: address(key.as_ptr()),
            value: address(values.as_mut_ptr()),
            ..Element::default()
        };
        // SAFETY: the kernel reads a key, whose length was just checked, and writes the value of each possible
        // processor, for which `values` has room; both outlive the call.
        unsafe { bpf(MAP_LOOKUP, &mut request) }?;
        Ok(values.chunks(self.stride).map(<[u8]>::to_vec).collect())
    }

    /// The number that an instruction names the map by, as long as it is open.
    pub(crate) fn number(&self) -> io::Result<u32> {
        u32::try_from(self.fd.as_raw_fd()).map_err(io::Error::other)
    }
}

impl Program {
    /// Has the kernel check and translate `instructions`, whole ones of 8 octets, for a hook of traffic control.
    ///
    /// # Errors
    /// [`LoadError`]: `EPERM` without `CAP_BPF` and `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`), `EINVAL` or `EACCES` with
    /// the verifier's words if it refuses.
    pub(crate) fn load(
        called: &str,
        instructions: &[u8],
        license: &str,
    ) -> Result<Self, LoadError> {
        let silent = |source| LoadError {
            source,
            log: String::new(),
        };
        let refused = match load(called, instructions, license, &mut []) {
            Ok(fd) => return Ok(Self { fd }),
            // Its words cost time, so they are asked for only where they are wanted.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(silent(error)),
            Err(error) => error,
        };
        let mut log = vec![0; LOG_LEN];
        match load(called, instructions, license, &mut log) {
            Ok(fd) => Ok(Self { fd }),
            Err(_) => Err(LoadError {
                source: refused,
                log: last_words(&log),
            }),
        }
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn load(called: &str, instructions: &[u8], license: &str, log: &mut [u8]) -> io::Result<OwnedFd> {
    let license = CString::new(license)?;
    let count = u32::try_from(instructions.len() / INSTRUCTION_LEN).map_err(io::Error::other)?;
    let mut request = LoadProgram {
        kind: CLASSIFIER,
        instruction_count: count,
        instructions: address(instructions.as_ptr()),
        license: address(license.as_ptr().cast()),
        log_level: u32::from(!log.is_empty()),
        log_len: u32::try_from(log.len()).map_err(io::Error::other)?,
        log: if log.is_empty() {
            0
        } else {
            address(log.as_mut_ptr())
        },
        flags: ANY_ALIGNMENT,
        name: name(called),
        ..LoadProgram::default()
    };
    // SAFETY: instructions and log are described by their own pointers and lengths, the licence ends with a zero,
    // and all three outlive the call.
    descriptor(unsafe { bpf(PROGRAM_LOAD, &mut request) }?)
}

/// The last lines of the verifier's account: what it stumbled over.
fn last_words(log: &[u8]) -> String {
    let text = log.split(|octet| *octet == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    lines
        .get(lines.len().saturating_sub(3)..)
        .unwrap_or_default()
        .join("; ")
}

/// One call of bpf(2).
///
/// # Safety
/// - `request` is what `command` takes, from its first field on.
/// - Its pointers are valid for what the kernel reads and writes through them.
unsafe fn bpf<T>(command: u32, request: &mut T) -> io::Result<c_long> {
    let len = size_of_val(request);
    // SAFETY: the request is as long as said and outlives the call; the rest is the caller's duty.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(request), len) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// A descriptor that a call has just returned; the kernel makes them all close-on-exec.
fn descriptor(number: c_long) -> io::Result<OwnedFd> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel just gave this descriptor to us and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn address(pointer: *const u8) -> u64 {
    u64::try_from(pointer.addr()).expect("an address has at most 64 bits")
}

/// At most 15 octets and a final zero.
fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    for (to, from) in name[..15].iter_mut().zip(text.bytes()) {
        *to = from;
    }
    name
}

/// How many processors the kernel keeps a value for, those that are not there (yet) included.
fn possible_processors() -> io::Result<usize> {
    const FILE: &str = "/sys/devices/system/cpu/possible";
    let text = std::fs::read_to_string(FILE)?;
    highest(&text)
        .and_then(|last| last.checked_add(1))
        .ok_or_else(|| {
            io::Error::other(format!("{FILE} holds {text:?}, allowed are ranges as 0-7"))
        })
}

/// The highest number in a list such as "0-3,8".
fn highest(list: &str) -> Option<usize> {
    let ends = list.trim().split([',', '-']).map(str::parse::<usize>);
    ends.collect::<Result<Vec<_>, _>>().ok()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_up_to_the_last() {
        let cases = [("0\n", 0), ("0-1\n", 1), ("0-3,8-11\n", 11)];
        for (text, last) in cases {
            assert_eq!(highest(text), Some(last), "{text}");
        }
        assert_eq!(highest(""), None);
        assert_eq!(highest("0-x"), None);
    }

    #[test]
    fn the_verifiers_last_lines_are_kept() {
        assert_eq!(last_words(b"1\n2\n3\n4\n\0rest"), "2; 3; 4");
        assert_eq!(last_words(&[0; 8]), "");
    }
}

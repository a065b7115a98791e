//! Capture files written.

use std::ffi::c_char;
use std::fs::File;
use std::io::{self, BufWriter};
use std::mem::MaybeUninit;

use ipip_core::capture::{LinkType, PcapError, PcapWriter};

use crate::boundary::{give, guard, or, required, text};
use crate::error::Failure;
use crate::frame::ipip_frame;
use crate::status::ipip_status;

/// A capture file that is being written: classic pcap with stamps in nanoseconds, which tcpdump and
/// Wireshark read. Equal frames give equal files on every machine.
///
/// Ownership: whoever got it from `ipip_pcap_writer_create` frees it. Threads: one at a time; threads that
/// share a writer need a lock around every call.
#[derive(Debug)]
pub struct ipip_pcap_writer(PcapWriter<BufWriter<File>>);

/// Makes or empties the file at `path`, for frames of one link type (an enum ipip_link_type, or another
/// number of a pcap file).
///
/// IPIP_STATUS_NOT_FOUND if there is no such folder; else what the kernel says of the file.
///
/// # Safety
/// `path` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pcap_writer_create(
    path: *const c_char,
    link_type: u32,
    writer_out: Option<&mut MaybeUninit<*mut ipip_pcap_writer>>,
) -> ipip_status {
    guard(|| {
        let out = required(writer_out, "writer_out")?;
        // SAFETY: the caller's duty, as documented.
        let path = unsafe { text(path, "path") }?;
        let writer = PcapWriter::create(path, LinkType::of_number(link_type))?;
        give(out, ipip_pcap_writer(writer));
        Ok(())
    })
}

/// Adds one frame; what it keeps of it is a copy.
///
/// IPIP_STATUS_INVALID_ARGUMENT if the file cannot hold it: another link type, a time past 2106;
/// IPIP_STATUS_KERNEL if writing failed and nothing of the frame is in the file;
/// IPIP_STATUS_PART_WRITTEN if a part of it is: the next call writes the rest first, so the frame must
/// not be given again.
///
/// # Safety
/// `frame` is NULL or its `octets` point to `octets_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pcap_writer_write(
    writer: Option<&mut ipip_pcap_writer>,
    frame: Option<&ipip_frame>,
) -> ipip_status {
    guard(|| {
        let writer = required(writer, "writer")?;
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        Ok(writer.0.write(&frame)?)
    })
}

/// Writes out what is buffered, so that another process may read the file now. Call it before
/// `ipip_pcap_writer_free`, which cannot say that it failed.
///
/// IPIP_STATUS_KERNEL if writing failed; a later call tries again.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_pcap_writer_flush(writer: Option<&mut ipip_pcap_writer>) -> ipip_status {
    guard(|| Ok(required(writer, "writer")?.0.flush()?))
}

/// Writes out what is buffered, as far as possible, and closes the file. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_pcap_writer_free(writer: Option<Box<ipip_pcap_writer>>) {
    or((), || drop(writer));
}

impl From<PcapError> for Failure {
    fn from(error: PcapError) -> Self {
        let (status, errno) = match &error {
            PcapError::LinkType { .. } | PcapError::Time | PcapError::Len { .. } => {
                (ipip_status::InvalidArgument, None)
            }
            PcapError::Create { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                (ipip_status::NotFound, source.raw_os_error())
            }
            PcapError::Create { source, .. } | PcapError::Write(source) => {
                (ipip_status::Kernel, source.raw_os_error())
            }
            PcapError::Rest { source, .. } => (ipip_status::PartWritten, source.raw_os_error()),
            _ => (ipip_status::Internal, None),
        };
        Self::of(status, &error, errno)
    }
}

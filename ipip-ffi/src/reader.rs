//! Capture files read.

use std::ffi::c_char;
use std::fs::File;
use std::io::{self, BufReader};
use std::mem::MaybeUninit;

use ipip_core::capture::{Frame, ReadError, Reader};

use crate::boundary::{TextBuffer, give, guard, or, required, text};
use crate::error::Failure;
use crate::frame::ipip_frame;
use crate::status::ipip_status;

/// A capture file that is being read from beginning to end: pcap or pcapng, in either byte order.
///
/// Ownership: whoever got it from `ipip_reader_open` frees it; the octets of a frame belong to it and
/// are valid until the next call that reads, or `ipip_reader_free`. Threads: one at a time; threads that
/// share a reader need a lock around every call and as long as they look at a frame.
#[derive(Debug)]
pub struct ipip_reader {
    reader: Reader<BufReader<File>>,
    /// The frame that the program looks at.
    frame: Option<Frame>,
    /// Where the damage begins, once it was met.
    damage: Option<u64>,
}

/// Opens a capture file and reads its header; a pipe such as "/dev/stdin" will do.
///
/// IPIP_STATUS_NOT_FOUND if there is no such file, IPIP_STATUS_NOT_A_CAPTURE if it begins as none does,
/// IPIP_STATUS_DAMAGED_CAPTURE if its header ends early; else what the kernel says of it.
///
/// # Safety
/// `path` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reader_open(
    path: *const c_char,
    reader_out: Option<&mut MaybeUninit<*mut ipip_reader>>,
) -> ipip_status {
    guard(|| {
        let out = required(reader_out, "reader_out")?;
        // SAFETY: the caller's duty, as documented.
        let path = unsafe { text(path, "path") }?;
        let reader = ipip_reader {
            reader: Reader::open(path)?,
            frame: None,
            damage: None,
        };
        give(out, reader);
        Ok(())
    })
}

/// The next frame.
///
/// IPIP_STATUS_END_OF_CAPTURE after the last one. IPIP_STATUS_DAMAGED_CAPTURE, once, if the file is
/// damaged or cut off: the frames before were whole, the text says what is wrong and
/// `ipip_reader_damage_offset` where; after it the capture is at its end.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reader_next(
    reader: Option<&mut ipip_reader>,
    frame_out: Option<&mut MaybeUninit<ipip_frame>>,
) -> ipip_status {
    guard(|| {
        let reader = required(reader, "reader")?;
        let out = required(frame_out, "frame_out")?;
        let frame = match reader.reader.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                let text = "the capture has no more frames";
                return Err(Failure::new(ipip_status::EndOfCapture, text));
            }
            Err(error) => return Err(reader.failed(error)),
        };
        out.write(ipip_frame::of(reader.frame.insert(frame)));
        Ok(())
    })
}

/// Where the capture is damaged: how many octets of the file lie before the record that cannot be read.
///
/// IPIP_STATUS_NOT_FOUND if no damage was met so far.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reader_damage_offset(
    reader: Option<&ipip_reader>,
    offset_out: Option<&mut MaybeUninit<u64>>,
) -> ipip_status {
    guard(|| {
        let reader = required(reader, "reader")?;
        let out = required(offset_out, "offset_out")?;
        let text = "no damage was met in the capture";
        let none = || Failure::new(ipip_status::NotFound, text);
        out.write(reader.damage.ok_or_else(none)?);
        Ok(())
    })
}

/// Which interface the frame that was read last is of, counted from 0; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reader_interface(reader: Option<&ipip_reader>) -> usize {
    or(0, || reader.map_or(0, |reader| reader.reader.interface()))
}

/// How many interfaces the capture has named so far: one in pcap, in pcapng any number; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reader_interface_count(reader: Option<&ipip_reader>) -> usize {
    or(0, || {
        reader.map_or(0, |reader| reader.reader.interfaces().len())
    })
}

/// The name of an interface, counted from 0. `needed_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT past the last interface, IPIP_STATUS_NOT_FOUND if the file has no name
/// for it, as pcap never has, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reader_interface_name(
    reader: Option<&ipip_reader>,
    index: usize,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let interfaces = required(reader, "reader")?.reader.interfaces();
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        let interface = interfaces.get(index).ok_or_else(|| {
            let text = format!(
                "index is {index}, there are {} interfaces",
                interfaces.len()
            );
            Failure::new(ipip_status::InvalidArgument, text)
        })?;
        let unnamed = || {
            let text = format!("the capture has no name for interface {index}");
            Failure::new(ipip_status::NotFound, text)
        };
        text.fill(interface.name.as_ref().ok_or_else(unnamed)?)
    })
}

/// Closes the file; the octets of its last frame go with it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reader_free(reader: Option<Box<ipip_reader>>) {
    or((), || drop(reader));
}

impl ipip_reader {
    /// What reads all of it; the frame looked at so far is gone.
    pub(crate) fn rest(&mut self) -> &mut Reader<BufReader<File>> {
        self.frame = None;
        &mut self.reader
    }

    /// Keeps where the damage is.
    pub(crate) fn failed(&mut self, error: ReadError) -> Failure {
        if let ReadError::Damaged { offset, .. } = error {
            self.damage = Some(offset);
        }
        error.into()
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let (status, errno) = match &error {
            ReadError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                (ipip_status::NotFound, source.raw_os_error())
            }
            ReadError::Open { source, .. } | ReadError::Read { source, .. } => {
                (ipip_status::Kernel, source.raw_os_error())
            }
            ReadError::NotACapture { .. } => (ipip_status::NotACapture, None),
            ReadError::Damaged { .. } => (ipip_status::DamagedCapture, None),
            _ => (ipip_status::Internal, None),
        };
        Self::of(status, &error, errno)
    }
}

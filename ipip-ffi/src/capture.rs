//! Live capture.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipip_core::capture::{CaptureError, Frame, Live, Stopper};
use ipip_core::name::InterfaceName;

use crate::boundary::{give, guard, or, required, text};
use crate::error::Failure;
use crate::frame::ipip_frame;
use crate::netns::ipip_netns;
use crate::status::ipip_status;

/// A running capture of one interface, both directions.
///
/// Ownership: whoever got it from `ipip_capture_open` frees it. Threads: `ipip_capture_stop` may be
/// called on any thread at any time before `ipip_capture_free`; the other functions take turns, and a
/// frame's octets belong to the thread that asked for it.
#[derive(Debug)]
pub struct ipip_capture {
    stopper: Stopper,
    reader: Mutex<Reader>,
}

#[derive(Debug)]
struct Reader {
    live: Live,
    /// The frame that the program looks at.
    frame: Option<Frame>,
}

/// How many frames a capture met.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_capture_counts {
    /// Frames that passed the interface, dropped ones included.
    pub seen: u64,
    /// Frames that the kernel threw away because the reader was too slow.
    pub dropped: u64,
}

/// Starts to capture on an interface, without promiscuous mode. It may still be down.
///
/// IPIP_STATUS_NOT_FOUND if there is no such interface, IPIP_STATUS_INVALID_ARGUMENT if there can be
/// none of that name, IPIP_STATUS_UNSUPPORTED for a kind of interface that cannot be read,
/// IPIP_STATUS_PERMISSION without CAP_NET_RAW there.
///
/// # Safety
/// `interface` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_capture_open(
    netns: Option<&ipip_netns>,
    interface: *const c_char,
    capture_out: Option<&mut MaybeUninit<*mut ipip_capture>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        let out = required(capture_out, "capture_out")?;
        // SAFETY: the caller's duty, as documented.
        let interface = unsafe { text(interface, "interface") }?;
        let live = Live::open(&netns.0, &InterfaceName::try_new(interface)?)?;
        let capture = ipip_capture {
            stopper: live.stopper(),
            reader: Mutex::new(Reader { live, frame: None }),
        };
        give(out, capture);
        Ok(())
    })
}

/// The next frame, whose octets are valid until the next one; waits for it up to `timeout_ms` milliseconds; 0 does not wait.
///
/// IPIP_STATUS_TIMEOUT if the time is over; IPIP_STATUS_STOPPED after `ipip_capture_stop`, when all
/// frames that passed before are read; IPIP_STATUS_INTERFACE_DOWN once each time the interface goes
/// down (call again to wait on); IPIP_STATUS_INTERFACE_GONE from its removal on.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_capture_next(
    capture: Option<&ipip_capture>,
    timeout_ms: u32,
    frame_out: Option<&mut MaybeUninit<ipip_frame>>,
) -> ipip_status {
    guard(|| {
        let capture = required(capture, "capture")?;
        let out = required(frame_out, "frame_out")?;
        let mut reader = capture
            .reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let timeout = Duration::from_millis(timeout_ms.into());
        match reader.live.next_frame(timeout)? {
            Some(frame) => out.write(ipip_frame::of(reader.frame.insert(frame))),
            None if reader.live.is_stopped() => {
                let text = "the capture was stopped";
                return Err(Failure::new(ipip_status::Stopped, text));
            }
            None => {
                let text = format!("no frame within {timeout_ms} ms");
                return Err(Failure::new(ipip_status::Timeout, text));
            }
        };
        Ok(())
    })
}

/// How many frames passed since `ipip_capture_open`, and how many of them were dropped.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_capture_count(
    capture: Option<&ipip_capture>,
    counts_out: Option<&mut MaybeUninit<ipip_capture_counts>>,
) -> ipip_status {
    guard(|| {
        let capture = required(capture, "capture")?;
        let out = required(counts_out, "counts_out")?;
        let mut reader = capture
            .reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let counts = reader.live.counts()?;
        out.write(ipip_capture_counts {
            seen: counts.seen,
            dropped: counts.dropped,
        });
        Ok(())
    })
}

/// Ends a capture, from any thread: frames that pass from now on are not taken, a waiting
/// `ipip_capture_next` returns, and later ones do not wait. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_capture_stop(capture: Option<&ipip_capture>) {
    or((), || {
        if let Some(capture) = capture {
            capture.stopper.stop();
        }
    });
}

/// Closes a capture; the octets of its last frame go with it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_capture_free(capture: Option<Box<ipip_capture>>) {
    or((), || drop(capture));
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let status = match &error {
            CaptureError::NoInterface { .. } => ipip_status::NotFound,
            CaptureError::Privilege { .. } => ipip_status::Permission,
            CaptureError::HardwareType { .. } => ipip_status::Unsupported,
            CaptureError::Down { .. } => ipip_status::InterfaceDown,
            CaptureError::Gone { .. } => ipip_status::InterfaceGone,
            CaptureError::Namespace { .. } | CaptureError::System { .. } => ipip_status::Kernel,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, error.errno())
    }
}

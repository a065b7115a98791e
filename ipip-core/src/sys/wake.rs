//! Waiting for a descriptor, for a time, or until another thread ends the wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A bell that ends every wait on it, for good once rung. It may be rung from any thread, and from
/// a signal handler: ringing is one store and one `write`.
#[derive(Debug)]
pub struct Wake {
    fd: OwnedFd,
    rung: AtomicBool,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The descriptor can be read, or has an error to report.
    Readable,
    /// The bell was rung.
    Woken,
    /// The time is over.
    TimedOut,
}

impl Wake {
    /// A bell that has not been rung.
    ///
    /// # Errors
    /// The kernel's answer if the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes numbers only.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            // SAFETY: the kernel just gave this descriptor to us and nobody else has it.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            rung: AtomicBool::new(false),
        })
    }

    /// Ends every wait, those that begin later included.
    pub fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        let one = 1u64;
        // SAFETY: the pointer and the length describe `one`. The answer does not matter: the only
        // failure is a counter already near 2^64, and then the bell has been rung.
        unsafe {
            libc::write(
                self.fd.as_raw_fd(),
                std::ptr::from_ref(&one).cast(),
                size_of::<u64>(),
            )
        };
    }

    /// Whether it was rung.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Waits until `fd` can be read, the bell is rung or `timeout` is over, whichever is first; a
    /// readable descriptor wins over a bell. `Duration::MAX` waits without end. Signals do not end
    /// the wait. The kernel's timer is good to about 0.1 ms.
    ///
    /// # Errors
    /// The kernel's answer to `ppoll`.
    pub fn wait(&self, fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<Ended> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match poll([fd, self.fd.as_fd()], left) {
                Ok([true, _]) => return Ok(Ended::Readable),
                Ok([false, true]) => return Ok(Ended::Woken),
                Ok([false, false]) => return Ok(Ended::TimedOut),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Which of two descriptors have something to read or report; both false after `timeout`.
fn poll(fds: [BorrowedFd<'_>; 2], timeout: Option<Duration>) -> io::Result<[bool; 2]> {
    let mut polled = fds.map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    // A time beyond what the kernel can hold is no limit at all.
    let timeout = timeout.and_then(|left| {
        Some(libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).ok()?,
            tv_nsec: left.subsec_nanos().into(),
        })
    });
    let limit = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: two entries are described, both pointers outlive the call; a null time is "no limit"
    // and a null signal mask is "unchanged".
    let result = unsafe { libc::ppoll(polled.as_mut_ptr(), 2, limit, std::ptr::null()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(polled.map(|p| p.revents != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A descriptor that never becomes readable.
    fn silent() -> Wake {
        Wake::new().unwrap()
    }

    #[test]
    fn a_wait_lasts_as_long_as_asked() {
        let (wake, silent) = (Wake::new().unwrap(), silent());
        for millis in [0, 1, 20] {
            let timeout = Duration::from_millis(millis);
            let start = Instant::now();
            assert_eq!(
                wake.wait(silent.fd.as_fd(), timeout).unwrap(),
                Ended::TimedOut
            );
            let took = start.elapsed();
            assert!(took >= timeout, "{took:?} of {timeout:?}");
            assert!(
                took < timeout + Duration::from_millis(50),
                "{took:?} of {timeout:?}"
            );
        }
    }

    #[test]
    fn another_thread_ends_an_endless_wait() {
        let (wake, silent) = (Wake::new().unwrap(), silent());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wake.wait(silent.fd.as_fd(), Duration::MAX).unwrap());
            std::thread::sleep(Duration::from_millis(5));
            assert!(!waiter.is_finished());
            wake.ring();
            assert_eq!(waiter.join().unwrap(), Ended::Woken);
        });
        assert!(wake.is_rung());
        assert_eq!(
            wake.wait(silent.fd.as_fd(), Duration::MAX).unwrap(),
            Ended::Woken
        );
    }

    #[test]
    fn a_readable_descriptor_wins_over_the_bell() {
        let (wake, other) = (Wake::new().unwrap(), Wake::new().unwrap());
        wake.ring();
        other.ring();
        let ended = wake.wait(other.fd.as_fd(), Duration::ZERO).unwrap();
        assert_eq!(ended, Ended::Readable);
    }
}

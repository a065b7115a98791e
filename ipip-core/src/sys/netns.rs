//! Network namespaces: create, open, and enter on a thread of its own.
//!
//! A namespace is a property of a *thread*. [`Netns::enter`] therefore runs its closure on a new
//! thread that ends afterwards: whatever happens inside, no thread of the caller is ever left in the
//! wrong namespace. A socket opened inside keeps its namespace for life, so a long job enters once.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::socket::check;
use crate::name::NETNS_DIR;

/// An open network namespace. It lives at least as long as this value.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: PathBuf,
}

/// What went wrong with a namespace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetnsError {
    /// A system call failed; the cause is the kernel's answer.
    #[error("cannot {action} network namespace {path}", path = path.display())]
    System {
        /// What was tried: "open", "create", "enter", "remove".
        action: &'static str,
        /// The namespace it was tried on.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file exists but is not a network namespace.
    #[error("{path} is not a network namespace", path = path.display())]
    NotNetns {
        /// The file that was opened.
        path: PathBuf,
    },
    /// The name cannot be a file below `/run/netns`.
    #[error(
        "namespace name {name:?} must be 1 to 255 octets without '/' or NUL, and not '.' or '..'"
    )]
    Name {
        /// The name as given.
        name: String,
    },
}

impl NetnsError {
    /// The kernel's error number where a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// The same once more, for another that it befell.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::System {
                action,
                path,
                source,
            } => {
                let number = source.raw_os_error().unwrap_or(libc::EIO);
                system(action, path)(io::Error::from_raw_os_error(number))
            }
            Self::NotNetns { path } => Self::NotNetns { path: path.clone() },
            Self::Name { name } => Self::Name { name: name.clone() },
        }
    }
}

impl Netns {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// [`NetnsError::System`] if `/proc` is not mounted.
    pub fn current() -> Result<Self, NetnsError> {
        Self::open(THREAD_NETNS)
    }

    /// The namespace behind `path`, such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// [`NetnsError::System`] if it cannot be opened, [`NetnsError::NotNetns`] if it is another
    /// kind of file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NetnsError> {
        let path = path.as_ref();
        // O_NONBLOCK: opening a FIFO would wait for its other end.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(system("open", path))?;
        // SAFETY: NS_GET_NSTYPE takes no argument and the descriptor is open.
        let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) };
        if kind != libc::CLONE_NEWNET {
            return Err(NetnsError::NotNetns {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// The namespace that `ip netns add NAME` made.
    ///
    /// # Errors
    /// As [`Netns::open`], and [`NetnsError::Name`].
    pub fn named(name: &str) -> Result<Self, NetnsError> {
        Self::open(named_path(name)?)
    }

    /// Makes a namespace and names it as `ip netns add NAME` does; it stays until [`Netns::remove`].
    /// Its interfaces are down, loopback included.
    ///
    /// # Errors
    /// [`NetnsError::System`] (`EEXIST` if the name is taken, `EPERM` without `CAP_SYS_ADMIN`);
    /// nothing is left behind.
    pub fn create(name: &str) -> Result<Self, NetnsError> {
        let path = named_path(name)?;
        let failed = || system("create", &path);
        share_named_dir().map_err(failed())?;
        File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(failed())?;
        let made = on_new_thread(|| {
            unshare_net()?;
            let file = File::open(THREAD_NETNS)?;
            // The last step, so that nothing has to be unmounted where one fails.
            mount(THREAD_NETNS, &path, libc::MS_BIND)?;
            Ok(file)
        });
        match made.flatten() {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => {
                // The mount did not happen, so this is a plain empty file of ours.
                let _ = fs::remove_file(&path);
                Err(failed()(error))
            }
        }
    }

    /// Makes a namespace without a name; it ends with this value and the last socket or process in it.
    ///
    /// # Errors
    /// [`NetnsError::System`] (`EPERM` without `CAP_SYS_ADMIN`).
    pub fn create_unnamed() -> Result<Self, NetnsError> {
        let made = on_new_thread(|| {
            unshare_net()?;
            File::open(THREAD_NETNS)
        });
        let file = made
            .flatten()
            .map_err(system("create", Path::new("(unnamed)")))?;
        let path = descriptor_path(&file);
        Ok(Self { file, path })
    }

    /// Removes a name made by [`Netns::create`] or `ip netns add`. `Ok(false)` if it was not there.
    ///
    /// # Errors
    /// [`NetnsError::System`] if it cannot be unmounted or unlinked.
    pub fn remove(name: &str) -> Result<bool, NetnsError> {
        let path = named_path(name)?;
        let failed = |error| Err(system("remove", &path)(error));
        match unmount(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // EINVAL: a plain file that nothing is mounted on, left by a creation that was killed.
            Err(error) if error.raw_os_error() != Some(libc::EINVAL) => return failed(error),
            _ => {}
        }
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            // Somebody else has removed it in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => failed(error),
        }
    }

    /// Runs `work` inside the namespace, on a thread that ends with it.
    ///
    /// ```no_run
    /// # use ipip_core::sys::netns::Netns;
    /// let devices = Netns::named("node-a")?.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NetnsError::System`] if the namespace may not be entered or no thread can be had; `work` has
    /// not run then.
    ///
    /// # Panics
    /// If `work` panics, with its panic.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        let entered = on_new_thread(|| {
            // SAFETY: the descriptor is an open network namespace, and only this thread moves.
            check(unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) })?;
            Ok(work())
        });
        entered.flatten().map_err(system("enter", &self.path))
    }

    /// Runs `work` inside each of `all` in turn, as [`Netns::enter`] does inside one, on one thread for all: a
    /// thread takes longer than opening a socket does. The answers are in the order of `all`.
    ///
    /// # Errors
    /// As [`Netns::enter`], for each that may not be entered, and for all if no thread can be had.
    ///
    /// # Panics
    /// If `work` panics, with its panic; it is not run inside the others then.
    pub fn enter_each<T: Send>(
        all: &[&Self],
        work: impl Fn() -> T + Sync,
    ) -> Vec<Result<T, NetnsError>> {
        let enter = |netns: &&Self| {
            // SAFETY: the descriptor is an open network namespace, and only this thread moves.
            let entered = check(unsafe { libc::setns(netns.file.as_raw_fd(), libc::CLONE_NEWNET) });
            let entered = entered.map_err(system("enter", &netns.path));
            entered.map(|_| work())
        };
        let entered = on_new_thread(|| all.iter().map(enter).collect());
        entered.unwrap_or_else(|error| {
            let number = error.raw_os_error().unwrap_or(libc::EAGAIN);
            let refused = |netns: &&Self| {
                Err(system("enter", &netns.path)(io::Error::from_raw_os_error(
                    number,
                )))
            };
            all.iter().map(refused).collect()
        })
    }

    /// A second handle on the same namespace.
    ///
    /// # Errors
    /// [`NetnsError::System`] if the process is out of descriptors.
    pub fn try_clone(&self) -> Result<Self, NetnsError> {
        let file = self.file.try_clone().map_err(system("open", &self.path))?;
        // A path by way of our descriptor ends with it, so the clone has one by way of its own.
        let path = if self.path == descriptor_path(&self.file) {
            descriptor_path(&file)
        } else {
            self.path.clone()
        };
        Ok(Self { file, path })
    }

    /// The path it was opened by. For an unnamed one, a path below `/proc` that is valid while this
    /// value lives.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both are the same namespace: they are one inode of the namespace file system.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let identity = |netns: &Self| netns.file.metadata().map(|m| (m.dev(), m.ino())).ok();
        identity(self).is_some_and(|mine| Some(mine) == identity(other))
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// `_IO(0xb7, 3)` of linux/nsfs.h: the CLONE_NEW* constant of a namespace file.
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// The namespace of the thread that opens it.
const THREAD_NETNS: &str = "/proc/thread-self/ns/net";

/// A path to what `file` has open, valid as long as `file`.
fn descriptor_path(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

fn named_path(name: &str) -> Result<PathBuf, NetnsError> {
    let valid = (1..=255).contains(&name.len())
        && !name.contains(['/', '\0'])
        && name != "."
        && name != "..";
    if valid {
        Ok(Path::new(NETNS_DIR).join(name))
    } else {
        Err(NetnsError::Name {
            name: name.to_owned(),
        })
    }
}

fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NetnsError {
    let path = path.to_owned();
    move |source| NetnsError::System {
        action,
        path,
        source,
    }
}

/// Runs `work` on a thread of its own; an error if there can be no more threads.
fn on_new_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn unshare_net() -> io::Result<()> {
    // SAFETY: takes flags only; it moves the calling thread, which ends right after.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Makes `/run/netns` a shared mount, as `ip netns add` does, so that a name mounted here is seen by,
/// and can be removed from, every mount namespace that shares it.
///
/// Meanwhile it holds the lock that `ip netns add` takes, too: of several that find no mount, each would
/// mount the directory over itself.
fn share_named_dir() -> io::Result<()> {
    let dir = Path::new(NETNS_DIR);
    fs::create_dir_all(dir)?;
    let only_one = File::open(dir)?;
    only_one.lock()?;
    match mount("", dir, libc::MS_SHARED | libc::MS_REC) {
        // EINVAL: not a mount point yet.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            mount(NETNS_DIR, dir, libc::MS_BIND | libc::MS_REC)?;
            mount("", dir, libc::MS_SHARED | libc::MS_REC)
        }
        other => other,
    }
}

fn mount(source: &str, target: &Path, flags: libc::c_ulong) -> io::Result<()> {
    let source = CString::new(source)?;
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: both strings end in a zero and outlive the call; type and data may be null for a bind
    // mount or a change of propagation.
    check(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            c"none".as_ptr(),
            flags,
            std::ptr::null(),
        )
    })
}

/// Takes away what is mounted on `target` itself: a symbolic link is not followed.
fn unmount(target: &Path) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
    // SAFETY: the string ends in a zero and outlives the call.
    check(unsafe { libc::umount2(target.as_ptr(), flags) })
}

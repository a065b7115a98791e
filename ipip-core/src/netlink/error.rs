//! What the kernel refused, and about what.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::plan::{Place, Step};
use crate::sys::netns::NetnsError;

/// The kernel's "no" to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its error number, positive.
    pub errno: i32,
    /// Its own words (extended acknowledgement), where it gave any. They differ between kernel
    /// versions, so they are for people only.
    pub text: Option<String>,
}

/// Why the kernel could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// The kernel refused a change or could not answer a question.
    #[error("{object}: {refusal}")]
    Refused {
        /// What it was about, such as "route 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink".
        object: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// The kernel has no driver for the kind of link that was to be created.
    #[error("{object}: the kernel has no driver for links of kind {kind}: {refusal}")]
    UnknownLinkKind {
        /// The link.
        object: String,
        /// The kind: "ipip" or "veth".
        kind: &'static str,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// The kernel acknowledged a deletion and kept the device. So it does with the fallback device
    /// of a tunnel driver.
    #[error(
        "{object}: the kernel acknowledged its deletion and kept it, as it keeps a driver's own fallback device"
    )]
    NotDeleted {
        /// The link.
        object: String,
    },
    /// The guard cannot be had: there is no program `nft`, or it or the kernel lacks what the guard needs.
    #[error("{object}: nf_tables cannot be used, {reason}")]
    NoNfTables {
        /// The table.
        object: String,
        /// What is missing, in the words of `nft` where it spoke.
        reason: String,
    },
    /// A route whose target was only observed cannot be installed or deleted.
    #[error("{object}: routes of this form are only read, never written")]
    NotWritable {
        /// The route.
        object: String,
    },
    /// The step was not tried, since the link that it is about could not be created.
    #[error("{object}: not tried, the link was not created by step {creation}", creation = creation + 1)]
    NotTried {
        /// What it was about.
        object: String,
        /// The step that should have created the link, counted from 0 in the list of steps.
        creation: usize,
    },
    /// A step is for a namespace that was not added with [`super::Kernel::add_workload`].
    #[error("namespace {path} of a step was never added", path = path.display())]
    UnknownPlace {
        /// The namespace.
        path: PathBuf,
    },
    /// A workload's namespace is the node's own: wiring a workload there would rewire the node.
    #[error("namespace {path} is the node's own, a workload needs another", path = path.display())]
    NodeNamespace {
        /// The namespace.
        path: PathBuf,
    },
    /// A system call on a netlink socket failed; the cause is the kernel's answer.
    #[error("{object}: cannot {action} a netlink socket")]
    Socket {
        /// What it was about.
        object: String,
        /// What was tried: "open", "send to", "receive from".
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The namespace could not be entered.
    #[error("{object}: its namespace is out of reach")]
    Netns {
        /// What it was about.
        object: String,
        /// Why.
        source: NetnsError,
    },
    /// Answers were lost, or none came in time. Whether the request was carried out is unknown:
    /// observe again.
    #[error("{object}: the kernel's answer was lost ({reason})")]
    AnswerLost {
        /// What it was about.
        object: String,
        /// How that was noticed.
        reason: &'static str,
    },
    /// The kernel's answer is not what its format promises.
    #[error("{object}: unreadable answer of the kernel: {reason}")]
    Unreadable {
        /// What it was about.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A list of steps that ended early.
#[derive(Debug, thiserror::Error)]
#[error("step {} of {total} failed: {step}", applied + 1)]
pub struct ApplyError {
    /// How many steps were carried out before; they stay, see [`crate::plan::undo`].
    pub applied: usize,
    /// How many there were.
    pub total: usize,
    /// The step that failed. It and those behind it were not carried out.
    pub step: Box<Step>,
    /// Why.
    #[source]
    pub cause: NetlinkError,
}

impl NetlinkError {
    /// The kernel's error number, where it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { refusal, .. } | Self::UnknownLinkKind { refusal, .. } => {
                Some(refusal.errno)
            }
            Self::Socket { source, .. } => source.raw_os_error(),
            Self::Netns { source, .. } => source.errno(),
            _ => None,
        }
    }

    /// Whether the kernel lacks the driver for the kind of link that was asked for.
    #[must_use]
    pub fn is_unknown_link_kind(&self) -> bool {
        matches!(self, Self::UnknownLinkKind { .. })
    }

    /// Whether nf_tables cannot be used for the guard.
    #[must_use]
    pub fn is_no_nf_tables(&self) -> bool {
        matches!(self, Self::NoNfTables { .. })
    }

    /// Whether a privilege is missing (`EPERM`, `EACCES`).
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// Whether the object was there already, or its name is taken (`EEXIST`).
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// Whether what was observed no longer holds: the object appeared, went away, or its device
    /// did. Then observe and plan once more. One case is ordinary: creating the first ipip device
    /// may load the kernel's driver, which brings its own `tunl0`, and the creation finds it there.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::AnswerLost { .. })
            || matches!(
                self.errno(),
                Some(
                    libc::EEXIST | libc::ENODEV | libc::ESRCH | libc::ENOENT | libc::EADDRNOTAVAIL
                )
            )
    }
}

/// The kernel's words and the meaning of the number: "Nexthop has invalid gateway (Network is
/// unreachable, os error 101)".
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = io::Error::from_raw_os_error(self.errno).to_string();
        let suffix = format!(" (os error {})", self.errno);
        let meaning = number.strip_suffix(&suffix).unwrap_or(&number);
        match &self.text {
            Some(text) => write!(f, "{text} ({meaning}, os error {})", self.errno),
            None => f.write_str(&number),
        }
    }
}

/// A fault before it is known what it was about.
#[derive(Debug)]
pub(super) enum Fault {
    Refused(Refusal),
    Socket(&'static str, io::Error),
    Netns(NetnsError),
    AnswerLost(&'static str),
    Unreadable(String),
    UnknownLinkKind(&'static str, Refusal),
    NotDeleted,
    NoNfTables(String),
    NotWritable,
    NotTried(usize),
    UnknownPlace(PathBuf),
    /// It was about another object than the one that was asked for.
    Of(String, Box<Fault>),
}

impl Fault {
    pub(super) fn errno(errno: i32) -> Self {
        Self::Refused(Refusal { errno, text: None })
    }

    pub(super) fn is(&self, errno: i32) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.errno == errno)
    }

    /// The same once more, for another that it befell.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::AnswerLost(reason) => Self::AnswerLost(reason),
            Self::Socket(action, source) => {
                let number = source.raw_os_error().unwrap_or(libc::EIO);
                Self::Socket(action, io::Error::from_raw_os_error(number))
            }
            Self::Netns(fault) => Self::Netns(fault.again()),
            Self::Unreadable(reason) => Self::Unreadable(reason.clone()),
            Self::UnknownLinkKind(kind, refusal) => Self::UnknownLinkKind(kind, refusal.clone()),
            Self::NotDeleted => Self::NotDeleted,
            Self::NoNfTables(reason) => Self::NoNfTables(reason.clone()),
            Self::NotWritable => Self::NotWritable,
            Self::NotTried(creation) => Self::NotTried(*creation),
            Self::UnknownPlace(path) => Self::UnknownPlace(path.clone()),
            Self::Of(object, fault) => Self::Of(object.clone(), Box::new(fault.again())),
        }
    }

    pub(super) fn about(self, object: impl Into<String>) -> NetlinkError {
        let object = object.into();
        match self {
            Self::Refused(refusal) => NetlinkError::Refused { object, refusal },
            Self::Socket(action, source) => NetlinkError::Socket {
                object,
                action,
                source,
            },
            Self::Netns(source) => NetlinkError::Netns { object, source },
            Self::AnswerLost(reason) => NetlinkError::AnswerLost { object, reason },
            Self::Unreadable(reason) => NetlinkError::Unreadable { object, reason },
            Self::UnknownLinkKind(kind, refusal) => NetlinkError::UnknownLinkKind {
                object,
                kind,
                refusal,
            },
            Self::NoNfTables(reason) => NetlinkError::NoNfTables { object, reason },
            Self::NotDeleted => NetlinkError::NotDeleted { object },
            Self::NotWritable => NetlinkError::NotWritable { object },
            Self::NotTried(creation) => NetlinkError::NotTried { object, creation },
            Self::UnknownPlace(path) => NetlinkError::UnknownPlace { path },
            Self::Of(object, fault) => fault.about(object),
        }
    }
}

/// The object as messages name it; a place other than the node's is said.
pub(super) fn in_place(object: &str, place: &Place) -> String {
    match place {
        Place::Node => object.to_owned(),
        Place::Workload(path) => format!("{object} in {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_object_words_and_number_once() {
        let fault = Fault::Refused(Refusal {
            errno: libc::ENETUNREACH,
            text: Some("Nexthop has invalid gateway".to_owned()),
        });
        let error =
            fault.about("route 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink");
        assert_eq!(
            error.to_string(),
            "route 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink: \
             Nexthop has invalid gateway (Network is unreachable, os error 101)"
        );
        assert!(std::error::Error::source(&error).is_none());
        let bare = Fault::errno(libc::ENODEV).about("link tunl0");
        assert_eq!(bare.to_string(), "link tunl0: No such device (os error 19)");
    }

    #[test]
    fn the_predicates_read_the_number() {
        let error = |errno| Fault::errno(errno).about("link a");
        assert!(error(libc::EPERM).is_permission() && !error(libc::EPERM).is_stale());
        assert!(error(libc::EEXIST).is_already_there() && error(libc::EEXIST).is_stale());
        assert!(error(libc::ESRCH).is_stale() && !error(libc::ENETUNREACH).is_stale());
        assert!(!error(libc::EOPNOTSUPP).is_unknown_link_kind());
    }
}

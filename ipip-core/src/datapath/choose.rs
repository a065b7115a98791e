//! Which data path to take.

use std::fmt;
use std::str::FromStr;

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataPathKind {
    /// The kernel's ipip driver and its `tunl0`.
    Kernel,
    /// eBPF programs on a TUN look-alike of `tunl0`.
    Bpf,
    /// This process, between a TUN device and a raw socket.
    Userspace,
}

/// What the user asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// The best that this kernel can do.
    #[default]
    Auto,
    /// The kernel's driver or nothing.
    Kernel,
    /// This process, even where the kernel has the driver.
    Userspace,
}

/// What a namespace can do about `tunl0`, as netlink found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverState {
    /// `tunl0` exists and its kind is ipip.
    Present,
    /// There is no `tunl0`, and the kernel knows the kind ipip.
    Creatable,
    /// There is no `tunl0`, and the kernel does not know the kind ipip.
    Missing,
    /// `tunl0` exists and is something else.
    Foreign {
        /// Its kind, such as "tun" or "dummy".
        kind: String,
    },
}

/// The path to take, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What carries the packets.
    pub kind: DataPathKind,
    /// The reason, a clause for people: "the kernel has the ipip driver".
    pub reason: &'static str,
}

/// Why no path can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The kernel's driver was asked for, and it is not there.
    #[error(
        "data path kernel was asked for, and this kernel has no ipip driver (modprobe ipip may load it; \
         auto and userspace do without)"
    )]
    NoDriver,
    /// The name of the tunnel device belongs to something that cannot be used.
    #[error("data path {choice} needs the name tunl0, and an interface of kind {kind} has it")]
    NameTaken {
        /// What was asked for.
        choice: Choice,
        /// The kind of the interface that has the name.
        kind: String,
    },
}

/// A word that is no [`Choice`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("data path {text:?} is not one of auto, kernel, userspace")]
pub struct ChoiceError {
    text: String,
}

/// Decides which path carries the packets.
///
/// ```
/// use ipip_core::datapath::{Choice, DataPathKind, DriverState, choose};
/// let decision = choose(Choice::Auto, &DriverState::Missing)?;
/// assert_eq!(decision.kind, DataPathKind::Userspace);
/// # Ok::<(), ipip_core::datapath::ChooseError>(())
/// ```
///
/// # Errors
/// [`ChooseError::NoDriver`] if only the kernel's driver is allowed and missing,
/// [`ChooseError::NameTaken`] if `tunl0` stands in the way of the path.
pub fn choose(choice: Choice, driver: &DriverState) -> Result<Decision, ChooseError> {
    let take = |kind, reason| Ok(Decision { kind, reason });
    let taken = |kind: &str| {
        Err(ChooseError::NameTaken {
            choice,
            kind: kind.to_owned(),
        })
    };
    match (choice, driver) {
        (_, DriverState::Foreign { kind }) => taken(kind),
        // The kernel's fallback device can be neither removed nor replaced while the module is there.
        (Choice::Userspace, DriverState::Present) => taken("ipip"),
        (Choice::Userspace, _) => take(DataPathKind::Userspace, "it was asked for"),
        (_, DriverState::Present) => take(DataPathKind::Kernel, "the kernel's tunl0 is there"),
        (_, DriverState::Creatable) => take(DataPathKind::Kernel, "the kernel has the ipip driver"),
        (Choice::Auto, DriverState::Missing) => take(
            DataPathKind::Userspace,
            "this kernel has no ipip driver, so this process carries the packets",
        ),
        (Choice::Kernel, DriverState::Missing) => Err(ChooseError::NoDriver),
    }
}

impl fmt::Display for DataPathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Bpf => "bpf",
            Self::Userspace => "userspace",
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Kernel => "kernel",
            Self::Userspace => "userspace",
        })
    }
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "kernel" => Ok(Self::Kernel),
            "userspace" => Ok(Self::Userspace),
            _ => Err(ChoiceError {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_decided() {
        use DataPathKind::{Kernel, Userspace};
        let foreign = || DriverState::Foreign {
            kind: "dummy".to_owned(),
        };
        let cases = [
            (Choice::Auto, DriverState::Present, Some(Kernel)),
            (Choice::Auto, DriverState::Creatable, Some(Kernel)),
            (Choice::Auto, DriverState::Missing, Some(Userspace)),
            (Choice::Auto, foreign(), None),
            (Choice::Kernel, DriverState::Present, Some(Kernel)),
            (Choice::Kernel, DriverState::Creatable, Some(Kernel)),
            (Choice::Kernel, DriverState::Missing, None),
            (Choice::Kernel, foreign(), None),
            (Choice::Userspace, DriverState::Present, None),
            (Choice::Userspace, DriverState::Creatable, Some(Userspace)),
            (Choice::Userspace, DriverState::Missing, Some(Userspace)),
            (Choice::Userspace, foreign(), None),
        ];
        for (choice, driver, expected) in cases {
            let decided = choose(choice, &driver).ok().map(|decision| decision.kind);
            assert_eq!(decided, expected, "{choice} with {driver:?}");
        }
    }

    #[test]
    fn refusals_name_what_is_in_the_way() {
        let error = choose(Choice::Userspace, &DriverState::Present).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data path userspace needs the name tunl0, and an interface of kind ipip has it"
        );
        let error = "fast".parse::<Choice>().unwrap_err().to_string();
        assert_eq!(
            error,
            "data path \"fast\" is not one of auto, kernel, userspace"
        );
    }

    #[test]
    fn words_survive_a_round_trip() {
        for choice in [Choice::Auto, Choice::Kernel, Choice::Userspace] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }
}

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
    /// eBPF programs, even where the kernel has the driver.
    Bpf,
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
    /// `tunl0` is the TUN device of an eBPF data path, this process's or an earlier one's.
    LookAlike,
    /// `tunl0` exists and is something else.
    Foreign {
        /// Its kind, such as "tun" or "dummy".
        kind: String,
    },
}

/// What a namespace can do about eBPF programs, as a try has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BpfState {
    /// The kernel took them.
    Taken,
    /// It did not.
    Refused {
        /// What was tried, by which call, and the kernel's answer: a clause for people.
        why: String,
    },
    /// Nobody tried: it was not wanted, or another path is better.
    Untried,
}

/// The path to take, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What carries the packets.
    pub kind: DataPathKind,
    /// The reason, a clause for people: "the kernel has the ipip driver".
    pub reason: String,
}

/// Why no path can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The kernel's driver was asked for, and it is not there.
    #[error(
        "data path kernel was asked for, and this kernel has no ipip driver (modprobe ipip may load it; \
         auto, bpf and userspace do without)"
    )]
    NoDriver,
    /// eBPF programs were asked for, or carry the packets already, and cannot be had.
    #[error("data path bpf cannot be had: {why}")]
    NoBpf {
        /// What was tried, by which call, and the kernel's answer.
        why: String,
    },
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
#[error("data path {text:?} is not one of auto, kernel, bpf, userspace")]
pub struct ChoiceError {
    text: String,
}

/// Decides which path carries the packets.
///
/// ```
/// use ipip_core::datapath::{BpfState, Choice, DataPathKind, DriverState, choose};
/// let decision = choose(Choice::Auto, &DriverState::Missing, &BpfState::Taken)?;
/// assert_eq!(decision.kind, DataPathKind::Bpf);
/// # Ok::<(), ipip_core::datapath::ChooseError>(())
/// ```
///
/// # Errors
/// [`ChooseError::NoDriver`] if only the kernel's driver is allowed and missing, [`ChooseError::NoBpf`] if only eBPF is
/// and the kernel refuses it, [`ChooseError::NameTaken`] if `tunl0` stands in the way of the path.
pub fn choose(
    choice: Choice,
    driver: &DriverState,
    bpf: &BpfState,
) -> Result<Decision, ChooseError> {
    let taken = |kind: &str| {
        Err(ChooseError::NameTaken {
            choice,
            kind: kind.to_owned(),
        })
    };
    let asked_for = "it was asked for";
    match (choice, driver) {
        (_, DriverState::Foreign { kind }) => taken(kind),
        // The kernel's fallback device can be neither removed nor replaced while the module is there.
        (Choice::Bpf | Choice::Userspace, DriverState::Present) => taken("ipip"),
        (Choice::Kernel | Choice::Userspace, DriverState::LookAlike) => taken("tun"),
        (Choice::Userspace, _) => take(DataPathKind::Userspace, asked_for),
        (Choice::Bpf, _) => by_programs(bpf, asked_for),
        (_, DriverState::Present) => take(DataPathKind::Kernel, "the kernel's tunl0 is there"),
        (_, DriverState::Creatable) => take(DataPathKind::Kernel, "the kernel has the ipip driver"),
        (Choice::Auto, DriverState::LookAlike) => by_programs(bpf, "its tunl0 is there"),
        (Choice::Auto, DriverState::Missing) => Ok(without_driver(bpf)),
        (Choice::Kernel, DriverState::Missing) => Err(ChooseError::NoDriver),
    }
}

fn take(kind: DataPathKind, reason: &str) -> Result<Decision, ChooseError> {
    let reason = reason.to_owned();
    Ok(Decision { kind, reason })
}

fn by_programs(bpf: &BpfState, reason: &str) -> Result<Decision, ChooseError> {
    match bpf {
        BpfState::Taken => take(DataPathKind::Bpf, reason),
        BpfState::Refused { why } => Err(ChooseError::NoBpf { why: why.clone() }),
        BpfState::Untried => Err(ChooseError::NoBpf {
            why: "nobody tried".to_owned(),
        }),
    }
}

/// The better one of those that do without the driver.
fn without_driver(bpf: &BpfState) -> Decision {
    let no_driver = "this kernel has no ipip driver";
    let carries = "this process carries the packets";
    let (kind, reason) = match bpf {
        BpfState::Taken => (
            DataPathKind::Bpf,
            format!("{no_driver}, and it takes eBPF programs"),
        ),
        BpfState::Refused { why } => (
            DataPathKind::Userspace,
            format!("{no_driver}, and eBPF cannot be had ({why}), so {carries}"),
        ),
        BpfState::Untried => (
            DataPathKind::Userspace,
            format!("{no_driver}, so {carries}"),
        ),
    };
    Decision { kind, reason }
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
            Self::Bpf => "bpf",
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
            "bpf" => Ok(Self::Bpf),
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
        use DataPathKind::{Bpf, Kernel, Userspace};
        use DriverState::{Creatable, LookAlike, Missing, Present};
        let foreign = || DriverState::Foreign {
            kind: "dummy".to_owned(),
        };
        let refused = || BpfState::Refused {
            why: "no".to_owned(),
        };
        // The last two: where the kernel takes eBPF programs, and where it does not.
        let cases = [
            (Choice::Auto, Present, Some(Kernel), Some(Kernel)),
            (Choice::Auto, Creatable, Some(Kernel), Some(Kernel)),
            (Choice::Auto, Missing, Some(Bpf), Some(Userspace)),
            (Choice::Auto, LookAlike, Some(Bpf), None),
            (Choice::Auto, foreign(), None, None),
            (Choice::Kernel, Present, Some(Kernel), Some(Kernel)),
            (Choice::Kernel, Creatable, Some(Kernel), Some(Kernel)),
            (Choice::Kernel, Missing, None, None),
            (Choice::Kernel, LookAlike, None, None),
            (Choice::Kernel, foreign(), None, None),
            (Choice::Bpf, Present, None, None),
            (Choice::Bpf, Creatable, Some(Bpf), None),
            (Choice::Bpf, Missing, Some(Bpf), None),
            (Choice::Bpf, LookAlike, Some(Bpf), None),
            (Choice::Bpf, foreign(), None, None),
            (Choice::Userspace, Present, None, None),
            (
                Choice::Userspace,
                Creatable,
                Some(Userspace),
                Some(Userspace),
            ),
            (Choice::Userspace, Missing, Some(Userspace), Some(Userspace)),
            (Choice::Userspace, LookAlike, None, None),
            (Choice::Userspace, foreign(), None, None),
        ];
        for (choice, driver, with, without) in cases {
            for (bpf, expected) in [(BpfState::Taken, with), (refused(), without)] {
                let decided = choose(choice, &driver, &bpf);
                let decided = decided.ok().map(|decision| decision.kind);
                assert_eq!(decided, expected, "{choice} with {driver:?}, {bpf:?}");
            }
        }
    }

    #[test]
    fn a_worse_path_says_why_it_is_not_a_better_one() {
        let why = "load program out, bpf(BPF_PROG_LOAD): EPERM".to_owned();
        let bpf = BpfState::Refused { why };
        let decision = choose(Choice::Auto, &DriverState::Missing, &bpf).unwrap();
        assert_eq!(
            decision.reason,
            "this kernel has no ipip driver, and eBPF cannot be had (load program out, bpf(BPF_PROG_LOAD): EPERM), \
             so this process carries the packets"
        );
        let error = choose(Choice::Bpf, &DriverState::Missing, &bpf).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data path bpf cannot be had: load program out, bpf(BPF_PROG_LOAD): EPERM"
        );
    }

    #[test]
    fn refusals_name_what_is_in_the_way() {
        let error =
            choose(Choice::Userspace, &DriverState::Present, &BpfState::Untried).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data path userspace needs the name tunl0, and an interface of kind ipip has it"
        );
        let error = "fast".parse::<Choice>().unwrap_err().to_string();
        assert_eq!(
            error,
            "data path \"fast\" is not one of auto, kernel, bpf, userspace"
        );
    }

    #[test]
    fn words_survive_a_round_trip() {
        for choice in [Choice::Auto, Choice::Kernel, Choice::Bpf, Choice::Userspace] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }
}

//! What a node did by one call, or would do.

use std::ffi::{CString, c_char, c_int};
use std::fmt::{self, Display};
use std::mem::MaybeUninit;
use std::ptr;

use ipip_core::datapath::DataPathKind;
use ipip_core::node::{DataPathState, FailedStep, GuardState, Left, Planned, Synced};

use crate::admin::at;
use crate::boundary::{TextBuffer, choose, guard, or, required};
use crate::outcome::c_text;
use crate::report::{checked_form, ipip_report_form};
use crate::status::ipip_status;

/// The lists of a node's report; the texts of steps are the shell commands that do the same.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_node_list {
    /// The steps that were carried out, in order; of a plan, those that would be.
    Steps = 0,
    /// The steps that were not; each has a reason, and the next call tries them again.
    Failed = 1,
    /// Objects of others where ours should be, or that must be there and are not. They are not touched.
    Conflicts = 2,
    /// Routes that were there before, of an earlier run, of BIRD or (where asked for) of Felix, and are
    /// ours from now on.
    Adopted = 3,
    /// Blocks and addresses for which nothing is done.
    Withheld = 4,
    /// The tunnel address that a node gave up when it left.
    Released = 5,
    /// What else could not be done when it left: the store's words.
    Faults = 6,
    /// The steps that were not begun, as the time of a pass of `ipip_node_run` was over; the next one goes
    /// on with them.
    Postponed = 7,
}

const LISTS: [ipip_node_list; 8] = [
    ipip_node_list::Steps,
    ipip_node_list::Failed,
    ipip_node_list::Conflicts,
    ipip_node_list::Adopted,
    ipip_node_list::Withheld,
    ipip_node_list::Released,
    ipip_node_list::Faults,
    ipip_node_list::Postponed,
];

/// One thing in a list of a report; its texts live as long as the `ipip_node_report` that it is from.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_node_entry {
    /// The thing that `enum ipip_node_list` tells of.
    pub text: *const c_char,
    /// Why a step was not carried out: the kernel's words, with its object; NULL in the other lists.
    pub reason: *const c_char,
    /// The kernel's error number (`errno.h`) for that, 0 where it gave none.
    pub error_number: c_int,
}

/// Who carries a node's packets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_data_path_state {
    /// The report does not say: of a node that left, and of a plan where none would be started that makes the
    /// tunnel device itself.
    Untold = 0,
    /// Nobody need: the node has no tunnel address, as no pool asks for a tunnel.
    Idle = 1,
    /// The kernel's ipip driver.
    Kernel = 2,
    /// eBPF programs on a device like tunl0.
    Bpf = 3,
    /// This process, as long as it has the `ipip_node`.
    Userspace = 4,
    /// Another process of this node, in user space.
    Elsewhere = 5,
    /// Nobody can; the routes through the tunnel are left out.
    Unavailable = 6,
}

/// Whether forged tunnel packets are dropped.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_guard_state {
    /// The report does not say: of a plan, and of a node that left.
    Untold = 0,
    /// They are: the guard's table is in place.
    Active = 1,
    /// They are not, as nobody wanted it.
    Declined = 2,
    /// They are not, though it was wanted: no program nft, no support in the kernel, no privilege.
    Unavailable = 3,
}

/// What a report says beside its lists; its texts live as long as the `ipip_node_report` that it is from.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_node_state {
    /// 1 if nothing is left to be done: nothing failed or was postponed, nothing is in the way, the store was read, the
    /// packets are carried; of a plan, if there is no step either. Else 0.
    pub is_settled: u8,
    /// Who carries the packets.
    pub data_path: ipip_data_path_state,
    /// The same in words, with the reason; NULL if it is untold.
    pub data_path_text: *const c_char,
    /// Whether forged tunnel packets are dropped.
    pub guard: ipip_guard_state,
    /// The same in words, with the reason; NULL if it is untold.
    pub guard_text: *const c_char,
    /// Why the store could not be read, so that what was read last counted and nothing was taken away;
    /// NULL if it was read.
    pub stale: *const c_char,
}

/// What a node did by one call, or would do, in lists.
///
/// Ownership: whoever got it as `report_out` frees it; the one in a `struct ipip_run_event` is the
/// library's. Threads: it never changes, so threads may share it without a lock.
#[derive(Debug)]
pub struct ipip_node_report {
    lists: Lists,
    data_path: (ipip_data_path_state, Option<CString>),
    guard: (ipip_guard_state, Option<CString>),
    stale: Option<CString>,
    source: Source,
}

#[derive(Debug, Default)]
struct Lists([Vec<Entry>; LISTS.len()]);

/// A text, and for a step that was not carried out the reason and the kernel's number.
#[derive(Debug)]
struct Entry {
    text: CString,
    reason: Option<(CString, c_int)>,
}

#[derive(Debug)]
enum Source {
    Synced(Synced),
    Planned(Planned),
    Left(Left),
}

/// How many things are in a list, an `enum ipip_node_list`; 0 for NULL and for no list.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_report_count(report: Option<&ipip_node_report>, list: u32) -> usize {
    or(0, || {
        let list = LISTS.iter().position(|known| *known as u32 == list);
        let list = list.and_then(|at| report?.lists.0.get(at));
        list.map_or(0, Vec::len)
    })
}

/// The thing `index` of a list, an `enum ipip_node_list`, counted from 0.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_report_get(
    report: Option<&ipip_node_report>,
    list: u32,
    index: usize,
    entry_out: Option<&mut MaybeUninit<ipip_node_entry>>,
) -> ipip_status {
    guard(|| {
        let report = required(report, "report")?;
        let out = required(entry_out, "entry_out")?;
        let known = LISTS.map(|list| (list as u32, list));
        let list = choose(list, "list", "ipip_node_list", &known)?;
        let entry = at(&report.lists.0[list as usize], index, "entry")?;
        let reason = entry.reason.as_ref();
        out.write(ipip_node_entry {
            text: entry.text.as_ptr(),
            reason: reason.map_or(ptr::null(), |(reason, _)| reason.as_ptr()),
            error_number: reason.map_or(0, |(_, number)| *number),
        });
        Ok(())
    })
}

/// What the report says beside its lists.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_report_state(
    report: Option<&ipip_node_report>,
    state_out: Option<&mut MaybeUninit<ipip_node_state>>,
) -> ipip_status {
    guard(|| {
        let report = required(report, "report")?;
        let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |t| t.as_ptr());
        let is_settled = match &report.source {
            Source::Synced(synced) => synced.is_settled(),
            Source::Planned(planned) => planned.is_empty() && planned.stale.is_none(),
            Source::Left(left) => left.is_complete(),
        };
        required(state_out, "state_out")?.write(ipip_node_state {
            is_settled: is_settled.into(),
            data_path: report.data_path.0,
            data_path_text: pointer(&report.data_path.1),
            guard: report.guard.0,
            guard_text: pointer(&report.guard.1),
            stale: pointer(&report.stale),
        });
        Ok(())
    })
}

/// All of it, in a form, an `enum ipip_report_form`: as text the shell script of its steps, with what
/// could not be done as comments, or as JSON. `needed_out` (may be NULL) is the length with the final zero.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_report_text(
    report: Option<&ipip_node_report>,
    form: u32,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let source = &required(report, "report")?.source;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&match checked_form(form)? {
            ipip_report_form::Text => source.to_string(),
            ipip_report_form::Json => source.to_json(),
        })
    })
}

/// Frees it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_report_free(report: Option<Box<ipip_node_report>>) {
    or((), || drop(report));
}

impl Source {
    fn to_json(&self) -> String {
        match self {
            Self::Synced(synced) => synced.to_json(),
            Self::Planned(planned) => planned.to_json(),
            Self::Left(left) => left.to_json(),
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = match self {
            Self::Synced(synced) => return synced.fmt(f),
            Self::Planned(planned) => return planned.fmt(f),
            Self::Left(left) => left,
        };
        for step in &left.done {
            writeln!(f, "{step}")?;
        }
        for failed in &left.failed {
            writeln!(f, "# failed: {failed}")?;
        }
        for released in &left.released {
            writeln!(f, "# released: {released}")?;
        }
        for fault in &left.faults {
            writeln!(f, "# not done: {fault}")?;
        }
        Ok(())
    }
}

impl Lists {
    fn with<T: Display>(mut self, list: ipip_node_list, all: &[T]) -> Self {
        let entry = |one: &T| Entry {
            text: c_text(&one.to_string()),
            reason: None,
        };
        self.0[list as usize].extend(all.iter().map(entry));
        self
    }

    fn failed(mut self, all: &[FailedStep]) -> Self {
        let entry = |one: &FailedStep| Entry {
            text: c_text(&one.step.to_string()),
            reason: Some((c_text(&one.reason), one.errno.unwrap_or(0))),
        };
        self.0[ipip_node_list::Failed as usize].extend(all.iter().map(entry));
        self
    }
}

impl From<Synced> for ipip_node_report {
    fn from(synced: Synced) -> Self {
        let words = |state: &dyn Display| Some(c_text(&state.to_string()));
        Self {
            lists: Lists::default()
                .with(ipip_node_list::Steps, &synced.done)
                .failed(&synced.failed)
                .with(ipip_node_list::Postponed, &synced.postponed)
                .with(ipip_node_list::Conflicts, &synced.conflicts)
                .with(ipip_node_list::Adopted, &synced.adopted)
                .with(ipip_node_list::Withheld, &synced.withheld),
            data_path: ((&synced.data_path).into(), words(&synced.data_path)),
            guard: ((&synced.guard).into(), words(&synced.guard)),
            stale: synced.stale.as_deref().map(c_text),
            source: Source::Synced(synced),
        }
    }
}

impl From<Planned> for ipip_node_report {
    fn from(planned: Planned) -> Self {
        Self {
            lists: Lists::default()
                .with(ipip_node_list::Steps, &planned.steps)
                .with(ipip_node_list::Conflicts, &planned.conflicts)
                .with(ipip_node_list::Adopted, &planned.adopted)
                .with(ipip_node_list::Withheld, &planned.withheld),
            data_path: match &planned.data_path {
                Some(state) => (state.into(), Some(c_text(&state.to_string()))),
                None => (ipip_data_path_state::Untold, None),
            },
            guard: (ipip_guard_state::Untold, None),
            stale: planned.stale.as_deref().map(c_text),
            source: Source::Planned(planned),
        }
    }
}

impl From<Left> for ipip_node_report {
    fn from(left: Left) -> Self {
        Self {
            lists: Lists::default()
                .with(ipip_node_list::Steps, &left.done)
                .failed(&left.failed)
                .with(ipip_node_list::Released, &left.released)
                .with(ipip_node_list::Faults, &left.faults),
            data_path: (ipip_data_path_state::Untold, None),
            guard: (ipip_guard_state::Untold, None),
            stale: None,
            source: Source::Left(left),
        }
    }
}

impl From<&DataPathState> for ipip_data_path_state {
    fn from(state: &DataPathState) -> Self {
        match state {
            DataPathState::Idle => Self::Idle,
            DataPathState::Running { kind, .. } => match kind {
                DataPathKind::Kernel => Self::Kernel,
                DataPathKind::Bpf => Self::Bpf,
                DataPathKind::Userspace => Self::Userspace,
                _ => Self::Untold,
            },
            DataPathState::Elsewhere => Self::Elsewhere,
            DataPathState::Unavailable { .. } => Self::Unavailable,
            _ => Self::Untold,
        }
    }
}

impl From<&GuardState> for ipip_guard_state {
    fn from(state: &GuardState) -> Self {
        match state {
            GuardState::Active => Self::Active,
            GuardState::Declined => Self::Declined,
            GuardState::Unavailable { .. } => Self::Unavailable,
        }
    }
}

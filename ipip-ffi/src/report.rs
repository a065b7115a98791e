//! What is wrong in a store, what of it can be repaired, and what nobody needs any more.

use std::collections::HashSet;
use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::time::Duration;

use ipip_core::ipam::{Collector, Repaired, Report};
use ipip_core::name::HandleId;

use crate::admin::at;
use crate::boundary::{TextBuffer, array, choose, give, guard, or, required, text};
use crate::error::Failure;
use crate::ipam::ipip_ipam;
use crate::outcome::{c_text, ipip_outcome};
use crate::status::ipip_status;

/// Everything that is wrong in a store at one instant.
///
/// Ownership: whoever got it from `ipip_ipam_check` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_report {
    report: Report,
    /// What kind each problem is, and its message.
    problems: Vec<(CString, CString)>,
}

/// How much was looked at, and how much of it is wrong.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_report_counts {
    /// Pools.
    pub pools: u64,
    /// Blocks, damaged ones included.
    pub blocks: u64,
    /// Addresses that are assigned, in blocks that are not damaged.
    pub addresses: u64,
    /// Handles that have a record.
    pub handles: u64,
    /// Claims of nodes.
    pub claims: u64,
    /// Problems.
    pub problems: usize,
}

/// A problem; its strings live as long as the `ipip_report` that it is from. The JSON has what it is about
/// in fields of its own.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_problem {
    /// What kind of problem it is, in one word, such as "handleMissing".
    pub kind: *const c_char,
    /// The problem as a sentence.
    pub message: *const c_char,
}

/// What a report is written as.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_report_form {
    /// Text, a problem a line.
    Text = 0,
    /// JSON.
    Json = 1,
}

/// Everything that is wrong in the store at one instant; nothing is changed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_check(
    ipam: Option<&ipip_ipam>,
    report_out: Option<&mut MaybeUninit<*mut ipip_report>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(report_out, "report_out")?;
        give(out, ipam.0.check()?.into());
        Ok(())
    })
}

/// The same, and every address whose handle is not in `live` is a problem too; those of tunnel devices are
/// alive.
///
/// # Safety
/// `live` is NULL or points to `live_len` strings, which end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_check_live(
    ipam: Option<&ipip_ipam>,
    live: *const *const c_char,
    live_len: usize,
    report_out: Option<&mut MaybeUninit<*mut ipip_report>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(report_out, "report_out")?;
        // SAFETY: the caller's duty, as documented.
        let live = unsafe { handles(live, live_len) }?;
        give(out, ipam.0.check_live(&live)?.into());
        Ok(())
    })
}

/// How much was looked at, and how many problems there are.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_report_count(
    report: Option<&ipip_report>,
    counts_out: Option<&mut MaybeUninit<ipip_report_counts>>,
) -> ipip_status {
    guard(|| {
        let found = required(report, "report")?;
        let checked = found.report.checked;
        required(counts_out, "counts_out")?.write(ipip_report_counts {
            pools: checked.pools,
            blocks: checked.blocks,
            addresses: checked.addresses,
            handles: checked.handles,
            claims: checked.claims,
            problems: found.problems.len(),
        });
        Ok(())
    })
}

/// The problem `index`, counted from 0.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_report_get(
    report: Option<&ipip_report>,
    index: usize,
    problem_out: Option<&mut MaybeUninit<ipip_problem>>,
) -> ipip_status {
    guard(|| {
        let problems = &required(report, "report")?.problems;
        let out = required(problem_out, "problem_out")?;
        let (kind, message) = at(problems, index, "problem")?;
        out.write(ipip_problem {
            kind: kind.as_ptr(),
            message: message.as_ptr(),
        });
        Ok(())
    })
}

/// The report as text, in an `enum ipip_report_form`. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_report_text(
    report: Option<&ipip_report>,
    form: u32,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let report = &required(report, "report")?.report;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&match checked_form(form)? {
            ipip_report_form::Text => report.to_string(),
            ipip_report_form::Json => report.to_json(),
        })
    })
}

/// Frees the report. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_report_free(report: Option<Box<ipip_report>>) {
    or((), || drop(report));
}

/// What became of the problems of a report.
///
/// Ownership: whoever got it from `ipip_ipam_repair` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_repaired(Repaired);

/// Repairs what `report` tells and the store proves, each problem in one commit that takes effect only
/// while the problem is there. No address is assigned or released.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_repair(
    ipam: Option<&ipip_ipam>,
    report: Option<&ipip_report>,
    repaired_out: Option<&mut MaybeUninit<*mut ipip_repaired>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let report = required(report, "report")?;
        let out = required(repaired_out, "repaired_out")?;
        give(out, ipip_repaired(ipam.0.repair(&report.report)?));
        Ok(())
    })
}

/// How many problems are no more, and how many are left.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_repaired_count(
    repaired: Option<&ipip_repaired>,
    repaired_count_out: Option<&mut MaybeUninit<usize>>,
    left_count_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let found = &required(repaired, "repaired")?.0;
        let repaired_out = required(repaired_count_out, "repaired_count_out")?;
        let left_out = required(left_count_out, "left_count_out")?;
        repaired_out.write(found.repaired.len());
        left_out.write(found.left.len());
        Ok(())
    })
}

/// What became of each problem, and why it is left if it is, as text in an `enum ipip_report_form`.
/// `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_repaired_text(
    repaired: Option<&ipip_repaired>,
    form: u32,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let repaired = &required(repaired, "repaired")?.0;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&match checked_form(form)? {
            ipip_report_form::Text => repaired.to_string(),
            ipip_report_form::Json => repaired.to_json(),
        })
    })
}

/// Frees it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_repaired_free(repaired: Option<Box<ipip_repaired>>) {
    or((), || drop(repaired));
}

/// What `ipip_ipam_collect` remembers from call to call: what looked useless, and since when.
///
/// Ownership: whoever got it from `ipip_collector_new` frees it. Threads: one at a time; threads that
/// share a collector need a lock around every call.
#[derive(Debug)]
pub struct ipip_collector(Collector);

/// How many there were of what a collection has no list of.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_collect_counts {
    /// Addresses that have cooled down and are free.
    pub cooled: u64,
    /// Addresses, handles and blocks that look useless, and have not done so for long enough.
    pub waiting: u64,
    /// Addresses that have no handle, so that nobody can tell whether they are needed.
    pub without_handle: u64,
}

/// Makes a collector that lets everything be for `grace_ms` milliseconds after it saw first that it is
/// useless; 900,000 as a rule, which is Calico's.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_collector_new(
    grace_ms: u64,
    collector_out: Option<&mut MaybeUninit<*mut ipip_collector>>,
) -> ipip_status {
    guard(|| {
        let out = required(collector_out, "collector_out")?;
        let collector = Collector::new(Duration::from_millis(grace_ms));
        give(out, ipip_collector(collector));
        Ok(())
    })
}

/// Frees the collector. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_collector_free(collector: Option<Box<ipip_collector>>) {
    or((), || drop(collector));
}

/// Collects what nobody needs any more, where `live` are the handles of all workloads that are alive,
/// gathered before the call: their addresses, handles without addresses, empty blocks, addresses that
/// cooled down. The outcome has the lists Released, Refused, Deleted, Handles and Unreadable.
/// `counts_out` may be NULL.
///
/// # Safety
/// `live` is NULL or points to `live_len` strings, which end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_collect(
    ipam: Option<&ipip_ipam>,
    collector: Option<&mut ipip_collector>,
    live: *const *const c_char,
    live_len: usize,
    counts_out: Option<&mut MaybeUninit<ipip_collect_counts>>,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let collector = required(collector, "collector")?;
        let out = required(outcome_out, "outcome_out")?;
        // SAFETY: the caller's duty, as documented.
        let live = unsafe { handles(live, live_len) }?;
        let collected = ipam.0.collect(&mut collector.0, &live)?;
        if let Some(out) = counts_out {
            out.write(ipip_collect_counts {
                cooled: collected.cooled,
                waiting: collected.waiting,
                without_handle: collected.without_handle,
            });
        }
        give(out, collected.into());
        Ok(())
    })
}

/// # Safety
/// `live` is NULL or points to `len` strings, which end in a zero.
unsafe fn handles(live: *const *const c_char, len: usize) -> Result<HashSet<HandleId>, Failure> {
    // SAFETY: the caller's duty.
    let live = unsafe { array(live, len, "live") }?;
    let handle = |pointer: &*const c_char| {
        // SAFETY: the caller's duty.
        Ok(HandleId::try_new(unsafe { text(*pointer, "live") }?)?)
    };
    live.iter().map(handle).collect()
}

pub(crate) fn checked_form(form: u32) -> Result<ipip_report_form, Failure> {
    let known = [ipip_report_form::Text, ipip_report_form::Json];
    let known = known.map(|form| (form as u32, form));
    choose(form, "form", "ipip_report_form", &known)
}

impl From<Report> for ipip_report {
    fn from(report: Report) -> Self {
        let problems = report.problems.iter();
        let named = problems.map(|found| {
            let problem = &found.problem;
            (c_text(problem.kind()), c_text(&problem.to_string()))
        });
        Self {
            problems: named.collect(),
            report,
        }
    }
}

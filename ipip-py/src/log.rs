//! From the `log` facade to Python's logger `ipip`.
//!
//! A record of `ipip_core::node::ensure` goes to the child logger `ipip.node.ensure`. Python decides
//! what is kept, but is asked for its level only when a call into the kernel begins, so a disabled
//! record costs one comparison in Rust. Every such call gives up the GIL first, hence a thread that
//! logs can always have it and cannot deadlock with its caller.

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// Makes the bridge the process's logger. Called once, when the module is imported.
pub(crate) fn install() {
    // A second import finds the bridge in place; there is no other logger in this library.
    let _ = log::set_logger(&Bridge);
    log::set_max_level(LevelFilter::Off);
}

/// Does `work`, which calls the kernel, without the GIL.
pub(crate) fn without_gil<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    // A broken logging module must not break networking: then nothing is logged.
    log::set_max_level(level(py).unwrap_or(LevelFilter::Off));
    py.detach(work)
}

/// The effective level of the logger `ipip`.
fn level(py: Python<'_>) -> PyResult<LevelFilter> {
    let level: u64 = logger(py, "ipip")?
        .call_method0("getEffectiveLevel")?
        .extract()?;
    Ok(match level {
        0..=9 => LevelFilter::Trace,
        10..=19 => LevelFilter::Debug,
        20..=29 => LevelFilter::Info,
        30..=39 => LevelFilter::Warn,
        40..=49 => LevelFilter::Error,
        _ => LevelFilter::Off,
    })
}

fn logger<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("logging")?.call_method1("getLogger", (name,))
}

struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ipip_core")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // No interpreter any more: it is shutting down, and nobody reads logs.
        let _ = Python::try_attach(|py| {
            let Err(error) = forward(py, record) else {
                return;
            };
            if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                // Ctrl-C met Python while it logged: raise it again where the program can see it.
                let again = py
                    .import("_thread")
                    .and_then(|thread| thread.call_method0("interrupt_main"));
                if again.is_ok() {
                    return;
                }
            }
            error.write_unraisable(py, None);
        });
    }

    fn flush(&self) {}
}

/// Python's numbers; it has no name for trace, which is below its debug.
fn number(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

fn forward(py: Python<'_>, record: &Record<'_>) -> PyResult<()> {
    let path = record
        .target()
        .trim_start_matches("ipip_core")
        .replace("::", ".");
    let name = format!("ipip{path}");
    let logger = logger(py, &name)?;
    let level = number(record.level());
    if !logger.call_method1("isEnabledFor", (level,))?.is_truthy()? {
        return Ok(());
    }
    // Not `logger.log`, which would name the Python line that called us as the place.
    let place = (record.file().unwrap_or("?"), record.line().unwrap_or(0));
    let made = logger.call_method1(
        "makeRecord",
        (
            name,
            level,
            place.0,
            place.1,
            record.args().to_string(),
            (),
            py.None(),
        ),
    )?;
    logger.call_method1("handle", (made,)).map(drop)
}

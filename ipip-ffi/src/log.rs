//! What the library has to tell, handed to a callback.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::sync::{OnceLock, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::boundary::{choose, guard};
use crate::error::Failure;
use crate::status::ipip_status;

/// How much a log callback wants to hear; each level includes those before it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_log_level {
    /// Nothing.
    Off = 0,
    /// What went wrong and has no caller to be told.
    Error = 1,
    /// What a person should know.
    Warn = 2,
    /// What happened, in large.
    Info = 3,
    /// Each change to the kernel, as the shell command that does the same.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// Takes one message: its level (an enum ipip_log_level), the part of the library that speaks, such as
/// "ipip_core::netlink", and the text, one line without a line feed. Both strings are valid during the
/// call only; `user_data` is what `ipip_set_log_callback` was given.
pub type ipip_log_callback = Option<
    unsafe extern "C" fn(
        level: u32,
        target: *const c_char,
        message: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// Sends the messages of the whole process, up to `level` (an enum ipip_log_level), to `callback`.
/// It replaces the one before; NULL ends all messages.
///
/// Threads: the callback is called on whatever thread a message arises, also on threads of the
/// library, and on several at once. When this function returns, the callback before is not running
/// and will not be called any more, so its `user_data` may go. The callback may call functions of this
/// library, except this one; messages that arise meanwhile on its thread are dropped. It must return
/// (no longjmp, no C++ exception).
///
/// IPIP_STATUS_INVALID_ARGUMENT for an unknown level, IPIP_STATUS_BUSY from inside a callback,
/// IPIP_STATUS_UNSUPPORTED if a Rust program around this library has a logger of its own.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_set_log_callback(
    level: u32,
    callback: ipip_log_callback,
    user_data: *mut c_void,
) -> ipip_status {
    guard(|| {
        let level = level_filter(level)?;
        if CALLING.get() {
            return Err(Failure::new(
                ipip_status::Busy,
                "the log callback cannot be replaced from inside itself",
            ));
        }
        let installed = INSTALLED.get_or_init(|| log::set_logger(&Logger).is_ok());
        if !installed {
            return Err(Failure::new(
                ipip_status::Unsupported,
                "this process has another logger",
            ));
        }
        let sink = callback.map(|callback| Sink {
            callback,
            user_data,
        });
        let level = sink.as_ref().map_or(LevelFilter::Off, |_| level);
        let mut current = SINK.write().unwrap_or_else(PoisonError::into_inner);
        *current = sink;
        log::set_max_level(level);
        Ok(())
    })
}

fn level_filter(level: u32) -> Result<LevelFilter, Failure> {
    let levels = [
        (ipip_log_level::Off as u32, LevelFilter::Off),
        (ipip_log_level::Error as u32, LevelFilter::Error),
        (ipip_log_level::Warn as u32, LevelFilter::Warn),
        (ipip_log_level::Info as u32, LevelFilter::Info),
        (ipip_log_level::Debug as u32, LevelFilter::Debug),
        (ipip_log_level::Trace as u32, LevelFilter::Trace),
    ];
    choose(level, "level", "ipip_log_level", &levels)
}

/// The number of a message's level, an enum ipip_log_level.
fn level_number(level: Level) -> u32 {
    let level = match level {
        Level::Error => ipip_log_level::Error,
        Level::Warn => ipip_log_level::Warn,
        Level::Info => ipip_log_level::Info,
        Level::Debug => ipip_log_level::Debug,
        Level::Trace => ipip_log_level::Trace,
    };
    level as u32
}

type Callback = unsafe extern "C" fn(u32, *const c_char, *const c_char, *mut c_void);

struct Sink {
    callback: Callback,
    user_data: *mut c_void,
}

// SAFETY: the header says that the callback is called on any thread with this pointer.
unsafe impl Send for Sink {}
// SAFETY: the header says that it is called on several threads at once.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
static INSTALLED: OnceLock<bool> = OnceLock::new();

thread_local! {
    /// Whether this thread is inside the callback, and so holds the lock of `SINK`.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Ends [`CALLING`], also when a message panics while it is put into words.
struct Calling;

impl Drop for Calling {
    fn drop(&mut self) {
        CALLING.set(false);
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || CALLING.replace(true) {
            return;
        }
        let _calling = Calling;
        let target = c_text(record.target());
        let message = c_text(&record.args().to_string());
        // Held during the call: whoever replaces the callback waits until it is not running.
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = &*sink {
            let level = level_number(record.level());
            // SAFETY: the callback is the program's own, for these parameters; the strings end in a
            // zero and outlive the call.
            unsafe {
                (sink.callback)(level, target.as_ptr(), message.as_ptr(), sink.user_data);
            }
        }
    }

    fn flush(&self) {}
}

/// One line for C: a zero would end it early, a line feed would make two of it.
fn c_text(text: &str) -> CString {
    CString::new(text.replace(['\0', '\n'], " ")).unwrap_or_default()
}

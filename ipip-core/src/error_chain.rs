//! An error and its causes as one line.

use std::error::Error;

/// The message of an error followed by those of its causes, joined by `": "`.
///
/// The errors of this library say in their own message what was found and what is allowed, and leave
/// the kernel's words to their [`source`](Error::source); this is the line for a person who should see
/// both. The C library's `ipip_last_error` and the messages of the Python exceptions are such lines.
///
/// ```
/// use ipip_core::error_chain;
/// use ipip_core::sys::netns::Netns;
///
/// let error = Netns::open("/nonexistent").unwrap_err();
/// assert_eq!(
///     error_chain(&error),
///     "cannot open network namespace /nonexistent: No such file or directory (os error 2)"
/// );
/// ```
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

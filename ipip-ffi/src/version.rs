//! Which library this is.

use std::ffi::{c_char, c_int};

use crate::boundary::{or, text};

/// The optional parts that this library was built with.
const FEATURES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite",
    #[cfg(feature = "bpf")]
    "bpf",
];

/// The version of the library that runs, such as "0.1.0"; compare with `IPIP_VERSION`, that of the
/// header. Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Whether the library that runs was built with an optional part: 1 or 0. A name that it does not know,
/// and NULL, is 0, so a program may ask for parts that only later versions have: "sqlite", "etcd", "bpf".
/// What this header declares is always there.
///
/// # Safety
/// `name` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_has_feature(name: *const c_char) -> c_int {
    or(0, || {
        // SAFETY: the caller's duty, as documented.
        let name = unsafe { text(name, "name") };
        c_int::from(name.is_ok_and(|name| FEATURES.contains(&name)))
    })
}

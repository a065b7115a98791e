//! Which library this is.

use std::ffi::{c_char, c_int};

use crate::boundary::{or, text};

/// What this library was built with, in the order of the header.
const FEATURES: [&str; 3] = ["memory", "kernel", "capture"];

/// The version of the library that runs, such as "0.1.0"; compare with `IPIP_VERSION`, that of the
/// header. Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Whether the library that runs has a feature: 1 or 0. A name that it does not know, and NULL, is 0,
/// so a program may ask for features of later versions.
///
/// | name | what it brings |
/// |---|---|
/// | "memory" | the store that lives in the process |
/// | "kernel" | the data path of the kernel's ipip driver |
/// | "capture" | live capture |
/// | "sqlite", "etcd", "bpf", "userspace" | stores and data paths of later versions |
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

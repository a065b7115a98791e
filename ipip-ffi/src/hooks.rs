//! What the C tests need and no program should have.

use crate::boundary::guard;
use crate::status::ipip_status;

/// Panics inside the library, for the test that it does not get out.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_test_panic() -> ipip_status {
    guard(|| panic!("asked to"))
}

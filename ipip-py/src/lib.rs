//! x
#![forbid(unsafe_code)]
use pyo3::prelude::*;

/// x
#[pymodule]
mod _ipip {
    use pyo3::prelude::*;
    #[pyfunction]
    fn f() -> u32 { 1 }
}

//! How the benchmarks in Rust take time.

use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds per call of `batch`, which makes `calls` of them and is run `batches` times: as often as it
/// takes for reading the clock not to count.
pub(crate) fn time(batches: usize, calls: usize, batch: &mut dyn FnMut() -> u64) -> f64 {
    let start = Instant::now();
    for _ in 0..batches {
        black_box(batch());
    }
    let calls = u32::try_from(calls * batches).unwrap_or(u32::MAX);
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// The value in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

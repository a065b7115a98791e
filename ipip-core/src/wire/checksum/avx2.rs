//! The loop of [`total`](super::total) for processors that have AVX2, chosen while the program runs.
//!
//! The one file outside `sys` with an unsafe block: calling code that was compiled for an extension is
//! sound only where the processor has it.
#![allow(unsafe_code)]

/// Below this many octets the loop is over before the wider one has begun to pay.
const WORTHWHILE: usize = 128;

/// The same as [`total`](super::total), by the widest loop that this processor runs.
#[inline]
pub(super) fn widest_total(bytes: &[u8]) -> u64 {
    if bytes.len() >= WORTHWHILE && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: `total_avx2` is safe code whose only demand is that the processor has AVX2; the
        // condition has just seen that it does.
        return unsafe { total_avx2(bytes) };
    }
    super::total(bytes)
}

/// [`total`](super::total), inlined here and so compiled for AVX2.
#[target_feature(enable = "avx2")]
fn total_avx2(bytes: &[u8]) -> u64 {
    super::total(bytes)
}

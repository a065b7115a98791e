//! [`total`](super::total) for processors that have AVX2, chosen while the program runs.
//!
//! The one file outside `sys` with unsafe blocks: calling code that was compiled for an extension is
//! sound only where the processor has it, and a vector is loaded through a pointer.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m256i, _mm_add_epi64, _mm_cvtsi128_si64, _mm_unpackhi_epi64, _mm256_add_epi64,
    _mm256_and_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi64,
};

/// Octets in a vector: four words of 64 bits.
const VECTOR: usize = 32;

/// Below this many octets the loop is over before the wider one has begun to pay. At least a vector.
const WORTHWHILE: usize = 96;

/// From place `n` on, a mask for the last `n` octets of a vector.
const LAST: [u8; 2 * VECTOR] = {
    let mut octets = [0; 2 * VECTOR];
    let (_, last) = octets.split_at_mut(VECTOR);
    last.copy_from_slice(&[0xff; VECTOR]);
    octets
};

/// What has the same [`fold`](super::fold) as [`total`](super::total), by the widest loop that this
/// processor runs.
#[inline]
pub(super) fn widest_total(bytes: &[u8]) -> u64 {
    if bytes.len() >= WORTHWHILE && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: all that `total_avx2` demands is that the processor has AVX2; the condition has just
        // seen that it does.
        return unsafe { total_avx2(bytes) };
    }
    super::total(bytes)
}

#[target_feature(enable = "avx2")]
fn total_avx2(bytes: &[u8]) -> u64 {
    let (bytes, odd) = bytes.split_at(bytes.len() & !1);
    let (vectors, rest) = bytes.as_chunks::<VECTOR>();
    let (pairs, single) = vectors.as_chunks();
    let (mut a, mut b) = (Sums::none(), Sums::none());
    for [first, second] in pairs {
        (a, b) = (a.with(load(first)), b.with(load(second)));
    }
    for vector in single {
        a = a.with(load(vector));
    }
    // The rest is read as the end of a vector that reaches back over octets already summed. An even
    // number of octets lies before it, so each word of 16 bits keeps its halves.
    let mask = LAST.get(rest.len()..).and_then(<[u8]>::first_chunk);
    if let (Some(end), Some(mask)) = (bytes.last_chunk(), mask) {
        b = b.with(_mm256_and_si256(load(end), load(mask)));
    }
    let odd = odd.first().map_or(0, |octet| u64::from(*octet));
    a.total(b).wrapping_add(odd)
}

/// Sums of words of 64 bits, one word of each vector in each lane.
///
/// An addition takes three instructions, where adding the two halves apart takes four: `whole` less
/// `upper` halves is the sum of the lower halves, whatever `whole` lost beyond its 64 bits.
#[derive(Clone, Copy)]
struct Sums {
    whole: __m256i,
    upper: __m256i,
}

impl Sums {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn none() -> Self {
        let zero = _mm256_setzero_si256();
        Self {
            whole: zero,
            upper: zero,
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn with(self, words: __m256i) -> Self {
        Self {
            whole: _mm256_add_epi64(self.whole, words),
            upper: _mm256_add_epi64(self.upper, _mm256_srli_epi64::<32>(words)),
        }
    }

    /// The halves of all words of both, added up.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn total(self, other: Self) -> u64 {
        let whole = _mm256_add_epi64(self.whole, other.whole);
        let upper = _mm256_add_epi64(self.upper, other.upper);
        let lower = _mm256_sub_epi64(whole, _mm256_slli_epi64::<32>(upper));
        let four = _mm256_add_epi64(lower, upper);
        let (low, high) = (
            _mm256_castsi256_si128(four),
            _mm256_extracti128_si256::<1>(four),
        );
        let two = _mm_add_epi64(low, high);
        let one = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
        _mm_cvtsi128_si64(one).cast_unsigned()
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(octets: &[u8; VECTOR]) -> __m256i {
    // SAFETY: reads as many octets as the array has, at any alignment.
    unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
}

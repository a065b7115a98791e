//! How much memory a call takes: what it holds of the heap at its worst.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// The system's allocator, and a count of what it gave while somebody wants to know.
struct Counting {
    counts: AtomicBool,
    /// In octets; below 0 if more was given back than taken since the count began.
    held: AtomicI64,
    peak: AtomicI64,
}

#[global_allocator]
static HEAP: Counting = Counting {
    counts: AtomicBool::new(false),
    held: AtomicI64::new(0),
    peak: AtomicI64::new(0),
};

impl Counting {
    fn took(&self, octets: usize) {
        if self.counts.load(Relaxed) {
            let octets = i64::try_from(octets).unwrap_or(i64::MAX);
            let held = self.held.fetch_add(octets, Relaxed) + octets;
            self.peak.fetch_max(held, Relaxed);
        }
    }

    fn gave(&self, octets: usize) {
        if self.counts.load(Relaxed) {
            let octets = i64::try_from(octets).unwrap_or(i64::MAX);
            self.held.fetch_sub(octets, Relaxed);
        }
    }
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: the caller's duty, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        self.gave(layout.size());
        // SAFETY: the caller's duty, and `place` is from `System`, as all are.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.took(size);
        self.gave(layout.size());
        // SAFETY: the caller's duty, and `place` is from `System`, as all are.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// How many octets of the heap `call` held at its worst, beside those that were held before.
pub(crate) fn peak(call: impl FnOnce()) -> u64 {
    count(call);
    octets(&HEAP.peak)
}

/// What `call` gives, and how many octets of the heap are held more after it than before.
pub(crate) fn held<T>(call: impl FnOnce() -> T) -> (T, u64) {
    let value = count(call);
    (value, octets(&HEAP.held))
}

fn count<T>(call: impl FnOnce() -> T) -> T {
    HEAP.held.store(0, Relaxed);
    HEAP.peak.store(0, Relaxed);
    HEAP.counts.store(true, Relaxed);
    let value = call();
    HEAP.counts.store(false, Relaxed);
    value
}

fn octets(counter: &AtomicI64) -> u64 {
    u64::try_from(counter.load(Relaxed)).unwrap_or(0)
}

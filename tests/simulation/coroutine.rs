//! Operations that stop at every store call until the scheduler lets them go on.
//!
//! An operation runs as a coroutine with a stack of its own, so that the allocator, which knows
//! nothing of it, can be stopped in the middle of a call; a switch costs some nanoseconds.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// How the scheduler lets a stopped call go on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grant {
    pub(crate) fault: Fault,
    /// How many revisions ago a read looks, at most.
    pub(crate) behind: u64,
}

/// What goes wrong in one store call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Nothing happens, and the caller learns only that it may have.
    Refused,
    /// It happens, and the caller learns only that it may have.
    LostReply,
    /// It happens some time later, or not, and the caller learns only that it may.
    OnTheWay,
    /// It happens, and the caller dies before it learns it.
    DiesAfter,
}

/// Where the store finds the coroutine that calls it; null outside of one.
#[derive(Debug, Default)]
pub(crate) struct Seat(AtomicPtr<Yielder<Grant, ()>>);

impl Seat {
    /// Stops the calling operation until it is let go on; outside of one, goes on at once.
    pub(crate) fn stop(&self) -> Grant {
        let yielder = self.0.load(Ordering::Relaxed);
        if yielder.is_null() {
            return Grant::default();
        }
        // SAFETY: `Task::new` sets the pointer to the yielder of the coroutine that runs the
        // operation, which lives as long as the coroutine does; whoever calls through this seat runs
        // on that coroutine's stack, and the pointer is cleared when the coroutine ends.
        unsafe { &*yielder }.suspend(())
    }
}

/// An operation under way.
pub(crate) struct Task<R: 'static> {
    coroutine: Option<Coroutine<Grant, (), R>>,
    seat: Arc<Seat>,
}

impl<R: 'static> Task<R> {
    /// Prepares `operation`; it begins with the first [`Task::go_on`].
    pub(crate) fn new(
        seat: &Arc<Seat>,
        stack: DefaultStack,
        operation: impl FnOnce() -> R + 'static,
    ) -> Self {
        let own = Arc::clone(seat);
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<Grant, ()>, _| {
            own.0
                .store(ptr::from_ref(yielder).cast_mut(), Ordering::Relaxed);
            operation()
        });
        Self {
            coroutine: Some(coroutine),
            seat: Arc::clone(seat),
        }
    }

    /// Lets the operation go on to its next store call, or to its end.
    pub(crate) fn go_on(&mut self, grant: Grant) -> Option<R> {
        let coroutine = self.coroutine.as_mut().expect("taken by `die` alone");
        match coroutine.resume(grant) {
            CoroutineResult::Yield(()) => None,
            CoroutineResult::Return(result) => Some(result),
        }
    }

    /// Ends it where it stands, as a crash would, and gives its stack back.
    pub(crate) fn end(mut self) -> DefaultStack {
        let mut coroutine = self.coroutine.take().expect("taken here alone");
        coroutine.force_unwind();
        coroutine.into_stack()
    }
}

impl<R> Drop for Task<R> {
    fn drop(&mut self) {
        self.seat.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

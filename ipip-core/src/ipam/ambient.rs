//! Time and chance, which come in from outside so that a test can decide them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The clock, the random numbers and the waiting of whoever uses them.
#[derive(Clone)]
pub struct Ambient {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    random: Arc<dyn Fn() -> u64 + Send + Sync>,
    pause: Arc<dyn Fn(Duration) + Send + Sync>,
}

/// The longest pause after the first conflict, in microseconds; about one commit in memory.
const FIRST_PAUSE: u64 = 20;
/// The pauses double so often: the longest is 20 µs · 2⁷ = 2.56 ms.
const DOUBLINGS: u32 = 7;

impl Ambient {
    /// The machine's clock, random numbers seeded by the operating system, and sleep.
    #[must_use]
    pub fn system() -> Self {
        Self {
            now: Arc::new(SystemTime::now),
            // Each RandomState has keys of its own, so the empty hash is a new number each time.
            random: Arc::new(|| RandomState::new().hash_one(())),
            pause: Arc::new(std::thread::sleep),
        }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            now: Arc::new(now),
            ..self
        }
    }

    /// The same with other random numbers, uniform over all 64 bits.
    #[must_use]
    pub fn with_random(self, random: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            random: Arc::new(random),
            ..self
        }
    }

    /// The same with another way to wait.
    #[must_use]
    pub fn with_pause(self, pause: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self {
            pause: Arc::new(pause),
            ..self
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.now)()
    }

    pub(super) fn random(&self) -> u64 {
        (self.random)()
    }

    /// Waits after the conflict `number`, counted from 0: a random time, on average doubling, so
    /// that those who met once do not meet again.
    pub(super) fn back_off(&self, number: u32) {
        let longest = FIRST_PAUSE << number.min(DOUBLINGS);
        let micros = self.random() % (longest + 1);
        (self.pause)(Duration::from_micros(micros));
    }

    /// A random UUID: https://www.rfc-editor.org/rfc/rfc9562#section-5.4
    pub(super) fn uuid(&self) -> String {
        let bits = u128::from(self.random()) << 64 | u128::from(self.random());
        let version = bits & !(0xf << 76) | 4 << 76;
        let id = version & !(0b11 << 62) | 0b10 << 62;
        let hex = format!("{id:032x}");
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32),
        ]
        .join("-")
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_uuid_has_version_and_variant() {
        let of = |bits: u64| Ambient::system().with_random(move || bits).uuid();
        // Python: uuid.UUID(int=2**128-1, version=4), uuid.UUID(int=0, version=4)
        assert_eq!(of(u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(of(0), "00000000-0000-4000-8000-000000000000");
        assert_ne!(Ambient::system().uuid(), Ambient::system().uuid());
    }

    #[test]
    fn pauses_are_bounded_and_grow() {
        let pauses = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&pauses);
        let ambient = Ambient::system()
            .with_random(|| 1 << 40 | 0xfff)
            .with_pause(move |pause| seen.lock().unwrap().push(pause));
        for number in [0, 1, 7, 99, u32::MAX] {
            ambient.back_off(number);
        }
        let longest = [20, 40, 2560, 2560, 2560].map(Duration::from_micros);
        let pauses = pauses.lock().unwrap();
        assert!(
            pauses
                .iter()
                .zip(longest)
                .all(|(pause, longest)| *pause <= longest),
            "{pauses:?}"
        );
        assert!(pauses[4] > longest[1], "{pauses:?}");
    }
}

//! [`Limits`]: when a test is given up.

use core::time::Duration;

/// After how much of what a test is given up with an error.
///
/// ```
/// use paravirt_vmi::mock::Limits;
/// use std::time::Duration;
///
/// let patient = Limits::DEFAULT.with_time(Duration::from_secs(60));
/// assert_eq!(patient.operations, 1_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Operations in one run; as many interrupts may be delivered.
    pub operations: usize,
    /// Handlers under way at a time.
    pub nesting: usize,
    /// How long one run may take. Only code that does without any operation comes to this, an empty loop for
    /// example: whatever else runs for ever reaches the limit of operations before. Nobody looks at the time
    /// outside [`run`](super::run()) and [`explore`](super::explore()).
    pub time: Duration,
}

impl Limits {
    /// 1,000,000 operations, 32 handlers, 10 seconds.
    pub const DEFAULT: Self = Self { operations: 1_000_000, nesting: 32, time: Duration::from_secs(10) };

    /// The same, but for the operations.
    #[must_use]
    pub const fn with_operations(self, operations: usize) -> Self {
        Self { operations, ..self }
    }

    /// The same, but for the handlers under way at a time.
    #[must_use]
    pub const fn with_nesting(self, nesting: usize) -> Self {
        Self { nesting, ..self }
    }

    /// The same, but for the time.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

//! [`Place`] and [`FlagChange`]: where in the code under test something has happened, and by what the interrupt flag
//! got its value.

use core::fmt;
use core::panic::Location;

use paravirt_vmi_abi::Call;

/// A place in the code under test.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(&'static Location<'static>);

impl Place {
    /// The place of the caller's caller.
    #[track_caller]
    pub(super) fn caller() -> Self {
        Self(Location::caller())
    }

    /// The file, as the compiler was given it.
    pub fn file(&self) -> &'static str {
        self.0.file()
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.0.line()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What gives the interrupt flag its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlagCause {
    /// The processor of a thread begins with interrupts masked.
    PowerOn,
    /// [`Cpu::reset`](super::Cpu::reset).
    Reset,
    /// A call.
    Call(Call),
    /// The delivery of an interrupt with this vector.
    Interrupt(u8),
}

/// By what, and where, the interrupt flag got its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagChange {
    /// By what.
    pub cause: FlagCause,
    /// Where: of a delivery, what was interrupted; meaningless of [`FlagCause::PowerOn`].
    pub place: Place,
}

impl fmt::Display for FlagChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            FlagCause::PowerOn => f.write_str("since power-on"),
            FlagCause::Reset => write!(f, "since the processor was reset at {}", self.place),
            FlagCause::Call(call) => write!(f, "by {call} at {}", self.place),
            FlagCause::Interrupt(vector) => {
                write!(f, "by the delivery of interrupt {vector:#04x} at {}", self.place)
            }
        }
    }
}

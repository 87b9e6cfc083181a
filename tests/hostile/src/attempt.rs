//! What an attempt is, the list of all, and how one is judged.

use core::fmt;

use crate::exit::{self, Code};
use crate::loader::Request;
use crate::serial::line;
use crate::trap::{self, Fault};
use crate::world;
use crate::{descriptors, flags, gates, hypercalls, memory, ports, registers, rom, user};

/// One way to try to break out.
pub struct Attempt {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// How it may be refused.
    pub must: &'static [Must],
    /// What it comes to on bare metal.
    pub bare: Bare,
    /// What the processor must do right, so that it can be refused at all.
    pub needs: Needs,
    /// Whether the program looks for a VMI ROM first, and is patched if there is one.
    pub patched: bool,
    /// Tries it. A fault that it does not catch itself is its verdict.
    pub run: fn() -> Verdict,
}

/// A way in which an attempt may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// By an exception with this vector.
    Fault(u32),
    /// The hypervisor stops the guest and says why.
    Stopped,
    /// It goes through and does nothing of what was intended, which the attempt itself has verified.
    NoEffect,
}

/// What an attempt comes to on bare metal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// It succeeds.
    Succeeds,
    /// The machine is reset.
    Resets,
    /// There is nothing to break out of: it is refused there as well, or has no effect.
    Harmless,
    /// What it comes to is left to chance.
    Chance,
}

/// What the processor must do right: not all emulators do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing out of the ordinary.
    Nothing,
    /// The limits of segments.
    Limits,
    /// IRET outside of ring 0 ignores VM.
    IretWithoutVm,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// An exception came.
    Fault(Fault),
    /// What was intended did not happen; the text says how that was verified.
    NoEffect(&'static str),
    /// What was intended did happen.
    Succeeded(&'static str),
}

impl Verdict {
    /// The verdict by a fact: whether what was intended did happen.
    pub const fn by(succeeded: bool, if_so: &'static str, if_not: &'static str) -> Self {
        if succeeded { Self::Succeeded(if_so) } else { Self::NoEffect(if_not) }
    }
}

impl<T> From<Result<T, Fault>> for Verdict {
    /// What was intended did happen unless an exception came.
    fn from(result: Result<T, Fault>) -> Self {
        match result {
            Ok(_) => Self::Succeeded("no exception came"),
            Err(fault) => Self::Fault(fault),
        }
    }
}

/// All attempts.
pub fn all() -> impl Iterator<Item = &'static Attempt> {
    let themes = [
        memory::ATTEMPTS,
        descriptors::ATTEMPTS,
        gates::ATTEMPTS,
        registers::ATTEMPTS,
        ports::ATTEMPTS,
        flags::ATTEMPTS,
        rom::ATTEMPTS,
        hypercalls::ATTEMPTS,
        user::ATTEMPTS,
    ];
    themes.into_iter().flatten()
}

/// Makes the attempt of that name, says what became of it, and ends.
///
/// # Panics
///
/// If there is no such attempt.
pub fn run(request: Request) -> ! {
    let name = request.attempt;
    let Some(attempt) = all().find(|attempt| attempt.name == name) else {
        panic!("there is no attempt {name}");
    };
    line!("@try {name}");
    if attempt.patched {
        world::activate(request.inline);
    }
    let verdict = trap::catch(attempt.run).unwrap_or_else(Verdict::Fault);
    let code = match verdict {
        Verdict::Succeeded(how) => {
            line!("@attempt {name} SUCCEEDED {how}");
            Code::Failed
        }
        Verdict::NoEffect(how) if attempt.must.contains(&Must::NoEffect) => {
            line!("@attempt {name} refused no effect: {how}");
            Code::Passed
        }
        Verdict::Fault(fault) if attempt.must.contains(&Must::Fault(fault.vector)) => {
            line!("@attempt {name} refused {fault}");
            Code::Passed
        }
        Verdict::NoEffect(how) => {
            line!("@attempt {name} UNEXPECTED no effect: {how}");
            Code::Panicked
        }
        Verdict::Fault(fault) => {
            line!("@attempt {name} UNEXPECTED {fault}");
            Code::Panicked
        }
    };
    exit::exit(code)
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        for (index, must) in self.must.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match must {
                Must::Fault(vector) => write!(f, "fault-{vector}")?,
                Must::Stopped => f.write_str("stopped")?,
                Must::NoEffect => f.write_str("no-effect")?,
            }
        }
        let bare = match self.bare {
            Bare::Succeeds => "succeeds",
            Bare::Resets => "resets",
            Bare::Harmless => "harmless",
            Bare::Chance => "chance",
        };
        let needs = match self.needs {
            Needs::Nothing => "nothing",
            Needs::Limits => "limits",
            Needs::IretWithoutVm => "iret-without-vm",
        };
        write!(f, " {bare} {needs} {}", self.what)
    }
}

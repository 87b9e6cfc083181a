//! The report on the serial port: one record a line, the machine-readable ones starting with `@`.
//!
//! ```text
//! @check ID ok
//! @check ID fail WHAT: found VALUE, expected VALUE
//! @figure ID INTEGER
//! @claim NUMBER WHAT INTEGER
//! @cell KEY=VALUE ... expected=RESULT found=RESULT
//! @source FILE HASH
//! @end PASSED FAILED
//! @ticks FORM TIMES TICKS...
//! @last NUMBER
//! ```
//!
//! `@ticks` is what a form of masking took, `TIMES` times, in each round. `@last` stands for all the checks in a run that ends with the call of that number.

use core::fmt;

use paravirt_vmi::abi::Call;

use crate::exit::Code;
use crate::serial::line;

/// Counts the checks of a run.
#[derive(Default)]
pub struct Report {
    passed: u32,
    failed: u32,
}

/// The name of a check.
#[derive(Clone, Copy, Debug)]
pub enum Id {
    /// A name.
    Name(&'static str),
    /// That of a call: `call.NUMBER.NAME`.
    Call(Call),
    /// That of an I/O privilege level, how it is set and whose code is looked at: `iopl.LEVEL.BY.CODE`.
    Iopl { level: u8, by: &'static str, code: &'static str },
}

impl From<&'static str> for Id {
    fn from(name: &'static str) -> Self {
        Self::Name(name)
    }
}

impl From<Call> for Id {
    fn from(call: Call) -> Self {
        Self::Call(call)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Iopl { level, by, code } => write!(f, "iopl.{level}.{by}.{code}"),
            Self::Call(call) => write!(f, "call.{:02}.{call}", call.number()),
        }
    }
}

/// One check while it runs: holds if all its expectations do.
pub struct Check {
    id: Id,
    failures: u32,
}

/// How many failed expectations of one check are reported.
const MOST_FAILURES: u32 = 5;

impl Report {
    /// Runs one check and reports what became of it.
    pub fn check(&mut self, id: impl Into<Id>, check: impl FnOnce(&mut Check)) {
        let id = id.into();
        let mut outcome = Check { id, failures: 0 };
        check(&mut outcome);
        if outcome.failures != 0 {
            self.failed += 1;
        } else {
            self.passed += 1;
            line!("@check {id} ok");
        }
    }

    /// Reports the totals; returns the code to exit with.
    pub fn finish(self) -> Code {
        line!("@end {} {}", self.passed, self.failed);
        if self.failed == 0 { Code::Passed } else { Code::Failed }
    }
}

impl Check {
    /// Expects two values to be equal; returns whether they are.
    pub fn equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, found: T, expected: T) -> bool {
        let equal = found == expected;
        if !equal {
            self.failed(format_args!("{what}: found {found:?}, expected {expected:?}"));
        }
        equal
    }

    /// Expects a number of at least `least`.
    pub fn at_least(&mut self, what: &str, found: u32, least: u32) {
        if found < least {
            self.failed(format_args!("{what}: found {found}, expected at least {least}"));
        }
    }

    /// Expects an operation to have succeeded.
    pub fn succeeded<E: fmt::Display>(&mut self, what: &str, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            self.failed(format_args!("{what}: {error}"));
        }
    }

    /// Reports a failed expectation. The first decides the check; the others are for the reader.
    pub fn failed(&mut self, details: fmt::Arguments<'_>) {
        match self.failures {
            0 => line!("@check {} fail {details}", self.id),
            1..MOST_FAILURES => line!("{}: {details}", self.id),
            _ => {}
        }
        self.failures += 1;
    }
}

/// Reports a number.
pub fn figure(id: &str, value: u32) {
    line!("@figure {id} {value}");
}

/// Reports a number that shows one of the claims about user programs; see `conformance::programs`.
pub fn claim(number: u32, what: &str, value: u32) {
    line!("@claim {number} {what} {value}");
}

/// Reports a source file of the example driver, by the hash of its bytes.
pub fn source(file: &str, hash: u64) {
    line!("@source {file} {hash:016x}");
}

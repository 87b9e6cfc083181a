//! [`Replacement`]: the call that takes an instruction's place, and what makes it in the guest crate.

use std::fmt;

use paravirt_vmi_abi::Call;

/// What to write in the place of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// A call, and perhaps a second one for another use of the instruction.
    Calls(Call, Option<Call>),
    /// No call does it; this helps.
    Advice(&'static str),
}

impl Replacement {
    /// The calls, if there are any.
    pub fn calls(&self) -> impl Iterator<Item = Call> {
        let calls = match *self {
            Self::Calls(first, second) => [Some(first), second],
            Self::Advice(_) => [None, None],
        };
        calls.into_iter().flatten()
    }
}

/// Writes number, name and function of each call, or the advice.
impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Advice(text) = self {
            return f.write_str(text);
        }
        for (index, call) in self.calls().enumerate() {
            let or = if index == 0 { "" } else { " or " };
            write!(f, "{or}{} {call} ({})", call.number(), function(call))?;
        }
        Ok(())
    }
}

/// The constant of each call, in order of number.
macro_rules! constants {
    ($({ $number:literal $constant:ident $($row:tt)* })*) => {
        [$(stringify!($constant)),*]
    };
}

/// The constant of each call, in order of number.
const CONSTANTS: [&str; Call::COUNT] = paravirt_vmi_abi::for_each_call!(constants);

/// What makes a call in the guest crate: the path of a function, or a macro for assembly.
///
/// The module is the call's group in the call table. The function has the name of the call's constant, without
/// `get_`; the exceptions are listed here.
pub fn function(call: Call) -> String {
    let constant = CONSTANTS[call.number() as usize].to_lowercase();
    let name = match call {
        Call::IRET | Call::SYSEXIT => return format!("{constant}_site!"),
        Call::ENABLE_INTERRUPTS => "enable",
        Call::DISABLE_INTERRUPTS => "disable",
        Call::GET_INTERRUPT_MASK => "save",
        Call::SET_INTERRUPT_MASK => "restore",
        Call::HALT => "enable_and_halt",
        Call::SET_IOPL_MASK => "set_iopl",
        _ => constant.strip_prefix("get_").unwrap_or(&constant),
    };
    format!("{}::{name}", call.info().group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_with_what_makes_them() {
        let text = Replacement::Calls(Call::SET_INTERRUPT_MASK, Some(Call::SET_IOPL_MASK)).to_string();
        assert_eq!(text, "32 SetInterruptMask (irq::restore) or 61 SetIOPLMask (port::set_iopl)");
        assert_eq!(Replacement::Calls(Call::IRET, None).to_string(), "33 IRET (iret_site!)");
        assert_eq!(Replacement::Advice("mask the RPL").to_string(), "mask the RPL");
    }
}

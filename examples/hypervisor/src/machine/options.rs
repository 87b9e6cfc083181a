//! The hypervisor's command line.

use vmi_hypervisor::rom::Leave;

/// What the words ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `steal=MICROSECONDS`: after each interrupt of the timer something else than the guest runs, for that
    /// long.
    pub steal: u64,
    /// `races`: interrupts come where the ROM has looked for them already.
    pub races: bool,
    /// `jump`: the ROM wants IRET and SYSEXIT to be reached by a jump.
    pub leave: Leave,
}

impl Options {
    /// The options in a command line.
    ///
    /// # Panics
    ///
    /// If the number of a word is none.
    pub fn parse(command_line: &[u8]) -> Self {
        let mut options = Self::default();
        for word in command_line.split(|byte| *byte == b' ') {
            if word == b"races" {
                options.races = true;
            } else if word == b"jump" {
                options.leave = Leave::ByJump;
            } else if let Some(number) = word.strip_prefix(b"steal=") {
                let number = core::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
                options.steal = number.expect("`steal=` needs a number of microseconds");
            }
        }
        options
    }
}

//! [`Flavour`]: the ways to build the ROM.

use std::fmt;

use paravirt_vmi_rom_image::{Generation, Style};

/// A way to build the ROM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flavour {
    /// The generation of the interface.
    pub abi: Generation,
    /// What is answered where native code does as well.
    pub style: Style,
    /// Each call first writes its number, one byte, to port 0xE9; in 13.x the number of its slot.
    pub trace: bool,
    /// IRET and SYSEXIT are answered JUMP_REL instead of CALL_REL.
    pub jump: bool,
}

/// The features for one generation: the first argument, or the second one and more.
macro_rules! features {
    ($flavour:expr, $none:literal, $prefix:literal) => {
        match ($flavour.style, $flavour.trace, $flavour.jump) {
            (Style::Full, false, false) => $none,
            (Style::Full, true, false) => concat!($prefix, "trace"),
            (Style::Full, false, true) => concat!($prefix, "jump"),
            (Style::Full, true, true) => concat!($prefix, "trace,jump"),
            (Style::Minimal, false, false) => concat!($prefix, "minimal"),
            (Style::Minimal, true, false) => concat!($prefix, "minimal,trace"),
            (Style::Minimal, false, true) => concat!($prefix, "minimal,jump"),
            (Style::Minimal, true, true) => concat!($prefix, "minimal,trace,jump"),
        }
    };
}

impl Flavour {
    /// Generation 3.0, everything provided, nothing special.
    pub const DEFAULT: Self = Self { abi: Generation::V3_0, style: Style::Full, trace: false, jump: false };

    /// Every flavour that there is.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for abi in Generation::ALL {
            for style in Style::ALL {
                for (trace, jump) in [(false, false), (true, false), (false, true), (true, true)] {
                    all.push(Self { abi, style, trace, jump });
                }
            }
        }
        all.retain(|flavour| flavour.is_possible());
        all
    }

    /// Whether there is such a ROM. In 13.0 a guest cannot ask how to reach a call: there are no answers
    /// that could differ.
    pub const fn is_possible(self) -> bool {
        !matches!(self.abi, Generation::V13_0) || (matches!(self.style, Style::Full) && !self.jump)
    }

    /// The features of the package `vmi-rom`, as `--features` takes them.
    pub const fn features(self) -> &'static str {
        match self.abi {
            Generation::V3_0 => features!(self, "", ""),
            Generation::V13_0 => features!(self, "v13-0", "v13-0,"),
            Generation::V13_3 => features!(self, "v13-3", "v13-3,"),
        }
    }
}

/// Writes the name, for messages and file names, for example `3.0-full` or `13.3-minimal-trace`.
impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = if self.trace { "-trace" } else { "" };
        let jump = if self.jump { "-jump" } else { "" };
        write!(f, "{}-{}{trace}{jump}", self.abi.name(), self.style.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn flavours_differ_in_name_and_features() {
        let all = Flavour::all();
        assert_eq!(all.len(), 8 + 2 + 8);
        let names: HashSet<_> = all.iter().map(ToString::to_string).collect();
        let features: HashSet<_> = all.iter().map(|flavour| flavour.features()).collect();
        assert_eq!((names.len(), features.len()), (all.len(), all.len()));
    }

    #[test]
    fn features_name_what_differs_from_the_default() {
        assert_eq!(Flavour::default(), Flavour::DEFAULT);
        assert_eq!(Flavour::DEFAULT.features(), "");
        let flavour = Flavour { abi: Generation::V13_3, style: Style::Minimal, trace: true, jump: true };
        assert_eq!(flavour.features(), "v13-3,minimal,trace,jump");
        assert_eq!(flavour.to_string(), "13.3-minimal-trace-jump");
    }

    #[test]
    fn in_13_0_no_answer_can_differ() {
        let flavour = Flavour { abi: Generation::V13_0, ..Flavour::DEFAULT };
        assert!(Flavour { trace: true, ..flavour }.is_possible());
        assert!(!Flavour { jump: true, ..flavour }.is_possible());
        assert!(!Flavour { style: Style::Minimal, ..flavour }.is_possible());
    }
}

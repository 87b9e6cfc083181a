//! [`Counters`]: what a guest has cost, and what it was refused.

use core::fmt;

use paravirt_vmi_abi::Call;

use crate::fault::vector;
use crate::layout::{HYPERCALL, HYPERCALL_INIT, HYPERCALL_IRET, PRIVATE_HYPERCALLS};

/// The hypercalls of the ROM's own, in order of number.
const PRIVATE: [(u32, &str); 2] = [(HYPERCALL_INIT, "vmi_init"), (HYPERCALL_IRET, "return")];

/// Counts by name. There is room for more names than this program has.
#[derive(Clone, Debug)]
struct Named {
    entries: [(&'static str, u64); 96],
}

impl Named {
    const fn new() -> Self {
        Self { entries: [("", 0); 96] }
    }

    fn add(&mut self, name: &'static str) {
        if let Some(entry) = self.entries.iter_mut().find(|(found, count)| *count == 0 || *found == name) {
            entry.0 = name;
            entry.1 += 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.entries.iter().copied().take_while(|(_, count)| *count != 0)
    }
}

/// How often everything happened since the guest began.
#[derive(Clone, Debug)]
pub struct Counters {
    exits: [u64; 256],
    emulated: Named,
    calls: [u64; Call::COUNT],
    private: [u64; PRIVATE.len()],
    delivered: u64,
    rolled_back: u64,
    refused: Named,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Self {
            exits: [0; 256],
            emulated: Named::new(),
            calls: [0; Call::COUNT],
            private: [0; PRIVATE.len()],
            delivered: 0,
            rolled_back: 0,
            refused: Named::new(),
        }
    }

    /// The guest was left, by this vector.
    pub const fn exit(&mut self, vector: u8) {
        self.exits[vector as usize] += 1;
    }

    /// How often the guest was left.
    pub fn exits(&self) -> u64 {
        self.exits.iter().sum()
    }

    /// An instruction was carried out in the guest's place.
    pub fn emulated(&mut self, mnemonic: &'static str) {
        self.emulated.add(mnemonic);
    }

    /// A call of the interface was made.
    pub fn call(&mut self, call: Call) {
        self.calls[call.number() as usize] += 1;
    }

    /// A hypercall of the ROM's own was made.
    pub fn private_call(&mut self, number: u32) {
        let index = number.wrapping_sub(PRIVATE_HYPERCALLS) as usize;
        if let Some(count) = self.private.get_mut(index) {
            *count += 1;
        }
    }

    /// A virtual interrupt was delivered.
    pub const fn delivered(&mut self) {
        self.delivered += 1;
    }

    /// The ROM was interrupted in its way back to the guest, and begins it anew.
    pub const fn rolled_back(&mut self) {
        self.rolled_back += 1;
    }

    /// The guest wanted something that it cannot have.
    pub fn refused(&mut self, what: &'static str) {
        self.refused.add(what);
    }

    /// Passes each count that is not 0 to `line`, as `NAME COUNT`; `raised` is the number of interrupts that
    /// the devices have raised.
    pub fn lines(&self, raised: u64, mut line: impl FnMut(fmt::Arguments<'_>)) {
        let mut count = |name: fmt::Arguments<'_>, count: u64| {
            if count != 0 {
                line(format_args!("{name} {count}"));
            }
        };
        count(format_args!("exits.total"), self.exits());
        for (number, exits) in (0..=u8::MAX).zip(self.exits) {
            count(format_args!("exits.{}", VectorName(number)), exits);
        }
        for (name, number) in self.emulated.iter() {
            count(format_args!("emulated.{name}"), number);
        }
        for (call, number) in Call::all().zip(self.calls) {
            count(format_args!("calls.{call}"), number);
        }
        for ((_, name), number) in PRIVATE.iter().zip(self.private) {
            count(format_args!("calls.{name}"), number);
        }
        count(format_args!("interrupts.raised"), raised);
        count(format_args!("interrupts.delivered"), self.delivered);
        count(format_args!("interrupts.rolled_back"), self.rolled_back);
        for (what, number) in self.refused.iter() {
            count(format_args!("refused.{what}"), number);
        }
    }
}

/// Writes the name of a vector, or its number in hexadecimal.
struct VectorName(u8);

impl fmt::Display for VectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            vector::DIVIDE_ERROR => "divide_error",
            vector::DEBUG => "debug",
            vector::BREAKPOINT => "breakpoint",
            vector::OVERFLOW => "overflow",
            vector::INVALID_OPCODE => "invalid_opcode",
            vector::INVALID_TSS => "invalid_tss",
            vector::SEGMENT_NOT_PRESENT => "segment_not_present",
            vector::STACK_FAULT => "stack_fault",
            vector::GENERAL_PROTECTION => "general_protection",
            vector::PAGE_FAULT => "page_fault",
            HYPERCALL => "hypercall",
            other => return write!(f, "{other:#04x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(counters: &Counters, raised: u64) -> Vec<String> {
        let mut lines = Vec::new();
        counters.lines(raised, |line| lines.push(line.to_string()));
        lines
    }

    #[test]
    fn what_did_not_happen_is_not_printed() {
        assert_eq!(lines(&Counters::new(), 0), Vec::<String>::new());
    }

    #[test]
    fn each_thing_has_a_line_of_its_own() {
        let mut counters = Counters::new();
        counters.exit(14);
        counters.exit(0xF0);
        counters.exit(0x20);
        counters.exit(14);
        counters.emulated("cli");
        counters.emulated("sti");
        counters.emulated("cli");
        counters.call(Call::SET_CR3);
        counters.private_call(HYPERCALL_IRET);
        counters.private_call(0x1234);
        counters.delivered();
        counters.rolled_back();
        counters.refused("a20");
        assert_eq!(
            lines(&counters, 2),
            [
                "exits.total 4",
                "exits.page_fault 2",
                "exits.0x20 1",
                "exits.hypercall 1",
                "emulated.cli 2",
                "emulated.sti 1",
                "calls.SetCR3 1",
                "calls.return 1",
                "interrupts.raised 2",
                "interrupts.delivered 1",
                "interrupts.rolled_back 1",
                "refused.a20 1",
            ]
        );
    }

    #[test]
    fn the_hypercalls_of_the_rom_are_numbered_without_gaps() {
        for (index, (number, _)) in (0..).zip(PRIVATE) {
            assert_eq!(number, PRIVATE_HYPERCALLS + index);
        }
    }
}

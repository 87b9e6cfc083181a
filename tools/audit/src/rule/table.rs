//! The rules, instruction by instruction.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use paravirt_vmi_abi::Call;

use super::{Effect, Replacement, Rule};

/// The port to which a write is nothing but a delay.
const DELAY_PORT: u8 = 0x80;

const RPL_VISIBLE: &str = "shows the ring in which the kernel really runs as RPL";
const RPL_LOADED: &str = "raises #GP when the selector's RPL is not the kernel's real ring";
const PRIVILEGED: &str = "is privileged: traps, and is emulated slowly if at all";
const PORT: &str = "traps where the kernel has not been given the port";
const MASK_RPL: Replacement =
    Replacement::Advice("compare by descriptor::Selector::same_segment, tell users by came_from_user");
const KERNEL_RPL: Replacement = Replacement::Advice("load descriptor::Selector::in_kernel_ring");
const NO_CALL: Replacement = Replacement::Advice("no call does it");

/// The rule for an instruction.
pub(super) fn rule(instruction: &Instruction) -> Option<Rule> {
    let rule = |effect, reason, replacement| Some(Rule { effect, reason, replacement });
    let call = |effect, reason, call| rule(effect, reason, Replacement::Calls(call, None));
    let traps = |call| rule(Effect::Traps, PRIVILEGED, Replacement::Calls(call, None));
    match instruction.mnemonic() {
        // Appendix C.
        Mnemonic::Arpl => rule(
            Effect::WrongValue,
            "adjusts an RPL that is not the one the kernel thinks of",
            Replacement::Advice("mask the RPLs of both operands"),
        ),
        Mnemonic::Iret | Mnemonic::Iretd => call(
            Effect::Ignored,
            "leaves IF, IOPL and VM as they are, and raises #GP when a selector's RPL is not the real ring",
            Call::IRET,
        ),
        Mnemonic::Lar => rule(
            Effect::WrongValue,
            "shows the DPL that the hypervisor has put into the descriptor",
            Replacement::Advice("mask the DPL"),
        ),
        Mnemonic::Lsl => rule(
            Effect::WrongValue,
            "shows the limit as the hypervisor has truncated it",
            Replacement::Advice("no call shows the full limit: keep what was put into the descriptor"),
        ),
        Mnemonic::Verr | Mnemonic::Verw => rule(
            Effect::WrongValue,
            "asks for the ring in which the kernel really runs (not in Appendix C)",
            Replacement::Advice("do not rely on the answer for kernel segments"),
        ),
        Mnemonic::Lss => rule(Effect::Faults, RPL_LOADED, KERNEL_RPL),
        Mnemonic::Mov => mov(instruction),
        Mnemonic::Pop if instruction.op0_register() == Register::SS => {
            rule(Effect::Faults, RPL_LOADED, KERNEL_RPL)
        }
        Mnemonic::Push if instruction.op0_register().is_segment_register() => {
            rule(Effect::WrongValue, RPL_VISIBLE, MASK_RPL)
        }
        Mnemonic::Popf | Mnemonic::Popfd => rule(
            Effect::Ignored,
            "leaves IF and IOPL as they are, without a fault",
            Replacement::Calls(Call::SET_INTERRUPT_MASK, Some(Call::SET_IOPL_MASK)),
        ),
        Mnemonic::Pushf | Mnemonic::Pushfd => {
            call(Effect::WrongValue, "shows IF = 1 always, and another IOPL", Call::GET_INTERRUPT_MASK)
        }
        Mnemonic::Sgdt => call(Effect::WrongValue, "shows the hypervisor's GDT", Call::GET_GDT),
        Mnemonic::Sidt => call(Effect::WrongValue, "shows the hypervisor's IDT", Call::GET_IDT),
        Mnemonic::Sldt => call(Effect::WrongValue, "shows the hypervisor's LDT selector", Call::GET_LDT),
        Mnemonic::Str => call(Effect::WrongValue, "shows the hypervisor's task selector", Call::GET_TR),
        Mnemonic::Smsw => call(Effect::WrongValue, "shows the machine's CR0, without a fault", Call::GET_CR0),
        // Leaking, by Appendix A.
        Mnemonic::Cpuid => {
            call(Effect::Leaks, "shows features of the machine that the guest must not use", Call::CPUID)
        }
        Mnemonic::Rdtsc | Mnemonic::Rdtscp => {
            call(Effect::Leaks, "shows the machine's counter, in which stolen time counts", Call::RDTSC)
        }
        Mnemonic::Rdpmc => call(Effect::Leaks, "shows the machine's counters, or traps", Call::RDPMC),
        // Interrupt masking.
        Mnemonic::Cli => traps(Call::DISABLE_INTERRUPTS),
        Mnemonic::Sti => traps(Call::ENABLE_INTERRUPTS),
        Mnemonic::Hlt => traps(Call::HALT),
        Mnemonic::Sysexit => call(
            Effect::Faults,
            "raises #GP outside ring 0, and returns with the machine's segments",
            Call::SYSEXIT,
        ),
        // The machine's own state.
        Mnemonic::Lgdt => traps(Call::SET_GDT),
        Mnemonic::Lidt => traps(Call::SET_IDT),
        Mnemonic::Lldt => traps(Call::SET_LDT),
        Mnemonic::Ltr => traps(Call::SET_TR),
        Mnemonic::Lmsw => traps(Call::SET_CR0),
        Mnemonic::Clts => traps(Call::CLTS),
        Mnemonic::Invd | Mnemonic::Wbinvd => traps(Call::WBINVD),
        Mnemonic::Invlpg => traps(Call::INVAL_PAGE),
        Mnemonic::Rdmsr => traps(Call::RDMSR),
        Mnemonic::Wrmsr => traps(Call::WRMSR),
        Mnemonic::In
        | Mnemonic::Out
        | Mnemonic::Insb
        | Mnemonic::Insw
        | Mnemonic::Insd
        | Mnemonic::Outsb
        | Mnemonic::Outsw
        | Mnemonic::Outsd => call(Effect::Traps, PORT, port(instruction)),
        Mnemonic::Monitor | Mnemonic::Mwait => rule(Effect::Traps, PRIVILEGED, NO_CALL),
        _ if instruction.is_privileged() => rule(Effect::Traps, PRIVILEGED, NO_CALL),
        _ => None,
    }
}

/// The rule for a move from or to a segment, control, debug or test register.
fn mov(instruction: &Instruction) -> Option<Rule> {
    let (to, from) = (instruction.op0_register(), instruction.op1_register());
    let traps = |replacement| Some(Rule { effect: Effect::Traps, reason: PRIVILEGED, replacement });
    let call = |call| traps(Replacement::Calls(call, None));
    let is_control = |register: Register| register.is_cr();
    match (to, from) {
        (Register::SS, _) => {
            Some(Rule { effect: Effect::Faults, reason: RPL_LOADED, replacement: KERNEL_RPL })
        }
        (_, from) if from.is_segment_register() => {
            Some(Rule { effect: Effect::WrongValue, reason: RPL_VISIBLE, replacement: MASK_RPL })
        }
        (Register::CR0, _) => call(Call::SET_CR0),
        (Register::CR2, _) => call(Call::SET_CR2),
        (Register::CR3, _) => call(Call::SET_CR3),
        (Register::CR4, _) => call(Call::SET_CR4),
        (_, Register::CR0) => call(Call::GET_CR0),
        (_, Register::CR2) => call(Call::GET_CR2),
        (_, Register::CR3) => call(Call::GET_CR3),
        (_, Register::CR4) => call(Call::GET_CR4),
        (to, _) if to.is_dr() => call(Call::SET_DR),
        (_, from) if from.is_dr() => call(Call::GET_DR),
        (to, from) if to.is_tr() || from.is_tr() || is_control(to) || is_control(from) => traps(NO_CALL),
        _ => None,
    }
}

/// The call for a port instruction, by direction, width and kind.
fn port(instruction: &Instruction) -> Call {
    let accumulator = |bytes: Call, words: Call, longs: Call, register| match register {
        Register::AL => bytes,
        Register::AX => words,
        _ => longs,
    };
    match instruction.mnemonic() {
        Mnemonic::In => accumulator(Call::INB, Call::INW, Call::INL, instruction.op0_register()),
        Mnemonic::Insb => Call::INSB,
        Mnemonic::Insw => Call::INSW,
        Mnemonic::Insd => Call::INSL,
        Mnemonic::Outsb => Call::OUTSB,
        Mnemonic::Outsw => Call::OUTSW,
        Mnemonic::Outsd => Call::OUTSL,
        _ if instruction.op0_kind() == OpKind::Immediate8 && instruction.immediate8() == DELAY_PORT => {
            Call::IO_DELAY
        }
        _ => accumulator(Call::OUTB, Call::OUTW, Call::OUTL, instruction.op1_register()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::replacement::function;
    use super::*;
    use crate::disassembly;

    fn of(code: &[u8]) -> Option<Rule> {
        Rule::of(&disassembly::first(code, 0x100).unwrap())
    }

    /// One encoding and more of every instruction that has a rule: its effect, and its call.
    const RULES: &[(&[u8], Effect, Option<Call>)] = &[
        // Appendix C, in its order.
        (&[0x63, 0xC8], Effect::WrongValue, None),
        (&[0xCF], Effect::Ignored, Some(Call::IRET)),
        (&[0x66, 0xCF], Effect::Ignored, Some(Call::IRET)),
        (&[0x0F, 0x02, 0xC1], Effect::WrongValue, None),
        (&[0x0F, 0x03, 0xC1], Effect::WrongValue, None),
        (&[0x0F, 0xB2, 0x20], Effect::Faults, None),
        (&[0x8C, 0xC8], Effect::WrongValue, None),
        (&[0x8C, 0x18], Effect::WrongValue, None),
        (&[0x66, 0x8C, 0xE0], Effect::WrongValue, None),
        (&[0x8E, 0xD0], Effect::Faults, None),
        (&[0x8E, 0x10], Effect::Faults, None),
        (&[0x17], Effect::Faults, None),
        (&[0x9D], Effect::Ignored, Some(Call::SET_INTERRUPT_MASK)),
        (&[0x66, 0x9D], Effect::Ignored, Some(Call::SET_INTERRUPT_MASK)),
        (&[0x0E], Effect::WrongValue, None),
        (&[0x16], Effect::WrongValue, None),
        (&[0x1E], Effect::WrongValue, None),
        (&[0x06], Effect::WrongValue, None),
        (&[0x0F, 0xA0], Effect::WrongValue, None),
        (&[0x0F, 0xA8], Effect::WrongValue, None),
        (&[0x9C], Effect::WrongValue, Some(Call::GET_INTERRUPT_MASK)),
        (&[0x66, 0x9C], Effect::WrongValue, Some(Call::GET_INTERRUPT_MASK)),
        (&[0x0F, 0x01, 0x00], Effect::WrongValue, Some(Call::GET_GDT)),
        (&[0x0F, 0x01, 0x08], Effect::WrongValue, Some(Call::GET_IDT)),
        (&[0x0F, 0x00, 0xC0], Effect::WrongValue, Some(Call::GET_LDT)),
        (&[0x0F, 0x00, 0xC8], Effect::WrongValue, Some(Call::GET_TR)),
        // Of the same kind, and not in it.
        (&[0x0F, 0x00, 0xE0], Effect::WrongValue, None),
        (&[0x0F, 0x00, 0xE8], Effect::WrongValue, None),
        (&[0x0F, 0x01, 0xE0], Effect::WrongValue, Some(Call::GET_CR0)),
        // Leaking.
        (&[0x0F, 0xA2], Effect::Leaks, Some(Call::CPUID)),
        (&[0x0F, 0x31], Effect::Leaks, Some(Call::RDTSC)),
        (&[0x0F, 0x01, 0xF9], Effect::Leaks, Some(Call::RDTSC)),
        (&[0x0F, 0x33], Effect::Leaks, Some(Call::RDPMC)),
        // Privileged.
        (&[0xFA], Effect::Traps, Some(Call::DISABLE_INTERRUPTS)),
        (&[0x3E, 0x3E, 0xFA], Effect::Traps, Some(Call::DISABLE_INTERRUPTS)),
        (&[0xFB], Effect::Traps, Some(Call::ENABLE_INTERRUPTS)),
        (&[0xF4], Effect::Traps, Some(Call::HALT)),
        (&[0x0F, 0x35], Effect::Faults, Some(Call::SYSEXIT)),
        (&[0x0F, 0x01, 0x10], Effect::Traps, Some(Call::SET_GDT)),
        (&[0x0F, 0x01, 0x18], Effect::Traps, Some(Call::SET_IDT)),
        (&[0x0F, 0x00, 0xD0], Effect::Traps, Some(Call::SET_LDT)),
        (&[0x0F, 0x00, 0xD8], Effect::Traps, Some(Call::SET_TR)),
        (&[0x0F, 0x01, 0xF0], Effect::Traps, Some(Call::SET_CR0)),
        (&[0x0F, 0x06], Effect::Traps, Some(Call::CLTS)),
        (&[0x0F, 0x08], Effect::Traps, Some(Call::WBINVD)),
        (&[0x0F, 0x09], Effect::Traps, Some(Call::WBINVD)),
        (&[0x0F, 0x01, 0x38], Effect::Traps, Some(Call::INVAL_PAGE)),
        (&[0x0F, 0x32], Effect::Traps, Some(Call::RDMSR)),
        (&[0x0F, 0x30], Effect::Traps, Some(Call::WRMSR)),
        (&[0x0F, 0x22, 0xC0], Effect::Traps, Some(Call::SET_CR0)),
        (&[0x0F, 0x22, 0xD0], Effect::Traps, Some(Call::SET_CR2)),
        (&[0x0F, 0x22, 0xD8], Effect::Traps, Some(Call::SET_CR3)),
        (&[0x0F, 0x22, 0xE0], Effect::Traps, Some(Call::SET_CR4)),
        (&[0x0F, 0x20, 0xC0], Effect::Traps, Some(Call::GET_CR0)),
        (&[0x0F, 0x20, 0xD0], Effect::Traps, Some(Call::GET_CR2)),
        (&[0x0F, 0x20, 0xD8], Effect::Traps, Some(Call::GET_CR3)),
        (&[0x0F, 0x20, 0xE0], Effect::Traps, Some(Call::GET_CR4)),
        (&[0x0F, 0x23, 0xF8], Effect::Traps, Some(Call::SET_DR)),
        (&[0x0F, 0x21, 0xF0], Effect::Traps, Some(Call::GET_DR)),
        (&[0xEC], Effect::Traps, Some(Call::INB)),
        (&[0xE4, 0x60], Effect::Traps, Some(Call::INB)),
        (&[0x66, 0xED], Effect::Traps, Some(Call::INW)),
        (&[0xED], Effect::Traps, Some(Call::INL)),
        (&[0xEE], Effect::Traps, Some(Call::OUTB)),
        (&[0xE6, 0x70], Effect::Traps, Some(Call::OUTB)),
        (&[0xE6, 0x80], Effect::Traps, Some(Call::IO_DELAY)),
        (&[0x66, 0xEF], Effect::Traps, Some(Call::OUTW)),
        (&[0xEF], Effect::Traps, Some(Call::OUTL)),
        (&[0xF3, 0x6C], Effect::Traps, Some(Call::INSB)),
        (&[0xF3, 0x66, 0x6D], Effect::Traps, Some(Call::INSW)),
        (&[0x6D], Effect::Traps, Some(Call::INSL)),
        (&[0x6E], Effect::Traps, Some(Call::OUTSB)),
        (&[0x66, 0x6F], Effect::Traps, Some(Call::OUTSW)),
        (&[0xF3, 0x6F], Effect::Traps, Some(Call::OUTSL)),
        // Privileged without a call: stac, xsetbv, monitor, mwait, vmxon, sysret, invpcid.
        (&[0x0F, 0x01, 0xCB], Effect::Traps, None),
        (&[0x0F, 0x01, 0xD1], Effect::Traps, None),
        (&[0x0F, 0x01, 0xC8], Effect::Traps, None),
        (&[0x0F, 0x01, 0xC9], Effect::Traps, None),
        (&[0xF3, 0x0F, 0xC7, 0x30], Effect::Traps, None),
        (&[0x0F, 0x07], Effect::Traps, None),
        (&[0x66, 0x0F, 0x38, 0x82, 0x00], Effect::Traps, None),
    ];

    #[test]
    fn each_sensitive_and_privileged_instruction_has_its_rule() {
        for &(code, effect, call) in RULES {
            let rule = of(code).unwrap_or_else(|| panic!("{code:02x?} has no rule"));
            assert_eq!((rule.effect, rule.replacement.calls().next()), (effect, call), "{code:02x?}");
        }
    }

    #[test]
    fn other_instructions_have_none() {
        for code in [
            &[0x90][..],
            &[0x8E, 0xD8],
            &[0x1F],
            &[0x0F, 0xA1],
            &[0x89, 0xC8],
            &[0xC3],
            &[0xCB],
            &[0xEA, 0, 0, 0, 0, 8, 0],
            &[0xCD, 0x80],
            &[0xCC],
            &[0x0F, 0x34],
            &[0x50],
            &[0x58],
            &[0x9E],
            &[0x9F],
            &[0xFC],
            &[0x0F, 0xB4, 0x20],
            &[0x0F, 0x0B],
        ] {
            assert_eq!(of(code), None, "{code:02x?}");
        }
    }

    #[test]
    fn every_replacement_is_in_the_public_interface_of_the_guest_crate() {
        let list = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/paravirt-vmi.i386.txt");
        let list = fs::read_to_string(list).unwrap();
        let calls = RULES
            .iter()
            .filter_map(|(code, ..)| of(code))
            .flat_map(|rule| rule.replacement.calls().collect::<Vec<_>>());
        for call in calls {
            let function = function(call);
            let found = list.lines().any(|line| match function.strip_suffix('!') {
                Some(_) => line.ends_with(&format!("macro paravirt_vmi::{function}")),
                None => line.contains(&format!("fn paravirt_vmi::{function}(")),
            });
            assert!(found, "{call}: there is no {function}");
        }
        for name in ["Selector::same_segment(", "Selector::in_kernel_ring(", "came_from_user("] {
            assert!(list.contains(&format!("fn paravirt_vmi::descriptor::{name}")), "{name}");
        }
    }

    #[test]
    fn every_call_with_a_native_instruction_of_its_own_is_some_rules_replacement() {
        let calls: Vec<Call> = RULES
            .iter()
            .filter_map(|(code, ..)| of(code))
            .flat_map(|rule| rule.replacement.calls().collect::<Vec<_>>())
            .collect();
        // Through FLUSH_TLB go moves to CR3, and through GET_CYCLE_COUNTER reads of the counter.
        let others = [Call::FLUSH_TLB, Call::GET_CYCLE_COUNTER, Call::REBOOT, Call::SHUTDOWN];
        for call in Call::all().filter(|call| !others.contains(call)) {
            let form = paravirt_vmi::site::NativeForm::of(call);
            let paravirt_vmi::site::NativeCode::Inline(bytes) = form.code else { continue };
            let is_sensitive =
                disassembly::instructions(bytes, 0).iter().any(|found| Rule::of(found).is_some());
            assert!(!is_sensitive || calls.contains(&call), "{call} replaces no instruction");
        }
    }
}

//! Gates, frames, and what comes up while they are used.

use proptest::prelude::*;

use super::*;
use crate::testing::*;
use crate::vcpu::TableRegister;

const ARITHMETIC: u32 = 0x8D5;

#[test]
fn an_interrupt_of_the_kernel_gets_a_frame_of_three_words_and_masks() {
    let mut guest = guest(&[]);
    guest.vcpu.interrupt_flag = true;
    guest.vcpu.frame.eflags |= ARITHMETIC;
    guest.deliver(0x20, None, Origin::External).unwrap();
    let flags = eflags::ALWAYS | eflags::INTERRUPT | ARITHMETIC;
    assert_eq!(stack(&guest), [place::CODE, u32::from(selector::CODE), flags]);
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.eip, frame.cs, frame.ss), (handler(0x20), 0x09, 0x11));
    assert_eq!(frame.esp, place::STACK - 12);
    assert!(!guest.vcpu.interrupt_flag);
}

#[test]
fn a_kernel_that_knows_its_ring_sees_it_in_the_frame() {
    let mut guest = guest(&[]);
    guest.vcpu.mode = Mode::Paravirtual;
    guest.vcpu.iopl = 2;
    guest.deliver(0x20, None, Origin::External).unwrap();
    assert_eq!(stack(&guest), [place::CODE, 0x09, eflags::ALWAYS | 2 << eflags::IOPL_SHIFT]);
}

#[test]
fn an_interrupt_of_ring_3_switches_to_the_stack_of_the_task() {
    let mut guest = user(&[]);
    guest.vcpu.interrupt_flag = false;
    guest.deliver(14, Some(7), Origin::Exception).unwrap();
    let flags = eflags::ALWAYS | eflags::INTERRUPT;
    assert_eq!(
        stack(&guest),
        [7, place::CODE, selector::USER_CODE.into(), flags, place::USER_STACK, selector::USER_DATA.into()]
    );
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.cs, frame.ss, frame.esp), (0x09, 0x11, place::KERNEL_STACK - 24));
    assert_eq!(frame.ds, selector::USER_DATA.into(), "data segments stay");
}

#[test]
fn a_trap_gate_keeps_the_flag() {
    for flag in [false, true] {
        let mut guest = guest(&[]);
        guest.vcpu.interrupt_flag = flag;
        guest.deliver(0xC0, None, Origin::External).unwrap();
        assert_eq!(guest.vcpu.interrupt_flag, flag);
    }
    let mut guest = user(&[]);
    guest.vcpu.interrupt_flag = false;
    guest.deliver(0xC0, None, Origin::External).unwrap();
    assert!(guest.vcpu.interrupt_flag, "it was enabled in ring 3");
}

#[test]
fn the_handler_starts_without_trap_and_nested_task_flags() {
    let mut guest = guest(&[]);
    let special = eflags::TRAP | eflags::NESTED_TASK | eflags::RESUME;
    guest.vcpu.frame.eflags |= special | eflags::DIRECTION;
    guest.deliver(0x20, None, Origin::External).unwrap();
    let [.., image] = stack::<3>(&guest);
    assert_eq!(image & special, special);
    assert_eq!(guest.vcpu.frame.eflags & (special | eflags::DIRECTION), eflags::DIRECTION);
}

/// Delivers vector 20 by a gate, in place of the kernel's or a program's.
fn by_gate(in_user: bool, gate: u64, origin: Origin) -> Result<(), Fault> {
    let mut guest = if in_user { user(&[]) } else { guest(&[]) };
    set_entry(&mut guest, selector::SPARE, Descriptor::FLAT_CODE.0 | 1 << 42);
    set_entry(&mut guest, selector::SPARE + 8, Descriptor::FLAT_CODE.0 & !(1 << 47));
    set_gate(&mut guest, 0x20, gate);
    let before = guest.vcpu.clone();
    let result = guest.deliver(0x20, None, origin);
    if result.is_err() {
        assert_eq!((guest.vcpu.frame, guest.vcpu.interrupt_flag), (before.frame, before.interrupt_flag));
    }
    result
}

#[test]
fn a_gate_that_is_not_one_of_32_bits_is_refused() {
    let code = 0x20 * 8 + 2;
    for kind in 0..16 {
        let result = by_gate(false, gate(kind, selector::CODE, 0x1000, 0), Origin::Software);
        let expected = if kind >= 14 { Ok(()) } else { Err(Fault::general_protection(code)) };
        assert_eq!(result, expected, "{kind}");
    }
    let by_device = by_gate(false, gate(5, selector::CODE, 0x1000, 0), Origin::External);
    assert_eq!(by_device, Err(Fault::general_protection(code + 1)));
}

#[test]
fn a_gate_that_is_not_present_is_refused() {
    let absent = gate(14, selector::CODE, 0x1000, 0) & !(1 << 47);
    assert_eq!(by_gate(false, absent, Origin::Software), Err(Fault::not_present(0x102)));
}

#[test]
fn a_gate_is_judged_for_ring_3_by_its_privilege_level() {
    for dpl in 0..4 {
        let by = |in_user, origin| by_gate(in_user, gate(14, selector::CODE, 0x1000, dpl), origin);
        let expected = if dpl == 3 { Ok(()) } else { Err(Fault::general_protection(0x102)) };
        assert_eq!(by(true, Origin::Software), expected, "{dpl}");
        assert_eq!(by(true, Origin::External), Ok(()));
        assert_eq!(by(false, Origin::Software), Ok(()));
    }
}

#[test]
fn a_gate_leads_to_code_of_the_kernels_only() {
    let by = |in_user, selector| by_gate(in_user, gate(14, selector, 0x1000, 3), Origin::Software);
    assert_eq!(by(false, 0), Err(Fault::general_protection(0)));
    for selector in [selector::DATA, selector::USER_CODE, selector::TASK, 0x38 | 4, 0x1000] {
        let code = u32::from(selector & !3);
        assert_eq!(by(false, selector), Err(Fault::general_protection(code)), "{selector:x}");
    }
    assert_eq!(by(false, selector::SPARE + 8), Err(Fault::not_present(u32::from(selector::SPARE + 8))));
    assert_eq!(by(false, selector::SPARE), Ok(()), "conforming code");
    let conforming_from_user = by(true, selector::SPARE);
    assert_eq!(conforming_from_user, Err(Fault::general_protection(selector::SPARE.into())));
}

#[test]
fn a_handler_inside_the_hypervisor_is_refused() {
    let result = by_gate(false, gate(14, selector::CODE, 0xFFC0_1000, 0), Origin::External);
    assert_eq!(result, Err(Fault::general_protection(1)));
}

#[test]
fn a_vector_beyond_the_table_is_refused() {
    let mut guest = guest(&[]);
    guest.vcpu.idt.limit = 0x20 * 8 + 6;
    let result = guest.deliver(0x20, None, Origin::External);
    assert_eq!(result, Err(Fault::general_protection(0x103)));
    guest.vcpu.idt.limit += 1;
    assert_eq!(guest.deliver(0x20, None, Origin::External), Ok(()));
}

#[test]
fn a_stack_of_the_task_that_is_not_the_kernels_is_refused() {
    for (selector, vector, code) in [
        (0, vector::INVALID_TSS, 1),
        (selector::CODE, vector::INVALID_TSS, selector::CODE | 1),
        (selector::USER_DATA, vector::INVALID_TSS, 0x21),
        (0x400, vector::INVALID_TSS, 0x401),
        (selector::SPARE, vector::STACK_FAULT, selector::SPARE | 1),
    ] {
        let mut guest = user(&[]);
        set_entry(&mut guest, selector::SPARE, Descriptor::FLAT_DATA.0 & !(1 << 47));
        poke(&mut guest, place::TASK + 8, &selector.to_le_bytes());
        let fault = guest.deliver(0x20, None, Origin::External).unwrap_err();
        assert_eq!((fault.vector, fault.error_code), (vector, Some(code.into())), "{selector:x}");
    }
}

#[test]
fn without_a_task_ring_3_cannot_be_interrupted() {
    let mut guest = user(&[]);
    guest.vcpu.task = crate::vcpu::SystemSegment::default();
    assert_eq!(guest.deliver(0x20, None, Origin::External), Err(Fault::invalid_tss(1)));
}

#[test]
fn a_stack_inside_the_hypervisor_is_not_written() {
    for esp in [0xFFC0_0100, 0xFFC0_B000, 4, 0] {
        let mut guest = guest(&[]);
        guest.vcpu.frame.esp = esp;
        let fault = guest.deliver(0x20, None, Origin::External).unwrap_err();
        assert!([vector::STACK_FAULT, vector::GENERAL_PROTECTION].contains(&fault.vector), "{esp:x}");
    }
}

#[test]
fn a_stack_of_16_bits_wraps_within_them() {
    let mut guest = guest(&[]);
    set_entry(&mut guest, selector::DATA, Descriptor::FLAT_DATA.0 & !(1 << 54));
    guest.vcpu.frame.esp = 0x0004_0000;
    guest.deliver(0x20, None, Origin::External).unwrap();
    assert_eq!(guest.vcpu.frame.esp, 0x0004_FFF4);
    assert_eq!(peek(&guest, 0xFFF4), place::CODE);
}

#[test]
fn an_exception_while_an_interrupt_is_delivered_takes_its_place() {
    let mut guest = guest(&[]);
    set_gate(&mut guest, 0x20, 0);
    guest.vcpu.interrupt_flag = true;
    raise_interrupt(&mut guest, 0x20);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(13));
    assert_eq!(peek(&guest, guest.vcpu.frame.esp), 0x103);
}

#[test]
fn two_contributory_exceptions_are_a_double_fault() {
    let mut guest = guest(&[]);
    set_gate(&mut guest, 11, 0);
    guest.raise(Fault::not_present(8)).unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(8));
    assert_eq!(stack(&guest), [0, place::CODE]);
}

#[test]
fn a_contributory_exception_in_a_page_fault_is_a_double_fault() {
    let mut guest = guest(&[]);
    set_gate(&mut guest, 14, 0);
    guest.raise(Fault::page(0, 0x1234)).unwrap();
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.cr2), (handler(8), 0x1234));
}

#[test]
fn a_page_fault_in_a_contributory_exception_is_itself() {
    const TABLE: u32 = 0xD000;
    const ABSENT: u32 = 0xA000;
    let mut guest = guest(&[]);
    let pages: Vec<u32> = (0..1024).map(|page| page << 12 | u32::from(page != ABSENT >> 12)).collect();
    poke_words(&mut guest, TABLE, &pages);
    poke_words(&mut guest, TABLE - 0x1000, &[TABLE | 1]);
    guest.vcpu.cr3 = TABLE - 0x1000;
    guest.vcpu.cr0 |= 1 << 31;
    // The gate of #NP ends the page that is not there, and that of #PF lies in the next one.
    guest.vcpu.idt = TableRegister { base: ABSENT + 0x1000 - 12 * 8, limit: 0x7FF };
    poke(&mut guest, ABSENT + 0x1000 + 16, &gate(14, selector::CODE, handler(14), 0).to_le_bytes());
    guest.raise(Fault::not_present(8)).unwrap();
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.cr2), (handler(14), ABSENT + 0xFF8));
}

#[test]
fn an_exception_in_a_double_fault_stops_the_guest() {
    let mut guest = guest(&[]);
    guest.vcpu.idt = TableRegister::default();
    let stop = guest.raise(Fault::INVALID_OPCODE);
    assert_eq!(stop, Err(Stop::TripleFault { vector: 6, eip: place::CODE }));
}

/// A state from which the hypervisor could be entered.
#[derive(Clone, Debug)]
struct State {
    in_user: bool,
    mode: Mode,
    interrupt_flag: bool,
    iopl: u8,
    eflags: u32,
    eip: u32,
    depth: u32,
}

impl State {
    fn guest(&self) -> Guest<FakeHost> {
        let mut guest = if self.in_user { user(&[]) } else { guest(&[]) };
        guest.vcpu.mode = self.mode;
        guest.vcpu.interrupt_flag = self.interrupt_flag || self.in_user;
        guest.vcpu.iopl = self.iopl;
        guest.vcpu.frame.eflags |= self.eflags;
        guest.vcpu.frame.eip = self.eip;
        guest.vcpu.frame.esp -= self.depth;
        guest
    }
}

fn any_state() -> impl Strategy<Value = State> {
    const FLAGS: u32 = ARITHMETIC | eflags::TRAP | eflags::DIRECTION | eflags::ALIGNMENT_CHECK | eflags::ID;
    let mode = prop_oneof![Just(Mode::Hardware), Just(Mode::Paravirtual)];
    let parts =
        (any::<bool>(), mode, any::<bool>(), 0u8..4, any::<u32>(), 0..0xFFC0_0000u32, 0x100u32..0x2000);
    parts.prop_map(|(in_user, mode, interrupt_flag, iopl, eflags, eip, depth)| State {
        in_user,
        mode,
        interrupt_flag,
        iopl,
        eflags: eflags & FLAGS,
        eip,
        depth,
    })
}

proptest! {
    #[test]
    fn a_return_undoes_a_delivery(state in any_state(), vector: u8) {
        let mut guest = state.guest();
        let before = guest.vcpu.clone();
        guest.deliver(vector, None, Origin::External).unwrap();
        prop_assert!(!guest.vcpu.frame.is_user());
        guest.interrupt_return(0).unwrap();
        prop_assert_eq!(guest.vcpu.frame, before.frame);
        prop_assert_eq!((guest.vcpu.interrupt_flag, guest.vcpu.iopl), (before.interrupt_flag, before.iopl));
    }

    #[test]
    fn random_gates_and_frames_never_leave_ring_1_and_3(
        state in any_state(),
        gates in prop::collection::vec((any::<u8>(), any::<u64>()), 0..8),
        entries in prop::collection::vec((1u16..16, any::<u64>()), 0..4),
        words in prop::collection::vec(any::<u32>(), 8),
        selectors in prop::collection::vec(prop::sample::select(vec![0x08u16, 0x09, 0x10, 0x11, 0x1B, 0x23, 0x30]), 2),
        vector: u8,
        esp in prop::option::of(any::<u32>()),
        eflags in any::<u32>(),
    ) {
        let mut guest = state.guest();
        for (vector, gate) in gates {
            set_gate(&mut guest, vector, gate);
        }
        for (index, entry) in entries {
            set_entry(&mut guest, index * 8, entry);
        }
        guest.vcpu.frame.eflags = eflags & !eflags::VM;
        let mut words = words;
        words[1] = selectors[0].into();
        words[4] = selectors[1].into();
        if let Some(esp) = esp {
            guest.vcpu.frame.esp = esp;
        } else if !guest.vcpu.frame.is_user() {
            let esp = guest.vcpu.frame.esp;
            poke_words(&mut guest, esp, &words);
        }
        guest.vcpu.exception = if guest.vcpu.frame.is_user() {
            Some(Fault { vector: vector % 32, error_code: None, address: None })
        } else {
            guest.interrupt_return(0).err()
        };
        if guest.enter().is_ok() {
            let frame = &guest.vcpu.frame;
            prop_assert!(matches!(frame.cs & 3, 1 | 3));
            prop_assert_eq!(frame.cs & 3, frame.ss & 3);
            let fixed = eflags::IOPL | eflags::VM | eflags::INTERRUPT
                | eflags::VIRTUAL_INTERRUPT | eflags::VIRTUAL_INTERRUPT_PENDING;
            prop_assert_eq!(frame.eflags & fixed, eflags::INTERRUPT);
            for table in &guest.host.descriptors {
                for entry in table.iter().map(|entry| Descriptor(*entry)) {
                    prop_assert!(!entry.is_present() || entry.dpl() > 0 && !entry.is_system());
                }
            }
        }
    }
}

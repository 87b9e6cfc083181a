//! The calls, as a guest makes them: registers, stack, and what comes of it.

mod machine;
mod registers;

use paravirt_vmi_abi::flags::AlarmFlags;
use paravirt_vmi_abi::{Clobbers, DescriptorTableRegister};
use zerocopy::IntoBytes;

use super::*;
use crate::frame::Frame;
use crate::layout::{GUEST_MEMORY, VIRTUAL_TOP};
use crate::testing::*;

/// What lies on the stack behind the number: the return address.
const RETURN: u32 = 0x5555_0000;
const BUFFER: u32 = 0x7_0000;
/// No memory of the guest is here, and none of its segments reaches there.
const WILD: [u32; 4] = [GUEST_MEMORY, VIRTUAL_TOP - 2, VIRTUAL_TOP, !0];

/// A guest that knows its ring.
fn paravirtual() -> Guest<FakeHost> {
    let mut guest = guest(&[]);
    guest.vcpu.mode = Mode::Paravirtual;
    guest
}

/// Makes a hypercall with stack words behind the return address; the exception that it raises.
fn hypercall(guest: &mut Guest<FakeHost>, number: u32, stack: [u32; 2]) -> Option<Fault> {
    guest.vcpu.exception = None;
    guest.vcpu.frame.vector = HYPERCALL.into();
    guest.vcpu.frame.esp = place::STACK - 16;
    poke_words(guest, place::STACK - 16, &[number, RETURN, stack[0], stack[1]]);
    guest.exit().unwrap();
    guest.vcpu.exception
}

/// Makes a call with its arguments in the order of the call table; the exception that it raises.
fn call(guest: &mut Guest<FakeHost>, call: Call, arguments: &[u32]) -> Option<Fault> {
    let mut stack = [0; 2];
    assert_eq!(arguments.len(), call.info().arguments.len(), "{call}");
    let frame = &mut guest.vcpu.frame;
    for (argument, value) in call.info().arguments.iter().zip(arguments) {
        match argument.location {
            Location::Eax | Location::Al | Location::Ax => frame.eax = *value,
            Location::Ecx => frame.ecx = *value,
            Location::Edx => frame.edx = *value,
            Location::Esi => frame.esi = *value,
            Location::Edi => frame.edi = *value,
            Location::Stack(number) => stack[usize::from(number) - 1] = *value,
            Location::Ebx | Location::Frame => panic!("no call has this"),
        }
    }
    hypercall(guest, call.number(), stack)
}

/// EDX:EAX.
fn result(guest: &Guest<FakeHost>) -> u64 {
    long(guest.vcpu.frame.eax, guest.vcpu.frame.edx)
}

/// Arguments with which a call succeeds.
fn arguments(call: Call) -> Vec<u32> {
    match call {
        Call::CPUID => vec![1, 0],
        Call::WRMSR => vec![0x175, 1, 0],
        Call::RDMSR => vec![0x175],
        Call::SET_TR => vec![selector::TASK.into()],
        Call::SET_GDT | Call::SET_IDT | Call::GET_GDT | Call::GET_IDT => vec![BUFFER],
        Call::WRITE_GDT_ENTRY | Call::WRITE_LDT_ENTRY | Call::WRITE_IDT_ENTRY => vec![BUFFER, 3, 0, 0],
        Call::SET_CR0 => vec![0x11],
        Call::SET_PXE => vec![0, BUFFER, 1],
        Call::SET_PXE_LONG => vec![0, 0, BUFFER, 1],
        Call::INSB | Call::INSW | Call::INSL | Call::OUTSB | Call::OUTSW | Call::OUTSL => {
            vec![BUFFER, 0x80, 3]
        }
        _ => vec![0; call.info().arguments.len()],
    }
}

#[test]
fn every_call_changes_its_results_and_no_other_register() {
    for each in Call::all() {
        let mut guest = paravirtual();
        let image = DescriptorTableRegister::new(8 * selector::ENTRIES as u16 - 1, place::GDT);
        poke(&mut guest, BUFFER, image.as_bytes());
        set_entry(&mut guest, selector::TASK, 0x0000_8900_3000_0067);
        let poison = Frame {
            eax: 0xA1,
            ebx: 0xB2,
            ecx: 0xC3,
            edx: 0xD4,
            esi: 0xE5,
            edi: 0xF6,
            ebp: 7,
            ..guest.vcpu.frame
        };
        guest.vcpu.frame = Frame { eflags: 0x8D5 | poison.eflags, ..poison };
        let mut before = guest.vcpu.frame;
        if [Call::IRET, Call::SYSEXIT, Call::SET_CALLBACKS, Call::RDPMC].contains(&each) {
            let arguments = vec![0; each.info().arguments.len()];
            let fault = if each == Call::IRET {
                hypercall(&mut guest, 33, [0; 2])
            } else {
                call(&mut guest, each, &arguments)
            };
            assert!(fault.is_some(), "{each}");
            continue;
        }
        if [Call::REBOOT, Call::SHUTDOWN].contains(&each) {
            continue;
        }
        assert_eq!(call(&mut guest, each, &arguments(each)), None, "{each}");
        let clobbers = each.info().clobbers;
        let after = guest.vcpu.frame;
        let kept = |clobber| !clobbers.contains(clobber);
        for (clobber, before, after) in [
            (Clobbers::EAX, before.eax, after.eax),
            (Clobbers::EBX, before.ebx, after.ebx),
            (Clobbers::ECX, before.ecx, after.ecx),
            (Clobbers::EDX, before.edx, after.edx),
            (Clobbers::ESI, before.esi, after.esi),
            (Clobbers::EDI, before.edi, after.edi),
        ] {
            let is_argument = each.info().arguments.iter().any(|a| a.location.register() == Some(clobber));
            assert!(!kept(clobber) || is_argument || before == after, "{each}: {clobber:?}");
        }
        before.esp = after.esp;
        assert_eq!((after.ebp, after.eip, after.eflags), (before.ebp, before.eip, before.eflags), "{each}");
    }
}

#[test]
fn before_vmi_init_the_vector_is_the_guests_own() {
    let mut guest = guest(&[]);
    assert_eq!(hypercall(&mut guest, Call::GET_CR0.number(), [0; 2]), None);
    assert_eq!(guest.vcpu.frame.eip, handler(HYPERCALL));
}

#[test]
fn vmi_init_succeeds_once() {
    let mut guest = guest(&[]);
    assert_eq!(hypercall(&mut guest, HYPERCALL_INIT, [0; 2]), None);
    assert_eq!((guest.vcpu.frame.eax, guest.vcpu.mode), (0, Mode::Paravirtual));
    hypercall(&mut guest, HYPERCALL_INIT, [0; 2]);
    assert_eq!((guest.vcpu.frame.eax, guest.vcpu.mode), (!0, Mode::Paravirtual));
}

#[test]
fn a_number_that_is_no_call_names_the_gate_and_is_repeated() {
    for number in [Call::COUNT as u32, 0x7F, 0x83, !0] {
        let mut guest = paravirtual();
        let eip = guest.vcpu.frame.eip;
        assert_eq!(hypercall(&mut guest, number, [0; 2]), Some(Fault::general_protection(0x782)));
        assert_eq!(guest.vcpu.frame.eip, eip - 2);
    }
}

#[test]
fn a_number_that_cannot_be_read_is_the_stacks_fault() {
    let mut guest = paravirtual();
    guest.vcpu.frame.vector = HYPERCALL.into();
    guest.vcpu.frame.esp = GUEST_MEMORY;
    guest.exit().unwrap();
    assert_eq!(guest.vcpu.exception.map(|fault| fault.vector), Some(14));
}

#[test]
fn wild_pointers_fault_at_the_hypercall_and_nothing_is_done() {
    let pointers: [(Call, usize); 12] = [
        (Call::SET_GDT, 0),
        (Call::SET_IDT, 0),
        (Call::GET_GDT, 0),
        (Call::GET_IDT, 0),
        (Call::WRITE_GDT_ENTRY, 0),
        (Call::WRITE_LDT_ENTRY, 0),
        (Call::WRITE_IDT_ENTRY, 0),
        (Call::SET_PXE, 1),
        (Call::SET_PXE_LONG, 2),
        (Call::INSB, 0),
        (Call::OUTSB, 0),
        (Call::INSL, 0),
    ];
    for (wild, (each, place)) in WILD.iter().flat_map(|wild| pointers.map(|pointer| (*wild, pointer))) {
        let mut guest = paravirtual();
        let (memory, frame) = (guest.host.memory[BUFFER as usize..].to_vec(), guest.vcpu.frame);
        let (gdt, idt) = (guest.vcpu.gdt, guest.vcpu.idt);
        let mut arguments = arguments(each);
        arguments[place] = wild;
        if arguments.len() == 4 && place == 0 {
            arguments[1] = 0;
        }
        let fault = call(&mut guest, each, &arguments).map(|fault| fault.vector);
        assert!(matches!(fault, Some(13 | 14)), "{each} {wild:08x}: {fault:?}");
        assert_eq!(guest.vcpu.frame.eip, frame.eip - 2);
        assert_eq!((guest.vcpu.gdt, guest.vcpu.idt), (gdt, idt));
        assert_eq!(guest.host.memory[BUFFER as usize..], memory);
        assert!(guest.host.flushes.is_empty() && guest.host.ports.is_empty(), "{each}");
    }
}

#[test]
fn the_interrupt_flag_is_bit_9() {
    let mut guest = paravirtual();
    for (mask, enabled) in [(0x200, true), (!0x200, false), (!0, true), (0, false)] {
        call(&mut guest, Call::SET_INTERRUPT_MASK, &[mask]);
        assert_eq!(guest.vcpu.interrupt_flag, enabled);
        call(&mut guest, Call::GET_INTERRUPT_MASK, &[]);
        assert_eq!(guest.vcpu.frame.eax, if enabled { 0x200 } else { 0 });
    }
}

#[test]
fn the_slow_return_goes_by_the_frame_above_the_number() {
    let mut guest = paravirtual();
    raise_interrupt(&mut guest, 0x30);
    let frame = [HYPERCALL_IRET, place::CODE + 0x10, u32::from(selector::CODE | 1), 0x3202];
    poke_words(&mut guest, place::STACK - 16, &frame);
    guest.vcpu.frame.vector = HYPERCALL.into();
    guest.vcpu.frame.esp = place::STACK - 16;
    guest.exit().unwrap();
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.esp), (place::CODE + 0x10, place::STACK));
    assert_eq!((guest.vcpu.interrupt_flag, guest.vcpu.iopl), (true, 0), "a return does not set the level");
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
    assert_eq!(peek(&guest, guest.vcpu.frame.esp), place::CODE + 0x10);
}

#[test]
fn halt_unmasks_and_waits_until_there_is_work() {
    let mut guest = paravirtual();
    assert_eq!(call(&mut guest, Call::HALT, &[]), None);
    assert!(guest.vcpu.interrupt_flag && guest.vcpu.halted);
    guest.board.time.set_alarm(AlarmFlags::WIRED_LVTT, 1000, 0);
    guest.board.apic.write(crate::device::apic::register::LVT_TIMER, 0x30);
    assert_eq!(guest.enter(), Ok(crate::run::Entry::Wait));
    guest.host.cycles += 1000;
    assert_eq!(guest.enter(), Ok(crate::run::Entry::Run));
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.halted), (handler(0x30), false));
}

#[test]
fn reboot_and_shutdown_end_the_guest() {
    for (number, stop) in [(Call::REBOOT, Stop::Reset), (Call::SHUTDOWN, Stop::PowerOff)] {
        let mut guest = paravirtual();
        guest.vcpu.frame.vector = HYPERCALL.into();
        guest.vcpu.frame.esp = place::STACK - 16;
        poke_words(&mut guest, place::STACK - 16, &[number.number()]);
        assert_eq!(guest.exit(), Err(stop));
    }
}

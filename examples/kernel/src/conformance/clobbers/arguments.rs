//! Arguments with which every call can be made at any time, and changes nothing.
//!
//! # Safety
//!
//! The buffers are the checks' own.
#![allow(unsafe_code)]

use paravirt_vmi::abi::flags::{FlushTlb, PageFlags, PageUpdateFlags};
use paravirt_vmi::abi::{Call, DescriptorTableRegister};

use super::super::calls;
use super::super::registers::Registers;
use crate::fault::catch;
use crate::gdt::{FIRST_SPARE, KERNEL_DATA, TASK_STATE};
use crate::paging::{LOCAL_APIC, PAGE_SIZE, WINDOW};
use crate::traps::SPARE;
use crate::{gdt, idt, paging, raw, task};

/// A model-specific register that nobody uses.
const IA32_SYSENTER_ESP: u32 = 0x175;
/// A port whose values mean nothing.
const POST_CODE: u32 = 0x80;
/// The PCI configuration address, which has 32 bits.
const PCI_ADDRESS: u32 = 0xCF8;
/// EFLAGS.DF, which no interrupt frame here has, and bit 1, which each has.
const FRAME_FLAGS: u32 = 1 << 1;

static mut IMAGE: DescriptorTableRegister = DescriptorTableRegister::new(0, 0);
static mut BUFFER: [u32; 4] = [0; 4];
/// An entry of 8 bytes in no table.
static mut ENTRY: u64 = 0;
/// A page that is announced as a table.
static mut TABLE: paging::Table = paging::Table([0; 1024]);

/// `registers` with the arguments of `call` in their places.
pub fn of(call: Call, registers: Registers) -> Registers {
    let image = |register| {
        // SAFETY: nothing refers to the image.
        unsafe { IMAGE = register };
        &raw const IMAGE as u32
    };
    let buffer = &raw const BUFFER as u32;
    let table = &raw const TABLE as u32 / PAGE_SIZE;
    let entry = |table: u32, index: u16| Registers {
        eax: table,
        edx: index.into(),
        ecx: 0,
        stack: [0; 2],
        ..registers
    };
    let with_eax = |eax| Registers { eax, ..registers };
    match call {
        Call::CPUID => Registers { eax: 1, ecx: 0, ..registers },
        Call::WRMSR => Registers { ecx: IA32_SYSENTER_ESP, eax: 0, edx: 0, ..registers },
        Call::RDMSR => Registers { ecx: IA32_SYSENTER_ESP, ..registers },
        Call::SET_GDT => with_eax(image(gdt::register())),
        Call::SET_IDT => with_eax(image(idt::register(idt::table()))),
        Call::GET_GDT | Call::GET_IDT => with_eax(image(DescriptorTableRegister::new(0, 0))),
        Call::SET_LDT => with_eax(0),
        Call::SET_TR => {
            calls::make_task_available();
            with_eax(TASK_STATE.into())
        }
        Call::WRITE_GDT_ENTRY => entry(gdt::table() as u32, FIRST_SPARE),
        Call::WRITE_LDT_ENTRY => entry(buffer, 1),
        Call::WRITE_IDT_ENTRY => {
            let gate = idt::table().cast::<u64>().wrapping_add(SPARE.into());
            // SAFETY: an entry of the table.
            let gate = unsafe { gate.read_volatile() };
            let (ecx, high) = (gate as u32, (gate >> 32) as u32);
            Registers { ecx, stack: [high, 0], ..entry(idt::table() as u32, SPARE.into()) }
        }
        Call::UPDATE_KERNEL_STACK => {
            let (eax, ecx) = (KERNEL_DATA.into(), task::kernel() as u32);
            Registers { eax, edx: gdt::interrupt_stack(), ecx, ..registers }
        }
        Call::SET_CR0 => with_eax(raw::cr0()),
        Call::SET_CR2 => with_eax(0),
        Call::SET_CR3 => with_eax(raw::cr3()),
        Call::SET_CR4 => with_eax(raw::cr4()),
        Call::SET_DR => Registers { eax: 0, edx: 0, ..registers },
        Call::GET_DR => with_eax(7),
        Call::RDPMC => Registers { ecx: 0, ..registers },
        // masked, whatever the other bits
        Call::SET_INTERRUPT_MASK => with_eax(registers.eax & !0x200),
        Call::IRET => {
            let frame = registers.flags >> 8 & 0xFF | (registers.flags & 1) << 11;
            Registers { stack: [frame | FRAME_FLAGS, 0], ..registers }
        }
        Call::SET_PXE => {
            let edx = paging::window_entry(1) as u32;
            Registers { eax: 0, edx, ecx: PageUpdateFlags::PT.bits(), ..registers }
        }
        Call::SET_PXE_LONG => {
            let stack = [PageUpdateFlags::PT.bits(), 0];
            Registers { eax: 0, edx: 0, ecx: &raw const ENTRY as u32, stack, ..registers }
        }
        Call::UPDATE_PXE => {
            let eax = paging::window_entry(1) as u32;
            Registers { eax, edx: PageUpdateFlags::PT.bits(), ..registers }
        }
        Call::UPDATE_PXE_LONG => {
            Registers { eax: &raw const ENTRY as u32, edx: PageUpdateFlags::PT.bits(), ..registers }
        }
        Call::MACHINE_TO_PHYSICAL => with_eax(PAGE_SIZE),
        Call::PHYSICAL_TO_MACHINE => Registers { eax: PAGE_SIZE, edx: 0, ..registers },
        Call::ALLOCATE_PAGE => {
            let flags = PageFlags::PT.union(PageFlags::ZEROED).bits();
            Registers { eax: table, edx: flags, ecx: 0, ..registers }
        }
        Call::RELEASE_PAGE => Registers { eax: table, edx: PageFlags::PT.bits(), ..registers },
        Call::INVAL_PAGE => with_eax(WINDOW),
        Call::FLUSH_TLB => with_eax(FlushTlb::TLB.union(FlushTlb::GLOBAL).bits()),
        Call::SET_LINEAR_MAPPING => {
            let mapping = paging::LOW_MEMORY;
            let (edx, ecx, stack) = (mapping.address, mapping.pages, [mapping.first_frame, 0]);
            Registers { eax: 0, edx, ecx, stack, ..registers }
        }
        Call::INL => Registers { edx: PCI_ADDRESS, ..registers },
        Call::INB | Call::INW => Registers { edx: POST_CODE, ..registers },
        Call::INSL | Call::INSB | Call::INSW => {
            Registers { edi: buffer, edx: POST_CODE, ecx: 2, ..registers }
        }
        // The upper part of EAX and of EDX is the caller's.
        Call::OUTL | Call::OUTB | Call::OUTW => Registers { edx: POST_CODE, ..registers },
        Call::OUTSL | Call::OUTSB | Call::OUTSW => {
            Registers { esi: buffer, edx: POST_CODE, ecx: 2, ..registers }
        }
        Call::SET_IOPL_MASK => with_eax(0),
        Call::SET_INITIAL_AP_STATE => {
            Registers { eax: calls::ap_state(), edx: calls::OTHER_PROCESSOR.into(), ..registers }
        }
        Call::APIC_WRITE => Registers { eax: LOCAL_APIC + 0x80, edx: 0, ..registers },
        Call::APIC_READ => with_eax(LOCAL_APIC + 0x80),
        Call::GET_CYCLE_COUNTER | Call::CANCEL_ALARM | Call::SET_LAZY_MODE => with_eax(0),
        // in some thousand years
        Call::SET_ALARM => Registers { eax: 0, edx: !0, ecx: !0 >> 1, ..registers },
        // The others have no argument.
        _ => registers,
    }
}

/// How many bytes of the stack the call removes: the frame of IRET.
pub fn removed(call: Call) -> u32 {
    if call == Call::IRET { 12 } else { 0 }
}

/// Whether the processor has a performance counter.
pub fn has_counters() -> bool {
    // SAFETY: an exception is caught.
    catch(|| unsafe { raw::rdpmc(0) }).is_ok()
}

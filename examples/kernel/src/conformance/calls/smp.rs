//! The second processor: started in a state in which no register is what it would be by chance.
//!
//! # Safety
//!
//! The processor runs nothing of the kernel when it is started, and sleeps when it has reported. Its stack
//! and its tables are its own.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::time::Duration;

use paravirt_vmi::abi::{Call, DescriptorTableRegister, RelocationKind};
use paravirt_vmi::cpu::{Cr0, Cr4};
use paravirt_vmi::descriptor::{Descriptor, Selector};
use paravirt_vmi::smp::{ApStatePage, InitialState, ProcessorStart, StartError, StartErrorCause};

use super::apic::apic;
use super::check;
use super::descriptor::{BYTES, contents};
use crate::activation::Activation;
use crate::ap::{self, Answers};
use crate::gdt::{self, ENTRIES, FIRST_SPARE, KERNEL_CODE, KERNEL_DATA};
use crate::report::{Check, Report};
use crate::serial::line;
use crate::traps::VECTORS;
use crate::{idt, paging, pit, raw};

/// The APIC id of the second processor.
pub const OTHER_PROCESSOR: u8 = 1;
const TIMEOUT: Duration = Duration::from_millis(100);

/// CPUID leaf 80000001, EDX.
const CPUID_NX: u32 = 1 << 20;
const EFER_NXE: u64 = 1 << 11;
/// EFLAGS.OF, SF, ZF, AF, PF and CF, and bit 1, which is always set.
const EFLAGS: u32 = 0x8D7;

const STACK_SIZE: u32 = 8192;
#[repr(C, align(16))]
struct Stack([u8; STACK_SIZE as usize]);
static mut STACK: Stack = Stack([0; STACK_SIZE as usize]);
static mut GDT: gdt::Table = gdt::Table([Descriptor(0); ENTRIES]);
static mut STATE: MaybeUninit<ApStatePage> = MaybeUninit::uninit();

#[repr(C, align(4096))]
struct LocalTable([Descriptor; 4]);
static mut LDT: LocalTable = LocalTable([Descriptor(0); 4]);

/// Entries of the processor's GDT.
const FS: u16 = FIRST_SPARE;
const LOCAL: u16 = FIRST_SPARE + 1;
const DATA: u16 = FIRST_SPARE + 2;

pub fn run(report: &mut Report, activation: &Activation) {
    let by_rom = activation.relocation_kind(Call::SET_INITIAL_AP_STATE) == RelocationKind::CALL_REL;
    let is_alone = activation.processors == 1;
    if is_alone {
        line!("this machine has one processor: call 62 is checked to start none");
    }
    let start = |check: &mut Check| start(check, by_rom, is_alone);
    check(report, Call::SET_INITIAL_AP_STATE, start);
    if raw::cpuid(1, 0)[3] & paging::CPUID_PAE != 0 {
        // SAFETY: interrupts are masked, and the processor has PAE.
        unsafe { paging::pae::with_pae(|| check(report, "pae.smp", start)) };
    }
}

/// Linear address of a state in which the processor could start.
pub fn ap_state() -> u32 {
    let page = &raw mut STATE;
    if let Ok(state) = ApStatePage::new(&state()) {
        // SAFETY: nothing refers to the page.
        unsafe { (*page).write(state) };
    }
    page as u32
}

fn has_nx() -> bool {
    raw::cpuid(0x8000_0001, 0)[3] & CPUID_NX != 0
}

/// The state: each register has a value of its own, GS lies in the LDT, and the tables are the processor's.
fn state() -> InitialState {
    let (table, local) = (&raw mut GDT, &raw mut LDT);
    // SAFETY: the processor does not run, so nobody uses its tables.
    unsafe { table.copy_from_nonoverlapping(gdt::table().cast::<gdt::Table>(), 1) };
    // SAFETY: as above.
    let entries = unsafe { &mut (*table).0 };
    entries[usize::from(FS)] = contents(1);
    entries[usize::from(DATA)] = gdt::FLAT_DATA;
    let limit = size_of::<LocalTable>().min(size_of::<[Descriptor; 4]>()) as u32 - 1;
    entries[usize::from(LOCAL)] = gdt::system_segment(local as u32, limit, 2);
    // SAFETY: as above.
    unsafe { (*local).0[2] = contents(2) };
    let [code, data] = [KERNEL_CODE, KERNEL_DATA].map(|segment| Selector(segment).in_kernel_ring());
    InitialState {
        cr0: Cr0::PG | Cr0::WP | Cr0::NE | Cr0::MP | Cr0::TS | Cr0::PE | Cr0::ET,
        cr2: 0x2222_2222,
        cr3: raw::cr3(),
        cr4: Cr4::from_bits_retain(raw::cr4()) | Cr4::DE | Cr4::TSD,
        efer: if has_nx() { EFER_NXE } else { 0 },
        eflags: EFLAGS,
        eax: 0xAAAA_0001,
        ebx: 0xBBBB_0002,
        ecx: 0xCCCC_0003,
        edx: 0xDDDD_0004,
        ebp: 0xEBEB_0005,
        esi: 0x5151_0006,
        edi: 0xD1D1_0007,
        cs: code,
        ss: data,
        ds: data,
        es: gdt::selector(DATA).in_kernel_ring(),
        fs: gdt::selector(FS).in_kernel_ring(),
        gs: Selector::ldt(2).in_kernel_ring(),
        ldt: gdt::selector(LOCAL),
        gdt: DescriptorTableRegister::new((8 * (DATA + 1)) - 1, table as u32),
        idt: DescriptorTableRegister::new(8 * VECTORS as u16 - 9, idt::table() as u32),
        ..InitialState::new(ap::entry(), &raw const STACK as u32 + STACK_SIZE)
    }
}

/// Starts the processor and compares what it found with what it was given. `by_rom`: not by the kernel's own
/// page. `is_alone`: there is no such processor, and nothing happens.
fn start(check: &mut Check, by_rom: bool, is_alone: bool) {
    let state = state();
    let page = match ApStatePage::new(&state) {
        Ok(page) => page,
        Err(error) => return check.failed(format_args!("{error}")),
    };
    let place = &raw mut STATE;
    // SAFETY: the processor does not run, so nobody refers to the page.
    let page = unsafe { (*place).write(page) };
    ap::prepare(page, has_nx());
    let start = ProcessorStart {
        apic_id: OTHER_PROCESSOR,
        state: page,
        trampoline: ap::TRAMPOLINE,
        timeout: TIMEOUT,
    };
    // SAFETY: see the module; what the state names stays in place, and interrupts are masked.
    let outcome = unsafe { start.run(&apic(), pit::wait, ap::is_up) };
    match outcome {
        Err(StartError { cause: StartErrorCause::TimedOut { .. }, .. }) if is_alone => return,
        Err(error) => return check.failed(format_args!("{error}")),
        Ok(()) => check.equal("there is another processor", is_alone, false),
    };
    check.equal("started by the ROM", !ap::was_native(), by_rom);
    let (found, answers) = ap::report();
    let general = [state.eax, state.ebx, state.ecx, state.edx, state.esp, state.ebp, state.esi, state.edi];
    check.equal("EAX, EBX, ECX, EDX, ESP, EBP, ESI, EDI", found.general, general);
    check.equal("EFLAGS", found.eflags, state.eflags);
    let control = [state.cr0.bits(), state.cr2, state.cr3, state.cr4.bits()];
    check.equal("CR0, CR2, CR3, CR4", found.control, control);
    let selectors = [state.cs, state.ss, state.ds, state.es, state.fs, state.gs, state.ldt];
    let found_selectors = found.selectors.map(|word| Selector(word as u16));
    check.equal("CS, SS, DS, ES, FS, GS, LDT", found_selectors, selectors);
    check.equal("first bytes in FS and GS", found.bytes, [1, 2].map(|first| BYTES[first].into()));
    check.equal("EFER", u64::from(found.efer), state.efer);
    for (what, words, expected) in [("GDT", found.tables[0], state.gdt), ("IDT", found.tables[1], state.idt)]
    {
        let found = ap::table(words);
        let parts = |table: DescriptorTableRegister| (table.base.get(), table.limit.get());
        check.equal(what, parts(found), parts(expected));
    }
    let expected = Answers {
        enabled: [false; 2],
        cr3: state.cr3,
        apic_id: OTHER_PROCESSOR,
        gdt: state.gdt.base.get(),
        time_passes: true,
    };
    check.equal("what its calls answered", answers, expected);
}

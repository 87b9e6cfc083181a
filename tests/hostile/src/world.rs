//! The guest's own segments, gates, task state and pages, which the attempts change at will.
//!
//! # Safety
//!
//! See [`machine`]: the tables are memory at fixed addresses that is read and written as words.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use paravirt_vmi::abi::Call;
use paravirt_vmi::boot::{self, Backend};
use paravirt_vmi::irq;
use paravirt_vmi::patch::DirectWriter;

use crate::machine;
use crate::serial::line;
use crate::trap::{self, Fault};

/// Selectors. In ring 1 they have RPL 1: see [`kernel`].
pub const CODE: u32 = 0x08;
pub const DATA: u32 = 0x10;
pub const USER_CODE: u32 = 0x1B;
pub const USER_DATA: u32 = 0x23;
pub const TASK: u32 = 0x28;
/// The first of the entries of the GDT that are for attempts to fill.
pub const SPARE: u32 = 0x30;

/// Where the hypervisor's part of the linear address space begins.
pub const TOP: u32 = 0xFFC0_0000;
/// Where the hypervisor lies in physical memory.
pub const HYPERVISOR: u32 = 0x0400_0000;
/// A linear address that no other part of the program uses, and the entry of the page directory for it.
pub const WINDOW: u32 = 0x4000_0000;
/// What is written where it should not be possible.
pub const PATTERN: u32 = 0xBAD0_CAFE;

const DESCRIPTORS: u32 = 64;
const PAGE_SIZE: u32 = 4096;

/// Pages of memory that are used as tables.
#[repr(C, align(4096))]
struct Pages<const COUNT: usize>(UnsafeCell<[[u32; 1024]; COUNT]>);

// SAFETY: there is one processor, and the memory is used by its address only.
unsafe impl<const COUNT: usize> Sync for Pages<COUNT> {}

impl<const COUNT: usize> Pages<COUNT> {
    const fn new() -> Self {
        Self(UnsafeCell::new([[0; 1024]; COUNT]))
    }

    fn address(&self) -> u32 {
        self.0.get().addr() as u32
    }
}

static GDT_PAGE: Pages<1> = Pages::new();
static IDT_PAGE: Pages<1> = Pages::new();
static TASK_PAGES: Pages<3> = Pages::new();
static DIRECTORY: Pages<1> = Pages::new();
static WINDOW_TABLE: Pages<1> = Pages::new();
static TOP_TABLE: Pages<1> = Pages::new();
static TOP_PAGE: Pages<1> = Pages::new();
static SCRATCH: Pages<8> = Pages::new();
static TRAP_STACK: Pages<4> = Pages::new();
static USER_STACK: Pages<4> = Pages::new();

/// The address of a descriptor in the GDT.
pub fn gdt_entry(selector: u32) -> u32 {
    GDT_PAGE.address() + (selector & !7)
}

/// The address of the IDT.
pub fn idt() -> u32 {
    IDT_PAGE.address()
}

/// The address of the task state segment.
pub fn task() -> u32 {
    TASK_PAGES.address()
}

/// The address of the page directory.
pub fn directory() -> u32 {
    DIRECTORY.address()
}

/// The address of the page table for [`WINDOW`].
pub fn window_table() -> u32 {
    WINDOW_TABLE.address()
}

/// The address of a page without a purpose of its own, of which there are eight.
pub fn scratch(index: u32) -> u32 {
    SCRATCH.address() + index * PAGE_SIZE
}

/// Bits of page table entries.
pub mod page {
    pub const PRESENT: u32 = 1 << 0;
    pub const WRITABLE: u32 = 1 << 1;
    pub const USER: u32 = 1 << 2;
    pub const LARGE: u32 = 1 << 7;
    pub const KERNEL: u32 = PRESENT | WRITABLE;
    pub const ALL: u32 = PRESENT | WRITABLE | USER;
}

/// Bits of control registers.
pub mod control {
    /// CR0.
    pub const PROTECTION: u32 = 1 << 0;
    pub const WRITE_PROTECT: u32 = 1 << 16;
    pub const PAGING: u32 = 1 << 31;
    /// CR4.
    pub const LARGE_PAGES: u32 = 1 << 4;
    pub const PHYSICAL_ADDRESS_EXTENSION: u32 = 1 << 5;
}

/// A selector of the kernel, with the ring that this runs in.
pub fn kernel(selector: u32) -> u32 {
    selector | (machine::cs() & 3)
}

/// The two words of a segment descriptor: `access` is its second highest word's, with the four flags above.
pub fn segment(base: u32, limit: u32, access: u32) -> [u32; 2] {
    let low = (base << 16) | (limit & 0xFFFF);
    let high = (base & 0xFF00_0000) | (base >> 16 & 0xFF) | (limit & 0xF_0000) | (access << 8);
    [low, high]
}

/// Access of flat segments: present, and the flags of 32 bits and of limits in pages.
pub mod access {
    pub const CODE_0: u32 = 0xC09B;
    pub const DATA_0: u32 = 0xC093;
    pub const CODE_3: u32 = 0xC0FB;
    pub const DATA_3: u32 = 0xC0F3;
    pub const CONFORMING_0: u32 = 0xC09F;
    pub const EXPAND_DOWN_0: u32 = 0xC097;
    pub const LDT: u32 = 0x0082;
    pub const TASK: u32 = 0x0089;
}

/// The two words of a gate; `access` is its type with DPL and P.
pub fn gate(selector: u32, offset: u32, access: u32) -> [u32; 2] {
    [(selector << 16) | (offset & 0xFFFF), (offset & 0xFFFF_0000) | (access << 8)]
}

/// Types of gates, present.
pub mod gate_access {
    pub const INTERRUPT_0: u32 = 0x8E;
    pub const INTERRUPT_3: u32 = 0xEE;
    pub const CALL_0: u32 = 0x8C;
    pub const CALL_3: u32 = 0xEC;
    pub const TASK_0: u32 = 0x85;
}

/// Writes a descriptor of the GDT.
pub fn set_gdt(selector: u32, descriptor: [u32; 2]) {
    set_descriptor(gdt_entry(selector), descriptor);
}

/// Writes a gate of the IDT.
pub fn set_idt(vector: u32, gate: [u32; 2]) {
    set_descriptor(idt() + vector * 8, gate);
}

/// Writes a descriptor anywhere.
pub fn set_descriptor(address: u32, [low, high]: [u32; 2]) {
    // Not present while it is half written.
    machine::write(address + 4, 0);
    machine::write(address, low);
    machine::write(address + 4, high);
}

/// The six bytes that LGDT and LIDT want, in a page of [`scratch`].
pub fn pseudo_descriptor(base: u32, limit: u32) -> u32 {
    let place = scratch(7) + PAGE_SIZE - 8;
    machine::write(place, limit | (base << 16));
    machine::write(place + 4, base >> 16);
    place
}

/// Loads segments, gates and task state, turns on paging, and masks the interrupt controllers.
pub fn initialize() {
    for (selector, access) in [
        (CODE, access::CODE_0),
        (DATA, access::DATA_0),
        (USER_CODE, access::CODE_3),
        (USER_DATA, access::DATA_3),
    ] {
        set_gdt(selector, segment(0, 0xF_FFFF, access));
    }
    set_gdt(TASK, segment(task(), 0x2FFF, access::TASK));
    // ESP0, SS0, and the offset of an I/O bitmap that is not there
    machine::write(task() + 4, TRAP_STACK.address() + 4 * PAGE_SIZE);
    machine::write(task() + 8, kernel(DATA));
    machine::write(task() + 0x64, 0xFFFF_0000);
    for vector in 0..256 {
        set_idt(vector, gate(CODE, trap::stub(vector), gate_access::INTERRUPT_0));
    }
    set_idt(trap::USER_DONE, gate(CODE, trap::stub(trap::USER_DONE), gate_access::INTERRUPT_3));

    machine::lgdt(pseudo_descriptor(gdt_entry(0), DESCRIPTORS * 8 - 1));
    reload_segments();
    machine::lidt(pseudo_descriptor(idt(), 0x7FF));
    machine::ltr(TASK);

    // The lower 32 MiB as they are, for the user too.
    for index in 0..8 {
        machine::write(directory() + index * 4, (index << 22) | page::LARGE | page::ALL);
    }
    machine::write(directory() + (WINDOW >> 22) * 4, window_table() | page::ALL);
    machine::set_cr4(machine::cr4() | control::LARGE_PAGES);
    machine::set_cr3(directory());
    machine::set_cr0(machine::cr0() | control::PAGING | control::WRITE_PROTECT);

    for port in [0x21, 0xA1] {
        machine::out8(port, 0xFF);
    }
}

fn reload_segments() {
    // SAFETY: the GDT has just been loaded, with these two segments flat.
    unsafe {
        core::arch::asm!(
            "mov ecx, cs",
            "and ecx, 3",
            "lea eax, [ecx + 0x08]",
            "push eax",
            "lea eax, [2f]",
            "push eax",
            "retf",
            "2:",
            "lea eax, [ecx + 0x10]",
            "mov ds, eax",
            "mov es, eax",
            "mov ss, eax",
            out("eax") _,
            out("ecx") _,
        );
    }
}

/// Looks for a VMI ROM, and patches the program if there is one; `inline` says whether sites may hold the ROM's own
/// code.
///
/// # Panics
///
/// If there is one that cannot be used.
pub fn activate(inline: bool) {
    unsafe extern "C" {
        safe static text_start: u8;
        safe static text_end: u8;
    }
    let text = (&raw const text_start).addr() as u32..(&raw const text_end).addr() as u32;
    // SAFETY: the text is mapped writable, and nothing else writes it.
    let mut writer = unsafe { DirectWriter::new(text) };
    let options = boot::Options { enabled: true, physical_offset: 0, linear_mapping: None, inline };
    // SAFETY: interrupts are masked, there is one processor, and the window is mapped at its own address.
    match unsafe { boot::activate(&options, &mut writer) } {
        Ok(Backend::Native(reason)) => line!("native: {reason}"),
        Ok(Backend::Vmi(vmi)) => {
            let is_inline = vmi.plan.inline_code(Call::DISABLE_INTERRUPTS).is_some();
            let at_sites = if is_inline { "its code" } else { "calls" };
            line!("VMI ROM at {:05x}, ring {}, {at_sites} at sites", vmi.rom.address(), vmi.kernel_ring);
            for (entry, call) in ROM_ENTRIES.iter().zip(CALLS) {
                entry.store(vmi.plan.relocation(call).target, Relaxed);
            }
        }
        Err(error) => panic!("{error}"),
    }
    machine::write(task() + 8, kernel(DATA));
}

/// Calls whose code in the ROM is looked for.
const CALLS: [Call; 5] = [
    Call::ENABLE_INTERRUPTS,
    Call::DISABLE_INTERRUPTS,
    Call::GET_INTERRUPT_MASK,
    Call::SET_INTERRUPT_MASK,
    Call::IRET,
];

static ROM_ENTRIES: [AtomicU32; CALLS.len()] = [const { AtomicU32::new(0) }; CALLS.len()];

/// Where the ROM's interrupt calls and IRET begin; nowhere without a ROM.
pub fn rom_entries() -> impl Iterator<Item = u32> {
    ROM_ENTRIES.iter().map(|entry| entry.load(Relaxed)).filter(|entry| *entry != 0)
}

/// Unmasks interrupts: the controllers are masked.
pub fn unmask() {
    // SAFETY: a handler for every vector is installed.
    unsafe { irq::enable() };
}

/// Puts back what [`irq::save`] gave.
pub fn restore(state: irq::State) {
    // SAFETY: as above.
    unsafe { irq::restore(state) };
}

/// Lets the timer interrupt, so that a processor which sleeps wakes up.
pub fn start_timer() {
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x20),
        (0x21, 0x04),
        (0x21, 0x01),
        (0x43, 0x34),
        (0x40, 0x00),
        (0x40, 0x10),
        (0x21, 0xFE),
    ] {
        machine::out8(port, value);
    }
}

/// Maps a page of the program at every page of the hypervisor's part of the linear address space, and
/// returns its address. A hypervisor does not let that happen.
pub fn claim_top() -> u32 {
    let (table, page) = (TOP_TABLE.address(), TOP_PAGE.address());
    for index in 0..1024 {
        machine::write(table + index * 4, page | page::KERNEL);
    }
    machine::write(directory() + (TOP >> 22) * 4, table | page::KERNEL);
    machine::set_cr3(directory());
    page
}

/// Maps a page at [`WINDOW`].
pub fn map_window(physical: u32, bits: u32) {
    machine::write(window_table(), physical | bits);
    machine::invlpg(WINDOW);
}

/// Runs `program` in ring 3 with an argument and with `eflags`; what it returns, or the fault that it met.
pub fn user(program: extern "C" fn(u32) -> u32, argument: u32, eflags: u32) -> Result<u32, Fault> {
    let fault = trap::catch(|| enter_user(program, argument, eflags));
    match fault {
        Err(fault) if fault.vector == trap::USER_DONE => Ok(fault.eax),
        Err(fault) => Err(fault),
        Ok(()) => unreachable!("ring 3 came back without an interrupt"),
    }
}

fn enter_user(program: extern "C" fn(u32) -> u32, argument: u32, eflags: u32) {
    let stack = USER_STACK.address() + 4 * PAGE_SIZE - 16;
    // The program's argument, and above it where it returns to: ring 3's last instruction.
    machine::write(stack + 4, argument);
    machine::write(stack, user_end());
    // SAFETY: see the module.
    unsafe {
        core::arch::asm!(
            "push {data}",
            "push edx",
            "push eax",
            "push {code}",
            "lea eax, [2f]",
            "push eax",
            "iretd",
            "2:",
            "mov eax, {data}",
            "mov ds, eax",
            "mov es, eax",
            "jmp ecx",
            data = const USER_DATA,
            code = const USER_CODE,
            in("eax") eflags,
            in("ecx") program,
            in("edx") stack,
        );
    }
}

core::arch::global_asm!(
    r#"
    .section .boot.text.hostile, "ax", @progbits
    .globl user_end
user_end:
    int 0x80
    .text
"#
);

fn user_end() -> u32 {
    unsafe extern "C" {
        safe static user_end: u8;
    }
    (&raw const user_end).addr() as u32
}

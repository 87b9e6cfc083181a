//! Descriptor tables, selectors and the kernel stack.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`set_gdt`], [`set_idt`] | `lgdt` and all segment registers again, `lidt` | SetGDT (3), SetIDT (5) |
//! | [`set_ldt`], [`set_tr`] | `lldt` and all segment registers again, `ltr` | SetLDT (4), SetTR (6) |
//! | [`gdt`], [`idt`] | `sgdt`, `sidt` | GetGDT (7), GetIDT (9) |
//! | [`ldt`], [`tr`] | `sldt`, `str` | GetLDT (8), GetTR (10) |
//! | [`write_gdt_entry`], [`write_ldt_entry`], [`write_idt_entry`] | two stores | WriteGDTEntry (11) to WriteIDTEntry (13) |
//! | [`update_kernel_stack`] | stores to the TSS | the stores, and UpdateKernelStack (14) |
//!
//! # The kernel's ring
//!
//! vmi_init may leave the kernel in ring 1 or 2. From then on a selector of a kernel segment that is loaded,
//! or stored where it will be loaded, carries that ring as its RPL: [`Selector::in_kernel_ring`]. A selector
//! that is read back may carry it too, so compare with [`Selector::same_segment`]. Whether a frame came from
//! user mode is [`came_from_user`], never "its RPL is not 0". Natively all of this is what a kernel does
//! anyway. Source: facts sheet, sections 5.6 and 8.8.
//!
//! # Tables under a hypervisor
//!
//! GDT, LDT and IDT begin at a page, and each processor has a GDT and an LDT of its own. Once a table is
//! loaded it is changed by calls only, on the processor that has loaded it. The hypervisor may edit the
//! entries. Source: facts sheet, section 7.3.
//!
//! # Safety
//!
//! The blocks below make the calls of the table. What a wrong descriptor does to memory safety has no
//! bounds: whatever changes one is `unsafe`.
#![allow(unsafe_code)]

use core::mem::offset_of;

pub use paravirt_vmi_abi::DescriptorTableRegister;
use static_assertions::const_assert;

use crate::arch;

/// A segment selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Selector(pub u16);

impl Selector {
    /// Names no segment.
    pub const NULL: Self = Self(0);

    /// The selector of the GDT's entry `index`, with RPL 0. Bits 15 to 13 of the index do not count.
    #[must_use]
    pub const fn gdt(index: u16) -> Self {
        Self(index << 3)
    }

    /// The selector of the LDT's entry `index`, with RPL 0. Bits 15 to 13 of the index do not count.
    #[must_use]
    pub const fn ldt(index: u16) -> Self {
        Self(index << 3 | 4)
    }

    /// The entry that the selector names.
    pub const fn index(self) -> u16 {
        self.0 >> 3
    }

    /// Whether the entry is one of the LDT.
    pub const fn is_ldt(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the selector names no segment, whatever its RPL.
    pub const fn is_null(self) -> bool {
        self.0 & !3 == 0
    }

    /// The requested privilege level, 0 to 3.
    pub const fn rpl(self) -> u8 {
        (self.0 & 3) as u8
    }

    /// The same entry with another RPL, of which bits 1 and 0 count.
    #[must_use]
    pub const fn with_rpl(self, rpl: u8) -> Self {
        Self(self.0 & !3 | (rpl & 3) as u16)
    }

    /// The same entry with the kernel's ring as RPL: what every selector of a kernel segment must carry.
    #[must_use]
    #[inline]
    pub fn in_kernel_ring(self) -> Self {
        self.with_rpl(kernel_ring())
    }

    /// Whether both name the same entry of the same table, whatever their RPL.
    pub const fn same_segment(self, other: Self) -> bool {
        self.0 & !3 == other.0 & !3
    }
}

/// The ring in which the kernel runs: 0 natively, and what vmi_init made of it under a hypervisor.
///
/// Read from CS, so it holds on every processor, and costs no call.
#[inline]
pub fn kernel_ring() -> u8 {
    arch::ring()
}

/// Whether a frame with this CS and these EFLAGS interrupted user code: if the RPL is 3, or EFLAGS.VM is set.
///
/// Of the word at CS's place in the frame bits 15 to 2 do not count, nor do bits 31 to 16, which the
/// processor leaves as they were.
///
/// ```
/// use paravirt_vmi::descriptor::came_from_user;
///
/// assert!(came_from_user(0x1b, 0x202)); // RPL 3
/// assert!(came_from_user(0xf000, 0x2_0202)); // virtual-8086 mode
/// assert!(!came_from_user(0x09, 0x202)); // a kernel in ring 1
/// ```
///
/// Source: facts sheet, section 8.8.
#[inline]
pub const fn came_from_user(cs: u32, eflags: u32) -> bool {
    const VM: u32 = 1 << 17;
    cs & 3 == 3 || eflags & VM != 0
}

/// Loads the GDT register, and every segment register anew.
///
/// # Safety
///
/// The table at `register.base` is one of this processor's, stays valid while it is loaded, and has at each
/// selector that a segment register holds a segment that does for the code that uses it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_gdt(register: &DescriptorTableRegister) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_gdt(arch::linear(register)) };
}

/// Loads the IDT register.
///
/// # Safety
///
/// The table at `register.base` stays valid while it is loaded, and its gates lead to handlers.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_idt(register: &DescriptorTableRegister) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_idt(arch::linear(register)) };
}

/// Loads the LDT register (EAX), and every segment register anew. [`Selector::NULL`]: there is no LDT.
///
/// # Safety
///
/// The selector is null or names an LDT descriptor of the GDT, and that LDT stays valid while it is
/// loaded. As for [`set_gdt`], each segment register holds a selector that is still good.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_ldt(selector: Selector) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_ldt(u32::from(selector.0)) };
}

/// Loads the task register (EAX).
///
/// # Safety
///
/// The selector names an available TSS of the GDT, which stays valid while it is loaded.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_tr(selector: Selector) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_tr(u32::from(selector.0)) };
}

/// The GDT register as the kernel has loaded it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn gdt() -> DescriptorTableRegister {
    let mut register = DescriptorTableRegister::new(0, 0);
    // SAFETY: stores six bytes to the register image.
    unsafe { arch::call::get_gdt(arch::linear(&raw mut register)) };
    register
}

/// The IDT register as the kernel has loaded it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn idt() -> DescriptorTableRegister {
    let mut register = DescriptorTableRegister::new(0, 0);
    // SAFETY: stores six bytes to the register image.
    unsafe { arch::call::get_idt(arch::linear(&raw mut register)) };
    register
}

/// The selector in the LDT register, as the kernel has loaded it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn ldt() -> Selector {
    // SAFETY: reads only.
    Selector(unsafe { arch::call::get_ldt() } as u16)
}

/// The selector in the task register, as the kernel has loaded it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn tr() -> Selector {
    // SAFETY: reads only.
    Selector(unsafe { arch::call::get_tr() } as u16)
}

/// An entry of a descriptor table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// The double words, low one first.
    const fn halves(self) -> (u32, u32) {
        (self.0 as u32, (self.0 >> 32) as u32)
    }
}

/// Writes entry `index` (EDX) of the GDT at `table` (EAX): low half in ECX, high half on the stack.
///
/// What is stored may differ: the hypervisor raises privilege levels and truncates limits.
///
/// # Safety
///
/// `table` is a GDT of this processor and has the entry; the descriptor is sound, and no segment register
/// holds its selector unless it may be loaded anew at any time.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn write_gdt_entry(table: *mut Descriptor, index: u16, descriptor: Descriptor) {
    let (low, high) = descriptor.halves();
    // SAFETY: passed on to the caller.
    unsafe { arch::call::write_gdt_entry(arch::linear(table), u32::from(index), low, high) };
}

/// Writes entry `index` (EDX) of the LDT at `table` (EAX), as [`write_gdt_entry`] does.
///
/// # Safety
///
/// As for [`write_gdt_entry`].
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn write_ldt_entry(table: *mut Descriptor, index: u16, descriptor: Descriptor) {
    let (low, high) = descriptor.halves();
    // SAFETY: passed on to the caller.
    unsafe { arch::call::write_ldt_entry(arch::linear(table), u32::from(index), low, high) };
}

/// Writes gate `vector` (EDX) of the IDT at `table` (EAX), as [`write_gdt_entry`] does.
///
/// # Safety
///
/// `table` is an IDT of this processor and has the gate, which leads to a handler. Between the two stores
/// of the native form the gate is half an old one: the vector does not arrive meanwhile.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn write_idt_entry(table: *mut Descriptor, vector: u8, gate: Descriptor) {
    let (low, high) = gate.halves();
    // SAFETY: passed on to the caller.
    unsafe { arch::call::write_idt_entry(arch::linear(table), u32::from(vector), low, high) };
}

/// The part of a 32-bit TSS that says where the kernel's stack is: its first twelve bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TssStack {
    /// The selector of the previous task, in bits 15 to 0.
    pub link: u32,
    /// ESP of the kernel when it is entered from user code.
    pub esp0: u32,
    /// SS of the kernel when it is entered from user code, in bits 15 to 0.
    pub ss0: u32,
}
const_assert!(offset_of!(TssStack, esp0) == 4 && offset_of!(TssStack, ss0) == 8);

/// Makes `esp0` and `ss0` the stack on which this processor enters the kernel from user code.
///
/// Stores both to the TSS, and announces them: ss0 in EAX, esp0 in EDX.
///
/// # Safety
///
/// `tss` is the start of the TSS that the task register names, and `ss0:esp0` a kernel stack with at least
/// 32 bytes free, whose selector carries the kernel's ring. Nothing else writes the TSS meanwhile.
///
/// Source: facts sheet, section 4.1 and trap 5.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn update_kernel_stack(tss: *mut TssStack, ss0: Selector, esp0: u32) {
    // SAFETY: the caller vouches for the TSS.
    let stack = unsafe { &mut *tss };
    stack.esp0 = esp0;
    stack.ss0 = ss0.0.into();
    // SAFETY: passed on to the caller.
    unsafe { arch::call::update_kernel_stack(ss0.0.into(), esp0, arch::linear(tss)) };
}

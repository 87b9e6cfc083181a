//! Where things are in the linear address space of the guest, and in its physical one.

/// The lowest linear address that is the hypervisor's: the top 4 MiB of every address space.
pub const VIRTUAL_TOP: u32 = 0xFFC0_0000;

/// Bytes in a page.
pub const PAGE_SIZE: u32 = 4096;

/// The page that the ROM and the hypervisor share, [`shared`]: the only one above [`VIRTUAL_TOP`] that the
/// limits of the guest's segments include. Ring 1 may write it, ring 3 may not; but while an interrupt waits that
/// the guest has masked, it is read-only to both, so that the store that unmasks traps, and no other ever does.
pub const SHARED: u32 = VIRTUAL_TOP;
/// The last linear address that a segment of the guest may include.
pub const LAST_ADDRESS: u32 = SHARED + PAGE_SIZE - 1;

/// Whether an address lies in the page that the ROM and the hypervisor share.
pub const fn is_shared(linear: u32) -> bool {
    SHARED <= linear && linear <= LAST_ADDRESS
}

/// Words in the shared page, by offset. The guest may write anything here: the ROM and the hypervisor
/// believe nothing of it but that bit 9 of the flag is set or not.
pub mod shared {
    /// The virtual interrupt flag: bit 9, the place of EFLAGS.IF.
    pub const FLAG: u32 = 0;
    /// Not 0 while an interrupt waits that the guest has masked: what the ROM's IRET asks.
    pub const PENDING: u32 = 4;
    /// The selector that SYSEXIT loads into CS, with RPL 3.
    pub const USER_CODE: u32 = 8;
    /// The selector that SYSEXIT loads into SS, with RPL 3.
    pub const USER_STACK: u32 = 12;
}

/// The first of the 16 vectors of the real interrupt controllers. Their gates are closed to the guest, so what
/// comes by them is an interrupt of the machine, which the program around the guest has answered.
pub const REAL_INTERRUPTS: u8 = 0x20;

/// The vector by which the ROM's code calls the hypervisor: `push NUMBER; int HYPERCALL`. Open to ring 1.
pub const HYPERCALL: u8 = 0xF0;
/// Hypercall numbers below this one are those of the calls of the interface.
pub const PRIVATE_HYPERCALLS: u32 = 0x80;
/// The hypercall that vmi_init makes: from now on the guest knows that it is in ring 1.
pub const HYPERCALL_INIT: u32 = 0x80;
/// The hypercall of the ROM's IRET when an interrupt waits: returns by the frame on the stack above the
/// number, and delivers it there.
pub const HYPERCALL_IRET: u32 = 0x81;

/// Bytes of physical memory that the guest has: its own from address 0 on, the same as the machine's.
pub const GUEST_MEMORY: u32 = 32 << 20;
/// Physical address of the video memory, which is the machine's own.
pub const VIDEO_MEMORY: u32 = 0xA_0000;
/// End of the video memory.
pub const VIDEO_MEMORY_END: u32 = 0xC_0000;
/// Physical address of the ROM in the option-ROM window.
pub const ROM: u32 = 0xC_C000;
/// The end of the areas in the first mebibyte that are not memory; all but the ROM and the video memory
/// reads as ones.
pub const LOW_HOLE_END: u32 = 0x10_0000;
/// Physical address of the virtual local APIC.
pub const LOCAL_APIC: u32 = 0xFEE0_0000;

/// The number of descriptors of a GDT or an LDT that the hypervisor shadows: one page.
pub const DESCRIPTORS: u16 = 512;

/// The code segment in which a guest starts, flat but for the hypervisor's area. It is one of the hypervisor's
/// descriptors, behind those of the guest.
pub const START_CODE: u16 = 0x1020 | KERNEL_RING;
/// The data segment in which a guest starts.
pub const START_DATA: u16 = 0x1028 | KERNEL_RING;

/// The ring of the guest's kernel.
pub const KERNEL_RING: u16 = 1;

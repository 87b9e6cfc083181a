//! The pages that every address space has at the top: how the processor gets from a guest to the
//! hypervisor.
//!
//! | linear         | rights     | what                                                             |
//! |----------------|------------|------------------------------------------------------------------|
//! | FFC00000       | read-write | the page that the ROM and the hypervisor share                   |
//! | FFC01000-02FFF | read-only  | the code of `switch`                                             |
//! | FFC03000       | read-only  | the IDT                                                          |
//! | FFC04000-05FFF | read-only  | the GDT: one page for the guest's descriptors, one for the hypervisor's |
//! | FFC06000       | read-only  | the LDT: the guest's descriptors                                 |
//! | FFC07000-09FFF | read-only  | the TSS with the I/O permission bitmap                           |
//! | FFC0A000       | read-write | the stack on which the processor enters the hypervisor           |
//!
//! All of them are the supervisor's, and ring 1 is a supervisor. On a processor the limits of the guest's
//! segments end behind the shared page; where an emulator does not check them, ring 1 can read the others
//! and write the stack, which holds nothing while the guest runs.
//!
//! # Safety
//!
//! One reference to the pages exists, and the processor reads them while the guest runs, which is across
//! the assembly of `switch`.
#![allow(unsafe_code)]

use vmi_hypervisor::layout::VIRTUAL_TOP;

/// Linear address of the code; the linker script has it, too.
pub const CODE: u32 = VIRTUAL_TOP + 0x1000;
/// Pages of code.
pub const CODE_PAGES: u32 = 2;
/// Linear address of the IDT.
pub const IDT: u32 = VIRTUAL_TOP + 0x3000;
/// Linear address of the GDT.
pub const GDT: u32 = VIRTUAL_TOP + 0x4000;
/// Linear address of the LDT.
pub const LDT: u32 = VIRTUAL_TOP + 0x6000;
/// Linear address of the TSS.
pub const TASK: u32 = VIRTUAL_TOP + 0x7000;
/// Linear address of the stack's page.
pub const STACK: u32 = VIRTUAL_TOP + 0xA000;
/// The end of the stack.
pub const STACK_END: u32 = STACK + 0x1000;

/// Vectors.
pub const VECTORS: usize = 256;
/// Entries of a page.
pub const ENTRIES: usize = 512;

/// The task state segment: the stack for ring 0, and the ports. Source: Intel manual, volume 3, section
/// 8.2.1, and volume 1, section 19.5.2.
#[repr(C, align(4096))]
pub struct Task {
    back_link: u32,
    esp0: u32,
    ss0: u32,
    other_registers: [u32; 22],
    trap: u16,
    io_map_base: u16,
    /// A bit for each port: 1 if it is closed. The last byte has to be all ones.
    pub ports: [u8; 8193],
}

impl Task {
    /// What the processor reads but the ports: the stack for ring 0, and where the ports are.
    pub fn words(&self) -> [u32; 3] {
        [self.esp0, self.ss0, self.io_map_base.into()]
    }
}

/// The last offset of the TSS.
pub const TASK_LIMIT: u32 = 104 + 8193 - 1;

/// All the pages but those of the code, in order.
#[repr(C, align(4096))]
pub struct Monitor {
    /// See [`vmi_hypervisor::layout::shared`].
    pub shared: [u32; 2 * ENTRIES],
    /// Gates.
    pub idt: [u64; ENTRIES],
    /// The guest's descriptors.
    pub guest_gdt: [u64; ENTRIES],
    /// The hypervisor's descriptors.
    pub own_gdt: [u64; ENTRIES],
    /// The guest's descriptors.
    pub ldt: [u64; ENTRIES],
    /// The task.
    pub task: Task,
    stack: [u32; 2 * ENTRIES],
}

const _: () = assert!(size_of::<Monitor>() == 9 * 4096);
const _: () = assert!(core::mem::offset_of!(Monitor, task) == (TASK - IDT + 0x1000) as usize);

static mut MONITOR: Monitor = Monitor {
    shared: [0; 2 * ENTRIES],
    idt: [0; ENTRIES],
    guest_gdt: [0; ENTRIES],
    own_gdt: [0; ENTRIES],
    ldt: [0; ENTRIES],
    task: Task {
        back_link: 0,
        esp0: 0,
        ss0: 0,
        other_registers: [0; 22],
        trap: 0,
        io_map_base: 104,
        ports: [0; 8193],
    },
    stack: [0; 2 * ENTRIES],
};

unsafe extern "C" {
    static monitor_load: u8;
}

/// A page of the area.
pub struct Page {
    /// Its linear address.
    pub linear: u32,
    /// Where it lies in the hypervisor's image.
    pub physical: u32,
    /// Whether it may be written by way of the linear address.
    pub writable: bool,
    /// Whether it is code.
    pub executable: bool,
}

/// The pages of the area.
pub fn pages() -> impl Iterator<Item = Page> {
    let code = &raw const monitor_load as u32;
    let data = &raw const MONITOR as u32;
    (VIRTUAL_TOP..STACK_END).step_by(0x1000).map(move |linear| {
        let offset = linear - VIRTUAL_TOP;
        let (physical, executable) = match linear {
            VIRTUAL_TOP => (data, false),
            CODE..IDT => (code + (linear - CODE), true),
            _ => (data + offset - CODE_PAGES * 0x1000, false),
        };
        Page { linear, physical, writable: matches!(linear, VIRTUAL_TOP | STACK), executable }
    })
}

impl Monitor {
    /// The pages, by their place in the image, where they can be written; the TSS is ready.
    ///
    /// # Safety
    ///
    /// Called once.
    pub unsafe fn take(stack_selector: u16) -> &'static mut Self {
        let monitor = &raw mut MONITOR;
        // SAFETY: nothing else refers to it.
        let monitor = unsafe { &mut *monitor };
        monitor.task.esp0 = STACK_END;
        monitor.task.ss0 = stack_selector.into();
        monitor.task.ports.fill(!0);
        monitor
    }
}

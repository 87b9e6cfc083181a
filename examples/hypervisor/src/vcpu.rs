//! [`Vcpu`]: what the guest believes its processor to hold.

use crate::fault::Fault;
use crate::frame::Frame;

/// How the guest takes itself to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In ring 0 of a processor of its own: vmi_init has not been called. Frames that it is given name its
    /// kernel's segments with RPL 0, as hardware would, so that an `iretd` to them traps and is carried out
    /// with all it should do.
    Hardware,
    /// In ring 1, and it knows. Selectors of its kernel have RPL 1.
    Paravirtual,
}

/// A descriptor-table register, or the cached part of LDTR or TR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableRegister {
    /// Linear address.
    pub base: u32,
    /// Last valid offset.
    pub limit: u32,
}

/// LDTR or TR: the selector, and what it led to when it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemSegment {
    /// The selector; 0 if none is loaded.
    pub selector: u16,
    /// What it led to; limit 0 if none is loaded.
    pub table: TableRegister,
}

/// Model-specific registers that the guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSpecific {
    /// IA32_SYSENTER_CS.
    pub sysenter_cs: u64,
    /// IA32_SYSENTER_ESP.
    pub sysenter_esp: u64,
    /// IA32_SYSENTER_EIP.
    pub sysenter_eip: u64,
    /// IA32_PAT.
    pub pat: u64,
    /// IA32_EFER.
    pub efer: u64,
    /// IA32_APIC_BASE.
    pub apic_base: u64,
}

/// The guest's processor.
#[derive(Clone, Debug)]
pub struct Vcpu {
    /// General registers, segments, EIP and the real EFLAGS. Valid while the guest is not running.
    pub frame: Frame,
    /// How the guest takes itself to run.
    pub mode: Mode,
    /// The virtual interrupt flag. While user code runs interrupts are enabled, whatever this says.
    pub interrupt_flag: bool,
    /// Set by an emulated STI for the instruction that follows it.
    pub interrupt_shadow: bool,
    /// An interrupt waits that the guest has masked: what the ROM's IRET is told by [`shared::PENDING`].
    ///
    /// [`shared::PENDING`]: crate::layout::shared::PENDING
    pub interrupt_pending: bool,
    /// Waits for an interrupt.
    pub halted: bool,
    /// The virtual I/O privilege level, 0 to 3.
    pub iopl: u8,
    /// CR0 as the guest has set it.
    pub cr0: u32,
    /// CR2.
    pub cr2: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// DR0 to DR7 by number; 4 and 5 are not used.
    pub debug: [u32; 8],
    /// GDTR.
    pub gdt: TableRegister,
    /// IDTR.
    pub idt: TableRegister,
    /// LDTR.
    pub ldt: SystemSegment,
    /// TR.
    pub task: SystemSegment,
    /// Model-specific registers.
    pub msr: ModelSpecific,
    /// CR2 of the real processor when the guest was left. Of meaning if that was for a page fault.
    pub fault_address: u32,
    /// An exception that has to be delivered before the guest goes on.
    pub exception: Option<Fault>,
}

impl Vcpu {
    /// A processor behind its reset, in protected mode without paging, as a multiboot loader leaves it.
    pub const fn new(frame: Frame) -> Self {
        Self {
            frame,
            mode: Mode::Hardware,
            interrupt_flag: false,
            interrupt_shadow: false,
            interrupt_pending: false,
            halted: false,
            iopl: 0,
            // PE and ET
            cr0: 0x11,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            debug: [0, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400],
            gdt: TableRegister { base: 0, limit: 0 },
            idt: TableRegister { base: 0, limit: 0 },
            ldt: SystemSegment { selector: 0, table: TableRegister { base: 0, limit: 0 } },
            task: SystemSegment { selector: 0, table: TableRegister { base: 0, limit: 0 } },
            msr: ModelSpecific {
                sysenter_cs: 0,
                sysenter_esp: 0,
                sysenter_eip: 0,
                pat: 0x0007_0406_0007_0406,
                efer: 0,
                // the power-on value: the APIC is on, and this is the boot processor
                apic_base: 0xFEE0_0900,
            },
            fault_address: 0,
            exception: None,
        }
    }

    /// The selectors that SYSEXIT loads into CS and SS.
    pub const fn sysexit_selectors(&self) -> [u16; 2] {
        let first = self.msr.sysenter_cs as u16;
        [first.wrapping_add(16) | 3, first.wrapping_add(24) | 3]
    }

    /// Whether an interrupt waits for the guest to unmask it: then [`SHARED`] is read-only while the guest runs.
    ///
    /// [`SHARED`]: crate::layout::SHARED
    pub const fn has_masked_interrupt(&self) -> bool {
        self.interrupt_pending && !self.interrupt_flag
    }

    /// Whether an interrupt may be delivered: user code cannot mask it.
    pub const fn is_interruptible(&self) -> bool {
        (self.interrupt_flag || self.frame.is_user()) && !self.interrupt_shadow
    }
}

//! The words of flags and the small numbers that calls of generation 3.0 take and return.

flags! {
    /// What a page frame is used for: AllocatePage and ReleasePage, EDX.
    ///
    /// Exactly one of the four levels. PAE had another value in 13.x. Source: facts sheet, section
    /// 4.2 and trap 7.
    pub struct PageFlags = "VMI_PAGE_" {
        /// Page table: level 1.
        const PT = 1;
        /// Page directory: level 2.
        const PD = 2;
        /// Page-directory pointer table: level 3.
        const PDP = 4;
        /// Level 4.
        const PML4 = 8;
        /// The entries have 8 bytes.
        const PAE = 0x10;
        /// AllocatePage: the new page starts with entries of another one, given in ECX, [esp+4], [esp+8].
        const CLONE = 0x20;
        /// AllocatePage: the page is all zero.
        const ZEROED = 0x40;
    }
    zero {
        /// Not a page table of any level.
        const NORMAL;
    }
}

flags! {
    /// Which entry changes and how: SetPxE (ECX), SetPxELong ([esp+4]), UpdatePxE and UpdatePxELong (EDX).
    ///
    /// Exactly one of the four levels. Source: facts sheet, section 4.2.
    pub struct PageUpdateFlags = "VMI_PAGE_UPDATE_" {
        /// The entry lies in a page table: level 1.
        const PT = 1;
        /// The entry lies in a page directory: level 2.
        const PD = 2;
        /// The entry lies in a page-directory pointer table: level 3.
        const PDP = 4;
        /// The entry lies in a table of level 4.
        const PML4 = 8;
        /// The entry belongs to the running address space, and VA_MASK holds what it maps.
        const CURRENT_AS = 0x10;
        /// The hypervisor may hold the change back until a TLB invalidation.
        const DEFER = 0x20;
        /// Bits 31 to 12 of the linear address that the entry maps; only with CURRENT_AS.
        const VA_MASK = 0xFFFF_F000;
    }
}

impl PageUpdateFlags {
    /// These flags for an entry of the running address space that maps the page of `address`.
    #[must_use]
    pub const fn mapping(self, address: u32) -> Self {
        let page = Self::from_bits_retain(address & Self::VA_MASK.bits());
        self.difference(Self::VA_MASK).union(Self::CURRENT_AS).union(page)
    }

    /// The linear address of the page that the entry maps, if the flags tell.
    pub const fn mapped_address(self) -> Option<u32> {
        if self.contains(Self::CURRENT_AS) { Some(self.bits() & Self::VA_MASK.bits()) } else { None }
    }
}

flags! {
    /// What to flush: FlushTLB, EAX.
    ///
    /// Source: facts sheet, section 4.2.
    pub struct FlushTlb = "VMI_FLUSH_" {
        /// The translations of the running address space; always set.
        const TLB = 1;
        /// Global translations too.
        const GLOBAL = 2;
    }
}

open_enum! {
    /// What the hypervisor may hold back and do later in one go: SetLazyMode, EAX.
    ///
    /// Modes never nest; leaving one flushes everything. Source: facts sheet, sections 4.2 and 7.4.
    pub struct LazyMode(u32) = "VMI_LAZY_" {
        /// Nothing.
        const NONE = 0;
        /// Page-table updates.
        const MMU = 1;
        /// Processor state, during a context switch.
        const CPU = 2;
    }
}

constants! {
    /// SetLinearMapping. Facts sheet, sections 4.1 and 7.3.
    pub static LINEAR_MAPPING_CONSTANTS = "VMI_";
    /// Number of linear mappings of each processor; EAX is below it.
    pub const LINEAR_MAPPING_SLOTS: u32 = 4;
}

flags! {
    /// Whether interrupts are delivered: the result of GetInterruptMask and the argument of SetInterruptMask, EAX.
    ///
    /// Only this bit has a meaning: whatever else a ROM returns or a guest passes is ignored. Source:
    /// facts sheet, section 8.2 and trap 1.
    pub struct InterruptMask = "VMI_INTERRUPT_MASK_" {
        /// EFLAGS.IF, bit 9: interrupts are delivered.
        const IF = 0x200;
    }
}

flags! {
    /// Which rings may use ports: SetIOPLMask, EAX.
    ///
    /// Source: facts sheet, section 8.7.
    pub struct IoplMask = "VMI_IOPL_MASK_" {
        /// EFLAGS.IOPL, bits 13 and 12.
        const IOPL = 0x3000;
    }
}

impl IoplMask {
    /// The mask for an I/O privilege level, or `None` if `level` is above 3.
    pub const fn from_level(level: u8) -> Option<Self> {
        if level <= 3 {
            Some(Self::from_bits_retain((level as u32) << Self::IOPL.bits().trailing_zeros()))
        } else {
            None
        }
    }

    /// The I/O privilege level, 0 to 3; other bits are ignored.
    pub const fn level(self) -> u8 {
        ((self.bits() & Self::IOPL.bits()) >> Self::IOPL.bits().trailing_zeros()) as u8
    }
}

open_enum! {
    /// How to reset the machine: Reboot, EAX.
    ///
    /// Source: facts sheet, section 4.1.
    pub struct RebootKind(u32) = "VMI_REBOOT_" {
        /// As the INIT signal does.
        const SOFT = 0;
        /// As the reset signal does.
        const HARD = 1;
    }
}

open_enum! {
    /// A counter of cycles: GetCycleCounter, EAX. Another number reads as 0.
    ///
    /// At any moment real = stolen + available. Source: facts sheet, section 7.6.
    pub struct Counter(u32) = "VMI_COUNTER_" {
        /// Runs always, the same on every processor.
        const REAL = 0;
        /// Runs while this processor runs or halts.
        const AVAILABLE = 1;
        /// Runs while this processor could run but does not get the machine.
        const STOLEN = 2;
    }
}

flags! {
    /// Which alarm and how: SetAlarm and CancelAlarm, EAX.
    ///
    /// Source: facts sheet, sections 4.2 and 7.6.
    pub struct AlarmFlags = "VMI_ALARM_" {
        /// The number of the alarm's counter.
        const COUNTER_MASK = 0xFF;
        /// The alarm repeats at its period.
        const PERIODIC = 0x100;
        /// The alarm raises the timer vector of the local APIC.
        const WIRED_LVTT = 0x10000;
    }
    zero {
        /// The alarm fires once.
        const ONE_SHOT;
        /// The alarm raises IRQ 0.
        const WIRED_IRQ0;
    }
}

impl AlarmFlags {
    /// These flags for the alarm of `counter`, of whose number only bits 7 to 0 are kept.
    #[must_use]
    pub const fn with_counter(self, counter: Counter) -> Self {
        let number = Self::from_bits_retain(counter.0 & Self::COUNTER_MASK.bits());
        self.difference(Self::COUNTER_MASK).union(number)
    }

    /// The counter whose alarm this is.
    pub const fn counter(self) -> Counter {
        Counter(self.bits() & Self::COUNTER_MASK.bits())
    }
}

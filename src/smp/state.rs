//! [`InitialState`]: the registers of a starting processor, checked.

use core::fmt;

use paravirt_vmi_abi::{ApState, DescriptorTableRegister};

use crate::cpu::{Cr0, Cr4};
use crate::descriptor::Selector;

/// IA32_EFER.LME and LMA: long mode, which has no part in this interface.
const EFER_LONG_MODE: u64 = 1 << 8 | 1 << 10;

/// EFLAGS.VM: virtual-8086 mode.
const EFLAGS_VM: u32 = 1 << 17;

/// The registers with which another processor starts.
///
/// [`new`](Self::new) has values for those that matter least; the rest is for the caller:
///
/// ```
/// use paravirt_vmi::abi::DescriptorTableRegister;
/// use paravirt_vmi::descriptor::Selector;
/// use paravirt_vmi::smp::{ApStatePage, InitialState};
///
/// let (code, data) = (Selector::gdt(1).in_kernel_ring(), Selector::gdt(2).in_kernel_ring());
/// let state = InitialState {
///     cr3: 0x0020_0000,
///     gdt: DescriptorTableRegister::new(0x2f, 0xc030_0000),
///     idt: DescriptorTableRegister::new(0x7ff, 0xc030_1000),
///     cs: code,
///     ss: data,
///     ds: data,
///     es: data,
///     ..InitialState::new(0xc010_0000, 0xc031_0000)
/// };
/// assert!(ApStatePage::new(&state).is_ok());
/// ```
///
/// Whatever is not in it has its power-on value. Source: facts sheet, section 7.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialState {
    /// CR0, with PE and PG.
    pub cr0: Cr0,
    /// CR2.
    pub cr2: u32,
    /// CR3: physical address of the page directory, or of the page-directory pointer table with CR4.PAE.
    pub cr3: u32,
    /// CR4; PAE should be that of the first processor.
    pub cr4: Cr4,
    /// IA32_EFER, without LME and LMA.
    pub efer: u64,
    /// EIP: where the processor begins.
    pub eip: u32,
    /// EFLAGS, without VM; IF should be clear.
    pub eflags: u32,
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// ESP: the end of the processor's stack.
    pub esp: u32,
    /// EBP.
    pub ebp: u32,
    /// ESI.
    pub esi: u32,
    /// EDI.
    pub edi: u32,
    /// CS: flat code, with the kernel's ring as RPL.
    pub cs: Selector,
    /// SS: flat data, with the same RPL.
    pub ss: Selector,
    /// DS.
    pub ds: Selector,
    /// ES.
    pub es: Selector,
    /// FS.
    pub fs: Selector,
    /// GS.
    pub gs: Selector,
    /// The LDT; null for none.
    pub ldt: Selector,
    /// The GDT: the processor's own.
    pub gdt: DescriptorTableRegister,
    /// The IDT.
    pub idt: DescriptorTableRegister,
}

impl InitialState {
    /// A processor that begins at linear address `entry` with the stack that ends at `stack`.
    ///
    /// CR0 has PG, AM, WP, NE, MP and PE, as Linux sets it; everything else is 0 and null. At least `cr3`,
    /// `gdt`, `cs` and `ss` are for the caller to set.
    pub const fn new(entry: u32, stack: u32) -> Self {
        let cr0 = Cr0::PG.union(Cr0::AM).union(Cr0::WP).union(Cr0::NE).union(Cr0::MP).union(Cr0::PE);
        Self {
            cr0,
            cr2: 0,
            cr3: 0,
            cr4: Cr4::empty(),
            efer: 0,
            eip: entry,
            eflags: 0,
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
            esp: stack,
            ebp: 0,
            esi: 0,
            edi: 0,
            cs: Selector::NULL,
            ss: Selector::NULL,
            ds: Selector::NULL,
            es: Selector::NULL,
            fs: Selector::NULL,
            gs: Selector::NULL,
            ldt: Selector::NULL,
            gdt: DescriptorTableRegister::new(0, 0),
            idt: DescriptorTableRegister::new(0, 0),
        }
    }

    /// The state as it lies in memory.
    ///
    /// # Errors
    ///
    /// The first thing for which a processor would not start.
    pub fn to_ap_state(&self) -> Result<ApState, StateError> {
        self.check()?;
        Ok(ApState {
            cr0: self.cr0.bits().into(),
            cr2: self.cr2.into(),
            cr3: self.cr3.into(),
            cr4: self.cr4.bits().into(),
            efer: self.efer.into(),
            eip: self.eip.into(),
            eflags: self.eflags.into(),
            eax: self.eax.into(),
            ebx: self.ebx.into(),
            ecx: self.ecx.into(),
            edx: self.edx.into(),
            esp: self.esp.into(),
            ebp: self.ebp.into(),
            esi: self.esi.into(),
            edi: self.edi.into(),
            cs: self.cs.0.into(),
            ss: self.ss.0.into(),
            ds: self.ds.0.into(),
            es: self.es.0.into(),
            fs: self.fs.0.into(),
            gs: self.gs.0.into(),
            ldtr: self.ldt.0.into(),
            gdtr_limit: self.gdt.limit,
            gdtr_base: self.gdt.base,
            idtr_base: self.idt.base,
            idtr_limit: self.idt.limit,
            reserved: 0.into(),
        })
    }

    fn check(&self) -> Result<(), StateError> {
        if !self.cr0.contains(Cr0::PE | Cr0::PG) {
            return Err(StateError::Cr0 { value: self.cr0 });
        }
        if self.efer & EFER_LONG_MODE != 0 {
            return Err(StateError::Efer { value: self.efer });
        }
        if self.eflags & EFLAGS_VM != 0 {
            return Err(StateError::Eflags { value: self.eflags });
        }
        for (register, selector) in [("CS", self.cs), ("SS", self.ss)] {
            if selector.is_null() {
                return Err(StateError::NullSelector { register });
            }
        }
        if self.cs.rpl() != self.ss.rpl() {
            return Err(StateError::Rings { cs: self.cs, ss: self.ss });
        }
        let limit = self.gdt.limit.get();
        let segments = [("CS", self.cs), ("SS", self.ss), ("DS", self.ds), ("ES", self.es)];
        let segments = segments.into_iter().chain([("FS", self.fs), ("GS", self.gs)]);
        for (register, selector) in segments.filter(|(_, selector)| !selector.is_ldt()) {
            // An entry has eight bytes, all of which are inside the table.
            if !selector.is_null() && selector.0 | 7 > limit {
                return Err(StateError::BeyondGdt { register, selector, limit });
            }
        }
        if !self.ldt.is_null() && (self.ldt.is_ldt() || self.ldt.0 | 7 > limit) {
            return Err(StateError::BeyondGdt { register: "LDTR", selector: self.ldt, limit });
        }
        Ok(())
    }
}

/// Why a processor would not start in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// CR0 lacks PE or PG.
    Cr0 {
        /// The value.
        value: Cr0,
    },
    /// IA32_EFER has LME or LMA.
    Efer {
        /// The value.
        value: u64,
    },
    /// EFLAGS has VM.
    Eflags {
        /// The value.
        value: u32,
    },
    /// CS or SS is null.
    NullSelector {
        /// The register.
        register: &'static str,
    },
    /// CS and SS name different rings.
    Rings {
        /// CS.
        cs: Selector,
        /// SS.
        ss: Selector,
    },
    /// A selector names an entry that the GDT does not have.
    BeyondGdt {
        /// The register.
        register: &'static str,
        /// The selector.
        selector: Selector,
        /// The GDT's limit.
        limit: u16,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a processor cannot start with ")?;
        match self {
            Self::Cr0 { value } => write!(f, "CR0 {:08x}: PE and PG must be set", value.bits()),
            Self::Efer { value } => write!(f, "EFER {value:x}: LME and LMA must be clear"),
            Self::Eflags { value } => write!(f, "EFLAGS {value:08x}: VM must be clear"),
            Self::NullSelector { register } => write!(f, "a null selector in {register}"),
            Self::Rings { cs, ss } => {
                write!(f, "CS {:04x} and SS {:04x}: their rings differ", cs.0, ss.0)
            }
            Self::BeyondGdt { register, selector, limit } => {
                write!(f, "{register} {:04x}: the GDT has the limit {limit:04x}", selector.0)
            }
        }
    }
}

impl core::error::Error for StateError {}

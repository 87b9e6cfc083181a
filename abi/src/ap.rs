//! The state in which another processor starts.

use zerocopy::little_endian::{U16, U32, U64};

layout! {
    /// The registers with which an application processor starts; SetInitialAPState takes its address in EAX.
    ///
    /// CR0.PE and CR0.PG must be set; the parts of EFER that concern long mode must be clear.
    /// Whatever is not in the structure has its power-on value. The hidden parts of the segment
    /// registers come from the GDT given here. The specification wants the structure at a
    /// page-aligned linear address; Linux passes an unaligned one. Source: facts sheet, section 7.5
    /// and trap 8.
    pub struct ApState = "vmi_ap_state", size 0x5C, align 1 {
        /// CR0.
        0x00 cr0: U32,
        /// CR2.
        0x04 cr2: U32,
        /// CR3: guest-physical address of the page directory.
        0x08 cr3: U32,
        /// CR4; CR4.PAE should be that of the first processor.
        0x0C cr4: U32,
        /// IA32_EFER.
        0x10 efer: U64,
        /// EIP.
        0x18 eip: U32,
        /// EFLAGS.
        0x1C eflags: U32,
        /// EAX.
        0x20 eax: U32,
        /// EBX.
        0x24 ebx: U32,
        /// ECX.
        0x28 ecx: U32,
        /// EDX.
        0x2C edx: U32,
        /// ESP.
        0x30 esp: U32,
        /// EBP.
        0x34 ebp: U32,
        /// ESI.
        0x38 esi: U32,
        /// EDI.
        0x3C edi: U32,
        /// CS.
        0x40 cs: U16,
        /// SS.
        0x42 ss: U16,
        /// DS.
        0x44 ds: U16,
        /// ES.
        0x46 es: U16,
        /// FS.
        0x48 fs: U16,
        /// GS.
        0x4A gs: U16,
        /// LDT selector.
        0x4C ldtr: U16,
        /// Length of the GDT in bytes, minus 1.
        0x4E gdtr_limit: U16,
        /// Linear address of the GDT.
        0x50 gdtr_base: U32,
        /// Linear address of the IDT.
        0x54 idtr_base: U32,
        /// Length of the IDT in bytes, minus 1.
        0x58 idtr_limit: U16,
        /// Padding that an i386 C compiler puts here.
        0x5A reserved: U16,
    }
}

//! [`Frame`]: the guest's registers, as the way into the hypervisor leaves them on its entry stack.

use crate::decode::Segment;

/// The registers in the order in which they lie on the entry stack, lowest address first. In a selector the
/// upper half of the word is without meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// GS.
    pub gs: u32,
    /// FS.
    pub fs: u32,
    /// ES.
    pub es: u32,
    /// DS.
    pub ds: u32,
    /// EDI.
    pub edi: u32,
    /// ESI.
    pub esi: u32,
    /// EBP.
    pub ebp: u32,
    /// ESP as PUSHAD saw it.
    pub ignored: u32,
    /// EBX.
    pub ebx: u32,
    /// EDX.
    pub edx: u32,
    /// ECX.
    pub ecx: u32,
    /// EAX.
    pub eax: u32,
    /// Why the guest was left.
    pub vector: u32,
    /// The exception's error code, or 0.
    pub error_code: u32,
    /// EIP, where the guest goes on.
    pub eip: u32,
    /// CS.
    pub cs: u32,
    /// The real EFLAGS: IF is set, IOPL is 0.
    pub eflags: u32,
    /// ESP.
    pub esp: u32,
    /// SS.
    pub ss: u32,
}

/// Bits of EFLAGS.
pub mod eflags {
    /// CF.
    pub const CARRY: u32 = 1 << 0;
    /// Bit 1, which is always set.
    pub const ALWAYS: u32 = 1 << 1;
    /// ZF.
    pub const ZERO: u32 = 1 << 6;
    /// TF: a debug exception after each instruction.
    pub const TRAP: u32 = 1 << 8;
    /// IF.
    pub const INTERRUPT: u32 = 1 << 9;
    /// DF.
    pub const DIRECTION: u32 = 1 << 10;
    /// Where the I/O privilege level begins.
    pub const IOPL_SHIFT: u32 = 12;
    /// The I/O privilege level, 2 bits.
    pub const IOPL: u32 = 3 << IOPL_SHIFT;
    /// NT: an IRET returns to the task in the back link.
    pub const NESTED_TASK: u32 = 1 << 14;
    /// RF: the next instruction raises no instruction breakpoint.
    pub const RESUME: u32 = 1 << 16;
    /// VM: virtual-8086 mode.
    pub const VM: u32 = 1 << 17;
    /// AC.
    pub const ALIGNMENT_CHECK: u32 = 1 << 18;
    /// VIF.
    pub const VIRTUAL_INTERRUPT: u32 = 1 << 19;
    /// VIP.
    pub const VIRTUAL_INTERRUPT_PENDING: u32 = 1 << 20;
    /// ID: CPUID exists.
    pub const ID: u32 = 1 << 21;
}

impl Frame {
    /// Whether ring 3 was left.
    pub const fn is_user(&self) -> bool {
        self.cs & 3 == 3
    }

    /// The general register with a number, in the order of the encoding.
    ///
    /// # Panics
    ///
    /// The number is above 7.
    pub const fn register(&self, number: u8) -> u32 {
        match number {
            0 => self.eax,
            1 => self.ecx,
            2 => self.edx,
            3 => self.ebx,
            4 => self.esp,
            5 => self.ebp,
            6 => self.esi,
            7 => self.edi,
            _ => panic!("there are eight general registers"),
        }
    }

    /// The general register with a number, to be set.
    ///
    /// # Panics
    ///
    /// The number is above 7.
    pub const fn register_mut(&mut self, number: u8) -> &mut u32 {
        match number {
            0 => &mut self.eax,
            1 => &mut self.ecx,
            2 => &mut self.edx,
            3 => &mut self.ebx,
            4 => &mut self.esp,
            5 => &mut self.ebp,
            6 => &mut self.esi,
            7 => &mut self.edi,
            _ => panic!("there are eight general registers"),
        }
    }

    /// The low `width` bytes of a general register; the numbers of byte registers 4 to 7 are AH, CH, DH, BH.
    pub const fn part(&self, number: u8, width: u8) -> u32 {
        match (width, number) {
            (1, 0..4) => self.register(number) & 0xFF,
            (1, _) => self.register(number - 4) >> 8 & 0xFF,
            (2, _) => self.register(number) & 0xFFFF,
            _ => self.register(number),
        }
    }

    /// Sets the low `width` bytes of a general register, numbered as in [`Frame::part`].
    pub const fn set_part(&mut self, number: u8, width: u8, value: u32) {
        let (number, shift, mask) = match (width, number) {
            (1, 0..4) => (number, 0, 0xFF),
            (1, _) => (number - 4, 8, 0xFF),
            (2, _) => (number, 0, 0xFFFF),
            _ => (number, 0, u32::MAX),
        };
        let register = self.register_mut(number);
        *register = *register & !(mask << shift) | (value & mask) << shift;
    }

    /// A segment register.
    pub const fn segment(&self, segment: Segment) -> u16 {
        let word = match segment {
            Segment::Es => self.es,
            Segment::Cs => self.cs,
            Segment::Ss => self.ss,
            Segment::Ds => self.ds,
            Segment::Fs => self.fs,
            Segment::Gs => self.gs,
        };
        word as u16
    }

    /// Sets a segment register.
    pub const fn set_segment(&mut self, segment: Segment, selector: u16) {
        let word = match segment {
            Segment::Es => &mut self.es,
            Segment::Cs => &mut self.cs,
            Segment::Ss => &mut self.ss,
            Segment::Ds => &mut self.ds,
            Segment::Fs => &mut self.fs,
            Segment::Gs => &mut self.gs,
        };
        *word = selector as u32;
    }

    /// CS as a selector.
    pub const fn code_selector(&self) -> u16 {
        self.cs as u16
    }

    /// SS as a selector.
    pub const fn stack_selector(&self) -> u16 {
        self.ss as u16
    }
}

//! The registers in front of a call and behind it.

use core::fmt;

use paravirt_vmi_abi::{Call, Clobbers};

/// A register that a call may or must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// EAX.
    Eax,
    /// EBX.
    Ebx,
    /// ECX.
    Ecx,
    /// EDX.
    Edx,
    /// ESI.
    Esi,
    /// EDI.
    Edi,
    /// EBP.
    Ebp,
    /// ESP, right in front of the call and right behind it.
    Esp,
    /// The direction flag: EFLAGS.DF, bit 10.
    Df,
    /// DS.
    Ds,
    /// ES.
    Es,
    /// FS.
    Fs,
    /// GS.
    Gs,
}

/// The values of the registers. A selector is in the lower half of its word; the upper half is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// ESI.
    pub esi: u32,
    /// EDI.
    pub edi: u32,
    /// EBP.
    pub ebp: u32,
    /// ESP.
    pub esp: u32,
    /// EFLAGS.DF: 0 or 1.
    pub df: u32,
    /// DS.
    pub ds: u32,
    /// ES.
    pub es: u32,
    /// FS.
    pub fs: u32,
    /// GS.
    pub gs: u32,
}

impl Registers {
    /// The value of a register.
    pub const fn get(&self, register: Register) -> u32 {
        match register {
            Register::Eax => self.eax,
            Register::Ebx => self.ebx,
            Register::Ecx => self.ecx,
            Register::Edx => self.edx,
            Register::Esi => self.esi,
            Register::Edi => self.edi,
            Register::Ebp => self.ebp,
            Register::Esp => self.esp,
            Register::Df => self.df,
            Register::Ds => self.ds,
            Register::Es => self.es,
            Register::Fs => self.fs,
            Register::Gs => self.gs,
        }
    }
}

impl Register {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 13] = [
        Self::Esp,
        Self::Df,
        Self::Eax,
        Self::Ebx,
        Self::Ecx,
        Self::Edx,
        Self::Esi,
        Self::Edi,
        Self::Ebp,
        Self::Ds,
        Self::Es,
        Self::Fs,
        Self::Gs,
    ];

    /// Whether `call` must keep the register, by the call table. Source: facts sheet, section 5.2.
    pub fn is_kept_by(self, call: Call) -> bool {
        let clobber = match self {
            Self::Eax => Clobbers::EAX,
            Self::Ebx => Clobbers::EBX,
            Self::Ecx => Clobbers::ECX,
            Self::Edx => Clobbers::EDX,
            Self::Esi => Clobbers::ESI,
            Self::Edi => Clobbers::EDI,
            Self::Ebp | Self::Esp | Self::Df | Self::Ds | Self::Es | Self::Fs | Self::Gs => return true,
        };
        !call.info().clobbers.contains(clobber)
    }
}

/// Writes the name, as Intel's manual has it.
impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eax => "EAX",
            Self::Ebx => "EBX",
            Self::Ecx => "ECX",
            Self::Edx => "EDX",
            Self::Esi => "ESI",
            Self::Edi => "EDI",
            Self::Ebp => "EBP",
            Self::Esp => "ESP",
            Self::Df => "DF",
            Self::Ds => "DS",
            Self::Es => "ES",
            Self::Fs => "FS",
            Self::Gs => "GS",
        })
    }
}

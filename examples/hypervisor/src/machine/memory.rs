//! The guest's memory: the machine's, at the same addresses, from 0 on.
//!
//! # Safety
//!
//! Address 0 is memory like any other here, which a pointer of Rust cannot name. So all of it is read and
//! written by string instructions that the compiler knows nothing of. Nothing of the hypervisor lies there.
#![allow(unsafe_code)]

use core::arch::asm;
use core::ops::Range;

use vmi_hypervisor::layout::{GUEST_MEMORY, LOW_HOLE_END, VIDEO_MEMORY, VIDEO_MEMORY_END};

/// Whether the bytes lie in the guest's memory or in the video memory.
fn is_memory(address: u32, length: usize) -> bool {
    let Some(end) = u32::try_from(length).ok().and_then(|length| address.checked_add(length)) else {
        return false;
    };
    end <= VIDEO_MEMORY_END || (address >= LOW_HOLE_END && end <= GUEST_MEMORY)
}

/// Reads memory; returns whether the guest has it.
pub fn read(address: u32, bytes: &mut [u8]) -> bool {
    if !is_memory(address, bytes.len()) {
        return false;
    }
    // SAFETY: memory that is not the hypervisor's is read, and `bytes` is written to its end. DF is clear by
    // the ABI; ESI is no operand of `asm!`, so it is exchanged in and out.
    unsafe {
        asm!(
            "xchg esi, edx",
            "rep movsb",
            "xchg esi, edx",
            inout("ecx") bytes.len() => _,
            inout("edx") address => _,
            inout("edi") bytes.as_mut_ptr() => _,
            options(nostack, preserves_flags),
        );
    }
    true
}

/// Writes memory; returns whether the guest has it.
pub fn write(address: u32, bytes: &[u8]) -> bool {
    if !is_memory(address, bytes.len()) {
        return false;
    }
    // SAFETY: as above, the other way.
    unsafe {
        asm!(
            "xchg esi, edx",
            "rep movsb",
            "xchg esi, edx",
            inout("ecx") bytes.len() => _,
            inout("edx") bytes.as_ptr() => _,
            inout("edi") address => _,
            options(nostack, preserves_flags),
        );
    }
    true
}

/// Sets all of the guest's memory to zeros.
pub fn clear() {
    let clear = |range: Range<u32>| {
        // SAFETY: nothing of the hypervisor lies in the guest's memory. DF is clear by the ABI.
        unsafe {
            asm!(
                "rep stosd",
                in("eax") 0,
                inout("ecx") (range.end - range.start) / 4 => _,
                inout("edi") range.start => _,
                options(nostack, preserves_flags),
            );
        }
    };
    clear(0..VIDEO_MEMORY);
    clear(LOW_HOLE_END..GUEST_MEMORY);
}

/// The BIOS data area: what the firmware has found out about the machine.
pub struct BiosData([u8; 256]);

/// Its address.
const BIOS_DATA: u32 = 0x400;

impl BiosData {
    /// Copies it, so that each guest finds it as it was.
    pub fn save() -> Self {
        let mut data = Self([0; 256]);
        read(BIOS_DATA, &mut data.0);
        data
    }

    /// Puts it back.
    pub fn restore(&self) {
        write(BIOS_DATA, &self.0);
    }
}

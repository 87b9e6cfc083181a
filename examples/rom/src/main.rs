//! `vmi-rom`: the native test ROM, an option-ROM image that implements generation 3.0 of VMware's
//! Virtual Machine Interface on bare i386 hardware.
//!
//! The kernel stays in ring 0 and the interrupt flag is the processor's own: each call does what the
//! native instruction does, under the interface's calling convention. Calls that are not provided
//! are answered NONE, and the guest keeps its native instructions for them.
//!
//! The image is position independent and holds no writable data: the firmware write-protects it, and
//! guests call it at a linear alias of its physical address. It consists of the sections that
//! `rom.ld` puts together, in this order:
//!
//! | section           | module         | content                                              |
//! |-------------------|----------------|------------------------------------------------------|
//! | `.rom.header`     | [`header`]     | bytes 0 to 0x7F                                      |
//! | `.rom.slots`      | [`init`]       | 0x80 vmi_init, 0x88 GetRelocationInfo: jumps         |
//! | `.rom.structures` | [`header`]     | PnP header, PCI data structure, strings              |
//! | `.rom.tables`     | [`init`]       | status of vmi_init, relocation table                 |
//! | `.rom.text`       | [`init`], [`interrupts`], [`power`] | code, each entry by [`entry`]   |
//!
//! The length byte, the image length of the PCI data structure and the checksum depend on the linked
//! size; `cargo xtask rom` fills them in.
//!
//! Symbols for tools: `rom_start`, `rom_end`, `rom_relocations` (one entry of 8 bytes for each call:
//! offset of the target as i32, kind as u8, three bytes 0), `rom_init_status` (what vmi_init returns,
//! u32), `vmi_NAME` for each entry, with its size.
//!
//! Source: facts sheet, sections 2, 3, 4.1, 5, 6, 8 and 12.6.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[cfg(not(target_arch = "x86"))]
compile_error!("the ROM is i386 code: build it with `cargo xtask rom`");

#[macro_use]
mod entry;

mod header;
mod init;
mod interrupts;
mod power;

/// Required of every freestanding program. The image holds no compiled Rust code, so nothing calls
/// this and the linker drops it; `rom.ld` refuses an image in which it is left.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

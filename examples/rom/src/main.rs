//! `vmi-rom`: the native test ROM, an option-ROM image that implements VMware's Virtual Machine
//! Interface, generation 3.0, 13.0 or 13.3, on bare i386 hardware.
//!
//! The kernel stays in ring 0 and the interrupt flag is the processor's own: each call does what the
//! native instruction does, under the interface's calling convention. What is not provided is answered
//! NONE, and the guest keeps its native instructions for it.
//!
//! The image is position independent and holds no writable data: the firmware write-protects it, and
//! guests call it at a linear alias of its physical address. It consists of the sections that
//! `rom.ld` puts together, in this order:
//!
//! | section           | module         | content                                              |
//! |-------------------|----------------|------------------------------------------------------|
//! | `.rom.header`     | [`header`]     | bytes 0 to 0x7F                                      |
//! | `.rom.slots`      | [`init`]       | 3.0: 0x80 vmi_init, 0x88 GetRelocationInfo: jumps    |
//! | `.rom.slot.N`     | [`entry`]      | 13.x: the code of slot N, at offset 32 * N           |
//! | `.rom.structures` | [`header`]     | PnP header, PCI data structure, strings              |
//! | `.rom.post`       | [`startup`]    | the 16-bit initialisation                            |
//! | `.rom.fixups`     | [`startup`]    | the places that it makes physical addresses          |
//! | `.rom.tables`     | [`init`], [`relocation`], [`startup`] | data                          |
//! | `.rom.text`       | the others     | code, each entry by [`entry`]                        |
//! | `.rom.startup.N`  | [`startup`]    | the code of a processor that starts, page tables     |
//!
//! The length byte, the image length of the PCI data structure and the checksum depend on the linked
//! size; `cargo xtask rom` fills them in.
//!
//! Symbols for tools: `rom_start`, `rom_end`, `rom_relocations` (not in 13.0; one entry of 8 bytes for
//! each call or slot: offset of the target as i32, kind as u8, three bytes 0), `rom_init_status` (what
//! vmi_init returns, u32), `vmi_NAME` for each entry, with its size.
//!
//! Source: facts sheet, sections 2 to 8 and 12.6.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[cfg(not(target_arch = "x86"))]
compile_error!("the ROM is i386 code: build it with `cargo xtask rom`");
#[cfg(all(feature = "v13-0", feature = "v13-3"))]
compile_error!("an image has one version of the interface");
#[cfg(all(feature = "v13-0", any(feature = "minimal", feature = "jump")))]
compile_error!("in 13.0 a guest cannot ask how to reach a call: every one is a call to its slot");

#[macro_use]
mod entry;

mod header;
mod init;
mod interrupts;
mod power;
#[cfg(not(feature = "v13-0"))]
mod relocation;

#[cfg(all_calls)]
mod apic;
#[cfg(all_calls)]
mod cpu;
#[cfg(all_calls)]
mod descriptor;
#[cfg(all_calls)]
mod mmu;
#[cfg(all_calls)]
mod port;
#[cfg(all_calls)]
mod private;
#[cfg(all_calls)]
mod startup;

#[cfg(legacy)]
mod dropped;
#[cfg(legacy)]
mod slot;
#[cfg(legacy)]
mod time;

/// Required of every freestanding program. The image holds no compiled Rust code, so nothing calls
/// this and the linker drops it; `rom.ld` refuses an image in which it is left.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

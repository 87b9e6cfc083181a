//! What the loader brought along: the hypervisor's command line, and the guests.
//!
//! A loader may put them anywhere, also where the guests' memory is going to be. So all of it is moved above
//! the hypervisor before anything else happens.
//!
//! # Safety
//!
//! Reads the loader's structures and what they point to, with paging off, before anything but the
//! hypervisor's own memory is written; and writes memory above the hypervisor and above all of them, which
//! nobody uses.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};
use core::slice;

use vmi_hypervisor::layout::PAGE_SIZE;

use super::boot::{self, BOOTLOADER_MAGIC};

/// The most guests that are taken.
const MODULES: usize = 64;

/// Bits of the information structure's flags: which of its fields are valid.
const HAS_MEMORY: u32 = 1 << 0;
const HAS_COMMAND_LINE: u32 = 1 << 2;
const HAS_MODULES: u32 = 1 << 3;

/// The start of the loader's information structure. Source: Multiboot Specification, section 3.3.
#[derive(Clone, Copy)]
#[repr(C)]
struct MultibootInformation {
    flags: u32,
    memory_lower: u32,
    /// KiB from 1 MiB on, up to the first hole.
    memory_upper: u32,
    boot_device: u32,
    command_line: *const c_char,
    module_count: u32,
    modules: *const MultibootModule,
}

/// An entry of the list of modules.
#[derive(Clone, Copy)]
#[repr(C)]
struct MultibootModule {
    start: u32,
    end: u32,
    string: *const c_char,
    reserved: u32,
}

/// A guest: a file, and the words of its command line.
#[derive(Clone, Copy, Default)]
pub struct Module {
    /// The file.
    pub image: &'static [u8],
    /// The loader's string: a file name and words.
    pub string: &'static [u8],
}

impl Module {
    /// The name of the file, and the words behind it.
    pub fn words(&self) -> (&'static [u8], &'static [u8]) {
        let Some(blank) = self.string.iter().position(|byte| *byte == b' ') else {
            return (self.string, &[]);
        };
        (&self.string[..blank], self.string[blank..].trim_ascii())
    }
}

/// What the loader brought along, in its new place.
pub struct Cargo {
    /// The end of the memory from 0 on.
    pub memory_end: u32,
    /// The hypervisor's command line.
    pub command_line: &'static [u8],
    modules: [Module; MODULES],
    count: usize,
}

impl Cargo {
    /// Takes all of it out of harm's way.
    ///
    /// # Panics
    ///
    /// If the loader is not a multiboot1 loader, there is no guest or too many, or they do not fit.
    ///
    /// # Safety
    ///
    /// Called once, with EAX and EBX as the loader left them, before memory but the hypervisor's own is
    /// written.
    pub unsafe fn rescue(magic: u32, information: u32) -> Self {
        assert!(magic == BOOTLOADER_MAGIC, "loader's magic number {magic:08x} is not multiboot1's");
        let information = information as *const MultibootInformation;
        // SAFETY: a multiboot1 loader passes a valid structure.
        let information = unsafe { information.read() };
        assert!(information.flags & HAS_MEMORY != 0, "the loader does not say how much memory there is");
        let count = if information.flags & HAS_MODULES != 0 { information.module_count as usize } else { 0 };
        assert!(count > 0, "no guest: give a kernel as a multiboot module");
        assert!(count <= MODULES, "{count} guests are more than {MODULES}");
        // SAFETY: the flag says that the list has that many entries.
        let list = unsafe { slice::from_raw_parts(information.modules, count) };

        let memory_end = (information.memory_upper + 1024) << 10;
        let end_of_all = list.iter().map(|module| module.end).fold(boot::end(), u32::max);
        let mut room = Room { next: end_of_all, end: memory_end };
        // The strings go first, because a loader may have put them behind the modules.
        let strings = if information.flags & HAS_COMMAND_LINE != 0 {
            information.command_line
        } else {
            core::ptr::null()
        };
        room.next =
            room.next.max(list.iter().map(|module| end_of(module.string)).fold(end_of(strings), u32::max));
        room.next = room.next.max(list.as_ptr_range().end as u32);
        let command_line = room.keep(string(strings));
        let mut modules = [Module::default(); MODULES];
        for (module, kept) in list.iter().zip(&mut modules) {
            kept.string = room.keep(string(module.string));
            room.next = room.next.next_multiple_of(PAGE_SIZE);
            let length = module.end.saturating_sub(module.start) as usize;
            // SAFETY: the loader put the module there.
            kept.image = room.keep(unsafe { slice::from_raw_parts(module.start as *const u8, length) });
        }
        Self { memory_end, command_line, modules, count }
    }

    /// The guests.
    pub fn modules(&self) -> &[Module] {
        &self.modules[..self.count]
    }
}

/// The bytes of a string of the loader's; none if there is none.
fn string(string: *const c_char) -> &'static [u8] {
    if string.is_null() {
        return &[];
    }
    // SAFETY: a string of the loader's ends with a zero byte, and it is not written any more.
    unsafe { CStr::from_ptr(string) }.to_bytes()
}

fn end_of(text: *const c_char) -> u32 {
    text as u32 + string(text).len() as u32 + 1
}

/// Memory that nobody uses.
struct Room {
    next: u32,
    end: u32,
}

impl Room {
    /// Copies bytes.
    fn keep(&mut self, bytes: &[u8]) -> &'static [u8] {
        let length = bytes.len();
        assert!(
            u64::from(self.next) + length as u64 <= self.end.into(),
            "memory ends at {:08x}: it has no room for {length} bytes of what the loader brought",
            self.end
        );
        let to = self.next as *mut u8;
        self.next += length as u32;
        // SAFETY: the area lies in memory, above all that is used, and is handed out once.
        let kept = unsafe { slice::from_raw_parts_mut(to, length) };
        kept.copy_from_slice(bytes);
        kept
    }
}

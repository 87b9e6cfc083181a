//! What is to be tried, from the loader's command line.
//!
//! # Safety
//!
//! Reads the loader's information structure and the string that it points to, while paging is off and
//! nothing has been written over them.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};

use crate::entry::BOOTLOADER_MAGIC;

/// The flag in the information structure's first word that makes the command line valid.
const HAS_COMMAND_LINE: u32 = 1 << 2;

/// The start of the structure. Source: Multiboot Specification, section 3.3.
#[repr(C)]
struct Information {
    flags: u32,
    memory: [u32; 2],
    boot_device: u32,
    command_line: *const c_char,
}

/// What the words ask for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The name of the attempt: what follows `attempt=`.
    pub attempt: &'static str,
    /// Whether sites may hold the ROM's own code; cleared by `vmi=calls`.
    pub inline: bool,
}

/// The words of the command line; nothing if they name no attempt.
///
/// # Panics
///
/// If another kind of loader started the program.
pub fn request(magic: u32, information: u32) -> Option<Request> {
    assert!(magic == BOOTLOADER_MAGIC, "loader's magic number {magic:08x} is not multiboot1's");
    // SAFETY: a multiboot1 loader passes a valid structure.
    let information = unsafe { (information as *const Information).read() };
    if information.flags & HAS_COMMAND_LINE == 0 {
        return None;
    }
    // SAFETY: the flag says that the pointer leads to a C string.
    let words = unsafe { CStr::from_ptr(information.command_line) };
    let words = words.to_str().ok()?.split(' ');
    let attempt = words.clone().find_map(|word| word.strip_prefix("attempt="))?;
    Some(Request { attempt, inline: words.into_iter().all(|word| word != "vmi=calls") })
}

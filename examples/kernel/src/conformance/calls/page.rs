//! Pages to map: frames whose bytes tell which they are.
//!
//! # Safety
//!
//! The frames are the checks' own.
#![allow(unsafe_code)]

use crate::paging::PAGE_SIZE;

/// What each frame is filled with.
pub const FRAMES: [u8; 3] = [0xA1, 0xB2, 0xC3];

#[repr(C, align(4096))]
struct Pages([[u8; PAGE_SIZE as usize]; FRAMES.len()]);
static mut PAGES: Pages = Pages([[0; PAGE_SIZE as usize]; FRAMES.len()]);

/// Fills the frames.
pub fn fill() {
    let pages = &raw mut PAGES;
    for (index, byte) in FRAMES.into_iter().enumerate() {
        // SAFETY: nothing refers to the pages.
        unsafe { (*pages).0[index] = [byte; PAGE_SIZE as usize] };
    }
}

/// Address of a frame, linear and physical.
pub fn frame(index: u32) -> u32 {
    &raw const PAGES as u32 + index * PAGE_SIZE
}

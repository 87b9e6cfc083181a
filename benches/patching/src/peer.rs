//! Keys of the crate `static-keys` with many sites, and the crate's own functions to toggle them.
//!
//! The sites and their entries are those that `static_branch_unlikely!` emits on i386, repeated by the assembler: the
//! same five bytes, the same three words.
//!
//! # Safety
//!
//! The sites lie in a writable section, and nobody executes them. One thread uses the keys, behind
//! [`static_keys::global_init`].
#![allow(unsafe_code)]

use std::arch::global_asm;
use std::ffi::c_void;
use std::ptr;

use static_keys::code_manipulate::CodeManipulator;
use static_keys::{GenericStaticKey, StaticFalseKey, new_static_false_key, new_static_false_key_generic};

/// Writes text by plain stores, as a kernel does before its text becomes read-only, and as this crate's `DirectWriter`.
pub struct PlainStores;

impl CodeManipulator for PlainStores {
    unsafe fn write_code<const L: usize>(address: *mut c_void, data: &[u8; L]) {
        // SAFETY: the section is writable, and nothing refers to it.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), address.cast(), L) };
    }
}

/// A key that stores by itself.
type PlainKey = GenericStaticKey<PlainStores, false>;

/// Defines a key with so many sites.
macro_rules! key {
    ($(#[$doc:meta])* $name:ident: $type:ty = $value:expr, $sites:literal) => {
        $(#[$doc])*
        #[used]
        static $name: $type = $value;
        global_asm!(
            ".pushsection peer_text, \"awx\", @progbits",
            // The peer as published takes away the right to write to a page: pages of keys are apart.
            ".balign 4096",
            concat!(".L", stringify!($name), "_sites:"),
            ".rept {sites}",
            ".byte 0x3e, 0x8d, 0x74, 0x26, 0x00",
            ".endr",
            ".popsection",
            ".pushsection __static_keys, \"awR\", @progbits",
            ".balign 4",
            ".set peer_offset, 0",
            ".rept {sites}",
            concat!(".long .L", stringify!($name), "_sites + peer_offset - ."),
            concat!(".long .L", stringify!($name), "_sites - ."),
            ".long {key} - .",
            ".set peer_offset, peer_offset + 5",
            ".endr",
            ".popsection",
            sites = const $sites,
            key = sym $name,
        );
    };
}

key!(PLAIN_10: PlainKey = new_static_false_key_generic(), 10);
key!(PLAIN_1_000: PlainKey = new_static_false_key_generic(), 1_000);
key!(PLAIN_100_000: PlainKey = new_static_false_key_generic(), 100_000);
key!(PLAIN_1_000_000: PlainKey = new_static_false_key_generic(), 1_000_000);
key!(
    /// As published: each site's page is copied, and put in its place.
    LINUX_10: StaticFalseKey = new_static_false_key(), 10
);
key!(LINUX_1_000: StaticFalseKey = new_static_false_key(), 1_000);
key!(LINUX_100_000: StaticFalseKey = new_static_false_key(), 100_000);

/// A key that can be toggled.
pub trait Key: Sync {
    /// Has every site jump, or none.
    fn set(&self, enabled: bool);
}

impl<M: CodeManipulator + Sync> Key for GenericStaticKey<M, false> {
    fn set(&self, enabled: bool) {
        if enabled {
            // SAFETY: see the module.
            unsafe { self.enable() };
        } else {
            // SAFETY: see the module.
            unsafe { self.disable() };
        }
    }
}

/// Sorts the entries, and finds those of each key.
pub fn initialize() {
    static_keys::global_init();
}

/// The key with so many sites that stores by itself.
pub fn plain(sites: usize) -> Option<&'static dyn Key> {
    match sites {
        10 => Some(&PLAIN_10),
        1_000 => Some(&PLAIN_1_000),
        100_000 => Some(&PLAIN_100_000),
        1_000_000 => Some(&PLAIN_1_000_000),
        _ => None,
    }
}

/// The key with so many sites that works on Linux as published. A million would take too long.
pub fn linux(sites: usize) -> Option<&'static dyn Key> {
    match sites {
        10 => Some(&LINUX_10),
        1_000 => Some(&LINUX_1_000),
        100_000 => Some(&LINUX_100_000),
        _ => None,
    }
}

/// The number of sites of all keys.
pub fn sites() -> usize {
    static_keys::jump_entries_count()
}

//! The memory that a guest has of its hypervisor, and the text as its patcher writes it.
//!
//! # Safety
//!
//! The shared page is mapped once, before anything else runs, and stays; its words are atomics. The monitor has a
//! mapping of its own, which can always be written. The window is written before
//! anybody has its address. The writer writes to text within the bounds that the linker gives, through the address
//! alone, and only while the page is writable.
#![allow(unsafe_code)]

use std::io::{self, Error};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::patch::{TextError, TextErrorReason, TextWriter};
use paravirt_vmi::rom::WINDOW;
use vmi_hypervisor::layout::{PAGE_SIZE, ROM, SHARED};
use vmi_hypervisor::rom::{Image, Leave};

use crate::rom_code;

/// Where the monitor has the shared page.
static VIEW: AtomicU32 = AtomicU32::new(0);

/// The page that the ROM and the monitor share.
pub struct SharedPage;

impl SharedPage {
    /// Maps it, for the guest and for the monitor.
    ///
    /// # Errors
    ///
    /// If something lies there.
    pub fn map() -> io::Result<()> {
        // SAFETY: the name is a C string.
        let file = unsafe { libc::memfd_create(c"vmi-shared-page".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: the file is there, and nobody else's.
        if unsafe { libc::ftruncate(file, PAGE_SIZE as libc::off_t) } != 0 {
            return Err(Error::last_os_error());
        }
        let length = PAGE_SIZE as usize;
        let here = ptr::without_provenance_mut(SHARED as usize);
        let at = map(here, length, libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE, file)?;
        // A kernel that does not know the flag takes the address for a hint.
        if at.addr() != SHARED as usize {
            return Err(Error::from_raw_os_error(libc::EEXIST));
        }
        let view = map(ptr::null_mut(), length, libc::MAP_SHARED, file)?;
        VIEW.store(view.expose_provenance() as u32, SeqCst);
        Ok(())
    }

    /// Makes it read-only for the guest, or not.
    pub fn guard(guards: bool) {
        let write = if guards { 0 } else { libc::PROT_WRITE };
        protect(SHARED, PAGE_SIZE as usize, libc::PROT_READ | write).expect("the page is mapped");
    }

    /// The word at an offset.
    pub fn word(offset: u32) -> &'static AtomicU32 {
        assert!(offset < PAGE_SIZE && offset.is_multiple_of(4));
        let word = ptr::with_exposed_provenance_mut((VIEW.load(SeqCst) + offset) as usize);
        // SAFETY: the page is mapped for as long as the process runs, and used by nobody but as atomic words.
        unsafe { AtomicU32::from_ptr(word) }
    }
}

/// Maps memory that can be read and written.
fn map(at: *mut libc::c_void, length: usize, flags: i32, file: i32) -> io::Result<*mut libc::c_void> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the flags replace nothing that is mapped.
    let at = unsafe { libc::mmap(at, length, protection, flags, file, 0) };
    if at == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(at) }
}

/// The option-ROM window, with the hypervisor's ROM in it.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Linear address of physical address C0000.
    address: u32,
    /// Where the ROM must not be left half-way, as offsets in it.
    pub windows: vmi_hypervisor::rom::Windows,
}

impl Window {
    /// Maps a window, readable and executable, with a ROM that wants IRET and SYSEXIT to be reached in this way.
    pub fn map(leave: Leave) -> Self {
        let image = Image::new(&rom_code::code(), leave).expect("the assembly names its own places");
        let mut bytes = vec![0xFF; WINDOW.len()];
        let offset = (ROM - WINDOW.start) as usize;
        bytes[offset..][..image.bytes.len()].copy_from_slice(&image.bytes);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let at = map(ptr::null_mut(), bytes.len(), flags, -1).expect("there is room for a window");
        // SAFETY: the mapping has this length, and nobody else knows of it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), bytes.len()) };
        protect(at.expose_provenance() as u32, bytes.len(), libc::PROT_READ | libc::PROT_EXEC)
            .expect("the window can be made executable");
        Self { address: at.addr() as u32, windows: image.windows }
    }

    /// What is to be added to a physical address, modulo 2^32.
    pub fn physical_offset(&self) -> u32 {
        self.address.wrapping_sub(WINDOW.start)
    }

    /// The linear addresses of the ROM.
    pub fn rom(&self) -> Range<u32> {
        let start = self.physical_offset().wrapping_add(ROM);
        start..start + vmi_hypervisor::physical::ROM_SIZE
    }
}

/// Changes what may be done with the pages that hold `length` bytes at `address`.
fn protect(address: u32, length: usize, protection: i32) -> io::Result<()> {
    let start = address & !(PAGE_SIZE - 1);
    let length = (address - start) as usize + length;
    // SAFETY: of the window and of text, whose pages stay readable and executable, or were not in use; or of the shared
    // page, to which the guest's stores may trap.
    match unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(start as usize), length, protection) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}

/// The program's own text, which is made writable for each write and no longer.
#[derive(Debug, Default)]
pub struct Text {
    /// How often it has been written to.
    pub writes: usize,
}

impl Text {
    /// Checks that `length` bytes at `address` are text.
    fn check(address: u32, length: usize) -> Result<(), TextError> {
        let text = (&raw const __executable_start) as u32..(&raw const etext) as u32;
        let end = address.checked_add(length as u32);
        let inside = text.contains(&address) && end.is_some_and(|end| end <= text.end);
        inside.then_some(()).ok_or(TextError { address, length, reason: TextErrorReason::OutsideText })
    }
}

impl TextWriter for Text {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        Self::check(address, bytes.len())?;
        for (from, to) in (address..).zip(bytes) {
            // SAFETY: text can be read. Volatile, because it changes.
            *to = unsafe { ptr::with_exposed_provenance::<u8>(from as usize).read_volatile() };
        }
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        Self::check(address, bytes.len())?;
        let refused = TextError { address, length: bytes.len(), reason: TextErrorReason::NotWritable };
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        // The code that writes may be in the same page.
        protect(address, bytes.len(), executable | libc::PROT_WRITE).map_err(|_| refused)?;
        for (to, from) in (address..).zip(bytes) {
            let to = ptr::with_exposed_provenance_mut::<u8>(to as usize);
            // SAFETY: the page is writable, and nothing refers to it.
            unsafe { to.write_volatile(*from) };
        }
        self.writes += 1;
        protect(address, bytes.len(), executable).map_err(|_| refused)
    }

    fn serialize(&mut self) {
        core::arch::x86::__cpuid(0);
    }
}

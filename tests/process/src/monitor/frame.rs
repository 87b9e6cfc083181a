//! The guest's registers, as the kernel keeps them while a signal is handled.
//!
//! # Safety
//!
//! The context is the one that the kernel has made for the handler, which alone refers to it. The guest's stack is memory
//! of this process that the guest has for this purpose; the handlers run on another one.
#![allow(unsafe_code)]

use std::ptr;

/// EFLAGS.TF.
pub const TRAP_FLAG: u32 = 1 << 8;
/// What IRET in ring 3 takes over from the image of EFLAGS: CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC and ID.
const USER_FLAGS: u32 = 0x0024_4DD5;

/// The registers of the guest in an exit.
pub struct Frame<'a>(&'a mut [libc::greg_t; 19]);

impl Frame<'_> {
    /// That of the context that a signal's handler has got.
    ///
    /// # Safety
    ///
    /// It is the third argument of the handler, which makes one such value, and drops it before it returns.
    pub unsafe fn new(context: *mut libc::c_void) -> Self {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: by the contract.
        Self(unsafe { &mut (*context).uc_mcontext.gregs })
    }

    fn get(&self, register: i32) -> u32 {
        self.0[register as usize] as u32
    }

    fn set(&mut self, register: i32, value: u32) {
        self.0[register as usize] = value as libc::greg_t;
    }

    /// The exception's vector.
    pub fn exception(&self) -> u32 {
        self.get(libc::REG_TRAPNO)
    }

    /// EIP.
    pub fn eip(&self) -> u32 {
        self.get(libc::REG_EIP)
    }

    /// Goes on elsewhere.
    pub fn set_eip(&mut self, value: u32) {
        self.set(libc::REG_EIP, value);
    }

    /// EFLAGS.
    pub fn flags(&self) -> u32 {
        self.get(libc::REG_EFL)
    }

    /// Changes EFLAGS, as far as ring 3 may.
    pub fn set_flags(&mut self, value: u32) {
        self.set(libc::REG_EFL, self.flags() & !USER_FLAGS | value & USER_FLAGS);
    }

    /// CS.
    pub fn code(&self) -> u32 {
        self.get(libc::REG_CS) & 0xFFFF
    }

    /// EAX, EBX, ECX, EDX.
    pub fn registers(&self) -> [u32; 4] {
        [libc::REG_EAX, libc::REG_EBX, libc::REG_ECX, libc::REG_EDX].map(|register| self.get(register))
    }

    /// Changes EAX, EBX, ECX, EDX.
    pub fn set_registers(&mut self, values: [u32; 4]) {
        let registers = [libc::REG_EAX, libc::REG_EBX, libc::REG_ECX, libc::REG_EDX];
        for (register, value) in registers.into_iter().zip(values) {
            self.set(register, value);
        }
    }

    /// Changes EDX:EAX.
    pub fn set_result(&mut self, value: u64) {
        let [_, ebx, ecx, _] = self.registers();
        self.set_registers([value as u32, ebx, ecx, (value >> 32) as u32]);
    }

    fn esp(&self) -> u32 {
        self.get(libc::REG_ESP)
    }

    /// A word of the stack; 0 is that on top.
    pub fn stack_word(&self, index: u32) -> u32 {
        let from = ptr::with_exposed_provenance::<u32>((self.esp() + 4 * index) as usize);
        // SAFETY: see the module.
        unsafe { from.read_unaligned() }
    }

    /// Puts a word onto the stack.
    pub fn push(&mut self, value: u32) {
        self.set(libc::REG_ESP, self.esp() - 4);
        let to = ptr::with_exposed_provenance_mut::<u32>(self.esp() as usize);
        // SAFETY: see the module.
        unsafe { to.write_unaligned(value) };
    }

    /// Takes words off the stack.
    pub fn discard(&mut self, words: u32) {
        self.set(libc::REG_ESP, self.esp() + 4 * words);
    }

    /// Ends the process: with what it was about, and where.
    pub fn give_up(&self, what: &str) -> ! {
        let mut text = *b"exception 00 at 00000000: ";
        let digit = |value: u32| b"0123456789abcdef"[value as usize % 16];
        let exception = self.exception();
        (text[10], text[11]) = (digit(exception / 10), digit(exception % 10));
        for (place, shift) in (16..24).zip((0..8).rev()) {
            text[place] = digit(self.eip() >> (4 * shift));
        }
        for text in [&text[..], what.as_bytes(), b"\n"] {
            // SAFETY: the text is there. No lock is taken.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        }
        // SAFETY: nothing is run on the way out.
        unsafe { libc::_exit(101) }
    }
}

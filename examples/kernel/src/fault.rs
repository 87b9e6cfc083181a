//! Exceptions that are expected: what runs in [`catch`] may raise one, wherever its EIP then lies.
//!
//! # Safety
//!
//! An exception ends the function at once, without dropping what it owns: functions that are run here own
//! nothing and hold no lock. The assembly saves and restores the registers that the C ABI keeps.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::traps::{Frame, INTERRUPT_FLAG, flags_in_frame};

/// General protection.
pub const GENERAL_PROTECTION: u32 = 13;
/// Page fault.
pub const PAGE_FAULT: u32 = 14;

/// Bit 4 of a page fault's error code: an instruction was fetched.
pub const INSTRUCTION_FETCH: u32 = 1 << 4;

/// An exception.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Its vector.
    pub vector: u32,
    /// Its error code; 0 if it has none.
    pub error_code: u32,
    /// The instruction that raised it.
    pub eip: u32,
    /// CR2: of a page fault, the address.
    pub address: u32,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vector, error_code, eip, address } = self;
        write!(f, "exception {vector} at {eip:08x} with error code {error_code:#x}, CR2 {address:08x}")
    }
}

/// ESP to return to after an exception; 0 if none is expected.
static STACK: AtomicU32 = AtomicU32::new(0);
/// Vector, error code, EIP and address of the exception that was caught.
static CAUGHT: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

unsafe extern "C" {
    /// Calls `function` with `argument`; 0 if it returned, 1 if an exception ended it.
    fn catch_call(function: extern "C" fn(*mut u8), argument: *mut u8) -> u32;
    /// Returns 1 from the [`catch_call`] that is running.
    fn catch_resume() -> !;
}

global_asm!(
    r#"
    .text
    .globl catch_call
catch_call:
    push ebp
    push ebx
    push esi
    push edi
    mov [{stack}], esp
    mov eax, [esp + 20]
    mov ecx, [esp + 24]
    sub esp, 8
    push ecx
    call eax
    add esp, 12
    xor eax, eax
    jmp 2f

    .globl catch_resume
catch_resume:
    mov esp, [{stack}]
    # as Rust code expects them; the trap's entry has loaded DS and ES
    cld
    xor eax, eax
    mov fs, eax
    mov gs, eax
    inc eax
2:  mov dword ptr [{stack}], 0
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
"#,
    stack = sym STACK,
);

/// Runs `function`; the exception that ended it, if one did.
///
/// # Panics
///
/// If interrupts are enabled, or another exception is expected already.
pub fn catch<R>(function: impl FnOnce() -> R) -> Result<R, Fault> {
    struct Closure<F, R> {
        function: Option<F>,
        result: Option<R>,
    }
    extern "C" fn call<F: FnOnce() -> R, R>(closure: *mut u8) {
        // SAFETY: `catch` passes its own closure, which nothing else refers to meanwhile.
        let closure = unsafe { &mut *closure.cast::<Closure<F, R>>() };
        closure.result = closure.function.take().map(|function| function());
    }
    /// Ties the type of the function to that of the closure, which has no name.
    fn entry<F: FnOnce() -> R, R>(_: &Closure<F, R>) -> extern "C" fn(*mut u8) {
        call::<F, R>
    }
    assert!(flags_in_frame() & INTERRUPT_FLAG == 0, "an exception is expected while interrupts may come");
    assert!(!is_expected(), "an exception is expected already");
    let mut closure = Closure { function: Some(function), result: None };
    let entry = entry(&closure);
    // SAFETY: the entry is the one for this closure.
    let faulted = unsafe { catch_call(entry, (&raw mut closure).cast()) };
    match closure.result {
        Some(result) if faulted == 0 => Ok(result),
        _ => {
            let [vector, error_code, eip, address] = CAUGHT.each_ref().map(|word| word.load(Relaxed));
            Err(Fault { vector, error_code, eip, address })
        }
    }
}

/// Whether [`catch`] is running something.
pub fn is_expected() -> bool {
    STACK.load(Relaxed) != 0
}

/// Ends what [`catch`] runs. Called by the trap handler, with CR2.
pub fn resume(frame: &Frame, address: u32) -> ! {
    for (word, value) in CAUGHT.iter().zip([frame.vector, frame.error_code, frame.eip, address]) {
        word.store(value, Relaxed);
    }
    // SAFETY: the handler has seen that a `catch` is running; its stack is as it was.
    unsafe { catch_resume() }
}

/// The byte at `address`, or the page fault that reading it raises.
pub fn read_byte(address: u32) -> Result<u8, Fault> {
    catch(|| {
        let from = core::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: reads memory that nothing else refers to, or raises an exception that is caught.
        unsafe { from.read_volatile() }
    })
}

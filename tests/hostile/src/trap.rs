//! Exceptions, interrupts and `int`: each ends the attempt that is being made, or a part of it.
//!
//! # Safety
//!
//! [`catch`] gives up the frames between itself and the exception. Nothing on them has a destructor, and no
//! reference to them is left.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::ffi::c_void;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The vector by which ring 3 comes back.
pub const USER_DONE: u32 = 0x80;
/// #DB.
pub const DEBUG: u32 = 1;
/// EFLAGS.TF.
pub const TRAP_FLAG: u32 = 1 << 8;

/// An exception, an interrupt, or an `int` as it arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    /// The vector.
    pub vector: u32,
    /// The error code, or 0.
    pub code: u32,
    /// CR2.
    pub address: u32,
    /// Where it came.
    pub eip: u32,
    /// EFLAGS as they were saved.
    pub eflags: u32,
    /// EAX.
    pub eax: u32,
    /// CS of the handler itself.
    pub handler: u32,
    /// The real EFLAGS in the handler.
    pub flags: u32,
}

/// What the stub and the processor leave on the stack.
#[repr(C)]
struct Frame {
    flags: u32,
    handler: u32,
    address: u32,
    registers: [u32; 7],
    eax: u32,
    vector: u32,
    code: u32,
    eip: u32,
    cs: u32,
    eflags: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {} code {:x} at {:08x}", self.vector, self.code, self.eip)?;
        if self.vector == 14 {
            write!(f, " about {:08x}", self.address)?;
        }
        Ok(())
    }
}

/// The stack pointer to go on with after an exception; 0 while there is none.
static RESUME: AtomicU32 = AtomicU32::new(0);
/// How many #DB went by while single steps are counted; see [`count_steps`].
static STEPS: AtomicU32 = AtomicU32::new(0);
/// How many single steps are counted before one ends the attempt.
static COUNTING: AtomicU32 = AtomicU32::new(0);

/// The last fault. A word each, so that no reference to it is ever needed.
static LAST: [AtomicU32; 8] = [const { AtomicU32::new(0) }; 8];

unsafe extern "C" {
    fn catch_call(function: unsafe extern "C" fn(*mut c_void), data: *mut c_void) -> u32;
}

/// Calls `f`; if an exception, an interrupt or an `int` comes up in it, gives that back instead.
pub fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Fault> {
    struct Call<F, R> {
        f: Option<F>,
        result: MaybeUninit<R>,
    }
    unsafe extern "C" fn call<F: FnOnce() -> R, R>(data: *mut c_void) {
        // SAFETY: `catch` passes its own, which nothing else uses meanwhile.
        let call = unsafe { &mut *data.cast::<Call<F, R>>() };
        if let Some(f) = call.f.take() {
            call.result.write(f());
        }
    }
    fn begin<F: FnOnce() -> R, R>(call_data: &mut Call<F, R>) -> u32 {
        let data: *mut Call<F, R> = call_data;
        // SAFETY: `call` fits the data.
        unsafe { catch_call(call::<F, R>, data.cast()) }
    }
    let outer = RESUME.load(Relaxed);
    let mut data = Call { f: Some(f), result: MaybeUninit::uninit() };
    let caught = begin(&mut data);
    RESUME.store(outer, Relaxed);
    if caught != 0 {
        return Err(last());
    }
    // SAFETY: no exception came, so `call` has run to its end.
    Ok(unsafe { data.result.assume_init() })
}

fn last() -> Fault {
    let [vector, code, address, eip, eflags, eax, handler, flags] =
        core::array::from_fn(|index| LAST[index].load(Relaxed));
    Fault { vector, code, address, eip, eflags, eax, handler, flags }
}

/// Calls `f` while every #DB is only counted, up to a limit; returns how many there were.
pub fn count_steps(limit: u32, f: impl FnOnce()) -> u32 {
    STEPS.store(0, Relaxed);
    COUNTING.store(limit, Relaxed);
    f();
    COUNTING.store(0, Relaxed);
    STEPS.load(Relaxed)
}

/// The address of the stub of a vector.
pub fn stub(vector: u32) -> u32 {
    unsafe extern "C" {
        safe static trap_stubs: u8;
    }
    (&raw const trap_stubs).addr() as u32 + vector * STUB_SIZE
}

const STUB_SIZE: u32 = 16;

/// Called by the stubs; returns the stack pointer to go on with, or 0 to return.
#[unsafe(no_mangle)]
extern "C" fn trap_entered(frame: &Frame) -> u32 {
    if frame.vector == DEBUG && STEPS.load(Relaxed) < COUNTING.load(Relaxed) {
        STEPS.fetch_add(1, Relaxed);
        return 0;
    }
    let words = [
        frame.vector,
        frame.code,
        frame.address,
        frame.eip,
        frame.eflags,
        frame.eax,
        frame.handler,
        frame.flags,
    ];
    for (place, word) in LAST.iter().zip(words) {
        place.store(word, Relaxed);
    }
    match RESUME.load(Relaxed) {
        0 => panic!("{}", last()),
        resume => resume,
    }
}

/// Called by `catch_call` with its stack pointer.
#[unsafe(no_mangle)]
extern "C" fn trap_set_resume(resume: u32) {
    RESUME.store(resume, Relaxed);
}

global_asm!(
    r#"
    .section .boot.text.hostile, "ax", @progbits

    # The processor pushes an error code for some vectors; for the others a 0 stands in its place.
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17)
    .else
    push 0
    .endif
    push vector
    jmp trap_common
    .set vector, vector + 1
    .endr

    .balign 16
trap_common:
    cld
    pushad
    mov eax, cr2
    push eax
    # the ring that this runs in, and the kernel's data segment for it
    mov eax, cs
    push eax
    pushfd
    and eax, 3
    or eax, 0x10
    mov ds, eax
    mov es, eax
    push esp
    call trap_entered
    add esp, 4
    test eax, eax
    jnz 2f
    add esp, 12
    popad
    add esp, 8
    iretd
2:
    mov ecx, cs
    and ecx, 3
    or ecx, 0x10
    mov ss, ecx
    mov esp, eax
    pop edi
    pop esi
    pop ebx
    pop ebp
    mov eax, 1
    ret

    # catch_call(function, data): 0, or 1 if an exception came
    .globl catch_call
catch_call:
    push ebp
    push ebx
    push esi
    push edi
    push esp
    call trap_set_resume
    add esp, 4
    push [esp + 24]
    call [esp + 24]
    add esp, 4
    xor eax, eax
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
    .text
"#
);

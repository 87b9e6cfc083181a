//! Registers: what a site may change, and what an interrupt may not.
//!
//! # Safety
//!
//! The assembly keeps the registers of the C ABI, the stack and the direction flag.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::sync::atomic::Ordering::Relaxed;

use paravirt_vmi::irq;

use super::{check, enable, restore, when_ticking};
use crate::report::{Check, Report};
use crate::ticks::COUNTDOWN;
use crate::{direction, pit, ticks};

pub fn run(report: &mut Report) {
    check(report, "registers.disable", |check| survive(check, disable, &ALL));
    check(report, "registers.enable", |check| survive(check, unmask, &ALL));
    check(report, "registers.save_restore", |check| {
        survive(check, save_and_restore, &ALL_BUT_EAX);
    });
    check(report, "registers.halt", when_ticking(halt_keeps_registers));
    check(report, "registers.interrupt", interrupts_keep_registers);
    check(report, "registers.direction", interrupts_keep_the_direction);
}

/// Values in the order of [`NAMES`].
type Registers = [u32; 7];
const NAMES: [&str; 7] = ["EBX", "ESI", "EDI", "EBP", "ECX", "EDX", "EAX"];
const ALL: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];
const ALL_BUT_EAX: [usize; 6] = [0, 1, 2, 3, 4, 5];
/// What a call with the standard clobbers keeps.
const PRESERVED: [usize; 4] = [0, 1, 2, 3];

unsafe extern "C" {
    /// Calls `function` with the registers loaded from `registers`, and stores there what it left.
    fn call_with_registers(function: extern "C" fn(), registers: &mut Registers);
    /// Waits until [`COUNTDOWN`] is zero; neither changes nor uses a register.
    fn wait_for_ticks();
}

global_asm!(
    r#"
    .text
    .globl call_with_registers
call_with_registers:
    push ebx
    push esi
    push edi
    push ebp
    sub esp, 12
    mov ebp, [esp + 36]
    mov ebx, [ebp]
    mov esi, [ebp + 4]
    mov edi, [ebp + 8]
    mov ecx, [ebp + 16]
    mov edx, [ebp + 20]
    mov eax, [ebp + 24]
    mov ebp, [ebp + 12]
    call [esp + 32]
    # EBP as it was left changes places with the address of the array
    xchg ebp, [esp + 36]
    mov [ebp], ebx
    mov [ebp + 4], esi
    mov [ebp + 8], edi
    mov [ebp + 16], ecx
    mov [ebp + 20], edx
    mov [ebp + 24], eax
    mov eax, [esp + 36]
    mov [ebp + 12], eax
    add esp, 12
    pop ebp
    pop edi
    pop esi
    pop ebx
    ret

    .globl wait_for_ticks
wait_for_ticks:
    push {patience}
2:  cmp dword ptr [{countdown}], 0
    je 3f
    dec dword ptr [esp]
    jnz 2b
3:  add esp, 4
    ret
"#,
    patience = const PATIENCE,
    countdown = sym COUNTDOWN,
);

// Each of these compiles to the site and a return: the compiler needs no register for it but EAX, for
// the value of a saved state.
extern "C" fn disable() {
    irq::disable();
}

extern "C" fn unmask() {
    enable();
}

extern "C" fn save_and_restore() {
    restore(irq::save());
}

extern "C" fn halt() {
    // SAFETY: nothing here relies on masked interrupts.
    unsafe { irq::enable_and_halt() }
}

/// How often `wait_for_ticks` looks before it gives up.
const PATIENCE: u32 = 4_000_000;

/// Starts the timer; `wait_for_ticks` will wait for a few ticks.
fn start_ticks() {
    COUNTDOWN.store(5, Relaxed);
    pit::periodic(pit::fast());
    enable();
}

extern "C" fn wait() {
    // SAFETY: changes no register.
    unsafe { wait_for_ticks() }
}

/// Expects `function` to leave the named registers and the direction flag alone.
fn survive(check: &mut Check, function: extern "C" fn(), registers: &[usize]) {
    for poison in [0xDEAD_BEE0, !0xDEAD_BEE0] {
        let before: Registers = core::array::from_fn(|index| poison ^ index as u32);
        let mut after = before;
        // SAFETY: `function` keeps what the C ABI keeps, or this check is there to see it.
        unsafe { call_with_registers(function, &mut after) };
        for &index in registers {
            check.equal(NAMES[index], after[index], before[index]);
        }
        check.equal("direction flag clear", direction::is_forward(), true);
    }
}

fn halt_keeps_registers(check: &mut Check) {
    pit::periodic(pit::fast());
    survive(check, halt, &PRESERVED);
}

fn interrupts_keep_registers(check: &mut Check) {
    start_ticks();
    survive(check, wait, &ALL);
    irq::disable();
    check.equal("ticks still to come", COUNTDOWN.load(Relaxed), 0);
}

/// Code with the direction flag set is interrupted by a handler that needs it clear.
fn interrupts_keep_the_direction(check: &mut Check) {
    let start = ticks::counts();
    start_ticks();
    let kept: u8;
    let at = 0u8;
    let address = &raw const at;
    // SAFETY: reads one byte; the direction flag is clear again at the end.
    unsafe {
        asm!(
            "std",
            "call {wait_for_ticks}",
            "mov {before}, edi",
            "scasb",
            "cld",
            "cmp edi, {before}",
            "setb {kept}",
            wait_for_ticks = sym wait_for_ticks,
            before = out(reg) _,
            kept = out(reg_byte) kept,
            inout("edi") address => _,
        );
    }
    irq::disable();
    let end = ticks::counts();
    check.equal("ticks still to come", COUNTDOWN.load(Relaxed), 0);
    check.equal("direction flag kept", kept, 1);
    check.equal("handlers with it set", end.entered_backward - start.entered_backward, 0);
}

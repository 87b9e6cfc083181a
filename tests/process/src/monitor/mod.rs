//! The hypervisor's part: two signals of one thread, the guest's.
//!
//! SIGSEGV is an exit: a hypercall of the ROM, a store to the virtual flag while an interrupt waits that is masked, or a
//! privileged instruction, which is carried out for the guest. SIGUSR1 is
//! an interrupt: it is delivered if the virtual flag is set, and waits else. Every interrupt has a number, its ticket, so
//! that none can be lost or come twice without notice. Each exit is counted.
//!
//! # Safety
//!
//! The handlers run on a stack of their own with both signals blocked, so that one of them runs at a time, and touch
//! nothing but atomics, the registers in the signal frame, and the guest's stack above its pointer's next words.
#![allow(unsafe_code)]

mod counts;
mod frame;
mod hypercall;
mod privileged;

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::abi::flags::InterruptMask;
use vmi_hypervisor::decode::{MAXIMUM_LENGTH, Operation, Source, decode};
use vmi_hypervisor::layout::{HYPERCALL, SHARED, is_shared, shared};
use vmi_hypervisor::rom::Windows;

use crate::machine::{SharedPage, Window};
pub use counts::{Exits, exits, hypercalls, last_fault};
use counts::{HYPERCALLS, STORES, TRAPS};
use frame::{Frame, TRAP_FLAG};
pub use hypercall::is_carried_out;

/// EFLAGS.IF.
pub const INTERRUPT_FLAG: u32 = InterruptMask::IF.bits();
/// The exception that privileged instructions and closed gates raise.
const GENERAL_PROTECTION: u32 = 13;
/// The exception that a store to a read-only page raises.
const PAGE_FAULT: u32 = 14;
/// The signal that is an interrupt.
const INTERRUPT: i32 = libc::SIGUSR1;

/// Interrupts that have come up. The ticket of each is the number up to and with it.
pub static RAISED: AtomicU32 = AtomicU32::new(0);
/// Interrupts that have been delivered. In the guest's handler: its ticket.
pub static DELIVERED: AtomicU32 = AtomicU32::new(0);
/// How often the guest was put back to the start of the ROM's window.
pub static ROLLED_BACK: AtomicU32 = AtomicU32::new(0);
/// Not 0 while the shared page is read-only.
static GUARDED: AtomicU32 = AtomicU32::new(0);
/// Not 0 while the guest sleeps.
pub static HALTED: AtomicU32 = AtomicU32::new(0);

/// Where the guest's handler is.
static HANDLER: AtomicU32 = AtomicU32::new(0);
/// Where the ROM is, and where its window begins, has set the flag, and ends.
static ROM: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static ROM_WINDOW: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// After how many instructions an interrupt comes up by itself; 0: none does.
static PLANTED: AtomicU32 = AtomicU32::new(0);
/// Where the planted interrupt came up.
static PLANTED_AT: AtomicU32 = AtomicU32::new(0);
/// Where to go on after a fault, when the guest tries out what faults; 0: instructions are carried out.
static LANDING: AtomicU32 = AtomicU32::new(0);

/// Takes the signals of the process, and this thread as the guest, whose handler of interrupts is at `handler`.
pub fn start(handler: u32) {
    HANDLER.store(handler, SeqCst);
    let size = 64 << 10;
    let stack =
        libc::stack_t { ss_sp: vec![0_u8; size].leak().as_mut_ptr().cast(), ss_flags: 0, ss_size: size };
    // SAFETY: the stack stays.
    assert_eq!(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) }, 0);
    let handlers: [(i32, extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void)); 3] =
        [(libc::SIGSEGV, on_fault), (INTERRUPT, on_interrupt), (libc::SIGTRAP, on_step)];
    for (signal, handler) in handlers {
        // SAFETY: zeros are a value of the type.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        for (other, _) in handlers {
            // SAFETY: the set is a valid one.
            unsafe { libc::sigaddset(&raw mut action.sa_mask, other) };
        }
        // SAFETY: the handlers keep to what is said above.
        assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
    }
}

/// The ROM that may make hypercalls from now on.
pub fn insert(window: &Window) {
    let (rom, Windows { iret_start, iret_or, iret_end, .. }) = (window.rom(), window.windows);
    ROM[0].store(rom.start, SeqCst);
    ROM[1].store(rom.end, SeqCst);
    for (place, offset) in ROM_WINDOW.iter().zip([iret_start, iret_or, iret_end]) {
        place.store(rom.start + offset, SeqCst);
    }
}

/// The virtual interrupt flag.
pub fn flag() -> bool {
    SharedPage::word(shared::FLAG).load(SeqCst) & INTERRUPT_FLAG != 0
}

/// Changes the virtual interrupt flag.
fn set_flag(flag: bool) {
    let word = if flag { INTERRUPT_FLAG } else { 0 };
    SharedPage::word(shared::FLAG).store(word, SeqCst);
}

/// Has an interrupt come up in front of the guest's `instructions`-th instruction after it has set EFLAGS.TF.
pub fn plant(instructions: u32) {
    PLANTED_AT.store(0, SeqCst);
    PLANTED.store(instructions, SeqCst);
}

/// Where the planted interrupt came up; nowhere if it did not.
pub fn planted_at() -> Option<u32> {
    PLANTED.store(0, SeqCst);
    Some(PLANTED_AT.swap(0, SeqCst)).filter(|address| *address != 0)
}

/// Has faults end in a jump to `landing`, until this is called with 0.
pub fn land_at(landing: u32) {
    LANDING.store(landing, SeqCst);
}

/// The guest's thread, to send interrupts to.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    process: i32,
    thread: i32,
}

impl Line {
    /// That of the calling thread.
    pub fn of_this_thread() -> Self {
        // SAFETY: asks only.
        let process = unsafe { libc::getpid() };
        // SAFETY: asks only.
        let thread = unsafe { libc::gettid() };
        Self { process, thread }
    }

    /// Raises an interrupt. Two that are raised before the first has come up are one.
    pub fn raise(self) {
        // SAFETY: the signal has a handler.
        let result = unsafe { libc::syscall(libc::SYS_tgkill, self.process, self.thread, INTERRUPT) };
        assert_eq!(result, 0, "the guest's thread is there");
    }

    /// A timer that raises an interrupt every `period` nanoseconds, for as long as the process runs.
    pub fn start_timer(self, period: i32) {
        // SAFETY: zeros are a value of the type.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = INTERRUPT;
        event.sigev_notify_thread_id = self.thread;
        let mut timer: libc::timer_t = ptr::null_mut();
        // SAFETY: both live for the call.
        let result = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
        assert_eq!(result, 0, "there is a timer");
        let period = libc::timespec { tv_sec: 0, tv_nsec: period };
        let setting = libc::itimerspec { it_interval: period, it_value: period };
        // SAFETY: as above.
        let result = unsafe { libc::timer_settime(timer, 0, &raw const setting, ptr::null_mut()) };
        assert_eq!(result, 0, "the timer can be set");
    }
}

/// An exit.
extern "C" fn on_fault(_: i32, information: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler its context.
    let mut frame = unsafe { Frame::new(context) };
    // SAFETY: the kernel gives a handler its information.
    let information = unsafe { &*information };
    // SAFETY: the signal comes from a fault.
    let address = unsafe { information.si_addr() }.addr() as u32;
    let eip = frame.eip();
    let is_store = frame.exception() == PAGE_FAULT && is_shared(address) && GUARDED.load(SeqCst) != 0;
    if frame.exception() != GENERAL_PROTECTION && !is_store {
        frame.give_up("a fault that is the guest's own");
    }
    let from = ptr::with_exposed_provenance::<u8>(eip as usize);
    // SAFETY: an instruction has been fetched from there, and there is more text, or more of the ROM, behind it.
    let bytes = unsafe { from.cast::<[u8; MAXIMUM_LENGTH]>().read_unaligned() };
    let Ok(instruction) = decode(&bytes, true) else {
        frame.give_up("an instruction that is not emulated");
    };
    let landing = LANDING.load(SeqCst);
    match instruction.operation {
        Operation::Store { from: Source::Immediate(value), .. } if is_store => {
            STORES.fetch_add(1, SeqCst);
            frame.set_eip(eip + u32::from(instruction.length));
            let image = value << (8 * (address - SHARED - shared::FLAG));
            set_flag(image & INTERRUPT_FLAG != 0);
            deliver_if_enabled(&mut frame);
        }
        _ if is_store => frame.give_up("another store to the flag than those of the ROM"),
        Operation::Int(HYPERCALL) if in_rom(eip) => {
            let number = frame.stack_word(0);
            HYPERCALLS[number as usize % HYPERCALLS.len()].fetch_add(1, SeqCst);
            frame.set_eip(eip + u32::from(instruction.length));
            hypercall::carry_out(&mut frame, number);
        }
        _ if landing != 0 => {
            counts::note(&bytes);
            frame.set_eip(landing);
        }
        operation => {
            TRAPS.fetch_add(1, SeqCst);
            counts::note(&bytes);
            let next = bytes[usize::from(instruction.length)..].first().copied();
            frame.set_eip(eip + u32::from(instruction.length));
            privileged::carry_out(&mut frame, &operation, next);
        }
    }
}

/// An interrupt.
extern "C" fn on_interrupt(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler its context.
    interrupt(&mut unsafe { Frame::new(context) });
}

/// One more instruction is done.
extern "C" fn on_step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler its context.
    let mut frame = unsafe { Frame::new(context) };
    match PLANTED.load(SeqCst) {
        0 => {}
        1 => {
            PLANTED.store(0, SeqCst);
            PLANTED_AT.store(frame.eip(), SeqCst);
            frame.set_flags(frame.flags() & !TRAP_FLAG);
            interrupt(&mut frame);
        }
        more => PLANTED.store(more - 1, SeqCst),
    }
}

/// An interrupt comes up, while the guest is where `frame` says.
fn interrupt(frame: &mut Frame) {
    RAISED.fetch_add(1, SeqCst);
    let [start, flag_is_set, end] = [0, 1, 2].map(|place: usize| ROM_WINDOW[place].load(SeqCst));
    let eip = frame.eip();
    if start < eip && eip < end {
        // The ROM has asked whether something waits, and has been told that nothing does.
        if eip >= flag_is_set {
            set_flag(false);
        }
        frame.set_eip(start);
        ROLLED_BACK.fetch_add(1, SeqCst);
    }
    deliver_if_enabled(frame);
}

/// Delivers the next interrupt, if one waits and the flag is set.
fn deliver_if_enabled(frame: &mut Frame) {
    if flag() && DELIVERED.load(SeqCst) != RAISED.load(SeqCst) {
        DELIVERED.fetch_add(1, SeqCst);
        // The image on the stack has the virtual flag, which is set, as the real one is.
        let (flags, code, eip) = (frame.flags(), frame.code(), frame.eip());
        for word in [flags | INTERRUPT_FLAG, code, eip] {
            frame.push(word);
        }
        frame.set_flags(flags & !TRAP_FLAG);
        frame.set_eip(HANDLER.load(SeqCst));
        set_flag(false);
    }
    let waits = DELIVERED.load(SeqCst) != RAISED.load(SeqCst);
    SharedPage::word(shared::PENDING).store(waits.into(), SeqCst);
    let guards = waits && !flag();
    if GUARDED.swap(guards.into(), SeqCst) != u32::from(guards) {
        SharedPage::guard(guards);
    }
}

/// Whether an address is in the ROM.
fn in_rom(address: u32) -> bool {
    (ROM[0].load(SeqCst)..ROM[1].load(SeqCst)).contains(&address)
}

/// Waits for an interrupt, which comes up.
fn sleep(frame: &Frame) {
    // SAFETY: zeros are a value of the type.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a valid one.
    unsafe { libc::sigaddset(&raw mut set, INTERRUPT) };
    let limit = libc::timespec { tv_sec: 10, tv_nsec: 0 };
    HALTED.store(1, SeqCst);
    // SAFETY: the signal is blocked here, and is taken instead of handled.
    let signal = unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const limit) };
    HALTED.store(0, SeqCst);
    if signal != INTERRUPT {
        frame.give_up("a halt that nothing ends");
    }
    RAISED.fetch_add(1, SeqCst);
}

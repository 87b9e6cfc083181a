//! One processor with its guest, and the hypervisor that interrupts it.
//!
//! There is one processor, so that at any moment either one instruction of the guest or the hypervisor has it:
//! that is the lock. What the two share in memory are the words of the shared page.

use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::{Condvar, Mutex, MutexGuard};
use paravirt_vmi_abi::flags::InterruptMask;
use vmi_hypervisor::frame::Frame as Registers;
use vmi_hypervisor::rom::Windows;
use vmi_hypervisor::vcpu::Vcpu;

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// The hypervisor lets the guest write the flag though an interrupt waits.
    StoreDoesNotTrap,
    /// The hypervisor carries out the store that unmasks, and does not deliver what waits.
    StoreDeliversNothing,
    /// The hypervisor makes the flag read-only once the guest goes on.
    GuardedLate,
    /// DisableInterrupts returns before the flag is clear.
    MaskedLate,
    /// The hypervisor lets the guest go on before it has said that an interrupt waits.
    PendingWrittenLate,
    /// An IRET that is interrupted behind its look goes on where it was.
    ReturnGoesOn,
    /// An IRET that is interrupted behind its look begins anew with the flag that it has set already.
    ReturnKeepsTheFlag,
    /// The kernel unmasks and halts by two calls.
    HaltUnmasksBefore,
}

/// The place of an instruction, as EIP: in the kernel, or in the part of IRET that must not be left half-way.
/// Each instruction is one byte long.
pub mod place {
    use vmi_hypervisor::rom::Windows;

    /// An instruction of the kernel.
    pub const KERNEL: u32 = 0;
    /// An instruction of the ROM, outside the window.
    pub const ROM: u32 = 0x100;
    /// The window.
    pub const WINDOW: Windows =
        Windows { iret_start: 0x110, iret_asked: 0x111, iret_or: 0x112, iret_end: 0x113 };
}

/// What a gate pushes, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Where the guest was.
    pub eip: u32,
    /// The virtual interrupt flag that it had.
    pub interrupt_flag: bool,
}

/// An interrupt that the guest is to handle now.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt {
    /// Its number, 0 to 31.
    pub vector: u32,
    /// How to return.
    pub frame: Frame,
}

/// What whoever has the processor knows.
#[derive(Debug)]
pub struct State {
    /// The hypervisor's view of the guest, valid while the guest does not run; EIP is always valid.
    pub vcpu: Vcpu,
    /// The vectors that wait in the interrupt controller, by bit.
    raised: u32,
    /// The handler that the guest has been put at the start of.
    entered: Option<Interrupt>,
    /// No device raises anything any more.
    is_silent: bool,
    /// Not part of the machine: the kernel relies on not being interrupted.
    pub is_masked: bool,
    /// Not part of the machine: which vectors were delivered, and how.
    pub seen: Seen,
}

/// What happened in a run, of which the last three must not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The vectors that were delivered, by bit.
    pub vectors: u32,
    /// Interrupts delivered as they came.
    pub at_once: u32,
    /// Interrupts delivered because the store that unmasked had trapped.
    pub by_store: u32,
    /// Interrupts delivered in a hypercall: the ROM's IRET had found that one waits, or the guest halted.
    pub by_hypercall: u32,
    /// Returns begun anew.
    pub rolled_back: u32,
    /// An interrupt waited though nothing masked it, or waits for ever.
    pub is_lost: bool,
    /// An interrupt was delivered while it was masked.
    pub was_masked: bool,
    /// The guest slept when no more interrupts were to come.
    pub is_asleep: bool,
}

/// The machine: processor, guest, hypervisor.
#[derive(Debug)]
pub struct Machine {
    processor: Mutex<State>,
    woken: Condvar,
    /// `shared::FLAG` of the shared page.
    flag: AtomicU32,
    /// `shared::PENDING` of the shared page.
    pending: AtomicU32,
    /// Whether the shared page is read-only: not 0 if it is.
    guarded: AtomicU32,
    breakage: Option<Breakage>,
}

impl Machine {
    /// A guest whose interrupts are enabled.
    pub fn new(breakage: Option<Breakage>) -> Self {
        let mut vcpu = Vcpu::new(Registers::default());
        vcpu.interrupt_flag = true;
        vcpu.frame.eip = place::KERNEL;
        let state = State {
            vcpu,
            raised: 0,
            entered: None,
            is_silent: false,
            is_masked: false,
            seen: Seen::default(),
        };
        Self {
            processor: Mutex::new(state),
            woken: Condvar::new(),
            flag: AtomicU32::new(InterruptMask::IF.bits()),
            pending: AtomicU32::new(0),
            guarded: AtomicU32::new(0),
            breakage,
        }
    }

    /// Whether this is what is done wrong.
    pub fn breaks(&self, breakage: Breakage) -> bool {
        self.breakage == Some(breakage)
    }

    /// The shared word with the flag, for an instruction of the ROM.
    pub fn flag(&self) -> &AtomicU32 {
        &self.flag
    }

    /// Whether the shared word says that an interrupt waits, for an instruction of the ROM.
    pub fn is_pending(&self) -> bool {
        self.pending.load(Relaxed) != 0
    }

    /// Whether a store to the shared page traps.
    pub fn is_guarded(&self) -> bool {
        self.guarded.load(Relaxed) != 0
    }

    /// Takes the processor, for an instruction or for the hypervisor.
    pub fn take(&self) -> MutexGuard<'_, State> {
        self.processor.lock().expect("a thread of the model has panicked")
    }

    /// Takes the processor for the guest's next instruction, unless a handler comes first.
    ///
    /// # Errors
    ///
    /// The interrupt to handle.
    pub fn next(&self) -> Result<MutexGuard<'_, State>, Interrupt> {
        let mut state = self.take();
        while state.vcpu.halted {
            if state.is_silent {
                state.seen.is_asleep = true;
                state.vcpu.halted = false;
            } else {
                state = self.woken.wait(state).expect("a thread of the model has panicked");
            }
        }
        if let Some(interrupt) = state.entered.take() {
            return Err(interrupt);
        }
        if state.vcpu.frame.eip == place::KERNEL && self.flag.load(Relaxed) != 0 {
            state.seen.is_lost |= state.raised != 0;
        }
        Ok(state)
    }

    /// A device raises a vector: a real interrupt, which leads into the hypervisor.
    pub fn raise(&self, vector: u32) {
        let mut state = self.take();
        state.raised |= 1 << vector;
        self.exit(&mut state);
        self.roll_back(&mut state);
        let delivered = self.deliver_events(&mut state);
        state.seen.at_once += u32::from(delivered);
        self.write_flag(&state);
        if !self.breaks(Breakage::GuardedLate) {
            self.guard(&state);
        }
        if !self.breaks(Breakage::PendingWrittenLate) {
            self.write_pending(&state);
        }
        if self.breaks(Breakage::GuardedLate) || self.breaks(Breakage::PendingWrittenLate) {
            drop(state);
            state = self.take();
            self.guard(&state);
            self.write_pending(&state);
        }
        if !state.vcpu.halted {
            self.woken.notify_one();
        }
    }

    /// The devices have raised all that they will. Who still sleeps then is woken, and that is noted.
    pub fn fall_silent(&self) {
        self.take().is_silent = true;
        self.woken.notify_one();
    }

    /// `int HYPERCALL`: the hypervisor does what `answer` does, and delivers what waits. `Guest::exit`, then
    /// `Guest::enter`.
    pub fn hypercall(&self, state: &mut State, answer: impl FnOnce(&mut Vcpu)) {
        self.exit(state);
        answer(&mut state.vcpu);
        let delivered = self.deliver_events(state);
        state.seen.by_hypercall += u32::from(delivered);
        self.enter(state);
    }

    /// A store to the flag while the page is read-only: the hypervisor carries it out, and delivers what waits if
    /// it may be now. `Guest::page_fault`, between `Guest::exit` and `Guest::enter`.
    pub fn trapped_store(&self, state: &mut State, enabled: bool) {
        self.exit(state);
        state.vcpu.interrupt_flag = enabled;
        if !self.breaks(Breakage::StoreDeliversNothing) {
            let delivered = self.deliver_events(state);
            state.seen.by_store += u32::from(delivered);
        }
        self.enter(state);
    }

    /// `Machine::run`, before `switch::run`.
    fn enter(&self, state: &State) {
        self.write_flag(state);
        self.write_pending(state);
        self.guard(state);
    }

    /// `Machine::run`, behind `switch::run`.
    fn exit(&self, state: &mut State) {
        state.vcpu.interrupt_flag = self.flag.load(Relaxed) & InterruptMask::IF.bits() != 0;
    }

    /// `Guest::roll_back`.
    fn roll_back(&self, state: &mut State) {
        const WINDOW: Windows = place::WINDOW;
        let eip = state.vcpu.frame.eip;
        if eip == WINDOW.iret_start || !WINDOW.contains(eip) || self.breaks(Breakage::ReturnGoesOn) {
            return;
        }
        if eip >= WINDOW.iret_or && !self.breaks(Breakage::ReturnKeepsTheFlag) {
            state.vcpu.interrupt_flag = false;
        }
        state.vcpu.frame.eip = WINDOW.iret_start;
        state.seen.rolled_back += 1;
    }

    /// `Guest::deliver_events`, and of `Guest::deliver` what concerns the flag. The gates are interrupt gates, so
    /// it is one interrupt at most. Returns whether it was one.
    fn deliver_events(&self, state: &mut State) -> bool {
        let delivers = state.raised != 0 && state.vcpu.is_interruptible();
        if delivers {
            let vector = state.raised.trailing_zeros();
            state.raised &= !(1 << vector);
            state.seen.was_masked |= state.is_masked;
            state.seen.vectors |= 1 << vector;
            let vcpu = &mut state.vcpu;
            let frame = Frame { eip: vcpu.frame.eip, interrupt_flag: vcpu.interrupt_flag };
            state.entered = Some(Interrupt { vector, frame });
            vcpu.interrupt_flag = false;
            vcpu.halted = false;
            vcpu.frame.eip = place::KERNEL;
            state.is_masked = true;
        }
        state.vcpu.interrupt_pending = state.raised != 0;
        delivers
    }

    /// `Machine::run`, before `switch::run`: the flag.
    fn write_flag(&self, state: &State) {
        let flag = if state.vcpu.interrupt_flag { InterruptMask::IF.bits() } else { 0 };
        self.flag.store(flag, Relaxed);
    }

    /// `Machine::run`, before `switch::run`: whether an interrupt waits.
    fn write_pending(&self, state: &State) {
        self.pending.store(state.vcpu.interrupt_pending.into(), Relaxed);
    }

    /// `Machine::run`, before `switch::run`: whether the page is read-only.
    fn guard(&self, state: &State) {
        let guards = state.vcpu.has_masked_interrupt() && !self.breaks(Breakage::StoreDoesNotTrap);
        self.guarded.store(guards.into(), Relaxed);
    }
}

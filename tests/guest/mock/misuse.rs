//! What a kernel must not do is noticed, and the message says what and where.

use paravirt_vmi::abi::Call;
use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, FailureCause, FlagCause, Flavour, InterruptFrame, Misuse};
use paravirt_vmi::sync::atomic::{AtomicBool, Ordering};

use super::{KEYBOARD, TIMER, enable, failure, guard, halt, marked, restore};

fn at(mark: &str) -> String {
    marked(file!(), include_str!("misuse.rs"), mark)
}

#[test]
fn interrupts_that_are_unmasked_inside_a_guard_by_whichever_call() {
    const USER: InterruptFrame = InterruptFrame { eip: 0, cs: 0x1b, eflags: 0x202 };
    type Unmask = fn(Cpu, irq::State);
    let ways: [(&str, Unmask); 5] = [
        ("EnableInterrupts", |_, _| enable()),
        ("SetInterruptMask", |_, unmasked| restore(unmasked)),
        ("Halt", |_, _| halt()),
        ("IRET", |cpu, _| cpu.iret(USER)),
        ("SYSEXIT", |cpu, _| cpu.sysexit(0, 0)),
    ];
    for (call, unmask) in ways {
        for flavour in Flavour::ALL {
            let failure = failure(move |cpu| {
                cpu.set_flavour(flavour);
                let unmasked = irq::save();
                let section = guard(); // a guard
                irq::without_interrupts(|| ()); // is over
                unmask(cpu, unmasked);
                drop(section);
            });
            let (section, message) = (at("a guard"), failure.to_string());
            let FailureCause::Misuse(Misuse::UnmaskedInSection { place, .. }) = failure.cause else {
                panic!("{message}");
            };
            assert_eq!(place.file(), file!());
            assert_eq!(
                message,
                format!("{call} at {place} unmasks interrupts inside the section begun at {section}")
            );
        }
    }
}

#[test]
fn enable_inside_a_section_names_its_place_and_that_of_the_section() {
    let failure = failure(|_| {
        let inside = || enable(); // enabled inside
        irq::without_interrupts(inside); // the section begins
    });
    let (place, section) = (at("enabled inside"), at("the section begins"));
    assert_eq!(
        failure.to_string(),
        format!("EnableInterrupts at {place} unmasks interrupts inside the section begun at {section}")
    );
}

#[test]
fn a_halt_with_interrupts_masked_and_nothing_pending() {
    for flavour in Flavour::ALL {
        let failure = failure(move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || irq::disable()); // does not count
            irq::disable(); // masked for the halt
            cpu.handle(TIMER, || ());
            halt(); // sleeps for ever
        });
        let (place, masked) = (at("sleeps for ever"), at("masked for the halt"));
        assert_eq!(
            failure.to_string(),
            format!(
                "halted at {place} with interrupts masked by DisableInterrupts at {masked}, and with nothing pending: \
                 nothing wakes the processor"
            )
        );
    }
}

#[test]
fn what_masked_interrupts_is_known_after_handlers_have_come_and_gone() {
    let failure = failure(|cpu| {
        cpu.handle(TIMER, || {
            enable();
            irq::disable();
        });
        cpu.raise(TIMER);
        irq::disable(); // masked last
        halt(); // after handlers
    });
    let (place, masked) = (at("after handlers"), at("masked last"));
    assert!(
        failure.to_string().starts_with(&format!(
            "halted at {place} with interrupts masked by DisableInterrupts at {masked}"
        )),
        "{failure}"
    );
}

#[test]
fn a_halt_with_interrupts_unmasked_that_nothing_ends() {
    let failure = failure(|_| halt()); // alone
    let place = at("alone");
    assert_eq!(
        failure.to_string(),
        format!("halted at {place} with nothing pending, and nothing is left that could wake the processor")
    );
}

#[test]
fn a_halt_of_a_processor_that_was_reset() {
    let failure = failure(|cpu| {
        cpu.reset(); // the reset
        halt(); // after the reset
    });
    let (place, reset) = (at("after the reset"), at("the reset"));
    assert_eq!(
        failure.to_string(),
        format!(
            "halted at {place} with interrupts masked since the processor was reset at {reset}, and with nothing \
             pending: nothing wakes the processor"
        )
    );
}

#[test]
fn a_return_to_user_mode_with_if_clear_by_ring_3_or_virtual_8086_mode() {
    for (cs, eflags) in [(0x1b, 0x002), (0xf000, 0x2_0002)] {
        for flavour in Flavour::ALL {
            let failure = failure(move |cpu| {
                cpu.set_flavour(flavour);
                cpu.iret(InterruptFrame { eip: 0x0804_8000, cs, eflags }); // to user mode
                enable();
            });
            let place = at("to user mode");
            assert_eq!(
                failure.to_string(),
                format!("return to user mode at {place} with EFLAGS {eflags:#010x}: IF is clear")
            );
        }
    }
}

static READY: AtomicBool = AtomicBool::new(false);

#[test]
fn an_interrupt_between_the_check_for_work_and_the_halt() {
    for flavour in Flavour::ALL {
        let failure = failure(move |cpu| {
            cpu.set_flavour(flavour);
            cpu.source(TIMER);
            cpu.handle(TIMER, || ());
            cpu.handle(KEYBOARD, || ());
            let is_idle = || !READY.load(Ordering::Relaxed); // the check
            while is_idle() {
                cpu.raise(KEYBOARD);
                halt(); // the halt
            }
        });
        let (place, checked) = (at("the halt"), at("the check"));
        assert_eq!(
            failure.to_string(),
            format!(
                "lost wake-up: interrupt 0x21 came between the last check, at {checked}, and the halt at {place}; \
                 mask interrupts before the check"
            )
        );
    }
}

#[test]
fn interrupts_that_are_unmasked_again_between_the_check_and_the_halt() {
    for flavour in Flavour::ALL {
        let failure = failure(move |cpu| {
            cpu.set_flavour(flavour);
            cpu.source(TIMER);
            cpu.handle(TIMER, || ());
            irq::disable();
            let is_idle = !READY.load(Ordering::Relaxed); // masked check
            if is_idle {
                cpu.raise(TIMER);
                enable();
                halt(); // unmasked halt
            }
        });
        let (place, checked) = (at("unmasked halt"), at("masked check"));
        assert_eq!(
            failure.to_string(),
            format!(
                "lost wake-up: interrupt 0x20 came between the last check, at {checked}, and the halt at {place}; \
                 mask interrupts before the check"
            )
        );
    }
}

#[test]
fn a_handler_that_returns_with_interrupts_unmasked() {
    for flavour in Flavour::ALL {
        let failure = failure(move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || enable()); // never masked again
            cpu.raise(TIMER);
        });
        let place = at("never masked again");
        assert_eq!(
            failure.to_string(),
            format!(
                "the handler of interrupt 0x20 returns with interrupts unmasked by EnableInterrupts at {place}"
            )
        );
    }
}

#[test]
fn a_handler_that_was_interrupted_itself_and_returns_with_interrupts_unmasked() {
    let failure = failure(|cpu| {
        cpu.handle(KEYBOARD, || ());
        cpu.handle(TIMER, move || {
            enable(); // before it was interrupted
            cpu.point();
            cpu.raise(KEYBOARD);
        });
        cpu.raise(TIMER);
    });
    let place = at("before it was interrupted");
    assert_eq!(
        failure.to_string(),
        format!(
            "the handler of interrupt 0x20 returns with interrupts unmasked by EnableInterrupts at {place}"
        )
    );
}

#[test]
fn a_handler_that_returns_inside_its_section() {
    let failure = failure(|cpu| {
        cpu.handle(TIMER, || std::mem::forget(guard())); // never dropped
        cpu.raise(TIMER);
    });
    let place = at("never dropped");
    assert_eq!(
        failure.to_string(),
        format!("the handler of interrupt 0x20 returns inside the section that it has begun at {place}")
    );
}

#[test]
fn a_test_that_ends_with_interrupts_masked() {
    let failure = failure(|_| {
        irq::disable(); // masked at the end
        assert!(!irq::is_enabled());
        irq::disable();
    });
    let place = at("masked at the end");
    assert_eq!(
        failure.to_string(),
        format!("the test ends with interrupts masked by DisableInterrupts at {place}")
    );
    let FailureCause::Misuse(Misuse::EndedMasked { masked }) = failure.cause else {
        panic!("{failure}");
    };
    assert_eq!(masked.cause, FlagCause::Call(Call::DISABLE_INTERRUPTS));
}

#[test]
fn the_end_of_an_inner_section_lends_its_place_to_no_other_call() {
    let failure = failure(|_| {
        irq::disable(); // masked around the section
        irq::without_interrupts(|| ());
        halt(); // and not the section
    });
    let (place, masked) = (at("and not the section"), at("masked around the section"));
    assert_eq!(
        failure.to_string(),
        format!(
            "halted at {place} with interrupts masked by DisableInterrupts at {masked}, and with nothing pending: \
             nothing wakes the processor"
        )
    );
}

#[test]
fn an_interrupt_without_a_handler() {
    let failure = failure(|cpu| {
        cpu.handle(TIMER, || ());
        irq::disable();
        cpu.raise(KEYBOARD);
        enable();
        cpu.point(); // no handler
    });
    let place = at("no handler");
    assert_eq!(
        failure.to_string(),
        format!("interrupt 0x21 at {place} has no handler; register one with Cpu::handle(0x21, ..)")
    );
}

#[test]
fn outside_a_run_misuse_panics_with_the_same_message() {
    let cpu = Cpu::current();
    cpu.reset();
    let panicked = std::panic::catch_unwind(|| halt()); // outside a run
    let message = panicked.expect_err("a panic").downcast::<String>().expect("a message");
    let place = at("outside a run");
    assert!(message.starts_with(&format!("halted at {place} with interrupts masked since ")), "{message}");
    cpu.reset();
}

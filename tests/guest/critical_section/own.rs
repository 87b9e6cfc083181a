//! What holds of the sections of this crate's own implementation.

use paravirt_vmi::abi::Call;
use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, FailureCause, Limits, Misuse};

#[test]
fn a_section_is_made_of_the_calls_of_irq() {
    mock::run(|cpu| {
        critical_section::with(|_| critical_section::with(|_| ()));
        let outer = [Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS];
        let inner = [Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS];
        assert_eq!(cpu.calls(), [&outer[..], &inner, &[Call::ENABLE_INTERRUPTS]].concat());
    });
}

#[test]
fn unmasking_in_a_section_is_a_misuse() {
    let failure = mock::try_run(Limits::DEFAULT, |_| {
        // SAFETY: not kept, which is what this is about.
        critical_section::with(|_| unsafe { irq::enable() });
    });
    let cause = failure.unwrap_err().cause;
    let FailureCause::Misuse(Misuse::UnmaskedInSection { call, place, section }) = cause else {
        panic!("{cause}");
    };
    assert_eq!(call, Call::ENABLE_INTERRUPTS);
    assert!(place.file().ends_with("tests/guest/critical_section/own.rs"), "{place}");
    assert!(section.file().ends_with("src/critical_section.rs"), "{section}");
}

#[test]
fn a_section_that_a_test_leaves_open_fails_that_test_alone() {
    let failure = mock::try_run(Limits::DEFAULT, |_| {
        // SAFETY: never released, which is what this is about.
        _ = unsafe { critical_section::acquire() };
    });
    let cause = failure.unwrap_err().cause;
    assert!(matches!(cause, FailureCause::Misuse(Misuse::EndedMasked { .. })), "{cause}");
    mock::run(|cpu| critical_section::with(|_| assert!(!cpu.interrupt_flag())));
}

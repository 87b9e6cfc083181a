//! IRET and SYSEXIT.

use paravirt_vmi::descriptor::Selector;
use paravirt_vmi::irq;
use paravirt_vmi::mock::{Event, InterruptFrame, run};
use paravirt_vmi::user::{UserFlags, UserFrame};

use super::{TIMER, enable, traces};

const KERNEL_CS: u32 = 0x08;
const USER_CS: u32 = 0x1b;
const IF: u32 = 1 << 9;

#[test]
fn iret_to_a_frame_with_if_set_delivers_at_once() {
    for trace in traces(|cpu| {
        irq::disable();
        cpu.raise(TIMER);
        cpu.iret(InterruptFrame { eip: 0x1000, cs: USER_CS, eflags: IF });
        assert!(cpu.interrupt_flag());
        irq::disable();
        enable();
    }) {
        assert_eq!(trace[2..5], ["IRET", "  enter 0x20", "leave 0x20"]);
    }
}

#[test]
fn iret_to_a_kernel_frame_with_if_clear_masks() {
    for trace in traces(|cpu| {
        cpu.iret(InterruptFrame { eip: 0x1000, cs: KERNEL_CS, eflags: 2 });
        assert!(!cpu.interrupt_flag());
        cpu.raise(TIMER);
        assert!(cpu.is_pending(TIMER));
        enable();
    }) {
        assert_eq!(trace[..3], ["IRET", "raise 0x20", "EnableInterrupts"]);
    }
}

#[test]
fn sysexit_unmasks_and_delivers_at_once() {
    for trace in traces(|cpu| {
        irq::disable();
        cpu.raise(TIMER);
        cpu.sysexit(0x0804_8000, 0xbfff_f000);
        irq::disable();
        enable();
    }) {
        assert_eq!(trace[2..5], ["SYSEXIT", "  enter 0x20", "leave 0x20"]);
    }
}

#[test]
fn a_user_frame_enters_user_mode_with_interrupts_unmasked_and_the_journal_has_its_registers() {
    run(|cpu| {
        let frame =
            UserFrame::new(Selector(0x1b), 0x0804_8000, Selector(0x23), 0xbfff_f000, UserFlags::new(0));
        cpu.iret(frame);
        cpu.sysexit(0x0804_9000, 0xbfff_e000);
        let arguments: Vec<Vec<u32>> = cpu.journal().iter().map(|entry| entry.arguments().to_vec()).collect();
        assert_eq!(arguments, [vec![0x0804_8000, 0x1b, 0x202], vec![0x0804_9000, 0xbfff_e000]]);
        assert!(cpu.journal().iter().all(|entry| matches!(entry.event, Event::Call { .. })));
    });
}

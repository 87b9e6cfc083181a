use super::*;
use crate::device::apic::register;
use crate::testing::{guest, raise_interrupt};
use paravirt_vmi_abi::flags::{AlarmFlags, Counter};

const FREQUENCY: u64 = 1_000_000_000;

/// A board whose interrupt controllers have vectors 20 and 28 and mask nothing.
fn board() -> Board {
    let mut board = Board::new(0, FREQUENCY);
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1)] {
        board.pic.write(port, value);
    }
    // The firmware's count is over.
    board.pit.write(0x43, 0x30, 0);
    board
}

fn one_shot(board: &mut Board, count: u8, now: u64) {
    for (port, value) in [(0x43, 0x30), (0x40, count), (0x40, 0)] {
        board.pit.write(port, value, now);
    }
}

#[test]
fn a_tick_arrives_at_its_deadline() {
    let mut board = board();
    one_shot(&mut board, 60, 0);
    let deadline = board.deadline().unwrap();
    assert_eq!(deadline, 50_286);
    board.poll(deadline - 1);
    assert!(!board.has_interrupt());
    board.poll(deadline);
    assert!(board.has_interrupt());
    assert_eq!(board.acknowledge(), 0x20);
    assert_eq!(board.deadline(), None);
}

#[test]
fn a_tick_that_changes_nothing_is_no_deadline() {
    let mut board = board();
    for (port, value) in [(0x43, 0x34), (0x40, 60), (0x40, 0)] {
        board.pit.write(port, value, 0);
    }
    assert!(board.deadline().is_some());
    board.poll(60_000);
    assert_eq!(board.deadline(), None, "the line has a request already");
    board.acknowledge();
    assert!(board.deadline().is_some());
    board.pic.write(0x21, 1);
    assert_eq!(board.deadline(), None, "the line is masked");
}

#[test]
fn alarms_come_by_the_line_or_the_vector_that_they_are_wired_to() {
    let mut board = board();
    board.apic.write(register::LVT_TIMER, 0x51);
    board.time.set_alarm(AlarmFlags::WIRED_LVTT, 500, 0);
    board.time.set_alarm(AlarmFlags::WIRED_IRQ0.with_counter(Counter::AVAILABLE), 700, 0);
    assert_eq!(board.deadline(), Some(500));
    board.poll(600);
    assert_eq!(board.acknowledge(), 0x51);
    assert_eq!(board.deadline(), Some(700));
    board.poll(700);
    assert_eq!(board.acknowledge(), 0x20);
}

#[test]
fn an_alarm_is_due_even_if_its_line_has_a_request() {
    let mut board = board();
    board.pic.pulse(0);
    board.time.set_alarm(AlarmFlags::WIRED_IRQ0, 500, 0);
    assert_eq!(board.deadline(), Some(500));
}

#[test]
fn the_controllers_come_before_the_local_apic() {
    let mut board = board();
    board.apic.write(register::LVT_TIMER, 0x51);
    board.apic.raise_timer();
    board.pic.pulse(5);
    assert_eq!([board.acknowledge(), board.acknowledge()], [0x25, 0x51]);
    assert!(!board.has_interrupt());
}

#[test]
fn what_is_raised_is_what_is_delivered() {
    let mut guest = guest(&[]);
    for vector in [0x30, 0x41, 0x52] {
        raise_interrupt(&mut guest, vector);
        assert_eq!(guest.acknowledge_interrupt(), vector);
        guest.write_apic_register(register::END_OF_INTERRUPT, 0);
    }
    raise_interrupt(&mut guest, 0x30);
    let mut lines = Vec::new();
    guest.counter_lines(|line| lines.push(line.to_string()));
    assert_eq!(lines, ["interrupts.raised 4", "interrupts.delivered 3"]);
}

#[test]
fn the_page_of_the_apic_follows_its_registers() {
    let mut guest = guest(&[]);
    guest.poll_devices();
    assert_eq!(guest.host.apic.len(), 64, "all of it in the beginning");
    guest.host.apic.clear();
    guest.write_apic_register(register::LVT_TIMER, 0x41);
    assert_eq!(guest.host.apic, [(register::LVT_TIMER, 0x41)]);
    guest.host.apic.clear();
    guest.board.time.set_alarm(AlarmFlags::WIRED_LVTT, 10, 0);
    guest.host.cycles += 10;
    guest.poll_devices();
    assert_eq!(guest.host.apic, [(register::REQUESTS + 0x20, 2)]);
    guest.host.apic.clear();
    guest.acknowledge_interrupt();
    let expected = [
        (register::PROCESSOR_PRIORITY, 0x40),
        (register::IN_SERVICE + 0x20, 2),
        (register::REQUESTS + 0x20, 0),
    ];
    assert_eq!(guest.host.apic, expected);
}

#[test]
fn nothing_is_stolen_from_a_guest_that_halts() {
    let mut guest = guest(&[]);
    guest.host.cycles += 1000;
    guest.vcpu.halted = true;
    guest.stolen(400);
    let stolen = |board: &mut Board, now| board.time.read(Counter::STOLEN, now);
    assert_eq!(stolen(&mut guest.board, guest.host.cycles), 0);
    guest.host.cycles += 1000;
    guest.vcpu.halted = false;
    guest.stolen(400);
    assert_eq!(stolen(&mut guest.board, guest.host.cycles), 400);
}

use super::*;

const END: u8 = 0x20;
const REQUESTS: u8 = 0x0A;
const IN_SERVICE: u8 = 0x0B;

/// Controllers with vectors 20 and 28, initialised with `modes`, and nothing masked.
fn with_modes(modes: u8) -> Pic {
    let mut pic = Pic::new();
    for (port, vector, cascade) in [(0x20, 0x20, 4), (0xA0, 0x28, 2)] {
        pic.write(port, 0x11);
        pic.write(port + 1, vector);
        pic.write(port + 1, cascade);
        pic.write(port + 1, modes);
    }
    pic
}

fn pic() -> Pic {
    with_modes(1)
}

fn register(pic: &mut Pic, port: u16, which: u8) -> u8 {
    pic.write(port, which);
    pic.read(port)
}

/// Takes every interrupt there is, without ending any.
fn take_all(pic: &mut Pic) -> Vec<u8> {
    std::iter::from_fn(|| pic.has_interrupt().then(|| pic.acknowledge())).collect()
}

#[test]
fn every_line_is_masked_until_the_guest_says_otherwise() {
    let mut pic = Pic::new();
    (0..LINES).filter(|line| *line != CASCADE).for_each(|line| pic.pulse(line));
    assert!(!pic.has_interrupt());
    assert_eq!((pic.read(0x21), pic.read(0xA1)), (0xFF, 0xFF));
}

#[test]
fn a_request_moves_into_service_and_out_at_its_end() {
    let mut pic = pic();
    pic.pulse(3);
    assert_eq!(register(&mut pic, 0x20, REQUESTS), 8);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 0);
    assert_eq!(take_all(&mut pic), [0x23]);
    assert_eq!(register(&mut pic, 0x20, REQUESTS), 0);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 8);
    pic.write(0x20, END);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 0);
}

#[test]
fn edges_that_come_while_a_request_waits_are_one_request() {
    let mut pic = pic();
    (0..5).for_each(|_| pic.pulse(0));
    assert_eq!(take_all(&mut pic), [0x20]);
    pic.write(0x20, END);
    assert!(!pic.has_interrupt());
    assert_eq!(pic.raised(), 1);
}

#[test]
fn a_request_during_service_waits_for_its_end() {
    let mut pic = pic();
    pic.pulse(0);
    assert_eq!(take_all(&mut pic), [0x20]);
    pic.pulse(0);
    assert!(!pic.has_interrupt());
    pic.write(0x20, END);
    assert_eq!(take_all(&mut pic), [0x20]);
}

#[test]
fn a_lower_number_interrupts_a_higher_one() {
    let mut pic = pic();
    pic.pulse(4);
    assert_eq!(take_all(&mut pic), [0x24]);
    pic.pulse(5);
    assert!(!pic.has_interrupt());
    pic.pulse(3);
    assert_eq!(take_all(&mut pic), [0x23]);
    pic.write(0x20, END);
    assert!(!pic.has_interrupt(), "the end was that of line 3");
    pic.write(0x20, END);
    assert_eq!(take_all(&mut pic), [0x25]);
}

#[test]
fn a_masked_request_is_kept() {
    let mut pic = pic();
    pic.write(0x21, 1);
    assert!(!pic.awaits(0));
    pic.pulse(0);
    assert!(!pic.has_interrupt());
    pic.write(0x21, 0);
    assert!(!pic.awaits(0));
    assert_eq!(take_all(&mut pic), [0x20]);
    assert!(pic.awaits(0));
}

#[test]
fn the_second_controller_comes_through_line_2() {
    let mut pic = pic();
    pic.pulse(12);
    assert_eq!(take_all(&mut pic), [0x2C]);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 4);
    assert_eq!(register(&mut pic, 0xA0, IN_SERVICE), 0x10);
    pic.pulse(5);
    pic.pulse(13);
    assert!(!pic.has_interrupt());
    pic.write(0xA0, END);
    pic.write(0x20, END);
    assert_eq!(take_all(&mut pic), [0x2D], "line 2 is above line 5");
}

#[test]
fn two_requests_of_the_second_controller_come_one_after_the_other() {
    let mut pic = pic();
    pic.pulse(8);
    pic.pulse(9);
    assert_eq!(take_all(&mut pic), [0x28]);
    pic.write(0xA0, END);
    pic.write(0x20, END);
    assert_eq!(take_all(&mut pic), [0x29]);
}

#[test]
fn a_request_that_the_second_controller_takes_back_is_spurious_15() {
    let mut pic = pic();
    pic.pulse(9);
    pic.write(0xA1, 0xFF);
    assert_eq!(take_all(&mut pic), [0x2F]);
    assert_eq!(register(&mut pic, 0xA0, IN_SERVICE), 0);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 4, "the first controller wants its end");
}

#[test]
fn an_interrupt_that_is_not_there_is_spurious_7() {
    let mut pic = pic();
    assert_eq!(pic.acknowledge(), 0x27);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 0);
}

#[test]
fn a_specific_end_is_that_of_its_line() {
    let mut pic = pic();
    pic.pulse(6);
    take_all(&mut pic);
    pic.pulse(1);
    take_all(&mut pic);
    pic.write(0x20, 0x60 | 6);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 2);
}

#[test]
fn rotation_makes_the_line_the_lowest() {
    let mut pic = pic();
    pic.pulse(2 + 1);
    take_all(&mut pic);
    // rotate on non-specific end
    pic.write(0x20, 0xA0);
    for line in [0, 3, 4] {
        pic.pulse(line);
    }
    assert_eq!(take_all(&mut pic), [0x24]);
    pic.write(0x20, END);
    assert_eq!(take_all(&mut pic), [0x20]);
    pic.write(0x20, END);
    assert_eq!(take_all(&mut pic), [0x23]);
    pic.write(0x20, END);
    // set priority: 7 is the lowest again
    pic.write(0x20, 0xC7);
    for line in [0, 4] {
        pic.pulse(line);
    }
    assert_eq!(take_all(&mut pic), [0x20]);
}

#[test]
fn automatic_end_leaves_nothing_in_service() {
    let mut pic = with_modes(3);
    pic.pulse(1);
    assert_eq!(take_all(&mut pic), [0x21]);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 0);
}

#[test]
fn special_nesting_lets_the_second_controller_through_itself() {
    let mut pic = with_modes(0x11);
    pic.pulse(12);
    assert_eq!(take_all(&mut pic), [0x2C]);
    pic.pulse(8);
    assert_eq!(take_all(&mut pic), [0x28]);
}

#[test]
fn special_mask_mode_lets_lower_lines_pass_a_masked_one_in_service() {
    let mut pic = pic();
    pic.pulse(1);
    take_all(&mut pic);
    pic.pulse(5);
    pic.write(0x21, 2);
    assert!(!pic.has_interrupt());
    pic.write(0x20, 0x68);
    assert_eq!(take_all(&mut pic), [0x25]);
    pic.write(0x20, END);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 2, "the end was not that of the masked line");
}

#[test]
fn polling_takes_an_interrupt_without_its_vector() {
    let mut pic = pic();
    pic.write(0x20, 0x0C);
    assert_eq!(pic.read(0x20), 0);
    pic.pulse(6);
    pic.write(0x20, 0x0C);
    assert_eq!(pic.read(0x20), 0x86);
    assert!(!pic.has_interrupt());
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 0x40);
}

#[test]
fn a_line_that_stays_high_makes_no_second_request() {
    let mut pic = pic();
    pic.pulse(9);
    pic.write(0x20, 0x0C);
    assert_eq!(pic.read(0x20), 0x82, "the second controller was not asked, and holds its line");
    assert_eq!(register(&mut pic, 0x20, REQUESTS), 0);
}

#[test]
fn initialisation_forgets_requests_mask_and_service() {
    let mut pic = pic();
    pic.pulse(1);
    take_all(&mut pic);
    pic.pulse(4);
    pic.write(0x21, 0xF0);
    pic.write(0x20, 0x13);
    // the lower bits are those of the line
    pic.write(0x21, 0x43);
    pic.write(0x21, 1);
    assert_eq!(pic.read(0x21), 0);
    assert_eq!(pic.read(0x20), 0);
    assert_eq!(register(&mut pic, 0x20, IN_SERVICE), 0);
    pic.pulse(4);
    assert_eq!(take_all(&mut pic), [0x44]);
}

#[test]
fn the_mask_of_the_second_controller_reads_as_written() {
    let mut pic = pic();
    for mask in [0xA5, 0x5A, 0xFF] {
        pic.write(0xA1, mask);
        assert_eq!((pic.read(0x21), pic.read(0xA1)), (0, mask));
    }
}

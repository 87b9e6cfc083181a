//! The local APIC.

use paravirt_vmi::apic::{LocalApic, Register};
use paravirt_vmi::mock::{self, Cpu, Event};

use super::failure;

// SAFETY of all blocks below: the mock's local APIC is at every address, and sends to nobody but this processor.

/// Somewhere.
fn apic() -> LocalApic {
    // SAFETY: see above.
    unsafe { LocalApic::new(0xfee0_0000) }
}

fn read(register: Register) -> u32 {
    apic().read(register)
}

fn write(register: Register, value: u32) {
    // SAFETY: see above.
    unsafe { apic().write(register, value) };
}

/// Runs `f` on a processor that has handlers for some vectors; the vectors that were delivered.
fn delivered(f: impl FnOnce(Cpu) + Send + 'static) -> Vec<u8> {
    mock::run(|cpu| {
        for vector in [0x30, 0x41, 0x52, 0xf0] {
            cpu.handle(vector, || ());
        }
        f(cpu);
        let vector = |event: &Event| match event {
            Event::Delivered { vector } => Some(*vector),
            _ => None,
        };
        cpu.journal().iter().filter_map(|entry| vector(&entry.event)).collect()
    })
}

/// Sends a command.
fn send(destination: u8, command: u32) {
    write(Register::INTERRUPT_COMMAND_HIGH, u32::from(destination) << 24);
    write(Register::INTERRUPT_COMMAND_LOW, command);
}

const TO_ITSELF: u32 = 1 << 18;
const TO_ALL: u32 = 2 << 18;
const TO_OTHERS: u32 = 3 << 18;
const LOGICAL: u32 = 1 << 11;

#[test]
fn it_is_switched_on_and_its_local_vectors_but_the_pins_are_masked() {
    mock::run(|_| {
        assert_eq!((read(Register::ID), read(Register::VERSION)), (0, 0x0004_0011));
        assert_eq!(read(Register::SPURIOUS), 0x10f);
        let masked = [Register::LVT_TIMER, Register::LVT_PERFORMANCE, Register::LVT_ERROR];
        assert_eq!(masked.map(read), [0x1_0000; 3]);
        assert_eq!((read(Register::LVT_LINT0), read(Register::LVT_LINT1)), (0x700, 0x400));
        assert_eq!(read(Register::DESTINATION_FORMAT), u32::MAX);
    });
}

#[test]
fn a_register_is_found_by_the_low_bits_of_its_address() {
    mock::run(|_| {
        // SAFETY: see above.
        let elsewhere = unsafe { LocalApic::new(0) };
        write(Register::LOGICAL_DESTINATION, 0x0100_0000);
        assert_eq!(elsewhere.read(Register::LOGICAL_DESTINATION), 0x0100_0000);
    });
}

#[test]
fn registers_keep_the_bits_that_they_have() {
    mock::run(|_| {
        for (register, value) in [
            (Register::ID, 0xff00_0000),
            (Register::TASK_PRIORITY, 0xff),
            (Register::LOGICAL_DESTINATION, 0xff00_0000),
            (Register::SPURIOUS, 0x3ff),
            (Register::LVT_TIMER, 0x3_00ff),
            (Register::LVT_PERFORMANCE, 0x1_07ff),
            (Register::LVT_LINT0, 0x1_a7ff),
            (Register::LVT_ERROR, 0x1_00ff),
            (Register::TIMER_DIVIDE, 0xb),
            (Register::VERSION, 0x0004_0011),
            (Register::END_OF_INTERRUPT, 0),
        ] {
            write(register, u32::MAX);
            assert_eq!(read(register), value, "{register:?}");
        }
        write(Register::DESTINATION_FORMAT, 0);
        assert_eq!(read(Register::DESTINATION_FORMAT), 0x0fff_ffff);
    });
}

#[test]
fn the_number_is_the_one_that_the_test_gives() {
    mock::run(|cpu| {
        cpu.set_apic_id(5);
        assert_eq!(read(Register::ID), 0x0500_0000);
    });
}

#[test]
fn a_command_to_this_processor_interrupts_it_whatever_names_it() {
    let vectors = delivered(|cpu| {
        cpu.set_apic_id(2);
        write(Register::LOGICAL_DESTINATION, 0x0400_0000);
        send(0, TO_ITSELF | 0x30);
        send(0, TO_ALL | 0x41);
        send(2, 0x52);
        send(0xff, 0xf0);
        send(0x06, LOGICAL | 0x30);
        send(0xff, LOGICAL | 0x41);
        send(0x06, LOGICAL | 0x100 | 0x52); // lowest priority
        write(Register::DESTINATION_FORMAT, 0);
        write(Register::LOGICAL_DESTINATION, 0x3200_0000);
        send(0x33, LOGICAL | 0xf0);
    });
    assert_eq!(vectors, [0x30, 0x41, 0x52, 0xf0, 0x30, 0x41, 0x52, 0xf0]);
}

#[test]
fn a_command_to_others_and_one_without_a_vector_interrupt_nobody() {
    let vectors = delivered(|cpu| {
        cpu.set_apic_id(2);
        write(Register::LOGICAL_DESTINATION, 0x0400_0000);
        send(2, TO_OTHERS | 0x30);
        send(3, 0x41);
        send(0x03, LOGICAL | 0x52);
        for delivery_mode in [2, 4, 5, 6] {
            send(2, delivery_mode << 8 | 0x30); // SMI, NMI, INIT, STARTUP
        }
        write(Register::DESTINATION_FORMAT, 0);
        write(Register::LOGICAL_DESTINATION, 0x3200_0000);
        send(0x31, LOGICAL | 0xf0);
        send(0x22, LOGICAL | 0xf0);
    });
    assert_eq!(vectors, []);
}

#[test]
fn a_command_is_sent_at_once() {
    mock::run(|_| {
        send(9, 1 << 12 | 0x30);
        assert_eq!(read(Register::INTERRUPT_COMMAND_LOW), 0x30);
        assert_eq!(read(Register::INTERRUPT_COMMAND_HIGH), 0x0900_0000);
    });
}

#[test]
fn the_task_priority_holds_back_its_class_and_those_below() {
    let vectors = delivered(|cpu| {
        write(Register::TASK_PRIORITY, 0x4f);
        for vector in [0x30, 0x41, 0x52] {
            send(0, TO_ITSELF | vector);
        }
        assert!(!cpu.is_pending(0x30) && !cpu.is_pending(0x41));
        write(Register::TASK_PRIORITY, 0x20); // the higher one first
    });
    assert_eq!(vectors, [0x52, 0x41, 0x30]);
}

#[test]
fn what_is_switched_off_takes_no_interrupt_and_has_masked_vectors() {
    let vectors = delivered(|_| {
        write(Register::LVT_TIMER, 0x30);
        write(Register::SPURIOUS, 0x0f);
        assert_eq!((read(Register::LVT_TIMER), read(Register::LVT_LINT0)), (0x1_0030, 0x1_0700));
        write(Register::LVT_TIMER, 0x30);
        assert_eq!(read(Register::LVT_TIMER), 0x1_0030);
        send(0, TO_ITSELF | 0x41);
        write(Register::SPURIOUS, 0x10f);
        send(0, TO_ITSELF | 0x52);
    });
    assert_eq!(vectors, [0x52]);
}

#[test]
fn errors_are_shown_when_the_status_is_written_and_then_forgotten() {
    mock::run(|_| {
        send(0, TO_ITSELF | 0x0f); // the vector of an exception
        assert_eq!(read(Register::ERROR_STATUS), 0);
        write(Register::ERROR_STATUS, 0);
        assert_eq!(read(Register::ERROR_STATUS), 0x20);
        assert_eq!(read(Register::new(0x40).unwrap()), 0); // no such register
        write(Register::ERROR_STATUS, 0);
        assert_eq!(read(Register::ERROR_STATUS), 0x80);
        write(Register::new(0x40).unwrap(), 1);
        write(Register::ERROR_STATUS, 0);
        assert_eq!(read(Register::ERROR_STATUS), 0x80);
        write(Register::ERROR_STATUS, 0);
        assert_eq!(read(Register::ERROR_STATUS), 0);
    });
}

#[test]
fn an_interrupt_without_a_handler_is_a_misuse_at_the_command() {
    let line = line!() + 3;
    let message = failure(|_| {
        // SAFETY: see above.
        unsafe { apic().write(Register::INTERRUPT_COMMAND_LOW, TO_ITSELF | 0x77) };
    });
    assert!(
        message.starts_with(&format!("interrupt 0x77 at {}:{line} has no handler", file!())),
        "{message}"
    );
}

/// A processor whose operations take no time, and whose timer runs through `vector`.
fn timer(cpu: Cpu, vector: u32, divide: u32) {
    cpu.set_cycles_per_operation(0);
    write(Register::TIMER_DIVIDE, divide);
    write(Register::LVT_TIMER, vector);
}

#[test]
fn the_timer_counts_down_at_the_divided_rate_and_interrupts_at_zero() {
    let divisors = [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)];
    for (divide, divisor) in divisors {
        let vectors = delivered(move |cpu| {
            timer(cpu, 0x30, divide);
            write(Register::TIMER_INITIAL_COUNT, 10);
            assert_eq!(read(Register::TIMER_CURRENT_COUNT), 10);
            cpu.advance(3 * divisor);
            assert_eq!(read(Register::TIMER_CURRENT_COUNT), 7);
            cpu.advance(7 * divisor - 1);
            assert_eq!(read(Register::TIMER_CURRENT_COUNT), 1);
            cpu.raise(0x41);
            cpu.advance(1);
            assert_eq!(read(Register::TIMER_CURRENT_COUNT), 0);
            cpu.advance(1000 * divisor);
            assert_eq!(read(Register::TIMER_INITIAL_COUNT), 10);
        });
        assert_eq!(vectors, [0x41, 0x30], "{divisor}");
    }
}

#[test]
fn a_periodic_timer_begins_again_and_an_initial_count_of_zero_stops_it() {
    let vectors = delivered(|cpu| {
        timer(cpu, 1 << 17 | 0x30, 11);
        write(Register::TIMER_INITIAL_COUNT, 100);
        cpu.advance(299);
        cpu.raise(0x41);
        cpu.advance(1);
        assert_eq!(read(Register::TIMER_CURRENT_COUNT), 100);
        write(Register::TIMER_INITIAL_COUNT, 0);
        cpu.advance(1000);
        assert_eq!(read(Register::TIMER_CURRENT_COUNT), 0);
    });
    assert_eq!(vectors, [0x30, 0x30, 0x41, 0x30]);
}

#[test]
fn a_timer_whose_vector_is_masked_counts_and_does_not_interrupt() {
    let vectors = delivered(|cpu| {
        timer(cpu, 1 << 16 | 0x30, 11);
        write(Register::TIMER_INITIAL_COUNT, 100);
        cpu.advance(60);
        assert_eq!(read(Register::TIMER_CURRENT_COUNT), 40);
        cpu.advance(100);
    });
    assert_eq!(vectors, []);
}

#[test]
fn the_divisor_of_a_running_timer_changes_the_rate_and_not_the_count() {
    let vectors = delivered(|cpu| {
        timer(cpu, 0x30, 11);
        write(Register::TIMER_INITIAL_COUNT, 100);
        cpu.advance(90);
        write(Register::TIMER_DIVIDE, 3);
        assert_eq!(read(Register::TIMER_CURRENT_COUNT), 10);
        cpu.advance(159);
        assert_eq!(read(Register::TIMER_CURRENT_COUNT), 1);
        cpu.raise(0x41);
        cpu.advance(1);
    });
    assert_eq!(vectors, [0x41, 0x30]);
}

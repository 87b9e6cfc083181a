//! Calls of page tables, ports, the local APIC and the clock.

use paravirt_vmi_abi::flags::Counter;

use super::*;
use crate::host::Flush;

#[test]
fn an_entry_is_written_and_its_page_forgotten() {
    let page = 0xC012_3000;
    let current = PageUpdateFlags::PT.mapping(page);
    for (flags, flush) in [
        (current, Some(Flush::Page(page))),
        (PageUpdateFlags::PD.mapping(page), Some(Flush::All)),
        (PageUpdateFlags::PT, Some(Flush::All)),
        (current.union(PageUpdateFlags::DEFER), None),
    ] {
        let mut guest = paravirtual();
        let flushed = |guest: &Guest<FakeHost>| guest.host.flushes.first().copied();
        call(&mut guest, Call::SET_PXE, &[0xAABB_C067, BUFFER, flags.bits()]);
        assert_eq!((peek(&guest, BUFFER), flushed(&guest)), (0xAABB_C067, flush));
        let mut guest = paravirtual();
        call(&mut guest, Call::SET_PXE_LONG, &[0x1111_1067, 0x8000_0000, BUFFER, flags.bits()]);
        assert_eq!((peek(&guest, BUFFER), peek(&guest, BUFFER + 4)), (0x1111_1067, 0x8000_0000));
        assert_eq!(flushed(&guest), flush);
        for announce in [Call::UPDATE_PXE, Call::UPDATE_PXE_LONG] {
            let mut guest = paravirtual();
            call(&mut guest, announce, &[BUFFER, flags.bits()]);
            assert_eq!((peek(&guest, BUFFER), flushed(&guest)), (0, flush));
        }
    }
}

#[test]
fn a_long_entry_that_crosses_into_another_fault_is_not_written_half() {
    const DIRECTORY: u32 = 0x9000;
    const TABLE: u32 = 0xA000;
    const PRESENT: u32 = 3;
    // Behind BUFFER's page: nothing, or the local APIC.
    for behind in [0, crate::layout::LOCAL_APIC | PRESENT] {
        let mut guest = paravirtual();
        poke_words(&mut guest, DIRECTORY, &[TABLE | PRESENT]);
        for page in 0..1024 {
            let entry = if page == BUFFER / 4096 + 1 { behind } else { page << 12 | PRESENT };
            poke_words(&mut guest, TABLE + 4 * page, &[entry]);
        }
        (guest.vcpu.cr0, guest.vcpu.cr3) = (0x8000_0011, DIRECTORY);
        let address = BUFFER + 0x1000 - 4;
        let fault = call(&mut guest, Call::SET_PXE_LONG, &[!0, !0, address, 1]);
        assert!(matches!(fault.map(|fault| fault.vector), Some(13 | 14)));
        assert_eq!(peek(&guest, address), 0);
    }
}

#[test]
fn translations_are_forgotten_on_demand() {
    let mut guest = paravirtual();
    call(&mut guest, Call::INVAL_PAGE, &[0x1234_5678]);
    call(&mut guest, Call::FLUSH_TLB, &[3]);
    assert_eq!(guest.host.flushes, [Flush::Page(0x1234_5678), Flush::All]);
}

#[test]
fn the_guests_physical_memory_is_the_machines() {
    let mut guest = paravirtual();
    for (number, arguments) in
        [(Call::MACHINE_TO_PHYSICAL, &[0x12_3000][..]), (Call::PHYSICAL_TO_MACHINE, &[0x12_3000, 7])]
    {
        call(&mut guest, number, arguments);
        assert_eq!(guest.vcpu.frame.eax, 0x12_3000);
    }
}

#[test]
fn ports_are_those_of_the_instructions() {
    let mut guest = paravirtual();
    call(&mut guest, Call::OUTL, &[0x8000_0904, 0xCF8]);
    call(&mut guest, Call::INL, &[0xCF8]);
    assert_eq!(guest.vcpu.frame.eax, 0x8000_0904);
    guest.vcpu.frame.eax = 0x1234_5678;
    guest.host.inputs.insert(0x80, 0xAA);
    call(&mut guest, Call::INB, &[0x80]);
    assert_eq!(guest.vcpu.frame.eax, 0x1234_56AA);
    call(&mut guest, Call::INW, &[0x80]);
    assert_eq!(guest.vcpu.frame.eax, 0x1234_FFAA);
    call(&mut guest, Call::OUTB, &[0x1234, 0x80]);
    assert_eq!(guest.host.ports, [(0x80, 1, 0x34)]);
}

#[test]
fn the_rest_of_a_long_string_is_done_by_the_same_hypercall() {
    let mut guest = paravirtual();
    let eip = guest.vcpu.frame.eip;
    assert_eq!(call(&mut guest, Call::OUTSB, &[BUFFER, 0x80, 5000]), None);
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.ecx), (eip - 2, 904));
    guest.vcpu.frame.eip = eip;
    hypercall(&mut guest, Call::OUTSB.number(), [0; 2]);
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.ecx), (eip, 0));
    assert_eq!(guest.vcpu.frame.esi, BUFFER + 5000);
}

#[test]
fn the_io_privilege_level_is_in_bits_12_and_13() {
    let mut guest = paravirtual();
    for level in [3, 0, 2, 3, 1] {
        call(&mut guest, Call::SET_IOPL_MASK, &[u32::from(level) << 12 | 0xFFFF_0FFF]);
        assert_eq!((guest.vcpu.iopl, guest.host.open_ports), (level, level == 3));
    }
}

#[test]
fn an_apic_register_is_named_by_address_or_offset() {
    let mut guest = paravirtual();
    for (address, value) in [(0xFEE0_0080, 0x20), (0x80, 0x30), (0xD000_0080, 0x40)] {
        call(&mut guest, Call::APIC_WRITE, &[address, value]);
        assert!(guest.host.apic.contains(&(0x80, value)));
        call(&mut guest, Call::APIC_READ, &[address]);
        assert_eq!(guest.vcpu.frame.eax, value);
    }
}

#[test]
fn the_clock_answers_as_the_time_stamp_counter_does() {
    let mut guest = paravirtual();
    call(&mut guest, Call::GET_CYCLE_FREQUENCY, &[]);
    assert_eq!(result(&guest), 1_000_000_000);
    guest.host.cycles += 0x1_2345_6789;
    guest.stolen(0x1_0000_0000);
    for (counter, count) in [(0, 0x1_2345_6789), (1, 0x2345_6789), (2, 0x1_0000_0000), (3, 0)] {
        call(&mut guest, Call::GET_CYCLE_COUNTER, &[counter]);
        assert_eq!(result(&guest), count);
    }
    call(&mut guest, Call::GET_WALLCLOCK_TIME, &[]);
    assert_eq!(result(&guest), guest.host.wall_clock());
    call(&mut guest, Call::WALLCLOCK_UPDATED, &[]);
    assert_eq!(guest.vcpu.frame.eax, 0);
    call(&mut guest, Call::RDTSC, &[]);
    assert_eq!(result(&guest), guest.host.cycles);
}

#[test]
fn alarms_are_set_and_cancelled() {
    let mut guest = paravirtual();
    let origin = guest.host.cycles;
    let flags = AlarmFlags::PERIODIC.with_counter(Counter::AVAILABLE).bits();
    call(&mut guest, Call::SET_ALARM, &[flags, 5, 1, 7, 2]);
    assert_eq!(guest.deadline(), Some(origin + 0x1_0000_0005));
    guest.host.cycles = origin + 0x1_0000_0005;
    guest.poll_devices();
    assert_eq!(guest.deadline(), Some(origin + 0x1_0000_0005 + 0x2_0000_0007));
    for was_armed in [1, 0] {
        call(&mut guest, Call::CANCEL_ALARM, &[flags]);
        assert_eq!(guest.vcpu.frame.eax, was_armed);
    }
    call(&mut guest, Call::SET_ALARM, &[2, 0, 0, 0, 0]);
    assert_eq!(guest.deadline(), None);
}

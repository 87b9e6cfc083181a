use super::*;
use crate::fault::vector;
use crate::testing::*;

/// `in al, dx`, `out dx, al`, `rep insb`, `rep outsb`.
const IN: [u8; 1] = [0xEC];
const OUT: [u8; 1] = [0xEE];
const REP_INS: [u8; 2] = [0xF3, 0x6C];
const REP_OUTS: [u8; 2] = [0xF3, 0x6E];

const POST: u16 = 0x80;
const DMA: u16 = 0;
const BUFFER: u32 = 0x7_0000;
const GENERAL_PROTECTION: Option<Fault> = Some(Fault::general_protection(0));

/// The size of the task state segment with a bitmap behind it.
const BITMAP: u16 = 0x68;

/// A program in ring 3 whose task state segment has a bitmap up to and with `bytes`.
fn program(code: &[u8], port: u16, bytes: &[u8]) -> Guest<FakeHost> {
    let mut guest = user(code);
    guest.vcpu.frame.edx = port.into();
    poke(&mut guest, place::TASK + BITMAP_OFFSET, &BITMAP.to_le_bytes());
    poke(&mut guest, place::TASK + u32::from(BITMAP), bytes);
    guest.vcpu.task.table.limit = u32::from(BITMAP) + bytes.len() as u32 - 1;
    guest
}

fn kernel(code: &[u8], port: u16) -> Guest<FakeHost> {
    let mut guest = guest(code);
    guest.vcpu.frame.edx = port.into();
    guest
}

/// Executes the instruction at EIP; the exception, and how far EIP went.
fn execute(guest: &mut Guest<FakeHost>) -> (Option<Fault>, u32) {
    let before = guest.vcpu.frame.eip;
    let fault = protection_fault(guest, 0);
    (fault, guest.vcpu.frame.eip - before)
}

#[test]
fn the_kernel_may_use_every_port() {
    for level in 0..=3 {
        let mut guest = kernel(&OUT, POST);
        guest.set_io_privilege(level);
        guest.vcpu.frame.eax = 0x1234;
        assert_eq!(execute(&mut guest), (None, 1));
        assert_eq!(guest.host.ports, [(POST, 1, 0x34)]);
    }
}

#[test]
fn a_program_needs_level_3_or_an_open_bit() {
    for level in 0..=3 {
        for open in [false, true] {
            let bits = if open { !1 } else { !0 };
            let mut bytes = [0xFF; 18];
            bytes[16] = bits;
            let mut guest = program(&OUT, POST, &bytes);
            guest.set_io_privilege(level);
            let allowed = level == 3 || open;
            let expected = if allowed { (None, 1) } else { (GENERAL_PROTECTION, 0) };
            assert_eq!(execute(&mut guest), expected, "level {level}, open {open}");
            assert_eq!(guest.host.ports.len(), usize::from(allowed));
        }
    }
}

#[test]
fn every_byte_of_a_wide_port_must_be_open() {
    // Ports 0 to 7: those from 2 on are open.
    for (port, width, allowed) in
        [(2, 1, true), (1, 1, false), (1, 2, false), (2, 2, true), (1, 4, false), (4, 4, true), (6, 4, false)]
    {
        let guest = program(&IN, port, &[0x03, 0x03, 0xFF]);
        assert_eq!(guest.permit_port(port, width).is_ok(), allowed, "{port} {width}");
    }
}

#[test]
fn a_bit_outside_the_task_state_segment_is_closed() {
    // The byte behind the one with the bit has to be inside, too.
    for (bytes, allowed) in [(2, true), (1, false), (0, false)] {
        let guest = program(&IN, 5, &vec![0; bytes]);
        assert_eq!(guest.permit_port(5, 1).is_ok(), allowed, "{bytes}");
    }
    let mut guest = program(&IN, 5, &[0, 0]);
    poke(&mut guest, place::TASK + BITMAP_OFFSET, &[0xFF, 0xFF]);
    assert_eq!(guest.permit_port(5, 1), Err(Fault::general_protection(0)));
    guest.vcpu.task.table.limit = BITMAP_OFFSET;
    assert_eq!(guest.permit_port(5, 1), Err(Fault::general_protection(0)));
    guest.vcpu.task = Default::default();
    assert_eq!(guest.permit_port(5, 1), Err(Fault::general_protection(0)));
}

#[test]
fn the_real_ports_are_open_at_level_3_alone() {
    let mut guest = guest(&[]);
    for level in [3, 2, 3, 0, 1] {
        guest.set_io_privilege(level);
        assert_eq!((guest.host.open_ports, guest.vcpu.iopl), (level == 3, level));
    }
}

#[test]
fn the_machines_own_ports_are_used_as_they_are() {
    let own: Vec<u16> = (0..=u16::MAX).filter(|port| is_machines_own(*port)).collect();
    assert_eq!(own.len(), 2 + 0x30 + 8);
    let mut guest = guest(&[]);
    for port in [0x80, 0xE9, 0x3B0, 0x3DF, 0x3F8, 0x3FF] {
        guest.host.inputs.insert(port, 0x5A);
        assert_eq!(guest.port_in(port, 1), 0x5A);
        guest.port_out(port, 1, 7);
        assert_eq!(guest.host.ports.pop(), Some((port, 1, 7)));
    }
    guest.host.inputs.insert(0x3C4, 0xBEEF);
    assert_eq!(guest.port_in(0x3C4, 2), 0xBEEF);
}

#[test]
fn a_wide_access_beyond_the_machines_own_ports_touches_only_those() {
    let mut guest = guest(&[]);
    guest.host.inputs.insert(0x80, 0x12);
    assert_eq!(guest.port_in(0x80, 2), 0xFF12);
    guest.port_out(0x80, 4, 0x0403_0201);
    assert_eq!(guest.host.ports, [(0x80, 1, 1)]);
    assert_eq!(guest.port_in(0xFFFF, 4), !0);
    guest.port_out(0xFFFF, 4, 0);
}

#[test]
fn nothing_reads_as_ones_and_is_counted_when_written() {
    let mut guest = guest(&[]);
    assert_eq!([1, 2, 4].map(|width| guest.port_in(0x300, width)), [0xFF, 0xFFFF, 0xFFFF_FFFF]);
    guest.port_out(0x300, 2, 0);
    assert!(counts(&guest).contains(&"refused.port 2".to_owned()));
    assert_eq!(guest.host.ports, []);
}

fn counts(guest: &Guest<FakeHost>) -> Vec<String> {
    let mut lines = Vec::new();
    guest.counter_lines(|line| lines.push(line.to_string()));
    lines
}

#[test]
fn the_exit_port_and_the_reset_ports_end_the_guest() {
    for (port, value, stop) in [
        (0xF4, 0x10, Stop::Exit(0x10)),
        (0x64, 0xFE, Stop::Reset),
        (0x92, 3, Stop::Reset),
        (0xCF9, 6, Stop::Reset),
    ] {
        let mut guest = kernel(&OUT, port);
        guest.vcpu.frame.eax = value;
        guest.vcpu.frame.vector = vector::GENERAL_PROTECTION.into();
        assert_eq!(guest.exit(), Err(stop));
    }
}

#[test]
fn address_line_20_stays_on() {
    let mut guest = guest(&[]);
    guest.port_out(0x92, 1, 0);
    assert_eq!(guest.port_in(0x92, 1), 2);
    assert!(counts(&guest).contains(&"refused.a20 1".to_owned()));
    assert_eq!(guest.board.stop, None);
}

#[test]
fn the_number_of_exits_does_not_count_the_one_that_asks() {
    // in eax, dx
    let mut guest = kernel(&[0xED, 0xED], EXITS);
    for expected in [0, 1] {
        execute(&mut guest);
        assert_eq!(guest.vcpu.frame.eax, expected);
    }
    assert_eq!(guest.port_in(EXITS, 2), 0xFFFF, "it is a double word");
}

#[test]
fn a_narrow_input_keeps_the_rest_of_the_register() {
    let mut guest = kernel(&[0xEC, 0x66, 0xED], POST);
    guest.host.inputs.insert(POST, 0x42);
    guest.vcpu.frame.eax = 0xAABB_CCDD;
    execute(&mut guest);
    assert_eq!(guest.vcpu.frame.eax, 0xAABB_CC42);
    execute(&mut guest);
    assert_eq!(guest.vcpu.frame.eax, 0xAABB_FF42);
}

#[test]
fn the_clock_is_the_machines_and_cannot_be_set() {
    let mut guest = guest(&[]);
    guest.host.inputs.insert(0x71, 0x59);
    guest.port_out(0x70, 1, 0x80);
    assert_eq!(guest.port_in(0x71, 1), 0x59);
    assert_eq!(guest.host.ports, [(0x70, 1, 0)], "NMI stays enabled");
    guest.port_out(0x71, 1, 0);
    assert_eq!(guest.host.ports.len(), 1);
    assert!(counts(&guest).contains(&"refused.clock 1".to_owned()));
    guest.port_out(0x70, 1, 0x40);
    guest.port_out(0x71, 1, 0x77);
    assert_eq!(guest.port_in(0x71, 1), 0x77);
    assert_eq!(guest.host.ports.len(), 1);
}

#[test]
fn the_pci_address_has_32_bits_and_its_data_any_width() {
    let mut guest = guest(&[]);
    guest.port_out(0xCF8, 4, 0x8000_0904);
    assert_eq!(guest.port_in(0xCF8, 4), 0x8000_0904);
    guest.port_out(0xCF8, 1, 0x12);
    assert_eq!(guest.port_in(0xCF8, 4), 0x8000_0904, "a byte is not for it");
    guest.port_out(0xCFC, 2, 0x0401);
    assert_eq!(guest.port_in(0xCFC, 4), 0x0401);
    assert_eq!(guest.port_in(0xCFD, 1), 4);
    guest.port_out(0xCF8, 4, 0x8000_0000);
    assert_eq!(guest.port_in(0xCFC, 4), 0x1237_8086);
}

/// A kernel with a string of bytes 1, 2, 3 ... at [`BUFFER`], and `count` of them to go.
fn string(code: &[u8], port: u16, count: u32) -> Guest<FakeHost> {
    let mut guest = kernel(code, port);
    let bytes: Vec<u8> = (1..=16).collect();
    poke(&mut guest, BUFFER, &bytes);
    let frame = &mut guest.vcpu.frame;
    (frame.ecx, frame.esi, frame.edi) = (count, BUFFER, BUFFER);
    guest
}

fn written(guest: &Guest<FakeHost>) -> Vec<u32> {
    guest.host.ports.iter().map(|(_, _, value)| *value).collect()
}

#[test]
fn a_string_goes_to_its_port_in_order() {
    let mut guest = string(&REP_OUTS, POST, 3);
    assert_eq!(execute(&mut guest), (None, 2));
    assert_eq!(written(&guest), [1, 2, 3]);
    assert_eq!((guest.vcpu.frame.ecx, guest.vcpu.frame.esi), (0, BUFFER + 3));
}

#[test]
fn a_string_goes_backwards_with_the_direction_flag() {
    let mut guest = string(&[0xF3, 0x6F], POST, 2);
    guest.vcpu.frame.eflags |= eflags::DIRECTION;
    guest.vcpu.frame.esi = BUFFER + 4;
    execute(&mut guest);
    assert_eq!(guest.vcpu.frame.esi, BUFFER - 4);
    assert_eq!(written(&guest), [5, 1], "port 80 is the lowest byte");
}

#[test]
fn a_string_comes_from_its_port() {
    let mut guest = string(&REP_INS, DMA, 4);
    for byte in [0x12, 0x34] {
        guest.port_out(DMA, 1, byte);
    }
    assert_eq!(execute(&mut guest), (None, 2));
    assert_eq!(peek(&guest, BUFFER), 0x3412_3412);
    assert_eq!(peek(&guest, BUFFER + 4), 0x0807_0605);
    assert_eq!((guest.vcpu.frame.ecx, guest.vcpu.frame.edi), (0, BUFFER + 4));
}

#[test]
fn no_elements_are_none_and_no_prefix_is_one() {
    let mut guest = string(&REP_OUTS, POST, 0);
    assert_eq!(execute(&mut guest), (None, 2));
    assert_eq!(written(&guest), []);
    let mut guest = string(&[0x6E], POST, 7);
    assert_eq!(execute(&mut guest), (None, 1));
    assert_eq!((written(&guest), guest.vcpu.frame.ecx, guest.vcpu.frame.esi), (vec![1], 7, BUFFER + 1));
}

#[test]
fn addresses_of_16_bits_use_16_bits_of_the_registers() {
    let mut guest = string(&[0xF3, 0x67, 0x6E], POST, 0x1_0002);
    poke(&mut guest, 0, &[7]);
    poke(&mut guest, 0xFFFF, &[9]);
    guest.vcpu.frame.esi = 0xABCD_FFFF;
    execute(&mut guest);
    assert_eq!(written(&guest), [9, 7]);
    assert_eq!((guest.vcpu.frame.ecx, guest.vcpu.frame.esi), (0x1_0000, 0xABCD_0001));
}

#[test]
fn a_fault_in_a_string_leaves_what_is_to_be_done() {
    let mut guest = string(&REP_INS, DMA, 8);
    guest.port_out(DMA, 1, 0x12);
    guest.port_out(DMA, 1, 0x34);
    let end = crate::layout::GUEST_MEMORY;
    guest.vcpu.frame.edi = end;
    let (fault, advanced) = execute(&mut guest);
    assert_eq!((fault.map(|fault| fault.vector), advanced), (Some(vector::PAGE_FAULT), 0));
    assert_eq!((guest.vcpu.frame.ecx, guest.vcpu.frame.edi), (8, end));
    assert_eq!(guest.port_in(DMA, 1), 0x12, "what could not be stored was not read");
}

/// Turns paging on with every page of the memory mapped where it is, but for one.
fn without_page(guest: &mut Guest<FakeHost>, absent: u32) {
    const DIRECTORY: u32 = 0x9000;
    const TABLE: u32 = 0xA000;
    const PRESENT: u32 = 3;
    poke_words(guest, DIRECTORY, &[TABLE | PRESENT]);
    for page in 0..1024 {
        poke_words(guest, TABLE + 4 * page, &[if page == absent >> 12 { 0 } else { page << 12 | PRESENT }]);
    }
    (guest.vcpu.cr0, guest.vcpu.cr3) = (0x8000_0011, DIRECTORY);
}

#[test]
fn an_element_that_cannot_be_stored_is_not_read() {
    // The element lies in two pages, of which one is absent.
    for absent in [BUFFER, BUFFER + 0x1000] {
        // rep insw
        let mut guest = string(&[0xF3, 0x66, 0x6D], 0x20, 3);
        without_page(&mut guest, absent);
        guest.vcpu.frame.edi = BUFFER + 0xFFF;
        guest.board.pic.write(0x21, 0);
        guest.board.pic.pulse(3);
        guest.board.pic.write(0x20, 0x0C);
        let (fault, _) = execute(&mut guest);
        assert_eq!(fault.map(|fault| fault.vector), Some(vector::PAGE_FAULT));
        assert!(guest.has_interrupt(), "the poll would have taken it");
    }
}

#[test]
fn a_long_string_is_done_in_parts() {
    let mut guest = string(&REP_OUTS, POST, STRING_PART + 5);
    assert_eq!(execute(&mut guest), (None, 0));
    assert_eq!((guest.vcpu.frame.ecx, guest.host.ports.len()), (5, STRING_PART as usize));
    assert_eq!(execute(&mut guest), (None, 2));
    assert_eq!(guest.vcpu.frame.ecx, 0);
}

#[test]
fn a_string_to_the_exit_port_ends_with_its_first_element() {
    let mut guest = string(&REP_OUTS, EXIT, 5);
    guest.vcpu.frame.vector = vector::GENERAL_PROTECTION.into();
    assert_eq!(guest.exit(), Err(Stop::Exit(1)));
}

#[test]
fn a_program_cannot_move_strings_through_a_closed_port() {
    let mut guest = program(&REP_OUTS, POST, &[0xFF; 18]);
    guest.vcpu.frame.ecx = 3;
    assert_eq!(execute(&mut guest), (GENERAL_PROTECTION, 0));
    assert_eq!((written(&guest), guest.vcpu.frame.ecx), (vec![], 3));
}

#[test]
fn a_device_shows_the_present() {
    let mut guest = guest(&[]);
    guest.port_out(0x43, 1, 0x30);
    guest.port_out(0x40, 1, 100);
    guest.port_out(0x40, 1, 0);
    guest.port_out(0x20, 1, 0x0A);
    assert_eq!(guest.port_in(0x20, 1) & 1, 0);
    // 100 cycles of the timer at a gigahertz
    guest.host.cycles += 84_000;
    assert_eq!(guest.port_in(0x20, 1) & 1, 1);
}

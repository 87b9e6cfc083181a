//! What patching does to the text of a process, and that it can be undone and done again.
//!
//! # Safety
//!
//! Text is written in the one thread that runs it, masked or with no interrupt to come.
#![allow(unsafe_code)]

use std::fs;

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::irq;
use paravirt_vmi::patch::TextWriter as _;
use vmi_hypervisor::rom::Leave;

use super::tests;
use crate::guest::{self, Kernel};
use crate::monitor::{self, Exits};
use crate::sites;

tests![
    #[cfg(not(feature = "indirect"))]
    every_site_is_a_call_or_a_jump_into_the_rom,
    #[cfg(not(feature = "indirect"))]
    sites_of_the_flag_hold_the_roms_own_code,
    #[cfg(feature = "indirect")]
    no_text_is_written_and_every_site_goes_through_the_table,
    text_is_not_writable_before_or_behind,
    reverted_sites_trap_and_committed_ones_do_not,
    a_plan_can_be_committed_and_reverted_many_times,
];

/// The bytes at the site of a call.
fn bytes(kernel: &Kernel, call: Call) -> [u8; 5] {
    let mut bytes = [0; 5];
    kernel.text.read(sites::site(call), &mut bytes).unwrap();
    bytes
}

/// Where a branch of these bytes at `address` leads.
#[cfg(not(feature = "indirect"))]
fn target(address: u32, bytes: [u8; 5]) -> u32 {
    let [_, displacement @ ..] = bytes;
    address.wrapping_add(5).wrapping_add(u32::from_le_bytes(displacement))
}

#[cfg(not(feature = "indirect"))]
fn every_site_is_a_call_or_a_jump_into_the_rom() {
    for (leave, opcode) in [(Leave::ByCall, 0xE8), (Leave::ByJump, 0xE9)] {
        let mut kernel = Kernel::boot_with(leave, false);
        let rom = kernel.rom();
        for call in Call::all().filter(|call| *call != Call::SET_CALLBACKS) {
            let expected = if matches!(call, Call::IRET | Call::SYSEXIT) { opcode } else { 0xE8 };
            let bytes = bytes(&kernel, call);
            assert_eq!(bytes[0], expected, "{call}");
            let target = target(sites::site(call), bytes);
            assert!(rom.contains(&target), "{call}: {target:08x}");
            assert_eq!(Some(target), kernel.vmi.plan.relocation(call).branch_target(), "{call}");
        }
        assert_eq!(kernel.vmi.plan.relocation(Call::SET_CALLBACKS).kind, RelocationKind::NONE);
        let sites: usize = kernel.vmi.plan.calls().map(|call| call.sites).sum();
        assert!(kernel.text.writes > Call::COUNT && kernel.text.writes <= sites);
        // SAFETY: as for boot; the monitor carries out native instructions.
        unsafe { kernel.vmi.plan.revert(&mut kernel.text) }.expect("text can be written");
    }
}

/// One instruction, with the displacement of the virtual flag, that also stands at the start of the ROM's code.
#[cfg(not(feature = "indirect"))]
fn sites_of_the_flag_hold_the_roms_own_code() {
    let kernel = Kernel::boot(Leave::ByCall);
    for (call, code) in [
        (Call::ENABLE_INTERRUPTS, &[0x36, 0xC6, 0x05][..]),
        (Call::DISABLE_INTERRUPTS, &[0x36, 0xC6, 0x05]),
        (Call::GET_INTERRUPT_MASK, &[0x36, 0x8A, 0x25]),
    ] {
        let mut site = [0; 8];
        kernel.text.read(sites::site(call), &mut site).unwrap();
        let of_rom = kernel.vmi.plan.relocation(call).branch_target().unwrap();
        let start = std::ptr::with_exposed_provenance::<[u8; 8]>(of_rom as usize);
        // SAFETY: the ROM's code, which nobody writes.
        let of_rom = unsafe { start.read_unaligned() };
        let padding = site.windows(code.len()).position(|window| window == code).unwrap();
        assert!(site[..padding].iter().all(|byte| *byte == 0x36), "{call}: {site:02x?}");
        assert_eq!(site[padding..], of_rom[..8 - padding], "{call}");
    }
    assert_eq!(bytes(&kernel, Call::SET_INTERRUPT_MASK)[0], 0xE8, "it is more than one instruction");
}

#[cfg(feature = "indirect")]
fn no_text_is_written_and_every_site_goes_through_the_table() {
    // SAFETY: the guest crate's table, of which entries are read.
    unsafe extern "C" {
        safe static __paravirt_vmi_calls: [std::sync::atomic::AtomicU32; Call::COUNT];
    }
    use paravirt_vmi::site::{NativeForm, SiteKind};
    let kernel = Kernel::boot(Leave::ByCall);
    assert_eq!(kernel.text.writes, 0);
    let table = (&raw const __paravirt_vmi_calls) as u32;
    for call in Call::all() {
        let entry = &__paravirt_vmi_calls[call.number() as usize];
        // call or jmp dword ptr ss:[...]
        let returns = NativeForm::of(call).kind == SiteKind::FallThrough;
        let branch = if returns { 0x15 } else { 0x25 };
        let found = bytes(&kernel, call);
        assert_eq!(found[..3], [0x36, 0xFF, branch], "{call}");
        let mut operand = [0; 4];
        kernel.text.read(sites::site(call) + 3, &mut operand).unwrap();
        assert_eq!(u32::from_le_bytes(operand), table + 4 * call.number(), "{call}");
        let address = entry.load(std::sync::atomic::Ordering::SeqCst);
        // Those that do not return are called by a stub.
        let direct = returns && call != Call::SET_CALLBACKS;
        assert_eq!(kernel.rom().contains(&address), direct, "{call}: {address:08x}");
    }
    assert_eq!(kernel.vmi.plan.relocation(Call::SET_CALLBACKS).kind, RelocationKind::NONE);
}

/// The permissions of the pages that hold an address.
fn permissions(address: u32) -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let (end, _) = rest.split_once(' ').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        (number(start)..number(end)).contains(&u64::from(address))
    });
    line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

fn text_is_not_writable_before_or_behind() {
    let site = sites::site(Call::DISABLE_INTERRUPTS);
    assert_eq!(permissions(site), "r-xp");
    let kernel = Kernel::boot(Leave::ByCall);
    assert_eq!(permissions(site), "r-xp");
    assert_eq!(permissions(kernel.rom().start), "r-xp");
}

fn reverted_sites_trap_and_committed_ones_do_not() {
    let mut kernel = Kernel::boot(Leave::ByCall);
    let patched = monitor::exits();
    irq::disable();
    guest::enable();
    assert_eq!(monitor::exits(), patched);

    // SAFETY: as for boot; the monitor carries out native instructions.
    unsafe { kernel.vmi.plan.revert(&mut kernel.text) }.expect("text can be written");
    kernel.vmi.plan.verify_native(&kernel.text).expect("text is as it was compiled");
    irq::disable();
    assert!(!monitor::flag());
    guest::enable();
    assert!(monitor::flag());
    assert_eq!(monitor::exits(), Exits { traps: patched.traps + 2, ..patched });

    // SAFETY: as for boot.
    unsafe { kernel.vmi.plan.commit(&mut kernel.text) }.expect("text can be written");
    kernel.vmi.plan.verify(&kernel.text).expect("text is as planned");
    irq::disable();
    assert!(!monitor::flag());
    guest::enable();
    assert!(monitor::flag());
    assert_eq!(monitor::exits(), Exits { traps: patched.traps + 2, ..patched });
}

fn a_plan_can_be_committed_and_reverted_many_times() {
    let mut kernel = Kernel::boot(Leave::ByJump);
    let patched = Call::all().map(|call| bytes(&kernel, call)).collect::<Vec<_>>();
    for _ in 0..20 {
        // SAFETY: as for boot; the monitor carries out native instructions.
        unsafe { kernel.vmi.plan.revert(&mut kernel.text) }.expect("text can be written");
        // SAFETY: as for boot.
        unsafe { kernel.vmi.plan.commit(&mut kernel.text) }.expect("text can be written");
        assert_eq!(Call::all().map(|call| bytes(&kernel, call)).collect::<Vec<_>>(), patched);
    }
}

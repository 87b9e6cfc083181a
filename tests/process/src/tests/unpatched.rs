//! Sites as they are compiled, in ring 3: what the processor carries out, and what it refuses.
//!
//! # Safety
//!
//! What is not the process's to do is a fault, and the monitor's.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::{cpu, irq};

use super::tests;
use crate::guest;
use crate::monitor::{self, Exits};
use crate::sites::{self, Registers};

tests![
    the_flag_that_a_site_reads_is_the_real_one,
    a_site_for_the_time_stamp_reads_it,
    a_site_for_cpuid_asks_the_processor,
    masking_is_a_fault_for_each_instruction,
    a_return_by_iretd_leaves_the_virtual_flag_as_it_was,
    #[cfg(not(feature = "indirect"))]
    a_site_holds_its_native_bytes,
];

/// Registers with a value of their own in each.
fn registers() -> Registers {
    Registers {
        eax: 1,
        ebx: 2,
        ecx: 3,
        edx: 4,
        esi: 5,
        edi: 6,
        ebp: 7,
        flags: sites::FLAGS,
        ..Registers::default()
    }
}

fn the_flag_that_a_site_reads_is_the_real_one() {
    guest::start_native();
    // The virtual flag is clear.
    assert!(!monitor::flag());
    assert!(irq::is_enabled());
    assert_eq!(monitor::exits(), Exits { hypercalls: 0, stores: 0, traps: 0 });
}

fn a_site_for_the_time_stamp_reads_it() {
    guest::start_native();
    let before = cpu::rdtsc();
    assert!(cpu::rdtsc() > before);
    assert_eq!(monitor::exits().traps, 0);
}

fn a_site_for_cpuid_asks_the_processor() {
    guest::start_native();
    let real = core::arch::x86::__cpuid(0);
    // SAFETY: CPUID changes registers alone.
    let [_, after] = unsafe { sites::call_site(Call::CPUID, Registers { eax: 0, ecx: 0, ..registers() }) };
    assert_eq!([after.eax, after.ebx, after.ecx, after.edx], [real.eax, real.ebx, real.ecx, real.edx]);
    assert_eq!(monitor::exits().traps, 0);
}

fn masking_is_a_fault_for_each_instruction() {
    guest::start_native();
    guest::enable();
    assert!(monitor::flag());
    for round in 1..=100 {
        irq::disable();
        assert!(!monitor::flag());
        assert_eq!(monitor::last_fault(), Some("cli"));
        guest::enable();
        assert!(monitor::flag());
        assert_eq!(monitor::last_fault(), Some("sti"));
        assert_eq!(monitor::exits(), Exits { hypercalls: 0, stores: 0, traps: 1 + 2 * round });
    }
}

/// What makes patching necessary: the flag in the image is not taken over in ring 3, and nothing traps.
fn a_return_by_iretd_leaves_the_virtual_flag_as_it_was() {
    guest::start_native();
    let stack = sites::return_frame(sites::FLAGS);
    // SAFETY: the frame leads to where registers are looked at.
    let [before, after] = unsafe { sites::call_site(Call::IRET, Registers { stack, ..registers() }) };
    assert_eq!(after.esp, before.esp + 12);
    assert!(!monitor::flag());
    assert_eq!(monitor::exits().traps, 0);
}

#[cfg(not(feature = "indirect"))]
fn a_site_holds_its_native_bytes() {
    use paravirt_vmi::patch::TextWriter as _;
    use paravirt_vmi::site::{NativeCode, NativeForm};
    for form in Call::all().map(NativeForm::of) {
        let mut bytes = vec![0; form.length()];
        crate::machine::Text::default().read(sites::site(form.call), &mut bytes).unwrap();
        match form.code {
            NativeCode::Inline(native) => assert_eq!(bytes, native, "{}", form.call),
            NativeCode::Stub => assert_eq!(bytes[0], 0xE8, "{}", form.call),
        }
    }
}

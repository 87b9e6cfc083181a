//! The processor's own registers.

use paravirt_vmi::cpu::{self, Cr0, Cr4, DebugRegister, cpuid};
use paravirt_vmi::mock;

use super::failure;

// SAFETY of all blocks below: a register of the mock is nothing but a value.

/// The message for a call in this file.
fn message(call: &str, line: u32, rest: &str) -> String {
    format!("{call} at {}:{line}: {rest}", file!())
}

#[test]
fn control_registers_are_those_of_a_kernel_with_paging_and_hold_what_is_written() {
    mock::run(|_| {
        assert!(cpu::cr0().contains(Cr0::PE | Cr0::PG | Cr0::WP | Cr0::ET));
        assert!(!cpu::cr0().contains(Cr0::TS));
        assert_eq!(cpu::cr4(), Cr4::PGE | Cr4::PSE);
        assert_ne!(cpu::cr3(), 0);
        // SAFETY: see above.
        unsafe { cpu::set_cr2(0x1234_5678) };
        // SAFETY: see above.
        unsafe { cpu::set_cr3(0x0020_0018) };
        // SAFETY: see above.
        unsafe { cpu::set_cr4(Cr4::PAE) };
        assert_eq!((cpu::cr2(), cpu::cr3(), cpu::cr4()), (0x1234_5678, 0x0020_0018, Cr4::PAE));
    });
}

#[test]
fn clts_clears_ts_and_nothing_else() {
    mock::run(|_| {
        let before = cpu::cr0();
        // SAFETY: see above.
        unsafe { cpu::set_cr0(before | Cr0::TS) };
        assert_eq!(cpu::cr0(), before | Cr0::TS);
        // SAFETY: see above.
        unsafe { cpu::clts() };
        assert_eq!(cpu::cr0(), before);
    });
}

#[test]
fn et_cannot_be_cleared() {
    mock::run(|_| {
        // SAFETY: see above.
        unsafe { cpu::set_cr0(Cr0::PE) };
        assert_eq!(cpu::cr0(), Cr0::PE | Cr0::ET);
    });
}

#[test]
fn values_of_cr0_that_the_processor_refuses_are_misuses() {
    let line = line!() + 2;
    // SAFETY: see above.
    let paging = failure(|_| unsafe { cpu::set_cr0(Cr0::PG) });
    let expected = "#GP: paging without protected mode (0x80000000)";
    assert_eq!(paging, message("SetCR0", line, expected));
    // SAFETY: see above.
    let caches = failure(|_| unsafe { cpu::set_cr0(Cr0::PE | Cr0::NW) });
    assert_eq!(caches, message("SetCR0", line + 4, "#GP: NW without CD (0x20000001)"));
}

#[test]
fn debug_registers_are_those_of_power_on_and_keep_their_fixed_bits() {
    mock::run(|_| {
        assert_eq!((cpu::dr(DebugRegister::Dr6), cpu::dr(DebugRegister::Dr7)), (0xffff_0ff0, 0x400));
        for (register, written, read) in [
            (DebugRegister::Dr0, 0xdead_beef, 0xdead_beef),
            (DebugRegister::Dr3, 7, 7),
            (DebugRegister::Dr6, 0, 0xffff_0ff0),
            (DebugRegister::Dr6, u32::MAX, 0xffff_efff),
            (DebugRegister::Dr7, 0, 0x400),
            (DebugRegister::Dr7, u32::MAX, 0xffff_27ff),
        ] {
            // SAFETY: see above.
            unsafe { cpu::set_dr(register, written) };
            assert_eq!(cpu::dr(register), read, "{register:?}");
        }
    });
}

#[test]
fn cpuid_names_a_processor_with_the_features_of_the_mock_and_no_others() {
    mock::run(|_| {
        let id = cpuid(0, 0);
        let name = [id.ebx, id.edx, id.ecx].map(u32::to_le_bytes).concat();
        assert_eq!((id.eax, name.as_slice()), (1, b"GenuineIntel".as_slice()));
        let features = [("TSC", 4), ("MSR", 5), ("PAE", 6), ("APIC", 9), ("SEP", 11), ("PGE", 13)];
        for (name, bit) in features {
            assert_ne!(cpuid(1, 0).edx & 1 << bit, 0, "{name}");
        }
        // Machine checks, memory types and their registers are not there.
        assert_eq!(cpuid(1, 0).edx & (1 << 7 | 1 << 12 | 1 << 14 | 1 << 16), 0);
        // As Intel's processors do, above the last leaf.
        assert_eq!(cpuid(0x8000_0000, 0), cpuid(1, 0));
    });
}

#[test]
fn a_leaf_that_a_test_sets_is_announced_by_the_first_leaf_of_its_range() {
    mock::run(|cpu| {
        cpu.set_cpuid(4, [1, 2, 3, 4]);
        cpu.set_cpuid(0x8000_0004, [5, 6, 7, 8]);
        cpu.set_cpuid(0x4000_0000, [0x4000_0001, 0, 0, 0]);
        assert_eq!(cpuid(0, 0).eax, 4);
        assert_eq!(cpuid(0x8000_0000, 0).eax, 0x8000_0004);
        let leaf = cpuid(4, 9);
        assert_eq!([leaf.eax, leaf.ebx, leaf.ecx, leaf.edx], [1, 2, 3, 4]);
        assert_eq!(cpuid(0x8000_0004, 0).edx, 8);
        assert_eq!(cpuid(0x4000_0000, 0).eax, 0x4000_0001);
        let reserved = cpuid(3, 0);
        assert_eq!([reserved.eax, reserved.ebx, reserved.ecx, reserved.edx], [0; 4]);
    });
}

#[test]
fn the_initial_apic_id_is_in_leaf_1() {
    mock::run(|cpu| {
        assert_eq!(cpuid(1, 0).ebx >> 24, 0);
        cpu.set_apic_id(7);
        assert_eq!(cpuid(1, 0).ebx >> 24, 7);
    });
}

#[test]
fn model_specific_registers_hold_64_bits() {
    mock::run(|cpu| {
        // SAFETY: see above.
        unsafe { cpu::wrmsr(0x175, 0x1122_3344_5566_7788) };
        // SAFETY: see above.
        assert_eq!(unsafe { cpu::rdmsr(0x175) }, 0x1122_3344_5566_7788);
        // SAFETY: see above.
        assert_eq!(unsafe { cpu::rdmsr(0x1b) }, 0xfee0_0900);
        assert_eq!((cpu.msr(0x175), cpu.msr(0x8b)), (Some(0x1122_3344_5566_7788), None));
        cpu.set_msr(0x8b, 3);
        // SAFETY: see above.
        assert_eq!(unsafe { cpu::rdmsr(0x8b) }, 3);
    });
}

#[test]
fn a_model_specific_register_that_is_not_there_is_a_misuse() {
    let rest = "#GP: there is no such model-specific register; Cpu::set_msr makes one (0x8b)";
    let line = line!() + 2;
    // SAFETY: see above.
    let read = failure(|_| _ = unsafe { cpu::rdmsr(0x8b) });
    assert_eq!(read, message("RDMSR", line, rest));
    // SAFETY: see above.
    let written = failure(|_| unsafe { cpu::wrmsr(0x8b, 0) });
    assert_eq!(written, message("WRMSR", line + 3, rest));
}

#[test]
fn two_performance_counters_are_there_and_others_are_a_misuse() {
    mock::run(|cpu| {
        cpu.set_performance_counter(1, 0x12_3456_789a);
        // SAFETY: see above.
        let counters = [0, 1].map(|counter| unsafe { cpu::rdpmc(counter) });
        assert_eq!(counters, [0, 0x12_3456_789a]);
    });
    let line = line!() + 2;
    // SAFETY: see above.
    let missing = failure(|_| _ = unsafe { cpu::rdpmc(2) });
    assert_eq!(missing, message("RDPMC", line, "#GP: there is no such performance counter (0x2)"));
}

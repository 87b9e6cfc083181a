//! The journal and the messages name the places of the code under test.

use std::time::Duration;

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::apic::LocalApic;
use paravirt_vmi::descriptor::Selector;
use paravirt_vmi::mmu::LazyModes;
use paravirt_vmi::mock::{self, Cpu};
use paravirt_vmi::smp::{ApStatePage, InitialState, ProcessorStart, TrampolinePage};

/// The lines of the calls so far, all of which must be in this file.
fn lines(cpu: Cpu) -> Vec<u32> {
    let journal = cpu.journal();
    assert!(journal.iter().all(|entry| entry.place.file() == file!()), "{journal:?}");
    journal.iter().map(|entry| entry.place.line()).collect()
}

#[test]
fn a_lazy_section_begins_and_ends_where_it_was_begun() {
    mock::run(|cpu| {
        // SAFETY: this processor has no other.
        let mut modes = unsafe { LazyModes::new() };
        let line = line!() + 1;
        modes.mmu(|section| {
            section.flush();
            paravirt_vmi::mmu::flush_tlb();
        });
        assert_eq!(lines(cpu), [line, line + 1, line + 1, line + 2, line]);
    });
}

#[test]
fn all_that_starts_a_processor_comes_from_where_it_is_started() {
    mock::run(|cpu| {
        let segments = (Selector(0x08), Selector(0x10), DescriptorTableRegister::new(0x2f, 0));
        let (cs, ss, gdt) = segments;
        let page = ApStatePage::new(&InitialState { cs, ss, gdt, ..InitialState::new(0, 0) }).unwrap();
        let (state, timeout) = (&page, Duration::from_secs(1));
        let trampoline = TrampolinePage::new(0x8000).unwrap();
        let start = ProcessorStart { apic_id: 1, state, trampoline, timeout };
        // SAFETY: the mock's local APIC is at every address, and no processor starts.
        let apic = unsafe { LocalApic::new(0xfee0_0000) };
        let line = line!() + 2;
        // SAFETY: as above.
        unsafe { start.run(&apic, |_| (), || true) }.unwrap();
        assert_eq!(lines(cpu), [line; 10]);
    });
}

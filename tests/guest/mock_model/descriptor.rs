//! Descriptor tables, the kernel's stack and the states of starting processors.

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::descriptor::{self, Descriptor, Selector, TssStack};
use paravirt_vmi::mock::{self, KernelStack};
use paravirt_vmi::smp::{ApStatePage, InitialState, set_initial_ap_state};

use super::failure;

// SAFETY of all blocks below: no processor goes by the tables of the mock, and none is started.

const GDT: DescriptorTableRegister = DescriptorTableRegister::new(0x2f, 0xc030_0000);
const IDT: DescriptorTableRegister = DescriptorTableRegister::new(0x7ff, 0xc030_1000);

#[test]
fn the_registers_of_tables_read_back_as_they_were_loaded() {
    mock::run(|_| {
        let reset = DescriptorTableRegister::new(0xffff, 0);
        assert_eq!((descriptor::gdt(), descriptor::idt()), (reset, reset));
        assert_eq!((descriptor::ldt(), descriptor::tr()), (Selector::NULL, Selector::NULL));
        // SAFETY: see above.
        unsafe { descriptor::set_gdt(&GDT) };
        assert_eq!((descriptor::gdt(), descriptor::idt()), (GDT, reset));
        // SAFETY: see above.
        unsafe { descriptor::set_idt(&IDT) };
        assert_eq!((descriptor::gdt(), descriptor::idt()), (GDT, IDT));
        // SAFETY: see above.
        unsafe { descriptor::set_tr(Selector(0x28)) };
        // SAFETY: see above.
        unsafe { descriptor::set_ldt(Selector(0x20)) };
        assert_eq!((descriptor::ldt(), descriptor::tr()), (Selector(0x20), Selector(0x28)));
        // SAFETY: see above.
        unsafe { descriptor::set_ldt(Selector::NULL) };
        assert_eq!(descriptor::ldt(), Selector::NULL);
    });
}

/// Loads a GDT whose last entry, number 5, lacks a byte, and then a register.
fn load(register: unsafe fn(Selector), selector: u16) -> String {
    let message = failure(move |_| {
        // SAFETY: see above.
        unsafe { descriptor::set_gdt(&DescriptorTableRegister::new(0x2e, 0xc030_0000)) };
        // SAFETY: see above.
        unsafe { register(Selector(selector)) };
    });
    let (place, rest) = message.split_once(": ").unwrap();
    let call = place.split_once(" at ").unwrap().0;
    format!("{call}: {rest}")
}

#[test]
fn selectors_that_the_processor_refuses_are_misuses() {
    let outside = "#GP: the selector lies outside the GDT";
    let in_ldt = "#GP: the selector of a system segment names the LDT";
    assert_eq!(load(descriptor::set_tr, 0x28), format!("SetTR: {outside} (0x28)"));
    assert_eq!(load(descriptor::set_ldt, 0x30), format!("SetLDT: {outside} (0x30)"));
    assert_eq!(load(descriptor::set_tr, 0x2c), format!("SetTR: {in_ldt} (0x2c)"));
    assert_eq!(load(descriptor::set_ldt, 0x0c), format!("SetLDT: {in_ldt} (0xc)"));
    let null = "#GP: the task register is loaded with a null selector";
    assert_eq!(load(descriptor::set_tr, 0x03), format!("SetTR: {null} (0x3)"));
}

#[test]
fn a_selector_is_held_against_a_gdt_only_if_one_was_loaded() {
    mock::run(|_| {
        // SAFETY: see above.
        unsafe { descriptor::set_tr(Selector(0x4000)) };
        assert_eq!(descriptor::tr(), Selector(0x4000));
    });
}

#[test]
fn an_entry_is_written_where_it_belongs_and_nowhere_else() {
    type Write = unsafe fn(*mut Descriptor, Descriptor);
    let functions: [Write; 3] = [
        // SAFETY: the caller vouches for the table.
        |table, entry| unsafe { descriptor::write_gdt_entry(table, 3, entry) },
        // SAFETY: as above.
        |table, entry| unsafe { descriptor::write_ldt_entry(table, 3, entry) },
        // SAFETY: as above.
        |table, entry| unsafe { descriptor::write_idt_entry(table, 3, entry) },
    ];
    mock::run(move |_| {
        for write in functions {
            let mut table = [Descriptor(u64::MAX); 5];
            let entry = Descriptor(0x00cf_9a00_1234_ffff);
            // SAFETY: see above; the table has the entry.
            unsafe { write(table.as_mut_ptr(), entry) };
            let other = Descriptor(u64::MAX);
            assert_eq!(table, [other, other, other, entry, other]);
        }
    });
}

#[test]
fn the_kernels_stack_is_the_one_announced_last() {
    mock::run(|cpu| {
        assert_eq!(cpu.kernel_stack(), None);
        let mut tss = TssStack::default();
        for esp0 in [0xc100_0000, 0xc200_0000] {
            // SAFETY: see above.
            unsafe { descriptor::update_kernel_stack(&mut tss, Selector(0x69), esp0) };
            assert_eq!(cpu.kernel_stack(), Some(KernelStack { ss0: Selector(0x69), esp0 }));
        }
    });
}

#[test]
fn the_state_of_a_starting_processor_is_kept_by_its_apic_id() {
    mock::run(|cpu| {
        let segments = InitialState { gdt: GDT, cs: Selector(0x08), ss: Selector(0x10), ..state() };
        for (apic_id, eax) in [(3, 33), (4, 44)] {
            let page = ApStatePage::new(&InitialState { eax, ..segments }).unwrap();
            // SAFETY: see above.
            unsafe { set_initial_ap_state(&page, apic_id) };
        }
        let announced = |apic_id| cpu.initial_ap_state(apic_id);
        assert_eq!(announced(3).unwrap().eax.get(), 33);
        let state = announced(4).unwrap();
        assert_eq!((state.eax.get(), state.eip.get(), state.esp.get()), (44, 0xc010_0000, 0xc020_0000));
        assert_eq!((state.ss.get(), state.gdtr_base.get()), (0x10, 0xc030_0000));
        assert!(announced(5).is_none());
    });
}

fn state() -> InitialState {
    InitialState::new(0xc010_0000, 0xc020_0000)
}

#[test]
fn on_a_host_the_kernel_is_in_ring_0() {
    assert_eq!(descriptor::kernel_ring(), 0);
    assert_eq!(Selector(0x2b).in_kernel_ring(), Selector(0x28));
}

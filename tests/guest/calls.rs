//! The typed functions on the mock processor: each makes exactly its call, with its arguments where the call
//! table wants them.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};

use paravirt_vmi::abi::Call;
use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::abi::flags::{Counter, IoplMask, RebootKind};
use paravirt_vmi::apic::{LocalApic, Register};
use paravirt_vmi::cpu::{self, Cr0, Cr4, DebugRegister};
use paravirt_vmi::descriptor::{self, Descriptor, Selector, TssStack};
use paravirt_vmi::mmu::{
    self, Contents, LazyModes, Level, LinearMapping, LinearMappingSlot, TableFrame, Update,
};
use paravirt_vmi::mock::Cpu;
use paravirt_vmi::smp::{ApStatePage, InitialState, set_initial_ap_state};
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};
use paravirt_vmi::{irq, port, power};

/// A use of a function, and the call that it must make with these arguments.
type Row = (Call, fn(), &'static [u32]);

const GDT: DescriptorTableRegister = DescriptorTableRegister::new(0x2f, 0xc030_0000);
const MAPPED: Update = Update::of(Level::PageDirectory).mapping(0x0804_8765).deferred();
const MAPPED_FLAGS: u32 = 0x0804_8000 | 0x20 | 0x10 | 2;
const TABLE: TableFrame = TableFrame { frame: 0x123, level: Level::PageTable, pae: false };
const PAE_POINTERS: TableFrame = TableFrame { frame: 0x124, level: Level::PointerTable, pae: true };

const MAPPING: LinearMapping = LinearMapping { address: 0xc000_0000, pages: 0x400, first_frame: 7 };
const ENTRY: Descriptor = Descriptor(0x1_0000_0002);
const ALARM: Alarm = Alarm {
    counter: AlarmCounter::Available,
    expiry: 0x1_0000_0002,
    period: NonZero::new(0x3_0000_0004),
    wiring: Wiring::LocalApicTimer,
};

/// A pointer that is nothing but an address.
fn at<T>(address: usize) -> *mut T {
    std::ptr::without_provenance_mut(address)
}

/// The clock, which the mock has when it is told to.
fn clock() -> Clock {
    Cpu::current().answer(Call::GET_CYCLE_FREQUENCY, 1000);
    let clock = Clock::find().unwrap();
    Cpu::current().reset();
    clock
}

fn apic() -> LocalApic {
    // SAFETY: the mock's local APIC is at every address.
    unsafe { LocalApic::new(0xfee0_0000) }
}

/// A page with a sound state, never freed.
fn ap_state() -> &'static ApStatePage {
    let gdt = GDT;
    let (cs, ss) = (Selector::gdt(1), Selector::gdt(2));
    let state = InitialState { gdt, cs, ss, ..InitialState::new(0, 0) };
    Box::leak(Box::new(ApStatePage::new(&state).unwrap()))
}

/// Updates the stack in a TSS, and looks at what it left there.
fn update_kernel_stack() {
    let mut tss = TssStack::default();
    // SAFETY: the mock's processor enters no kernel.
    unsafe { descriptor::update_kernel_stack(&mut tss, Selector(0x69), 0xc100_0000) };
    assert_eq!(tss, TssStack { link: 0, esp0: 0xc100_0000, ss0: 0x69 });
}

// SAFETY of all that follows: the mock's registers, ports and page tables are nobody else's.
#[rustfmt::skip]
#[expect(clippy::undocumented_unsafe_blocks, reason = "one proof for all rows, above")]
const ROWS: &[Row] = &[
    (Call::CPUID, || _ = cpu::cpuid(7, 1), &[7, 1]),
    (Call::WRMSR, || unsafe { cpu::wrmsr(0x1b, 0x1111_2222_3333_4444) }, &[0x1b, 0x3333_4444, 0x1111_2222]),
    (Call::RDMSR, || _ = unsafe { cpu::rdmsr(0x1b) }, &[0x1b]),
    (Call::SET_LDT, || unsafe { descriptor::set_ldt(Selector(0x28)) }, &[0x28]),
    (Call::SET_TR, || unsafe { descriptor::set_tr(Selector(0x30)) }, &[0x30]),
    (Call::GET_LDT, || _ = descriptor::ldt(), &[]),
    (Call::GET_TR, || _ = descriptor::tr(), &[]),
    (Call::UPDATE_KERNEL_STACK, || update_kernel_stack(), &[0x69, 0xc100_0000]),
    (Call::SET_CR0, || unsafe { cpu::set_cr0(Cr0::PG | Cr0::PE) }, &[0x8000_0001]),
    (Call::SET_CR2, || unsafe { cpu::set_cr2(0xdead_0000) }, &[0xdead_0000]),
    (Call::SET_CR3, || unsafe { cpu::set_cr3(0x20_0000) }, &[0x20_0000]),
    (Call::SET_CR4, || unsafe { cpu::set_cr4(Cr4::PAE | Cr4::PGE) }, &[0xa0]),
    (Call::GET_CR0, || _ = cpu::cr0(), &[]),
    (Call::GET_CR2, || _ = cpu::cr2(), &[]),
    (Call::GET_CR3, || _ = cpu::cr3(), &[]),
    (Call::GET_CR4, || _ = cpu::cr4(), &[]),
    (Call::WBINVD, || cpu::wbinvd(), &[]),
    (Call::SET_DR, || unsafe { cpu::set_dr(DebugRegister::Dr7, 0x400) }, &[7, 0x400]),
    (Call::GET_DR, || _ = cpu::dr(DebugRegister::Dr6), &[6]),
    (Call::RDPMC, || _ = unsafe { cpu::rdpmc(1) }, &[1]),
    (Call::RDTSC, || _ = cpu::rdtsc(), &[]),
    (Call::CLTS, || unsafe { cpu::clts() }, &[]),
    (Call::ENABLE_INTERRUPTS, || unsafe { irq::enable() }, &[]),
    (Call::DISABLE_INTERRUPTS, || irq::disable(), &[]),
    (Call::GET_INTERRUPT_MASK, || _ = irq::is_enabled(), &[]),
    (Call::HALT, || unsafe { irq::enable_and_halt() }, &[]),
    (Call::REBOOT, || power::reboot(RebootKind::HARD), &[1]),
    (Call::REBOOT, || power::reboot(RebootKind::SOFT), &[0]),
    (Call::SHUTDOWN, || power::shutdown(), &[]),
    (Call::UPDATE_PXE, || unsafe { mmu::update_pxe(at(0x4004), Update::of(Level::PageTable)) }, &[0x4004, 1]),
    (Call::UPDATE_PXE_LONG, || unsafe { mmu::update_pxe_long(at(0x4008), Update::of(Level::PointerTable)) },
        &[0x4008, 4]),
    (Call::MACHINE_TO_PHYSICAL, || _ = unsafe { mmu::undocumented::machine_to_physical(5) }, &[5]),
    (Call::PHYSICAL_TO_MACHINE, || _ = unsafe { mmu::undocumented::physical_to_machine(5, 6) }, &[5, 6]),
    (Call::ALLOCATE_PAGE, || unsafe { mmu::allocate_page(TABLE, Contents::Any) }, &[0x123, 1, 0, 0, 0]),
    (Call::ALLOCATE_PAGE, || unsafe { mmu::allocate_page(PAE_POINTERS, Contents::Zeroed) },
        &[0x124, 4 | 0x10 | 0x40, 0, 0, 0]),
    (Call::ALLOCATE_PAGE,
        || unsafe { mmu::allocate_page(TABLE, Contents::Clone { frame: 0x100, first: 768, count: 256 }) },
        &[0x123, 1 | 0x20, 0x100, 768, 256]),
    (Call::INVAL_PAGE, || mmu::inval_page(0xc123_4567), &[0xc123_4567]),
    (Call::FLUSH_TLB, || mmu::flush_tlb(), &[1]),
    (Call::FLUSH_TLB, || mmu::flush_tlb_global(), &[3]),
    (Call::SET_LINEAR_MAPPING, || unsafe { mmu::set_linear_mapping(LinearMappingSlot::WINDOW_2, MAPPING) },
        &[2, 0xc000_0000, 0x400, 7]),
    (Call::INL, || _ = unsafe { port::inl(0xcfc) }, &[0xcfc]),
    (Call::INB, || _ = unsafe { port::inb(0x60) }, &[0x60]),
    (Call::INW, || _ = unsafe { port::inw(0x1f0) }, &[0x1f0]),
    (Call::OUTL, || unsafe { port::outl(0xcf8, 0x8000_0000) }, &[0x8000_0000, 0xcf8]),
    (Call::OUTB, || unsafe { port::outb(0x20, 0x20) }, &[0x20, 0x20]),
    (Call::OUTW, || unsafe { port::outw(0x1f0, 0x1234) }, &[0x1234, 0x1f0]),
    (Call::SET_IOPL_MASK, || unsafe { port::set_iopl(IoplMask::from_level(3).unwrap()) }, &[0x3000]),
    (Call::APIC_WRITE, || unsafe { apic().write(Register::END_OF_INTERRUPT, 9) }, &[0xfee0_00b0, 9]),
    (Call::APIC_READ, || _ = apic().read(Register::ID), &[0xfee0_0020]),
    (Call::IO_DELAY, || port::io_delay(), &[]),
    (Call::GET_CYCLE_FREQUENCY, || _ = Clock::find(), &[]),
    (Call::GET_CYCLE_COUNTER, || _ = clock().counter(Counter::STOLEN), &[2]),
    (Call::SET_ALARM, || clock().set_alarm(ALARM), &[0x1_0101, 2, 1, 4, 3]),
    (Call::SET_ALARM, || clock().set_alarm(Alarm { period: None, wiring: Wiring::Irq0, ..ALARM }), &[1, 2, 1, 0, 0]),
    (Call::CANCEL_ALARM, || _ = clock().cancel_alarm(AlarmCounter::Available), &[1]),
    (Call::CANCEL_ALARM, || _ = clock().cancel_alarm(AlarmCounter::Real), &[0]),
    (Call::GET_WALLCLOCK_TIME, || _ = clock().wall_clock(), &[]),
    (Call::WALLCLOCK_UPDATED, || _ = clock().wall_clock_jumped(), &[]),
    (Call::SET_CALLBACKS, || unsafe { cpu::undocumented::set_callbacks() }, &[]),
];

/// The calls that `f` makes, with their arguments.
fn made(f: impl FnOnce()) -> Vec<(Call, Vec<u32>)> {
    Cpu::current().reset();
    f();
    let journal = Cpu::current().journal();
    assert!(journal.iter().all(|entry| entry.place.file() == file!()), "{journal:?}");
    journal.iter().filter_map(|entry| Some((entry.call()?, entry.arguments().to_vec()))).collect()
}

/// Bits 31 to 0 of an address.
fn low<T: ?Sized>(value: &T) -> u32 {
    (&raw const *value).addr() as u32
}

#[test]
fn each_function_makes_exactly_its_call_with_the_arguments_of_the_table() {
    for (call, function, arguments) in ROWS {
        // Calls that do not return end in a panic here, and so does a halt that nothing ends.
        let ends = !call.info().returns || *call == Call::HALT;
        let made = made(|| assert_eq!(catch_unwind(AssertUnwindSafe(function)).is_err(), ends, "{call}"));
        assert_eq!(made, [(*call, arguments.to_vec())]);
        assert_eq!(arguments.len(), call.info().arguments.len(), "{call}");
    }
}

#[test]
fn functions_that_take_memory_pass_its_address() {
    let mut words = [0u32; 3];
    let (address, length) = (low(&words), 3);
    // SAFETY: no device is connected.
    let reads = made(|| unsafe { port::insl(0x1f0, &mut words) });
    assert_eq!(reads, [(Call::INSL, vec![address, 0x1f0, length])]);
    // SAFETY: as above.
    let writes = made(|| unsafe { port::outsl(0x1f0, &words) });
    assert_eq!(writes, [(Call::OUTSL, vec![address, 0x1f0, length])]);

    let mut halves = [0u16; 5];
    let (address, length) = (low(&halves), 5);
    // SAFETY: as above.
    let reads = made(|| unsafe { port::insw(0x1f0, &mut halves) });
    assert_eq!(reads, [(Call::INSW, vec![address, 0x1f0, length])]);
    // SAFETY: as above.
    let writes = made(|| unsafe { port::outsw(0x1f0, &halves) });
    assert_eq!(writes, [(Call::OUTSW, vec![address, 0x1f0, length])]);

    let mut bytes = [0u8; 7];
    let (address, length) = (low(&bytes), 7);
    // SAFETY: as above.
    let reads = made(|| unsafe { port::insb(0x1f0, &mut bytes) });
    assert_eq!(reads, [(Call::INSB, vec![address, 0x1f0, length])]);
    // SAFETY: as above.
    let writes = made(|| unsafe { port::outsb(0x1f0, &bytes) });
    assert_eq!(writes, [(Call::OUTSB, vec![address, 0x1f0, length])]);
}

#[test]
fn functions_that_take_a_structure_pass_its_address() {
    let register = GDT;
    // SAFETY: nothing here goes by the tables.
    let loaded = made(|| unsafe { descriptor::set_gdt(&register) });
    assert_eq!(loaded, [(Call::SET_GDT, vec![low(&register)])]);
    // SAFETY: as above.
    let loaded = made(|| unsafe { descriptor::set_idt(&register) });
    assert_eq!(loaded, [(Call::SET_IDT, vec![low(&register)])]);
    let state = ap_state();
    // SAFETY: the mock has no other processor.
    let announced = made(|| unsafe { set_initial_ap_state(state, 3) });
    assert_eq!(announced, [(Call::SET_INITIAL_AP_STATE, vec![low(state), 3])]);
    assert_eq!(low(state) % 4096, 0);
    let calls = |f: fn()| made(f).into_iter().map(|(call, arguments)| (call, arguments.len()));
    assert_eq!(calls(|| _ = descriptor::gdt()).collect::<Vec<_>>(), [(Call::GET_GDT, 1)]);
    assert_eq!(calls(|| _ = descriptor::idt()).collect::<Vec<_>>(), [(Call::GET_IDT, 1)]);
}

#[test]
fn functions_that_write_a_descriptor_pass_its_table_and_number() {
    type Function = unsafe fn(*mut Descriptor);
    let functions: [(Call, u32, Function); 3] = [
        // SAFETY: the caller vouches for the table.
        (Call::WRITE_GDT_ENTRY, 5, |table| unsafe { descriptor::write_gdt_entry(table, 5, ENTRY) }),
        // SAFETY: as above.
        (Call::WRITE_LDT_ENTRY, 6, |table| unsafe { descriptor::write_ldt_entry(table, 6, ENTRY) }),
        // SAFETY: as above.
        (Call::WRITE_IDT_ENTRY, 255, |table| unsafe { descriptor::write_idt_entry(table, 255, ENTRY) }),
    ];
    for (call, index, function) in functions {
        let mut table = [Descriptor::default(); 256];
        // SAFETY: the table has all of these entries, and no processor has loaded it.
        let written = made(|| unsafe { function(table.as_mut_ptr()) });
        assert_eq!(written, [(call, vec![low(&table), index, 2, 1])]);
    }
}

#[test]
fn functions_that_write_an_entry_of_a_page_table_pass_its_address() {
    let mut entry = 0u32;
    // SAFETY: nobody maps anything by this entry.
    let written = made(|| unsafe { mmu::set_pxe(&mut entry, 0x5063, MAPPED) });
    assert_eq!(written, [(Call::SET_PXE, vec![0x5063, low(&entry), MAPPED_FLAGS])]);
    let mut entry = 0u64;
    // SAFETY: as above.
    let written = made(|| unsafe { mmu::set_pxe_long(&mut entry, 1 << 63 | 0x5063, MAPPED) });
    let arguments = vec![0x5063, 0x8000_0000, low(&entry), MAPPED_FLAGS];
    assert_eq!(written, [(Call::SET_PXE_LONG, arguments)]);
}

#[test]
fn a_page_table_is_released_as_it_was_announced() {
    let made = made(|| {
        // SAFETY: nobody uses the frame.
        unsafe { mmu::allocate_page(PAE_POINTERS, Contents::Any) };
        // SAFETY: as above.
        unsafe { mmu::release_page(PAE_POINTERS) };
    });
    assert_eq!(made[1..], [(Call::RELEASE_PAGE, vec![0x124, 0x14])]);
}

#[test]
fn every_call_but_the_two_that_assembly_makes_has_a_function() {
    let elsewhere = [
        Call::WRITE_GDT_ENTRY,
        Call::WRITE_LDT_ENTRY,
        Call::WRITE_IDT_ENTRY,
        Call::SET_PXE,
        Call::SET_PXE_LONG,
        Call::RELEASE_PAGE,
        Call::SET_GDT,
        Call::SET_IDT,
        Call::GET_GDT,
        Call::GET_IDT, // in tests above
        Call::INSL,
        Call::INSB,
        Call::INSW,
        Call::OUTSL,
        Call::OUTSB,
        Call::OUTSW,
        Call::SET_INITIAL_AP_STATE,
        Call::SET_INTERRUPT_MASK, // in `irq`
        Call::SET_LAZY_MODE,      // in `lazy`
        Call::IRET,
        Call::SYSEXIT, // macros for assembly
    ];
    for call in Call::all() {
        let times = ROWS.iter().filter(|(row, ..)| *row == call).count();
        assert_eq!(times == 0, elsewhere.contains(&call), "{call}");
    }
}

#[test]
fn results_come_back_in_full() {
    Cpu::current().reset();
    let calls =
        [Call::CPUID, Call::RDMSR, Call::RDTSC, Call::RDPMC, Call::GET_CR0, Call::GET_CR4, Call::GET_DR];
    let more = [Call::INB, Call::INW, Call::INL, Call::GET_TR, Call::GET_LDT, Call::APIC_READ];
    for call in calls.into_iter().chain(more) {
        Cpu::current().answer(call, 0x8123_4567_89ab_cdef);
    }
    let id = cpu::cpuid(0, 0);
    assert_eq!((id.eax, id.edx), (0x89ab_cdef, 0x8123_4567));
    // SAFETY: the calls only answer.
    assert_eq!(unsafe { cpu::rdmsr(0) }, 0x8123_4567_89ab_cdef);
    assert_eq!(cpu::rdtsc(), 0x8123_4567_89ab_cdef);
    // SAFETY: as above.
    assert_eq!(unsafe { cpu::rdpmc(0) }, 0x8123_4567_89ab_cdef);
    assert_eq!(cpu::cr0().bits(), 0x89ab_cdef);
    assert_eq!(cpu::cr4().bits(), 0x89ab_cdef);
    assert_eq!(cpu::dr(DebugRegister::Dr0), 0x89ab_cdef);
    // SAFETY: no device is connected.
    assert_eq!(unsafe { port::inb(0) }, 0xef);
    // SAFETY: as above.
    assert_eq!(unsafe { port::inw(0) }, 0xcdef);
    // SAFETY: as above.
    assert_eq!(unsafe { port::inl(0) }, 0x89ab_cdef);
    assert_eq!((descriptor::tr(), descriptor::ldt()), (Selector(0xcdef), Selector(0xcdef)));
    assert_eq!(apic().read(Register::VERSION), 0x89ab_cdef);
}

#[test]
fn a_clock_is_there_only_if_it_has_a_frequency() {
    Cpu::current().reset();
    assert_eq!(Clock::find(), None);
    let clock = clock();
    assert_eq!(clock.frequency().get(), 1000);
    assert_eq!(clock.wall_clock(), None);
    assert!(!clock.wall_clock_jumped());
    assert!(!clock.cancel_alarm(AlarmCounter::Real));
    Cpu::current().answer(Call::GET_WALLCLOCK_TIME, 1_142_467_200_000_000_007);
    Cpu::current().answer(Call::WALLCLOCK_UPDATED, 1);
    Cpu::current().answer(Call::CANCEL_ALARM, 1);
    assert_eq!(clock.wall_clock().map(|time| time.as_nanos()), Some(1_142_467_200_000_000_007));
    assert!(clock.wall_clock_jumped());
    assert!(clock.cancel_alarm(AlarmCounter::Real));
}

#[test]
fn a_lazy_section_is_entered_once_and_left_once_and_flushing_leaves_and_enters() {
    // SAFETY: this thread's processor has no other.
    let mut modes = unsafe { LazyModes::new() };
    let made = made(|| {
        modes.mmu(|section| {
            mmu::inval_page(0);
            section.flush();
            mmu::flush_tlb();
        });
        assert_eq!(modes.cpu(|_| "result"), "result");
    });
    let lazy = |mode| (Call::SET_LAZY_MODE, vec![mode]);
    let expected = [
        lazy(1),
        (Call::INVAL_PAGE, vec![0]),
        lazy(0),
        lazy(1),
        (Call::FLUSH_TLB, vec![1]),
        lazy(0),
        lazy(2),
        lazy(0),
    ];
    assert_eq!(made, expected);
}

#[test]
fn a_lazy_section_that_unwinds_is_left() {
    // SAFETY: this thread's processor has no other.
    let mut modes = unsafe { LazyModes::new() };
    let made = made(|| {
        let unwound = catch_unwind(AssertUnwindSafe(|| modes.cpu(|_| panic!("on purpose"))));
        assert!(unwound.is_err());
    });
    assert_eq!(made, [(Call::SET_LAZY_MODE, vec![2]), (Call::SET_LAZY_MODE, vec![0])]);
}

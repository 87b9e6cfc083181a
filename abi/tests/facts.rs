//! The call table and the constants against a second copy of the facts, written down by hand: a slip
//! in one of the two goes red. Source: facts sheet, sections 2 to 4.

use paravirt_vmi_abi::{Argument, CALLS, CONSTANTS, Call, CallInfo, STRUCTURES};

/// The names of the calls of 3.0 in order of number.
const CALLS_3_0: &str = "
    CPUID WRMSR RDMSR SetGDT SetLDT SetIDT SetTR GetGDT GetLDT GetIDT
    GetTR WriteGDTEntry WriteLDTEntry WriteIDTEntry UpdateKernelStack SetCR0 SetCR2 SetCR3 SetCR4 GetCR0
    GetCR2 GetCR3 GetCR4 WBINVD SetDR GetDR RDPMC RDTSC CLTS EnableInterrupts
    DisableInterrupts GetInterruptMask SetInterruptMask IRET SYSEXIT Halt Reboot Shutdown SetPxE SetPxELong
    UpdatePxE UpdatePxELong MachineToPhysical PhysicalToMachine AllocatePage ReleasePage InvalPage FlushTLB SetLinearMapping INL
    INB INW INSL INSB INSW OUTL OUTB OUTW OUTSL OUTSB
    OUTSW SetIOPLMask SetInitialAPState APICWrite APICRead IODelay GetCycleFrequency GetCycleCounter SetAlarm CancelAlarm
    GetWallclockTime WallclockUpdated SetCallbacks SetLazyMode";

/// The names of the slots of 13.0 from slot 4 on, where they are in 3.0; `-` where they are not.
const SLOTS_13_0: &str = "
    - CPUID WRMSR RDMSR SetGDT SetLDT SetIDT SetTR GetGDT GetLDT GetIDT GetTR
    WriteGDTEntry WriteLDTEntry WriteIDTEntry UpdateKernelStack
    SetCR0 SetCR2 SetCR3 SetCR4 GetCR0 GetCR2 GetCR3 GetCR4 - WBINVD SetDR GetDR
    RDPMC RDTSC CLTS EnableInterrupts DisableInterrupts GetInterruptMask SetInterruptMask IRET SYSEXIT
    - Halt Reboot Shutdown SetPxE - - SetPxELong - - - - AllocatePage ReleasePage InvalPage
    FlushTLB - SetLinearMapping INL INB INW INSL INSB INSW OUTL OUTB OUTW OUTSL OUTSB OUTSW SetIOPLMask
    - - - SetInitialAPState APICWrite APICRead IODelay GetCycleFrequency
    GetCycleCounter SetAlarm CancelAlarm GetWallclockTime WallclockUpdated";

/// Places of arguments and results, for the calls whose slips would be hardest to see.
const SIGNATURES: &str = "
    CPUID: eax ecx -> eax ebx ecx edx
    WRMSR: ecx eax edx ->
    RDMSR: ecx -> eax edx
    SetGDT: eax ->
    GetTR: -> eax
    WriteIDTEntry: eax edx ecx [esp+4] ->
    UpdateKernelStack: eax edx ->
    GetDR: eax -> eax
    RDPMC: ecx -> eax edx
    RDTSC: -> eax edx
    GetInterruptMask: -> eax
    SetInterruptMask: eax ->
    IRET: [esp..] ->
    SYSEXIT: edx ecx ->
    Reboot: eax ->
    SetPxE: eax edx ecx ->
    SetPxELong: eax edx ecx [esp+4] ->
    UpdatePxELong: eax edx ->
    AllocatePage: eax edx ecx [esp+4] [esp+8] ->
    SetLinearMapping: eax edx ecx [esp+4] ->
    INL: edx -> eax
    INB: edx -> al
    INW: edx -> ax
    INSB: edi edx ecx ->
    OUTL: eax edx ->
    OUTB: al edx ->
    OUTW: ax edx ->
    OUTSL: esi edx ecx ->
    SetInitialAPState: eax edx ->
    APICRead: eax -> eax
    GetCycleCounter: eax -> eax edx
    SetAlarm: eax edx ecx [esp+4] [esp+8] ->
    CancelAlarm: eax -> eax
    GetWallclockTime: -> eax edx
    SetLazyMode: eax ->";

/// Meanings of arguments whose order differs between calls or generations.
const ARGUMENT_NAMES: [(Call, &[&str]); 6] = [
    (Call::SET_PXE, &["entry", "entry_address", "page_flags"]),
    (Call::SET_PXE_LONG, &["low", "high", "entry_address", "page_flags"]),
    (Call::SYSEXIT, &["eip", "esp"]),
    (Call::WRITE_GDT_ENTRY, &["table", "index", "low", "high"]),
    (Call::SET_LINEAR_MAPPING, &["slot", "address", "pages", "frame"]),
    (Call::SET_ALARM, &["alarm_flags", "expiry_low", "expiry_high", "period_low", "period_high"]),
];

/// Constants by their C names.
const NUMBERS: &str = "
    VMI_ROM_SIGNATURE 0xAA55        VMI_VROM_SIGNATURE 0x696D5663     VMI_ROM_WINDOW_START 0xC0000
    VMI_ROM_WINDOW_END 0xE0000      VMI_ROM_WINDOW_STEP 0x800         VMI_ROM_LENGTH_UNIT 0x200
    VMI_API_VERSION_MAJOR 0x3       VMI_API_VERSION_MINOR 0x0         VMI_ROM_INIT_OFFSET 0x80
    VMI_ROM_GET_RELOCATION_OFFSET 0x88
    VMI_PCI_VENDOR_ID 0x15AD        VMI_PCI_DEVICE_ID 0x801
    VMI_RELOCATION_NONE 0x0         VMI_RELOCATION_CALL_REL 0x1       VMI_RELOCATION_JUMP_REL 0x2
    VMI_RELOCATION_NOP 0x3
    VMI_PAGE_NORMAL 0x0             VMI_PAGE_PT 0x1                   VMI_PAGE_PD 0x2
    VMI_PAGE_PDP 0x4                VMI_PAGE_PML4 0x8                 VMI_PAGE_PAE 0x10
    VMI_PAGE_CLONE 0x20             VMI_PAGE_ZEROED 0x40
    VMI_PAGE_UPDATE_PT 0x1          VMI_PAGE_UPDATE_PD 0x2            VMI_PAGE_UPDATE_PDP 0x4
    VMI_PAGE_UPDATE_PML4 0x8        VMI_PAGE_UPDATE_CURRENT_AS 0x10   VMI_PAGE_UPDATE_DEFER 0x20
    VMI_PAGE_UPDATE_VA_MASK 0xFFFFF000
    VMI_FLUSH_TLB 0x1               VMI_FLUSH_GLOBAL 0x2
    VMI_LAZY_NONE 0x0               VMI_LAZY_MMU 0x1                  VMI_LAZY_CPU 0x2
    VMI_LINEAR_MAPPING_SLOTS 0x4    VMI_INTERRUPT_MASK_IF 0x200       VMI_IOPL_MASK_IOPL 0x3000
    VMI_REBOOT_SOFT 0x0             VMI_REBOOT_HARD 0x1
    VMI_COUNTER_REAL 0x0            VMI_COUNTER_AVAILABLE 0x1         VMI_COUNTER_STOLEN 0x2
    VMI_ALARM_ONE_SHOT 0x0          VMI_ALARM_PERIODIC 0x100          VMI_ALARM_WIRED_IRQ0 0x0
    VMI_ALARM_WIRED_LVTT 0x10000    VMI_ALARM_COUNTER_MASK 0xFF
    VMI_LEGACY_API_VERSION_MAJOR 0xD VMI_LEGACY_SLOT_SIZE 0x20        VMI_LEGACY_SLOT_INIT 0x4
    VMI_LEGACY_SLOT_GET_RELOCATION_INFO 0x55
    VMI_LEGACY_SLOT_FLUSH_DEFERRED_CALLS 0x39
    VMI_LEGACY_PAGE_PDP 0x4         VMI_LEGACY_PAGE_PAE 0x4
    VMI_LEGACY_FLUSH_CPU_STATE 0x40 VMI_LEGACY_FLUSH_PT_UPDATES 0x80";

/// The row of the call with the given name.
fn row(name: &str) -> &'static CallInfo {
    CALLS.iter().find(|info| info.name == name).expect("a call of 3.0")
}

/// The places of arguments or results, each followed by a blank.
fn places(list: &[Argument]) -> String {
    list.iter().map(|argument| format!("{} ", argument.location)).collect()
}

#[test]
fn the_calls_of_3_0_have_their_numbers() {
    let names: Vec<_> = CALLS.iter().map(|info| info.name).collect();
    assert_eq!(names, CALLS_3_0.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn the_slots_of_13_0_have_their_numbers() {
    for (number, name) in (4..).zip(SLOTS_13_0.split_whitespace()) {
        let found = CALLS.iter().find(|info| info.slot_13_0.is_some_and(|slot| slot.number == number));
        assert_eq!(found.map_or("-", |info| info.name), name, "slot {number}");
    }
    assert_eq!(SLOTS_13_0.split_whitespace().count(), 81);
}

#[test]
fn the_slots_of_13_3_differ_from_13_0_in_two_calls() {
    for info in &CALLS {
        let expected = match info.name {
            "SetPxE" => Some(86),
            "SetPxELong" => Some(87),
            _ => info.slot_13_0.map(|slot| slot.number),
        };
        assert_eq!(info.slot_13_3.map(|slot| slot.number), expected, "{}", info.name);
    }
}

#[test]
fn arguments_and_results_are_where_the_interface_has_them() {
    for line in SIGNATURES.lines().filter(|line| !line.is_empty()) {
        let (name, expected) = line.trim().split_once(": ").expect("a name");
        let info = row(name);
        let found = format!("{}-> {}", places(info.arguments), places(info.results));
        assert_eq!(found.trim_end(), expected, "{name}");
    }
}

#[test]
fn arguments_come_in_the_order_of_the_interface() {
    for (call, expected) in ARGUMENT_NAMES {
        let names: Vec<_> = call.info().arguments.iter().map(|argument| argument.name).collect();
        assert_eq!(names, expected, "{call}");
    }
}

#[test]
fn three_calls_have_other_arguments_in_13_x() {
    let differing: Vec<_> = CALLS
        .iter()
        .filter_map(|info| Some((info, info.slot_13_0?)))
        .filter(|(info, slot)| slot.arguments != info.arguments)
        .map(|(info, slot)| {
            let names: Vec<_> = slot.arguments.iter().map(|argument| argument.name).collect();
            (info.name, names.join(" "))
        })
        .collect();
    let expected = [
        ("UpdateKernelStack", "tss esp0".to_owned()),
        ("SetPxE", "entry_address entry".to_owned()),
        ("SetPxELong", "low high entry_address".to_owned()),
    ];
    assert_eq!(differing, expected);
}

#[test]
fn the_constants_have_the_values_of_the_interface() {
    let mut words = NUMBERS.split_whitespace();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let found = CONSTANTS
            .iter()
            .flat_map(|group| group.constants.iter().map(move |constant| (group.prefix, constant)))
            .find(|(prefix, constant)| name.strip_prefix(prefix) == Some(constant.name))
            .unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(format!("{:#X}", found.1.value), value, "{name}");
    }
}

#[test]
fn the_structures_have_the_sizes_of_the_interface() {
    let sizes: Vec<_> = STRUCTURES.iter().map(|layout| (layout.name, layout.size)).collect();
    let expected = [
        ("RomHeader", 0x90),
        ("PciDataStructure", 0x18),
        ("PnpExpansionHeader", 0x12),
        ("RelocationInfo", 8),
        ("DescriptorTableRegister", 6),
        ("ApState", 0x5C),
    ];
    assert_eq!(sizes, expected);
}

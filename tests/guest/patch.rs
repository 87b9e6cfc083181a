//! Planning, committing, verifying and reverting, on text in memory.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic};
use paravirt_vmi::abi::{Call, RelocationKind, RelocationKinds};
use paravirt_vmi::patch::{
    CommitError, Plan, PlanError, Relocation, RelocationError, RelocationTable, SiteError, TextErrorReason,
    check_native,
};
use paravirt_vmi::site::{NATIVE_FORMS, NativeForm, RecordDefect, RecordError, SiteRecord, SiteTable};
use proptest::prelude::*;
use zerocopy::IntoBytes;

use crate::support::kernel::{Fault, Kernel, STUBS, Text};

const ROM: core::ops::Range<u32> = 0xc00c_3000..0xc00c_3800;

/// The relocations of a ROM that provides every call: the target of call n is ROM + 0x100 + 0x10 * n.
fn relocations() -> RelocationTable {
    RelocationTable::query(ROM, call_relocation).unwrap()
}

/// The same, but for one call.
fn relocations_but(call: Call, relocation: Relocation) -> Result<RelocationTable, RelocationError> {
    RelocationTable::query(ROM, |asked| if asked == call { relocation } else { call_relocation(asked) })
}

fn call_relocation(call: Call) -> Relocation {
    Relocation { kind: RelocationKind::CALL_REL, target: ROM.start + 0x100 + 0x10 * call.number() }
}

/// A kernel with each kind of site, twice.
fn kernel() -> Kernel {
    Kernel::new(NATIVE_FORMS.iter().chain(&NATIVE_FORMS))
}

fn plan(kernel: &Kernel, relocations: RelocationTable) -> Result<Plan<'_>, PlanError> {
    Plan::new(kernel.sites(), relocations, &kernel.text)
}

/// Commits, with the kernel borrowed by the plan.
fn commit(kernel: &Kernel, text: &mut Text) -> Result<(), CommitError> {
    // SAFETY: the text is data.
    unsafe { plan(kernel, relocations()).unwrap().commit(text) }
}

fn decode(bytes: &[u8], address: u32) -> Vec<Instruction> {
    Decoder::with_ip(32, bytes, address.into(), DecoderOptions::NONE).into_iter().collect()
}

#[test]
fn committing_puts_a_call_to_the_rom_at_every_site_and_nothing_elsewhere() {
    let kernel = kernel();
    let mut text = kernel.text.clone();
    commit(&kernel, &mut text).unwrap();
    let mut expected = kernel.text.bytes.clone();
    for site in kernel.sites().iter().map(Result::unwrap) {
        let start = (site.address - kernel.text.address) as usize;
        let bytes = &text.bytes[start..][..site.form.length()];
        let instructions = decode(bytes, site.address);
        assert_eq!(instructions[0].code(), Code::Call_rel32_32);
        assert_eq!(instructions[0].near_branch32(), call_relocation(site.form.call).target);
        expected[start..][..bytes.len()].copy_from_slice(bytes);
    }
    assert_eq!(text.bytes, expected);
    assert_eq!(text.writes, kernel.records.len());
    assert_eq!(text.serialized_after, Some(text.writes), "serialised after the last write");
}

#[test]
fn a_jump_is_planned_where_the_rom_asks_for_one_and_the_site_does_not_return() {
    let kernel = kernel();
    let jump = Relocation { kind: RelocationKind::JUMP_REL, target: ROM.start + 0x90 };
    let plan = plan(&kernel, relocations_but(Call::IRET, jump).unwrap()).unwrap();
    let site = plan.sites(&kernel.text).map(Result::unwrap).find(|s| s.call == Call::IRET).unwrap();
    let instructions = decode(site.planned.as_slice(), site.address);
    assert_eq!(instructions[0].code(), Code::Jmp_rel32_32);
    assert_eq!(instructions[0].near_branch32(), jump.target);
}

#[test]
fn a_plan_made_and_dropped_writes_nothing() {
    let kernel = kernel();
    plan(&kernel, relocations()).unwrap();
    assert_eq!(kernel.text.writes, 0);
    check_native(kernel.sites(), &kernel.text).unwrap();
}

#[test]
fn committing_twice_writes_once() {
    let kernel = kernel();
    let mut text = kernel.text.clone();
    commit(&kernel, &mut text).unwrap();
    let (writes, bytes) = (text.writes, text.bytes.clone());
    commit(&kernel, &mut text).unwrap();
    assert_eq!((text.writes, text.bytes), (writes, bytes));
}

#[test]
fn reverting_restores_every_byte_and_a_second_commit_patches_again() {
    let kernel = kernel();
    let plan = plan(&kernel, relocations()).unwrap();
    let mut text = kernel.text.clone();
    for _ in 0..2 {
        // SAFETY: the text is data.
        unsafe { plan.commit(&mut text).unwrap() };
        plan.verify(&text).unwrap();
        plan.verify_native(&text).unwrap_err();
        // SAFETY: the text is data.
        unsafe { plan.revert(&mut text).unwrap() };
        plan.verify_native(&text).unwrap();
        plan.verify(&text).unwrap_err();
        assert_eq!(text.bytes, kernel.text.bytes);
    }
}

#[test]
fn one_site_with_foreign_bytes_leaves_every_byte_of_text_as_it_was() {
    for foreign in 0..kernel().records.len() {
        let mut kernel = kernel();
        let site = kernel.sites().iter().nth(foreign).unwrap().unwrap();
        let last = (site.range().end - 1 - kernel.text.address) as usize;
        kernel.text.bytes[last] ^= 0x55;
        let found = kernel.at(site.address, site.form.length()).to_vec();
        match plan(&kernel, relocations()).unwrap_err() {
            PlanError::Site(SiteError::UnexpectedBytes {
                address,
                call,
                native,
                expected,
                found: reported,
            }) => {
                assert_eq!((address, call), (site.address, site.form.call));
                assert_eq!((native, expected), (site.native(), site.native()));
                assert_eq!(reported.as_slice(), found);
            }
            other => panic!("{other:?}"),
        }
        let mut text = kernel.text.clone();
        // A plan made while the text was whole notices the change as well.
        let whole = self::kernel();
        assert!(matches!(commit(&whole, &mut text), Err(CommitError::Changed(_))));
        assert_eq!((text.writes, &text.bytes), (0, &kernel.text.bytes));
    }
}

#[test]
fn a_site_error_names_the_address_and_both_runs_of_bytes() {
    let mut kernel = Kernel::new([NativeForm::of(Call::DISABLE_INTERRUPTS)]);
    kernel.text.bytes[3] = 0x90;
    let error = check_native(kernel.sites(), &kernel.text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "DisableInterrupts site at c0100003: found 90 3e 3e 3e 3e 3e 3e fa, expected 3e 3e 3e 3e 3e 3e 3e fa; \
         is the linker script right, or did something else patch the kernel?"
    );
}

#[test]
fn a_write_that_is_refused_puts_the_sites_back_to_native() {
    let kernel = kernel();
    for at in 0..kernel.records.len() {
        let mut text = kernel.text.clone();
        text.fault = Some((at, Fault::Refuse));
        match commit(&kernel, &mut text).unwrap_err() {
            CommitError::Write(SiteError::Text(error)) => {
                assert_eq!(error.reason, TextErrorReason::NotWritable);
                assert_eq!(error.address, kernel.sites().iter().nth(at).unwrap().unwrap().address);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(text.bytes, kernel.text.bytes);
        assert_eq!(text.serialized_after, Some(text.writes));
    }
}

#[test]
fn a_write_that_is_lost_is_noticed_when_read_back_and_the_sites_are_native_again() {
    let kernel = kernel();
    for at in 0..kernel.records.len() {
        let mut text = kernel.text.clone();
        text.fault = Some((at, Fault::Lose));
        let site = kernel.sites().iter().nth(at).unwrap().unwrap();
        match commit(&kernel, &mut text).unwrap_err() {
            CommitError::Verify(SiteError::UnexpectedBytes { address, native, expected, found, .. }) => {
                assert_eq!((address, native, found), (site.address, site.native(), site.native()));
                assert_eq!(expected.as_slice()[0], 0xe8, "what was written");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(text.bytes, kernel.text.bytes);
    }
}

#[test]
fn an_unknown_relocation_type_is_refused_for_any_call() {
    let relocation = Relocation { kind: RelocationKind(4), target: ROM.start };
    for call in Call::all() {
        let error = relocations_but(call, relocation).unwrap_err();
        assert_eq!(error, RelocationError::UnknownKind { call, relocation });
    }
    let error = relocations_but(Call::HALT, relocation).unwrap_err();
    assert_eq!(error.to_string(), "Halt (call 35): relocation type 0x04 is unknown");
}

#[test]
fn a_target_outside_the_rom_is_refused_and_its_last_byte_is_inside() {
    for kind in [RelocationKind::CALL_REL, RelocationKind::JUMP_REL] {
        for target in [0, ROM.start - 1, ROM.end, u32::MAX] {
            let error = relocations_but(Call::IRET, Relocation { kind, target }).unwrap_err();
            assert!(matches!(error, RelocationError::TargetOutsideRom { call: Call::IRET, .. }));
        }
        let last = Relocation { kind, target: ROM.end - 1 };
        relocations_but(Call::IRET, last).unwrap();
    }
    let relocation = Relocation { kind: RelocationKind::CALL_REL, target: 0x1234 };
    assert_eq!(
        relocations_but(Call::HALT, relocation).unwrap_err().to_string(),
        "Halt (call 35): target 00001234 is outside the ROM at c00c3000..c00c3800"
    );
}

#[test]
fn a_relocation_that_a_call_cannot_take_is_refused_if_the_kernel_has_a_site_of_it() {
    let kernel = kernel();
    let without_sites = Kernel::new([]);
    for form in &NATIVE_FORMS {
        for kind in [0, 1, 2, 3].map(RelocationKind) {
            let relocation = Relocation { kind, target: ROM.start };
            let table = relocations_but(form.call, relocation).unwrap();
            let allowed = form.call.info().relocations.contains(kind.to_kinds().unwrap());
            match plan(&kernel, table.clone()) {
                Ok(_) => assert!(allowed, "{} {kind}", form.call),
                Err(error) => {
                    let expected = RelocationError::NotAllowed { call: form.call, relocation };
                    assert_eq!(error, PlanError::Relocation(expected));
                    assert!(!allowed, "{} {kind}", form.call);
                }
            }
            plan(&without_sites, table).unwrap();
        }
    }
}

#[test]
fn refused_relocations_say_what_is_wrong_with_them() {
    let kernel = kernel();
    let message = |call, kind| {
        let table = relocations_but(call, Relocation { kind, target: ROM.start }).unwrap();
        plan(&kernel, table).unwrap_err().to_string()
    };
    assert_eq!(
        message(Call::IRET, RelocationKind::NONE),
        "IRET (call 33): the ROM must provide it, and answers NONE"
    );
    assert_eq!(
        message(Call::DISABLE_INTERRUPTS, RelocationKind::JUMP_REL),
        "DisableInterrupts (call 30): JUMP_REL where only a call fits"
    );
    assert_eq!(
        message(Call::ENABLE_INTERRUPTS, RelocationKind::NOP),
        "EnableInterrupts (call 29): NOP for a call that cannot be left out"
    );
}

#[test]
fn a_call_that_the_rom_does_not_provide_stays_native() {
    let kernel = kernel();
    let plan = plan(&kernel, relocations_but(Call::HALT, Relocation::NONE).unwrap()).unwrap();
    for site in plan.sites(&kernel.text).map(Result::unwrap) {
        assert_eq!(site.planned == site.native, site.call == Call::HALT);
    }
}

#[test]
fn a_damaged_record_is_an_error_that_names_the_record() {
    let defect = |spoil: fn(&mut SiteRecord)| {
        let mut kernel = Kernel::new([Call::HALT, Call::DISABLE_INTERRUPTS].map(NativeForm::of));
        spoil(&mut kernel.records[1]);
        match plan(&kernel, relocations()).unwrap_err() {
            PlanError::Site(SiteError::Record(RecordError { record_address: 0xc020_0005, defect })) => defect,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(defect(|r| r.call = 74), RecordDefect::UnknownCall { number: 74 });
    assert_eq!(defect(|r| r.call = 255), RecordDefect::UnknownCall { number: 255 });
    let error = SiteTable::from_bytes(0x1000, &[0; 12], &STUBS).unwrap_err();
    assert_eq!(error.defect, RecordDefect::TableLength { length: 12 });
}

#[test]
fn a_record_that_leads_out_of_the_text_is_an_error_that_names_the_address() {
    let mut kernel = kernel();
    kernel.records[2].offset = 0x10.into();
    let error = plan(&kernel, relocations()).unwrap_err();
    assert_eq!(error.to_string(), "5 bytes at c020001a are not inside the kernel's text");
}

#[test]
fn the_report_counts_the_sites_of_each_call() {
    let forms = NATIVE_FORMS.iter().chain(&NATIVE_FORMS[..33]).chain(&NATIVE_FORMS[34..]);
    let kernel = Kernel::new(forms);
    let plan = plan(&kernel, relocations()).unwrap();
    for report in plan.calls() {
        assert_eq!(report.sites, if report.call == Call::IRET { 1 } else { 2 }, "{}", report.call);
    }
    assert_eq!(plan.calls().nth(30).unwrap().to_string(), "30 DisableInterrupts  CALL_REL c00c32e0 2 sites");
    let site = plan.sites(&kernel.text).next().unwrap().unwrap();
    assert_eq!(site.to_string(), "c0100003 CPUID              [0f a2 8d 76 00] -> [e8 f8 30 fc ff]");
}

#[test]
fn records_whose_sites_overlap_are_noticed_and_the_sites_are_native_again() {
    // The native forms leave one such case open: an EnableInterrupts site ends as a SYSEXIT site begins.
    let mut kernel = Kernel::new([Call::ENABLE_INTERRUPTS, Call::SYSEXIT].map(NativeForm::of));
    kernel.text.bytes.drain(10..13);
    kernel.records[1].offset = (kernel.records[1].offset.get() - 3).into();
    let [first, second] = [0, 1].map(|index| kernel.sites().iter().nth(index).unwrap().unwrap());
    assert_eq!(first.range().end, second.range().start + 1);
    let mut text = kernel.text.clone();
    assert!(matches!(commit(&kernel, &mut text), Err(CommitError::Verify(_))));
    assert_eq!(text.bytes, kernel.text.bytes);
}

/// Any answer of a ROM, sound ones often.
fn any_relocation() -> impl Strategy<Value = Relocation> {
    let target = prop_oneof![4 => ROM, 1 => any::<u32>()];
    (prop_oneof![6 => 0..4u8, 1 => any::<u8>()], target)
        .prop_map(|(kind, target)| Relocation { kind: RelocationKind(kind), target })
}

proptest! {
    #[test]
    fn any_answers_give_an_error_and_whole_text_or_sites_that_decode_as_answered(
        answers in proptest::collection::vec(any_relocation(), NATIVE_FORMS.len()),
        order in proptest::collection::vec(0..NATIVE_FORMS.len(), 0..20),
    ) {
        let kernel = Kernel::new(order.iter().map(|index| &NATIVE_FORMS[*index]));
        let mut text = kernel.text.clone();
        let answer = |call: Call| answers[call.number() as usize];
        let plan = RelocationTable::query(ROM, answer).map_err(PlanError::from)
            .and_then(|table| Plan::new(kernel.sites(), table, &text));
        let Ok(plan) = plan else { return Ok(()) };
        // SAFETY: the text is data.
        unsafe { plan.commit(&mut text) }.unwrap();
        for site in kernel.sites().iter().map(Result::unwrap) {
            let start = (site.address - text.address) as usize;
            let bytes = &text.bytes[start..][..site.form.length()];
            let Relocation { kind, target } = answer(site.form.call);
            let first = decode(bytes, site.address)[0];
            let allowed = site.form.call.info().relocations;
            prop_assert!(allowed.contains(kind.to_kinds().unwrap_or(RelocationKinds::empty())));
            match kind {
                RelocationKind::CALL_REL | RelocationKind::JUMP_REL => {
                    prop_assert_eq!(first.near_branch32(), target);
                    prop_assert_eq!(first.is_call_near(), kind == RelocationKind::CALL_REL);
                }
                RelocationKind::NOP => prop_assert!(
                    decode(bytes, site.address).len() == 1 && first.mnemonic() == Mnemonic::Lea
                ),
                _ => {
                    let native = site.native();
                    prop_assert_eq!(bytes, native.as_slice());
                },
            }
        }
        // SAFETY: the text is data.
        unsafe { plan.revert(&mut text) }.unwrap();
        prop_assert_eq!(text.bytes, kernel.text.bytes);
    }

    #[test]
    fn any_record_table_gives_an_error_or_writes_to_sites_alone(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        damaged in any::<bool>(),
    ) {
        let kernel = kernel();
        let mut text = kernel.text.clone();
        let mut table = record_bytes(&kernel);
        if damaged {
            for (to, from) in table.iter_mut().zip(&bytes) { *to ^= from & 0x11; }
        } else {
            table = bytes;
        }
        let Ok(sites) = SiteTable::from_bytes(kernel.record_address, &table, &STUBS) else { return Ok(()) };
        let Ok(plan) = Plan::new(sites, relocations(), &text) else { return Ok(()) };
        // SAFETY: the text is data.
        unsafe { plan.commit(&mut text) }.unwrap();
        // Every changed byte belongs to one of the real sites.
        let real: Vec<_> = kernel.sites().iter().map(|site| site.unwrap().range()).collect();
        for (index, (before, after)) in kernel.text.bytes.iter().zip(&text.bytes).enumerate() {
            let address = text.address + index as u32;
            prop_assert!(before == after || real.iter().any(|range| range.contains(&address)));
        }
    }
}

/// The bytes of the kernel's records.
fn record_bytes(kernel: &Kernel) -> Vec<u8> {
    kernel.records.as_bytes().to_vec()
}

//! The boot sequence on a machine made of variables: what is asked for, in which order, and what is
//! left behind when something fails.

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::boot::{Backend, ErrorCause, NativeReason, Options, activate};
use paravirt_vmi::mmu::LinearMapping;
use paravirt_vmi::patch::{PlanError, RelocationError, SiteError, TextError, TextWriter};
use paravirt_vmi::rom::ProbeError;
use paravirt_vmi_rom_image::{Generation, Image, Relocation};

use crate::support::kernel::{Fault, Kernel};
use crate::support::machine::{Fake, OFFSET, ROM, Step, boot, error, machine, machine_with};

/// A sound ROM.
fn image() -> Image {
    Image::new(Generation::V3_0)
}

/// The reason for which a machine stays native; nothing may have been written.
fn native_reason(mut fake: Fake, mut kernel: Kernel) -> (NativeReason, Vec<Step>) {
    let before = kernel.text.bytes.clone();
    let Ok(Backend::Native(reason)) = boot(&mut fake, &mut kernel.text) else { panic!("not native") };
    assert_eq!((kernel.text.writes, kernel.text.bytes), (0, before));
    (reason, fake.steps.into_inner())
}

#[test]
fn a_sound_rom_is_initialised_asked_once_for_each_call_and_patched_in() {
    let (mut fake, mut kernel) = machine();
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    assert_eq!(vmi.rom.address(), ROM);
    assert_eq!(vmi.kernel_ring, 1);
    vmi.plan.verify(&kernel.text).unwrap();
    let entry = OFFSET + ROM + 0x88;
    let mut expected = vec![Step::Init { entry: OFFSET + ROM + 0x80 }];
    expected.extend((0..74).map(|number| Step::Relocation { entry, number }));
    assert_eq!(fake.steps.into_inner(), expected);
}

#[test]
fn a_kernel_without_sites_boots_and_its_plan_is_empty() {
    let (mut fake, _) = machine();
    fake.records = &[];
    let mut kernel = Kernel::new([]);
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    assert_eq!(vmi.plan.sites(&kernel.text).count(), 0);
}

#[test]
fn without_a_rom_the_kernel_stays_native_and_nothing_is_called() {
    let (mut fake, kernel) = machine();
    fake.window = &[0xff; 0x2_0000];
    let (reason, steps) = native_reason(fake, kernel);
    assert_eq!(reason.to_string(), "no VMI ROM in C0000..E0000");
    assert_eq!(steps, []);
}

#[test]
fn with_a_defective_rom_the_kernel_stays_native_and_nothing_is_called() {
    let (fake, kernel) = machine_with(&image().edit(|header, _, _| header.api_version_major = 12));
    let (reason, steps) = native_reason(fake, kernel);
    assert!(matches!(reason, NativeReason::Rom(ProbeError::Rejected(_))));
    assert_eq!(reason.to_string(), "ROM at C3000: interface version 12.0 at 0x0c, expected 3.x or 13.x");
    assert_eq!(steps, []);
}

#[test]
fn a_site_with_foreign_bytes_is_found_before_vmi_init() {
    let (fake, mut kernel) = machine();
    kernel.text.bytes[4] = 0;
    let (reason, steps) = native_reason(fake, kernel);
    assert!(matches!(reason, NativeReason::Site(SiteError::UnexpectedBytes { address: 0xc010_0003, .. })));
    assert_eq!(steps, []);
}

#[test]
fn a_site_that_is_patched_already_is_found_before_vmi_init() {
    let (mut fake, mut kernel) = machine();
    boot(&mut fake, &mut kernel.text).unwrap();
    fake.steps.borrow_mut().clear();
    let Ok(Backend::Native(NativeReason::Site(_))) = boot(&mut fake, &mut kernel.text) else {
        panic!("a second activation went through")
    };
    assert_eq!(fake.steps.into_inner(), []);
}

#[test]
fn a_record_section_of_broken_length_is_found_before_vmi_init() {
    let (mut fake, kernel) = machine();
    fake.records = &fake.records[..12];
    let (reason, steps) = native_reason(fake, kernel);
    assert_eq!(
        reason.to_string(),
        "site record at c0200000: the section vmi_sites has 12 bytes, which is not a multiple of 5"
    );
    assert_eq!(steps, []);
}

#[test]
fn when_vmi_init_fails_the_kernel_stays_native_and_nothing_is_asked() {
    let (fake, kernel) = machine_with(&image().with_init_status(u32::MAX));
    let (reason, steps) = native_reason(fake, kernel);
    assert_eq!(reason, NativeReason::Init { rom: ROM, status: u32::MAX });
    assert_eq!(reason.to_string(), "ROM at C3000: vmi_init failed with status 0xffffffff");
    assert_eq!(steps.len(), 1);
}

#[test]
fn an_answer_that_cannot_be_used_is_an_error_and_the_text_is_whole() {
    let at = |kind, offset| Relocation { kind, offset };
    let cases = [
        (at(RelocationKind(9), 0), "ROM at C3000: CPUID (call 0): relocation type 0x09 is unknown"),
        (
            // Physical where a linear address belongs.
            at(RelocationKind::CALL_REL, OFFSET.wrapping_neg()),
            "ROM at C3000: CPUID (call 0): target 000c3000 is outside the ROM at c00c3000..c00c3400",
        ),
        (at(RelocationKind::JUMP_REL, 0), "ROM at C3000: CPUID (call 0): JUMP_REL where only a call fits"),
        (Relocation::NONE, "ROM at C3000: IRET (call 33): the ROM must provide it, and answers NONE"),
    ];
    for (answer, message) in cases {
        let (fake, kernel) = machine_with(&image().with_answers(|_, _| answer));
        let error = error(fake, kernel);
        assert_eq!(error.to_string(), message);
        assert_eq!((error.rom, error.kernel_ring), (ROM, 1));
    }
}

#[test]
fn an_answer_for_a_call_without_sites_is_checked_too() {
    let outside = Relocation::call(0xffff);
    let (mut fake, kernel) = machine_with(&image().with_answer(Call::SET_CALLBACKS, outside));
    fake.records = &[];
    let ErrorCause::Plan(PlanError::Relocation(RelocationError::TargetOutsideRom { call, .. })) =
        error(fake, kernel).cause
    else {
        panic!("another error")
    };
    assert_eq!(call, Call::SET_CALLBACKS);
}

#[test]
fn a_commit_that_fails_is_an_error_and_the_text_is_whole() {
    for fault in [Fault::Refuse, Fault::Lose] {
        let (fake, mut kernel) = machine();
        kernel.text.fault = Some((3, fault));
        let error = error(fake, kernel);
        assert!(matches!(error.cause, ErrorCause::Commit(_)), "{error}");
    }
}

#[test]
fn the_off_switch_leaves_everything_alone() {
    /// Text that must not be touched.
    struct Untouched;
    impl TextWriter for Untouched {
        fn read(&self, _: u32, _: &mut [u8]) -> Result<(), TextError> {
            panic!("read")
        }
        fn write(&mut self, _: u32, _: &[u8]) -> Result<(), TextError> {
            panic!("written")
        }
        fn serialize(&mut self) {
            panic!("serialised")
        }
    }
    let options = Options { enabled: false, physical_offset: 0, linear_mapping: None, inline: true };
    // SAFETY: nothing happens.
    let backend = unsafe { activate(&options, &mut Untouched) };
    let Ok(Backend::Native(reason)) = backend else { panic!("not native") };
    assert_eq!(format!("{reason}"), "VMI is switched off");
}

#[test]
fn the_linear_mapping_is_declared_last_and_only_to_a_rom_that_wants_to_know() {
    let mapping = LinearMapping { address: OFFSET, pages: 0x1000, first_frame: 0 };
    let last_step = |image: &Image, wanted| {
        let (mut fake, mut kernel) = machine_with(image);
        fake.mapping = wanted;
        boot(&mut fake, &mut kernel.text).unwrap();
        fake.steps.into_inner().pop()
    };
    let image = image();
    let entry = image.answer(Call::SET_LINEAR_MAPPING.number(), OFFSET + ROM).eip.get();
    let declared = Step::LinearMapping { entry, mapping };
    assert_eq!(last_step(&image, Some(mapping)), Some(declared));
    assert_ne!(last_step(&image, None), Some(declared));
    assert_ne!(last_step(&image.with_init_status(1), Some(mapping)), Some(declared));
    let unwanted = image.with_answer(Call::SET_LINEAR_MAPPING, Relocation::NONE);
    assert_ne!(last_step(&unwanted, Some(mapping)), Some(declared));
}

#[test]
fn a_commit_that_fails_declares_no_linear_mapping() {
    let (mut fake, mut kernel) = machine();
    fake.mapping = Some(LinearMapping { address: OFFSET, pages: 1, first_frame: 0 });
    kernel.text.fault = Some((3, Fault::Refuse));
    boot(&mut fake, &mut kernel.text).unwrap_err();
    assert!(!fake.steps.into_inner().iter().any(|step| matches!(step, Step::LinearMapping { .. })));
}

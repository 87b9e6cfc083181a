//! Activation on the mock: what a ROM image in its window makes of the processor.

use std::cell::RefCell;
use std::rc::Rc;

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::boot::{Backend, Error, NativeReason, Options, activate};
use paravirt_vmi::irq;
use paravirt_vmi::mmu::LinearMapping;
use paravirt_vmi::mock::rom::{Bend, Generation, Image, Provision, Relocation, Style};
use paravirt_vmi::mock::{Cpu, Event, FailureCause, Flavour, Limits, Misuse, run, try_run};
use paravirt_vmi::patch::DirectWriter;

use crate::support::machine::{boot, machine};

const ROM: u32 = 0xc_8000;
const OFFSET: u32 = 0xc000_0000;

/// What the ROM is activated and tested with.
const OPTIONS: Options =
    Options { enabled: true, physical_offset: OFFSET, linear_mapping: None, inline: true };

/// Activates what lies in the window.
fn boot_with(linear_mapping: Option<LinearMapping>) -> Result<Backend, Error> {
    let options = Options { linear_mapping, ..OPTIONS };
    irq::without_interrupts(|| {
        // SAFETY: a host has no text.
        let mut text = unsafe { DirectWriter::new(0..0) };
        // SAFETY: interrupts are masked; the rest of the machine is made of variables.
        unsafe { activate(&options, &mut text) }
    })
}

/// What activation makes of a processor with `image`: the result, the flavour and the ring.
fn outcome(image: Image) -> (Result<Backend, Error>, Flavour, u8) {
    run(move |cpu| {
        cpu.insert_rom(ROM, image);
        (boot_with(None), cpu.flavour(), cpu.ring())
    })
}

/// Each vmi_init and each question in the journal.
fn rom_events(cpu: Cpu) -> Vec<Event> {
    let events = cpu.journal().into_iter().map(|entry| entry.event);
    let of_rom =
        |event: &Event| matches!(event, Event::RomInitialised { .. } | Event::RelocationAsked { .. });
    events.filter(of_rom).collect()
}

#[test]
fn a_sound_rom_of_each_generation_is_used_from_then_on() {
    for generation in Generation::ALL {
        for style in Style::ALL {
            let image = Image::providing(Provision::new(generation, style));
            let (backend, flavour, ring) = outcome(image);
            let Ok(Backend::Vmi(vmi)) = backend else { panic!("{backend:?}") };
            assert_eq!((vmi.rom.address(), vmi.rom.generation()), (ROM, generation));
            assert_eq!((vmi.kernel_ring, flavour, ring), (1, Flavour::Vmi, 1));
        }
    }
}

#[test]
fn the_answers_are_those_of_the_image_and_each_is_asked_for_once() {
    run(|cpu| {
        let image = Image::new(Generation::V3_0);
        cpu.insert_rom(ROM, image.clone());
        boot_with(None).unwrap();
        let events = rom_events(cpu);
        assert_eq!(events[0], Event::RomInitialised { rom: ROM, status: 0, ring: 1 });
        assert_eq!(events.len(), 1 + 74);
        for (event, asked) in events[1..].iter().zip(0..) {
            let Event::RelocationAsked { number, relocation } = event else { panic!("{event}") };
            let answer = image.answer(asked, OFFSET + ROM);
            assert_eq!(*number, asked);
            assert_eq!((relocation.kind, relocation.target), (answer.kind, answer.eip.get()));
        }
        let halt = image.answer(35, OFFSET + ROM).eip;
        assert_eq!(events[36].to_string(), format!("GetRelocationInfo(35) answers CALL_REL {halt:08x}"));
    });
}

#[test]
fn the_ring_is_the_one_that_was_set() {
    run(|cpu| {
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        cpu.set_rom_ring(0);
        assert_eq!(cpu.ring(), 0);
        let Ok(Backend::Vmi(vmi)) = boot_with(None) else { panic!("not used") };
        assert_eq!((vmi.kernel_ring, cpu.ring()), (0, 0));
        let first = rom_events(cpu).remove(0);
        assert_eq!(first.to_string(), "vmi_init of the ROM at C8000 returns 0x0; the kernel is in ring 0");
    });
}

#[test]
fn without_a_rom_or_after_a_reset_there_is_none() {
    run(|cpu| {
        assert!(matches!(boot_with(None), Ok(Backend::Native(NativeReason::Rom(_)))));
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        boot_with(None).unwrap();
        cpu.reset();
        assert_eq!(cpu.ring(), 0);
        assert!(matches!(boot_with(None), Ok(Backend::Native(NativeReason::Rom(_)))));
        // SAFETY: no handler.
        unsafe { irq::enable() };
    });
}

#[test]
fn a_rom_whose_init_fails_leaves_the_kernel_native() {
    let (backend, flavour, ring) = outcome(Image::new(Generation::V3_0).with_init_status(7));
    assert!(matches!(backend, Ok(Backend::Native(NativeReason::Init { rom: ROM, status: 7 }))));
    assert_eq!((flavour, ring), (Flavour::Native, 0));
}

#[test]
fn a_rom_with_an_answer_that_cannot_be_used_leaves_the_sites_native_in_the_ring_of_init() {
    let jump = Relocation { kind: RelocationKind::JUMP_REL, offset: 0 };
    let (backend, flavour, ring) = outcome(Image::new(Generation::V3_0).with_answer(Call::HALT, jump));
    let error = backend.unwrap_err();
    assert_eq!(error.to_string(), "ROM at C8000: Halt (call 35): JUMP_REL where only a call fits");
    assert_eq!((error.kernel_ring, flavour, ring), (1, Flavour::Native, 1));
}

#[test]
fn every_bend_ends_as_it_does_on_the_processor() {
    for generation in Generation::ALL {
        for bend in Bend::of(generation) {
            let image = Image::new(generation).bend(bend);
            if generation != Generation::V3_0 && bend == Bend::OtherGeneration {
                // A guest cannot see it, and calls what is no entry point: the next test.
                continue;
            }
            let (backend, flavour, ring) = outcome(image);
            let (is_native, is_error) = (matches!(backend, Ok(Backend::Native(_))), backend.is_err());
            let expected = match bend {
                Bend::LicenseMissing | Bend::LicenseUnknown => (false, false),
                Bend::PciMissing if generation != Generation::V3_0 => (false, false),
                Bend::RelocationKindUnknown
                | Bend::JumpForCall
                | Bend::NopForResult
                | Bend::IretNone
                | Bend::TargetOutside
                | Bend::TargetBefore
                | Bend::Garbage => (false, true),
                _ => (true, false),
            };
            assert_eq!((is_native, is_error), expected, "{generation} {bend:?}: {backend:?}");
            let is_used = expected == (false, false);
            assert_eq!(flavour, if is_used { Flavour::Vmi } else { Flavour::Native });
            assert_eq!(ring, u8::from(!is_native));
        }
    }
}

#[test]
fn a_rom_of_13_x_that_calls_itself_3_0_is_called_where_it_has_no_entry_point() {
    for generation in [Generation::V13_0, Generation::V13_3] {
        let image = Image::new(generation).bend(Bend::OtherGeneration);
        let failure = try_run(Limits::DEFAULT, move |cpu| {
            cpu.insert_rom(ROM, image);
            boot_with(None).is_ok()
        });
        let failure = failure.unwrap_err();
        assert!(matches!(failure.cause, FailureCause::Misuse(Misuse::NoRomEntry { entry: 0xc00c_8088, .. })));
        let message = failure.to_string();
        assert!(message.starts_with("activation at tests/guest/mock_rom.rs:"), "{message}");
        assert!(message.contains("calls c00c8088, where no ROM has an entry point"), "{message}");
    }
}

#[test]
fn activation_with_interrupts_unmasked_is_a_misuse() {
    let failure = try_run(Limits::DEFAULT, |cpu| {
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        let options = Options { enabled: true, physical_offset: OFFSET, linear_mapping: None, inline: true };
        // SAFETY: a host has no text.
        let mut text = unsafe { DirectWriter::new(0..0) };
        // SAFETY: what is owed is not given, which is the point.
        unsafe { activate(&options, &mut text) }.is_ok()
    });
    let failure = failure.unwrap_err();
    assert!(matches!(failure.cause, FailureCause::Misuse(Misuse::ActivatedUnmasked { .. })), "{failure}");
    let message = failure.to_string();
    let start = "the hypervisor is activated at tests/guest/mock_rom.rs:";
    assert!(message.starts_with(start) && message.contains("with interrupts unmasked"), "{message}");
}

#[test]
fn the_linear_mapping_is_a_call_in_the_journal() {
    run(|cpu| {
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        boot_with(Some(LinearMapping { address: OFFSET, pages: 0x1000, first_frame: 2 })).unwrap();
        let journal = cpu.journal();
        let mapping = journal.iter().find(|entry| entry.call() == Some(Call::SET_LINEAR_MAPPING)).unwrap();
        assert_eq!(mapping.arguments(), [0, OFFSET, 0x1000, 2]);
        assert_eq!(mapping.place.file(), "tests/guest/mock_rom.rs");
    });
}

#[test]
fn interrupts_arrive_as_under_a_hypervisor_once_the_sites_are_written_and_as_natively_when_they_are_reverted()
{
    run(|cpu| {
        let log = Rc::new(RefCell::new(vec![]));
        let log_in_handler = log.clone();
        cpu.handle(0x20, move || log_in_handler.borrow_mut().push("handler"));
        let unmask = || {
            log.borrow_mut().clear();
            irq::disable();
            cpu.raise(0x20);
            // SAFETY: the handler may run.
            unsafe { irq::enable() };
            log.borrow_mut().push("enabled");
            cpu.point();
            cpu.point();
            log.borrow().clone()
        };
        let native = vec!["enabled", "handler"];
        let under_a_hypervisor = vec!["handler", "enabled"];
        assert_eq!(unmask(), native);
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        let Ok(Backend::Vmi(vmi)) = boot_with(None) else { panic!("not used") };
        assert_eq!(unmask(), under_a_hypervisor);
        // SAFETY: a host has no text.
        let mut text = unsafe { DirectWriter::new(0..0) };
        irq::without_interrupts(|| {
            // SAFETY: interrupts are masked.
            unsafe { vmi.plan.revert(&mut text) }.unwrap()
        });
        assert_eq!(unmask(), native);
        irq::without_interrupts(|| {
            // SAFETY: interrupts are masked.
            unsafe { vmi.plan.commit(&mut text) }.unwrap()
        });
        assert_eq!(unmask(), under_a_hypervisor);
    });
}

#[test]
fn a_rom_that_does_not_unmask_interrupts_leaves_the_shadow_of_sti() {
    let image = Image::new(Generation::V3_0).with_answer(Call::ENABLE_INTERRUPTS, Relocation::NONE);
    let (backend, flavour, ring) = outcome(image);
    assert!(matches!(backend, Ok(Backend::Vmi(_))));
    assert_eq!((flavour, ring), (Flavour::Native, 1));
}

#[test]
fn a_kernel_that_is_patched_on_a_machine_of_its_own_leaves_the_processor_as_it_is() {
    run(|cpu| {
        let (mut fake, mut kernel) = machine();
        let Ok(Backend::Vmi(_)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
        assert_eq!((cpu.flavour(), cpu.ring()), (Flavour::Native, 0));
    });
}

#[test]
fn one_window_is_kept_however_often_it_is_booted_from() {
    let window = || {
        run(|cpu| {
            cpu.insert_rom(ROM, Image::new(Generation::V3_0).edit(|header, _, _| header.rom_pad0 = 0x5a));
            let Ok(Backend::Vmi(vmi)) = boot_with(None) else { panic!("not used") };
            vmi.rom.image().as_ptr().addr()
        })
    };
    assert_eq!(window(), window());
}

#[test]
fn the_self_test_passes_masks_and_unmasks_and_leaves_the_flag_as_it_was() {
    run(|cpu| {
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        let Ok(Backend::Vmi(vmi)) = boot_with(None) else { panic!("not used") };
        let ticks = Rc::new(RefCell::new(0));
        let counter = ticks.clone();
        cpu.handle(0x20, move || *counter.borrow_mut() += 1);
        for flag in [false, true] {
            if !flag {
                irq::disable();
                cpu.raise(0x20);
            }
            // SAFETY: the handler needs nothing.
            unsafe { vmi.self_test(&OPTIONS) }.unwrap();
            assert_eq!((cpu.interrupt_flag(), *ticks.borrow()), (flag, 1));
            // SAFETY: as above.
            unsafe { irq::enable() };
        }
    });
}

#[test]
fn the_self_test_finds_a_rom_that_answers_differently_the_second_time() {
    run(|cpu| {
        let image = Image::new(Generation::V3_0);
        cpu.insert_rom(ROM, image.clone());
        let Ok(Backend::Vmi(vmi)) = boot_with(None) else { panic!("not used") };
        cpu.insert_rom(ROM, image.with_answer(Call::HALT, Relocation::NONE));
        // SAFETY: there is no handler.
        let error = unsafe { vmi.self_test(&OPTIONS) }.unwrap_err();
        assert!(
            error.to_string().starts_with("ROM at C8000: Halt (call 35): asked again, it answers NONE, ")
        );
    });
}

#[test]
fn the_self_test_in_a_section_is_misuse_because_it_unmasks() {
    let failure = try_run(Limits::DEFAULT, |cpu| {
        cpu.insert_rom(ROM, Image::new(Generation::V3_0));
        let Ok(Backend::Vmi(vmi)) = boot_with(None) else { panic!("not used") };
        // SAFETY: none; this is what the mock is to notice.
        irq::without_interrupts(|| unsafe { vmi.self_test(&OPTIONS) })
    });
    let failure = failure.unwrap_err();
    let FailureCause::Misuse(misuse) = &failure.cause else { panic!("{failure}") };
    assert!(matches!(misuse, Misuse::UnmaskedInSection { .. }), "{misuse}");
}

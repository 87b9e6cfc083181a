//! The self-test of a ROM on a machine made of variables: each way in which a ROM can lie is found, and named
//! with its values.

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::boot::{
    Backend, Machine, Register, Registers, SelfTestError, SelfTestErrorCause, Vmi, self_test_on,
};
use paravirt_vmi::mmu::LinearMapping;
use paravirt_vmi::patch::Relocation;
use paravirt_vmi_rom_image::{Generation, Image, Provision, Style};

use crate::support::machine::{Fake, OFFSET, ROM, boot, machine_with};

/// The interrupt flag in a mask.
const FLAG: u32 = 1 << 9;

/// A machine whose calls can be wrong.
struct Liar<'a> {
    fake: Fake,
    flag: bool,
    /// The calls made, with their EAX.
    made: Vec<(Call, u32)>,
    /// What becomes of an answer of GetRelocationInfo.
    answer: &'a dyn Fn(u32, Relocation) -> Relocation,
    /// What becomes of the registers and the flag behind a call that was right.
    spoil: &'a dyn Fn(Call, &mut Registers, &mut bool),
}

impl Machine for Liar<'_> {
    fn option_roms(&self) -> &'static [u8] {
        self.fake.option_roms()
    }

    fn linear(&self, physical: u32) -> u32 {
        self.fake.linear(physical)
    }

    unsafe fn init(&mut self, _entry: u32) -> u32 {
        unreachable!("the ROM has been initialised")
    }

    unsafe fn relocation(&mut self, entry: u32, number: u32) -> Relocation {
        // SAFETY: the machine is data.
        let relocation = unsafe { self.fake.relocation(entry, number) };
        (self.answer)(number, relocation)
    }

    unsafe fn observe(&mut self, call: Call, relocation: Relocation, before: &mut Registers) -> Registers {
        assert!(
            [
                Call::ENABLE_INTERRUPTS,
                Call::DISABLE_INTERRUPTS,
                Call::GET_INTERRUPT_MASK,
                Call::SET_INTERRUPT_MASK
            ]
            .contains(&call)
        );
        if let Some(target) = relocation.branch_target() {
            assert!((OFFSET + ROM..OFFSET + ROM + 0x2_0000).contains(&target));
        }
        self.made.push((call, before.eax));
        (before.esp, before.ds, before.es) = (0xc030_0000, 0x10, 0x10);
        let mut after = *before;
        match call {
            Call::GET_INTERRUPT_MASK => after.eax = if self.flag { FLAG } else { 0 },
            Call::SET_INTERRUPT_MASK => self.flag = before.eax & FLAG != 0,
            call => self.flag = call == Call::ENABLE_INTERRUPTS,
        }
        (self.spoil)(call, &mut after, &mut self.flag);
        after
    }

    unsafe fn set_linear_mapping(&mut self, _entry: u32, _mapping: LinearMapping) {
        unreachable!("nothing is declared")
    }
}

/// A kernel that has been patched for `image`.
fn patched(image: &Image) -> (Fake, Vmi) {
    let (mut fake, mut kernel) = machine_with(image);
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    (fake, vmi)
}

/// What the test says of a ROM that is wrong in these ways; the calls made; the flag, which was `flag`.
fn test(
    image: &Image,
    flag: bool,
    answer: &dyn Fn(u32, Relocation) -> Relocation,
    spoil: &dyn Fn(Call, &mut Registers, &mut bool),
) -> (Result<(), SelfTestError>, Vec<(Call, u32)>, bool) {
    let (fake, vmi) = patched(image);
    let mut liar = Liar { fake, flag, made: Vec::new(), answer, spoil };
    // SAFETY: the machine is data.
    let outcome = unsafe { self_test_on(&mut liar, &vmi) };
    (outcome, liar.made, liar.flag)
}

/// The error of a ROM of 3.0 whose calls are spoiled so.
fn error(spoil: impl Fn(Call, &mut Registers, &mut bool)) -> SelfTestError {
    let image = Image::new(Generation::V3_0);
    let (outcome, _, _) = test(&image, false, &|_, answer| answer, &spoil);
    outcome.unwrap_err()
}

#[test]
fn a_sound_rom_of_each_generation_passes_and_the_flag_is_as_it_was() {
    for generation in Generation::ALL {
        for style in Style::ALL {
            let image = Image::providing(Provision::new(generation, style));
            for flag in [false, true] {
                let (outcome, made, after) = test(&image, flag, &|_, answer| answer, &|_, _, _| ());
                assert_eq!((outcome, after), (Ok(()), flag), "{generation:?}");
                for call in [29, 30, 31, 32] {
                    assert!(made.iter().filter(|(made, _)| made.number() == call).count() >= 4, "{call}");
                }
            }
        }
    }
}

#[test]
fn the_argument_of_set_interrupt_mask_is_an_image_of_eflags() {
    let image = Image::new(Generation::V3_0);
    let (_, made, _) = test(&image, false, &|_, answer| answer, &|_, _, _| ());
    let arguments = made.iter().filter(|(call, _)| *call == Call::SET_INTERRUPT_MASK).map(|(_, eax)| *eax);
    let (restored, arguments): (Vec<_>, Vec<_>) = arguments.partition(|argument| *argument == 0);
    assert_eq!(restored.len(), 1, "the mask from before the test");
    assert!(arguments.contains(&0xcd7) && arguments.contains(&0xed7));
    // TF and the bits above IOPL would do harm in a ROM that uses popf.
    assert!(arguments.iter().all(|argument| argument & !0xfff == 0 && argument & 1 << 8 == 0));
}

#[test]
fn every_answer_that_is_another_one_the_second_time_is_found() {
    for generation in [Generation::V3_0, Generation::V13_3] {
        let image = Image::new(generation);
        let mut found = Vec::new();
        for changed in 0..generation.relocations() {
            let lie = |number, answer: Relocation| match number == changed {
                true => Relocation { target: answer.target ^ 1, ..answer },
                false => answer,
            };
            let (outcome, made, _) = test(&image, false, &lie, &|_, _, _| ());
            let Err(error) = outcome else { continue };
            let SelfTestErrorCause::Relocation { call, first, again } = error.cause else {
                panic!("{error}")
            };
            assert_eq!((first.kind, first.target ^ 1), (again.kind, again.target));
            assert_eq!(made, [], "a call was made");
            found.push(call);
        }
        found.sort_by_key(|call| call.number());
        let plan = patched(&image).1.plan;
        let provided = Call::all().filter(|call| plan.relocation(*call).branch_target().is_some());
        assert_eq!(found, provided.collect::<Vec<_>>(), "{generation:?}");
    }
}

#[test]
fn an_answer_of_another_kind_is_named_with_both() {
    let lie = |number, answer| if number == 30 { Relocation::NONE } else { answer };
    let image = Image::new(Generation::V3_0);
    let (outcome, _, _) = test(&image, false, &lie, &|_, _, _| ());
    let target = image.answer(30, OFFSET + ROM).eip.get();
    let expected = format!(
        "ROM at C3000: DisableInterrupts (call 30): asked again, it answers NONE, and answered CALL_REL {target:08x}"
    );
    assert_eq!(outcome.unwrap_err().to_string(), expected);
}

#[test]
fn a_target_that_means_nothing_may_differ() {
    let lie = |_, answer: Relocation| match answer.kind {
        RelocationKind::NONE | RelocationKind::NOP => Relocation { target: 7, ..answer },
        _ => answer,
    };
    let image = Image::providing(Provision::new(Generation::V3_0, Style::Minimal));
    assert_eq!(test(&image, false, &lie, &|_, _, _| ()).0, Ok(()));
}

#[test]
fn every_register_that_a_call_must_keep_is_looked_at_whatever_it_becomes() {
    let set = |registers: &mut Registers, register, value| {
        *match register {
            Register::Eax => &mut registers.eax,
            Register::Ebx => &mut registers.ebx,
            Register::Ecx => &mut registers.ecx,
            Register::Edx => &mut registers.edx,
            Register::Esi => &mut registers.esi,
            Register::Edi => &mut registers.edi,
            Register::Ebp => &mut registers.ebp,
            Register::Esp => &mut registers.esp,
            Register::Df => &mut registers.df,
            Register::Ds => &mut registers.ds,
            Register::Es => &mut registers.es,
            Register::Fs => &mut registers.fs,
            Register::Gs => &mut registers.gs,
        } = value;
    };
    for number in 29..=32 {
        let wrong = Call::from_number(number).unwrap();
        for register in Register::ALL {
            // whatever a register holds the first time: it is noticed the second time
            let holds = patterns(register);
            for value in holds {
                let spoil = |call, after: &mut Registers, _: &mut bool| {
                    if call == wrong {
                        set(after, register, value);
                    }
                };
                if wrong == Call::GET_INTERRUPT_MASK && register == Register::Eax {
                    continue; // its result
                }
                let cause = error(spoil).cause;
                let SelfTestErrorCause::Register { call, register: found, before, after } = cause else {
                    panic!("{cause}")
                };
                assert_eq!((call, found, after), (wrong, register, value));
                assert_ne!(before, after);
            }
        }
    }
}

/// Values for a register that a call might leave in it by accident, the one that the test puts there among them.
fn patterns(register: Register) -> Vec<u32> {
    match register {
        Register::Df => vec![1],
        Register::Esp | Register::Ds | Register::Es | Register::Fs | Register::Gs => vec![4],
        Register::Ebx => vec![0, 0x50e4_7f56],
        _ => vec![0, u32::MAX],
    }
}

#[test]
fn a_direction_flag_that_stays_set_is_named() {
    let error = error(|call, after, _| {
        if call == Call::ENABLE_INTERRUPTS {
            after.df = 1;
        }
    });
    let expected = "ROM at C3000: EnableInterrupts (call 29): DF was 00000000 and is 00000001";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_stack_that_is_off_by_one_word_is_named() {
    let error = error(|call, after, _| {
        if call == Call::SET_INTERRUPT_MASK {
            after.esp += 4;
        }
    });
    let expected = "ROM at C3000: SetInterruptMask (call 32): ESP was c0300000 and is c0300004";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_call_without_its_effect_on_the_flag_is_named() {
    for (wrong, stays, message) in [
        (
            29,
            false,
            "EnableInterrupts (call 29): GetInterruptMask answers 00000000 behind it, expected bit 9 set",
        ),
        (
            30,
            true,
            "DisableInterrupts (call 30): GetInterruptMask answers 00000200 behind it, expected bit 9 clear",
        ),
        (
            32,
            true,
            "SetInterruptMask (call 32): GetInterruptMask answers 00000200 behind it, expected bit 9 clear",
        ),
        (
            32,
            false,
            "SetInterruptMask (call 32): GetInterruptMask answers 00000000 behind it, expected bit 9 set",
        ),
    ] {
        let error = error(|call, _, flag| {
            if call.number() == wrong {
                *flag = stays;
            }
        });
        assert_eq!(error.to_string(), format!("ROM at C3000: {message}"));
    }
}

#[test]
fn a_mask_that_never_changes_is_named() {
    for mask in [0, !0] {
        let error = error(|call, after, _| {
            if call == Call::GET_INTERRUPT_MASK {
                after.eax = mask;
            }
        });
        assert!(
            matches!(error.cause, SelfTestErrorCause::Flag { mask: found, .. } if found == mask),
            "{error}"
        );
    }
}

#[test]
fn the_flag_is_as_it_was_when_the_test_fails_too() {
    let image = Image::new(Generation::V3_0);
    let spoil = |call, after: &mut Registers, _: &mut bool| {
        if call == Call::ENABLE_INTERRUPTS {
            after.ebx = 0;
        }
    };
    for flag in [false, true] {
        let (outcome, _, after) = test(&image, flag, &|_, answer| answer, &spoil);
        assert!(outcome.is_err());
        assert_eq!(after, flag);
    }
}

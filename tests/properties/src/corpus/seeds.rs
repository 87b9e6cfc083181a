//! The inputs that are made: a sound one of each form, and one for each thing that can be wrong.

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi_rom_image::{Bend, Generation, Image, Provision, Style};

use super::{Form, Input};
use crate::kernel::RECORD_LENGTH;
use crate::plan::{Case, Change, Part};
use crate::records;
use crate::text::Fault;

/// Every input that is made.
pub fn made() -> Vec<Input> {
    let mut inputs = Vec::new();
    for generation in Generation::ALL {
        inputs.extend(images(generation));
    }
    inputs.extend(plans().map(|(name, case)| input(Form::Plan, name.to_owned(), case.encode())));
    inputs.extend(tables().map(|(name, table)| input(Form::Records, name.to_owned(), table)));
    inputs
}

fn input(form: Form, name: String, bytes: Vec<u8>) -> Input {
    Input { form, name, bytes }
}

/// A sound image, one that provides little, and one bent in each way.
fn images(generation: Generation) -> Vec<Input> {
    let sound = Image::new(generation);
    let named = |name: &str, image: Image| {
        input(Form::Images, format!("{generation}-{name}.rom"), image.into_bytes())
    };
    let mut images =
        Vec::from_iter(Bend::of(generation).into_iter().map(|bend| named(bend.name(), sound.bend(bend))));
    if generation != Generation::V13_0 {
        images.push(named("minimal", Image::providing(Provision::new(generation, Style::Minimal))));
    }
    images.push(named("inline", inline(&sound)));
    images.push(named("sound", sound));
    images
}

/// An image whose code for the calls of the interrupt flag is short enough to stand at their sites.
fn inline(sound: &Image) -> Image {
    let code: [(Call, &[u8]); 4] = [
        (Call::ENABLE_INTERRUPTS, &[0x36, 0xc6, 0x05, 1, 0, 0xc0, 0xff, 2, 0xc3]),
        (Call::DISABLE_INTERRUPTS, &[0x36, 0x80, 0x25, 1, 0, 0xc0, 0xff, 0xfd, 0xc3]),
        (Call::GET_INTERRUPT_MASK, &[0x36, 0xa1, 0, 0, 0xc0, 0xff, 0xc3]),
        (Call::SET_INTERRUPT_MASK, &[0xa3, 0, 0, 0xc0, 0xff, 0xc3]),
    ];
    code.iter().fold(sound.clone(), |image, (call, code)| image.with_code(*call, code))
}

/// Kernels in front of ROMs.
fn plans() -> [(&'static str, Case); 17] {
    let sound = Case::sound();
    let answer = |call: Call, kind: RelocationKind, offset: u32| {
        let mut case = Case::sound();
        case.answers[call.number() as usize] = (kind.0, offset);
        case
    };
    let change = |part, offset, bits| Case { changes: vec![Change { part, offset, bits }], ..Case::sound() };
    let fault = |number, fault| Case { fault: Some((number, fault)), ..Case::sound() };
    [
        ("sound", sound.clone()),
        ("no-sites", Case { sites: vec![], ..sound.clone() }),
        ("patched", Case { is_patched: true, ..sound.clone() }),
        ("at-the-top-of-memory", Case { text: 0xffff_ff00, ..sound.clone() }),
        ("write-refused", fault(20, Fault::Refuse)),
        ("write-lost", fault(20, Fault::Lose)),
        ("revert-refused", fault(74 + 20, Fault::Refuse)),
        ("jump-for-iret", answer(Call::IRET, RelocationKind::JUMP_REL, 0x90)),
        ("jump-for-halt", answer(Call::HALT, RelocationKind::JUMP_REL, 0x90)),
        ("nop-for-set-lazy-mode", answer(Call::SET_LAZY_MODE, RelocationKind::NOP, 0)),
        ("none-for-iret", answer(Call::IRET, RelocationKind::NONE, 0)),
        ("unknown-kind", answer(Call::HALT, RelocationKind(4), 0)),
        ("target-behind-the-rom", answer(Call::HALT, RelocationKind::CALL_REL, 0x800)),
        ("changed-site", change(Part::Text, 3, 0x9f)),
        ("changed-record", change(Part::Records, 4, 74)),
        ("changed-stub", change(Part::Stubs, 4 * Call::SET_GDT.number() as u16, 1)),
        ("overlapping-sites", overlap()),
    ]
}

/// An EnableInterrupts site that ends as the SYSEXIT site behind it begins, with `sti`.
fn overlap() -> Case {
    let sites = [Call::ENABLE_INTERRUPTS, Call::SYSEXIT].map(|call| call.number() as u8).to_vec();
    let change = |part, offset, (old, new): (u8, u8)| Change { part, offset, bits: old ^ new };
    let code = [(0x55, 0x0f), (0x89, 0x35), (0xe5, 0xcc), (0xfb, 0xcc)];
    let code = (11..).zip(code).map(|(offset, bytes)| change(Part::Text, offset, bytes));
    // The second record leads four bytes less far.
    let record = change(Part::Records, RECORD_LENGTH as u16, (0x09, 0x05));
    Case { sites, changes: code.chain([record]).collect(), ..Case::sound() }
}

/// Sections `vmi_sites`.
fn tables() -> [(&'static str, Vec<u8>); 7] {
    let sound = records::sound();
    let spoil = |offset: usize, value: u8| {
        let mut table = records::sound();
        table[2 * RECORD_LENGTH + offset] = value;
        table
    };
    [
        ("sound", sound.clone()),
        ("empty", vec![]),
        ("cut-off", sound[..sound.len() - 3].to_vec()),
        ("same-record-for-another-place", sound[..RECORD_LENGTH].repeat(2)),
        ("out-of-the-text", spoil(3, 0x10)),
        ("unknown-call", spoil(4, 74)),
        ("call-of-another-site", spoil(4, Call::WRMSR.number() as u8)),
    ]
}

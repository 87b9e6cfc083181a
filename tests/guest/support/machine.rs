//! A machine made of variables, for the boot sequence to run on.

use std::cell::RefCell;

use paravirt_vmi::boot::{Backend, Error, Machine, activate_on};
use paravirt_vmi::mmu::LinearMapping;
use paravirt_vmi::patch::Relocation;
use paravirt_vmi::rom::Adapter;
use paravirt_vmi::site::{NATIVE_FORMS, StubTable};
use paravirt_vmi_rom_image::{Generation, Image, window};
use zerocopy::IntoBytes;

use crate::support::kernel::{Kernel, STUBS, Text};

pub const OFFSET: u32 = 0xc000_0000;
pub const ROM: u32 = 0xc_3000;

/// Something that the boot sequence did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Init { entry: u32 },
    Relocation { entry: u32, number: u32 },
    Adapter { adapter: Adapter, target: u32 },
    LinearMapping { entry: u32, mapping: LinearMapping },
}

/// A machine with a ROM, which answers what its image says.
pub struct Fake {
    pub window: &'static [u8],
    pub image: Image,
    pub record_address: u32,
    pub records: &'static [u8],
    pub ring: u8,
    pub mapping: Option<LinearMapping>,
    pub inlines: bool,
    pub steps: RefCell<Vec<Step>>,
}

impl Machine for Fake {
    fn site_records(&self) -> (u32, &'static [u8]) {
        (self.record_address, self.records)
    }

    fn native_stubs(&self) -> &'static StubTable {
        &STUBS
    }

    fn option_roms(&self) -> &'static [u8] {
        self.window
    }

    fn linear(&self, physical: u32) -> u32 {
        physical.wrapping_add(OFFSET)
    }

    unsafe fn init(&mut self, entry: u32) -> u32 {
        self.steps.borrow_mut().push(Step::Init { entry });
        self.image.init_status().unwrap()
    }

    unsafe fn relocation(&mut self, entry: u32, number: u32) -> Relocation {
        self.steps.borrow_mut().push(Step::Relocation { entry, number });
        let answer = self.image.answer(number, OFFSET + ROM);
        Relocation { kind: answer.kind, target: answer.eip.get() }
    }

    fn adapter(&mut self, adapter: Adapter, target: u32) -> u32 {
        self.steps.borrow_mut().push(Step::Adapter { adapter, target });
        adapter_address(adapter)
    }

    fn ring(&self) -> u8 {
        self.ring
    }

    fn inlines(&self) -> bool {
        self.inlines
    }

    fn linear_mapping(&self) -> Option<LinearMapping> {
        self.mapping
    }

    unsafe fn set_linear_mapping(&mut self, entry: u32, mapping: LinearMapping) {
        self.steps.borrow_mut().push(Step::LinearMapping { entry, mapping });
    }
}

/// Where an adapter lies in the kernel's text.
pub fn adapter_address(adapter: Adapter) -> u32 {
    0xc017_0000 + 16 * adapter as u32
}

/// A machine with a sound ROM of generation 3.0, and a kernel with a site of each call.
pub fn machine() -> (Fake, Kernel) {
    machine_with(&Image::new(Generation::V3_0))
}

/// A machine with the given ROM, and a kernel with a site of each call.
pub fn machine_with(image: &Image) -> (Fake, Kernel) {
    let kernel = Kernel::new(&NATIVE_FORMS);
    let fake = Fake {
        window: window([(ROM, image)]).leak(),
        image: image.clone(),
        record_address: kernel.record_address,
        records: Box::leak(kernel.records.clone().into_boxed_slice()).as_bytes(),
        ring: 1,
        mapping: None,
        inlines: true,
        steps: RefCell::new(vec![]),
    };
    (fake, kernel)
}

/// Runs the boot sequence; the machine's steps, the result, and the text afterwards.
pub fn boot(fake: &mut Fake, text: &mut Text) -> Result<Backend, Error> {
    // SAFETY: machine and text are data.
    unsafe { activate_on(fake, text) }
}

/// The error of a machine; the text must be as it was.
pub fn error(mut fake: Fake, mut kernel: Kernel) -> Error {
    let before = kernel.text.bytes.clone();
    let error = boot(&mut fake, &mut kernel.text).unwrap_err();
    assert_eq!(kernel.text.bytes, before);
    error
}

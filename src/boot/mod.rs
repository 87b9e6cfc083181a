//! The order of things at boot: probe, prepare, init, plan, commit.
//!
//! ```text
//! probe     C0000..E0000 in steps of 2 KiB; everything in the ROM is checked ──┐
//! prepare   every site holds its native bytes ────────────────────────────────┤ else: native,
//! init      vmi_init; from here on CS.RPL is the kernel's ring ────────────────┘ and the reason
//! plan      GetRelocationInfo, once for each call; each answer is checked ─────┐ else: an error,
//! commit    every site is written, then read back and compared ───────────────┘ text native
//! bring-up  SetLinearMapping, if the kernel has said what it maps
//! ```
//!
//! One function does all of it: [`activate`]. [`Vmi::self_test`] looks whether the ROM keeps to it afterwards.
//!
//! # Safety
//!
//! What the sequence needs of the machine is owed by the caller of [`activate`] and stated there; the
//! blocks below pass it on.
#![allow(unsafe_code)]

mod error;
mod registers;
mod self_test;

use paravirt_vmi_abi::Call;

use crate::arch::{self, Processor};
use crate::mmu::LinearMapping;
#[cfg(doc)]
use crate::mmu::{LinearMappingSlot, set_linear_mapping};
use crate::patch::{Plan, Relocation, TextWriter, check_native};
use crate::rom::{self, Adapter, Rom};
use crate::site::{SiteTable, StubTable};

pub use error::{Error, ErrorCause, NativeReason};
pub use registers::{Register, Registers};
pub use self_test::{SelfTestError, SelfTestErrorCause, self_test_on};

/// How to look for a hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether to look at all. `false` is the off switch: the kernel stays native.
    pub enabled: bool,
    /// Where the kernel has mapped the option-ROM window: physical address p is found at linear
    /// address p + `physical_offset`, modulo 2^32.
    pub physical_offset: u32,
    /// Where the kernel has mapped the physical memory that will hold its page tables, if it is to write
    /// any: declared to the hypervisor in [slot 0](LinearMappingSlot::LOW_MEMORY) before activation returns.
    pub linear_mapping: Option<LinearMapping>,
    /// Whether sites of the interrupt flag may hold the ROM's own code in place of a call to it, where that is
    /// one simple instruction: see [`with_inline_code`](crate::patch::RelocationTable::with_inline_code).
    pub inline: bool,
}

/// What the kernel runs on.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one value in a kernel's life, and no heap to put it on")]
pub enum Backend {
    /// The machine itself: every site holds its native instructions.
    Native(NativeReason),
    /// A VMI hypervisor.
    Vmi(Vmi),
}

/// The hypervisor's ROM, and what was done with it.
#[derive(Clone, Debug)]
pub struct Vmi {
    /// The ROM.
    pub rom: Rom<'static>,
    /// The ring in which vmi_init left the kernel: the RPL that its selectors must carry.
    pub kernel_ring: u8,
    /// What was written where; can be reverted and committed again.
    pub plan: Plan<'static>,
}

/// Looks for a VMI ROM and, if there is a sound one, enters paravirtual mode and patches every site.
///
/// Up to and including a failing vmi_init the kernel goes on natively: that is no error, and
/// [`Backend::Native`] says why. Nothing has been written then.
///
/// # Errors
///
/// If the ROM's vmi_init succeeded and its relocations cannot be used, or the sites cannot be written.
/// The text is native and whole, but the kernel runs in paravirtual mode, in the ring that the error
/// names: in ring 0 it can go on natively; elsewhere its native instructions are the hypervisor's to
/// emulate, and `popfd` and `iretd` will not change the interrupt flag.
///
/// # Safety
///
/// * It is called once, on the boot processor, before any other is started, with interrupts masked, in
///   32-bit protected mode with paging on, CPL 0, and flat CS, SS, DS and ES. The direction flag is
///   clear.
/// * Physical addresses C0000 to DFFFF are mapped at `options.physical_offset`, readable and
///   executable, and stay mapped there for as long as the kernel is patched.
/// * What `options.linear_mapping` states is so, as [`set_linear_mapping`] demands.
/// * No handler of a non-maskable interrupt uses a site.
/// * `text` reads and writes the kernel's text, as [`TextWriter`] demands.
///
/// Source: facts sheet, section 5.5.
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn activate(options: &Options, text: &mut impl TextWriter) -> Result<Backend, Error> {
    if !options.enabled {
        return Ok(Backend::Native(NativeReason::Disabled));
    }
    // SAFETY: the caller's contract is the same.
    let mut processor = unsafe { Processor::new(*options) };
    // SAFETY: the caller's contract covers what the machine needs.
    unsafe { activate_on(&mut processor, text) }
}

/// What the boot sequence needs of the machine.
///
/// [`activate`] supplies the processor itself. Tests, and kernels that reach the ROM in a way of their
/// own, implement this and call [`activate_on`]. The functions that concern the kernel itself have a body
/// already; what is left is where the ROM is and how it is called.
pub trait Machine {
    /// The linear address and the bytes of the section `vmi_sites`: the site records.
    fn site_records(&self) -> (u32, &'static [u8]) {
        arch::site_records()
    }

    /// The native stubs that sites call.
    fn native_stubs(&self) -> &'static StubTable {
        arch::native_stubs()
    }

    /// The option-ROM window, from physical address C0000 on.
    fn option_roms(&self) -> &'static [u8];

    /// The linear address at which the physical one is mapped.
    fn linear(&self, physical: u32) -> u32;

    /// Calls vmi_init at linear address `entry`; its result in EAX.
    ///
    /// # Safety
    ///
    /// `entry` is that of a sound ROM, and the contract of [`activate`] holds.
    unsafe fn init(&mut self, entry: u32) -> u32;

    /// Calls GetRelocationInfo at linear address `entry`, with `number` in EAX.
    ///
    /// # Safety
    ///
    /// `entry` is that of a sound ROM whose vmi_init has succeeded.
    unsafe fn relocation(&mut self, entry: u32, number: u32) -> Relocation;

    /// Makes an adapter lead to the linear address `target`, and returns the adapter's own address: sites
    /// call that instead.
    fn adapter(&mut self, adapter: Adapter, target: u32) -> u32 {
        arch::bind_adapter(adapter, target)
    }

    /// Whether the kernel may make any call, though no site record says so: the relocation of every call must
    /// then be one that a site of it could take.
    fn makes_any_call(&self) -> bool {
        false
    }

    /// The ring in which the kernel runs: CS.RPL.
    fn ring(&self) -> u8 {
        arch::ring()
    }

    /// Makes one of the calls of the interrupt flag, 29 to 32, as a site of it does that holds `relocation`, with
    /// the registers in `before`; those behind it. Whatever the call did to the stack and to the registers does
    /// no harm.
    ///
    /// In `before` the machine fills in ESP, DF and the segment registers, as they are in front of the call.
    ///
    /// # Safety
    ///
    /// `relocation` is what the ROM, whose vmi_init has succeeded, wants for `call`; interrupts may be unmasked;
    /// and one such call is made at a time.
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    unsafe fn observe(&mut self, call: Call, relocation: Relocation, before: &mut Registers) -> Registers {
        // SAFETY: passed on to the caller.
        unsafe { arch::observe(call, relocation, before) }
    }

    /// Whether sites of the interrupt flag may hold the ROM's own code.
    fn inlines(&self) -> bool {
        true
    }

    /// What to declare as the first linear mapping when everything is patched.
    fn linear_mapping(&self) -> Option<LinearMapping> {
        None
    }

    /// Calls SetLinearMapping at linear address `entry`, for slot 0. Not by a site, so that a kernel that has
    /// none still has none.
    ///
    /// # Safety
    ///
    /// `entry` is that of a sound ROM whose vmi_init has succeeded, and what `mapping` states is so.
    unsafe fn set_linear_mapping(&mut self, entry: u32, mapping: LinearMapping);
}

/// [`activate`] on any machine.
///
/// # Errors
///
/// As for [`activate`].
///
/// # Safety
///
/// As for [`activate`], as far as the machine does not see to it.
pub unsafe fn activate_on(machine: &mut impl Machine, text: &mut impl TextWriter) -> Result<Backend, Error> {
    let native = |reason| Ok(Backend::Native(reason));

    let rom = match rom::probe(machine.option_roms()) {
        Ok(rom) => rom,
        Err(error) => return native(NativeReason::Rom(error)),
    };

    let (address, records) = machine.site_records();
    let sites = SiteTable::from_bytes(address, records, machine.native_stubs()).map_err(Into::into);
    let sites = match sites.and_then(|sites| check_native(sites, text).map(|()| sites)) {
        Ok(sites) => sites,
        Err(error) => return native(NativeReason::Site(error)),
    };

    let init = machine.linear(rom.init_entry());
    // SAFETY: the ROM is sound as far as that can be seen, and the machine as the caller vouches.
    let status = unsafe { machine.init(init) };
    if status != 0 {
        return native(NativeReason::Init { rom: rom.address(), status });
    }

    let kernel_ring = machine.ring();
    let failed = |cause| Error { rom: rom.address(), kernel_ring, cause };
    let base = machine.linear(rom.address());
    let relocations = rom.relocations(base, |entry, number| {
        // SAFETY: vmi_init has succeeded.
        unsafe { machine.relocation(entry, number) }
    });
    let mut relocations = relocations.map_err(|error| failed(ErrorCause::Plan(error.into())))?;
    rom.bind_adapters(&mut relocations, |adapter, target| machine.adapter(adapter, target));
    if machine.makes_any_call() {
        let checked = relocations.check_sites_of_all();
        checked.map_err(|error| failed(ErrorCause::Plan(error.into())))?;
    }
    if machine.inlines() {
        relocations = relocations.with_inline_code(base, rom.image());
    }
    let plan = Plan::new(sites, relocations, text);
    let plan = plan.map_err(|error| failed(ErrorCause::Plan(error)))?;
    // SAFETY: interrupts are masked and no other processor runs, as the caller vouches; the ROM is
    // initialised.
    unsafe { plan.commit(text) }.map_err(|error| failed(ErrorCause::Commit(error)))?;
    let set_linear_mapping = plan.relocation(Call::SET_LINEAR_MAPPING).branch_target();
    if let (Some(entry), Some(mapping)) = (set_linear_mapping, machine.linear_mapping()) {
        // SAFETY: the target has been checked, and the caller vouches for the mapping.
        unsafe { machine.set_linear_mapping(entry, mapping) };
    }
    Ok(Backend::Vmi(Vmi { rom, kernel_ring, plan }))
}

//! The real machine, and [`Machine`], which is all that a guest has of it.
//!
//! # Safety
//!
//! The pages named here are used by the guest only while it runs, and each is referred to once.
#![allow(unsafe_code)]

mod boot;
mod clock;
mod console;
mod control;
mod exit;
mod gdt;
mod idt;
mod integrity;
mod memory;
mod modules;
mod monitor;
mod options;
mod paging;
mod panic;
mod pic;
mod ports;
mod races;
mod rom_code;
mod shadow;
mod switch;
mod timer;
mod turns;

use core::arch::x86::__cpuid_count;
use core::fmt;

use vmi_hypervisor::frame::eflags;
use vmi_hypervisor::host::{Flush, Host, Mapping, NotMemory, Table};
use vmi_hypervisor::layout::{DESCRIPTORS, PAGE_SIZE, ROM, shared};
use vmi_hypervisor::physical::{Area, ROM_SIZE, area};
use vmi_hypervisor::rom::{Image, Windows};
use vmi_hypervisor::stop::Stop;
use vmi_hypervisor::vcpu::{Mode, Vcpu};

use crate::serial::line;
use control::Control;
use integrity::Fingerprint;
use memory::BiosData;
use modules::Cargo;
use monitor::Monitor;
use shadow::{Page, Shadow};
use switch::NotTaken;
use timer::Timer;

/// What the guest sees where it has neither memory nor devices of its own.
#[repr(C, align(4096))]
struct Pages {
    rom: [u8; ROM_SIZE as usize],
    local_apic: [u32; 1024],
    hole: [u8; PAGE_SIZE as usize],
}

static mut PAGES: Pages =
    Pages { rom: [!0; ROM_SIZE as usize], local_apic: [0; 1024], hole: [!0; PAGE_SIZE as usize] };

/// The machine.
pub struct Machine {
    monitor: &'static mut Monitor,
    shadow: Shadow,
    pages: &'static mut Pages,
    control: Control,
    /// Where the guest must not be interrupted in the ROM.
    windows: Windows,
    timer: Timer,
    bios: BiosData,
    /// Nanoseconds since 1970 when the time-stamp counter was `start`.
    started: u64,
    start: u64,
}

impl Machine {
    /// Takes the machine from the loader, with `rom` for the guests.
    ///
    /// # Safety
    ///
    /// Called once, in ring 0, with paging off and interrupts masked, after [`Cargo::rescue`].
    unsafe fn take(cargo: &Cargo, rom: &Image) -> Self {
        // SAFETY: by the contract.
        let monitor = unsafe { Monitor::take(gdt::DATA) };
        gdt::fill(monitor);
        idt::fill(monitor);
        // SAFETY: by the contract.
        unsafe { paging::enable(cargo.memory_end) };
        // SAFETY: the tables are filled and mapped, and the descriptors can still be written.
        unsafe { gdt::load() };
        // SAFETY: the hypervisor writes to the monitor's pages by their places in its image.
        unsafe { paging::protect() };
        pic::initialize();
        let pages = &raw mut PAGES;
        // SAFETY: nothing else refers to them.
        let pages = unsafe { &mut *pages };
        pages.rom = rom.bytes;
        // SAFETY: by the contract.
        let shadow = unsafe { Shadow::take() };
        let timer = Timer::new();
        let (started, start) = (clock::nanoseconds(), timer::cycles());
        Self {
            monitor,
            shadow,
            pages,
            control: Control::new(),
            windows: rom.windows,
            timer,
            bios: BiosData::save(),
            started,
            start,
        }
    }

    /// Makes the machine what it was before any guest, with the guest's memory cleared.
    fn reset(&mut self) {
        memory::clear();
        self.bios.restore();
        self.shadow.forget_all();
        self.monitor.guest_gdt.fill(0);
        self.monitor.ldt.fill(0);
        self.monitor.shared.fill(0);
        self.pages.local_apic.fill(0);
        self.open_ports(false);
        self.control.reset();
        races::clear();
    }

    /// Runs the guest until it is left.
    fn run(&mut self, vcpu: &mut Vcpu) -> Result<(), Stop> {
        let [user_code, user_stack] = vcpu.sysexit_selectors();
        let flag = if vcpu.interrupt_flag { eflags::INTERRUPT } else { 0 };
        for (offset, value) in [
            (shared::FLAG, flag),
            (shared::PENDING, vcpu.interrupt_pending.into()),
            (shared::USER_CODE, user_code.into()),
            (shared::USER_STACK, user_stack.into()),
        ] {
            self.monitor.shared[(offset / 4) as usize] = value;
        }
        self.control.set(vcpu.cr0, vcpu.cr4);
        let guarded = paging::SharedPage::guard(vcpu.has_masked_interrupt());
        let left = switch::run(&mut vcpu.frame, self.shadow.address());
        drop(guarded);
        match left {
            Ok(address) => vcpu.fault_address = address,
            Err(NotTaken { vector, error_code }) => {
                let what = "registers that the processor does not take: exception, error code";
                let value = u32::from(vector) << 16 | error_code & 0xFFFF;
                return Err(Stop::Refused { what, value, eip: vcpu.frame.eip });
            }
        }
        if vcpu.mode == Mode::Paravirtual {
            let flag = self.monitor.shared[(shared::FLAG / 4) as usize];
            vcpu.interrupt_flag = flag & eflags::INTERRUPT != 0;
        }
        Ok(())
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::take(self.monitor, &[&self.pages.rom, &self.pages.hole])
    }

    /// Where the bytes of an area that is not memory lie, as far as they can be read.
    fn page(&self, address: u32) -> Option<&[u8]> {
        let (bytes, offset): (&[u8], u32) = match area(address.into())? {
            Area::Rom => (&self.pages.rom, address - ROM),
            Area::Hole => (&self.pages.hole, address % PAGE_SIZE),
            Area::Memory | Area::Video | Area::LocalApic => return None,
        };
        bytes.get(offset as usize..)
    }
}

impl Host for Machine {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), NotMemory> {
        let error = NotMemory { address };
        let address = u32::try_from(address).map_err(|_| error)?;
        if let Some(page) = self.page(address) {
            bytes.copy_from_slice(page.get(..bytes.len()).ok_or(error)?);
            return Ok(());
        }
        if memory::read(address, bytes) { Ok(()) } else { Err(error) }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NotMemory> {
        let error = NotMemory { address };
        let address = u32::try_from(address).map_err(|_| error)?;
        if let Some(page) = self.page(address) {
            return if page.len() < bytes.len() { Err(error) } else { Ok(()) };
        }
        if memory::write(address, bytes) { Ok(()) } else { Err(error) }
    }

    fn map(&mut self, linear: u32, mapping: Mapping) {
        let address = mapping.physical as u32 & !(PAGE_SIZE - 1);
        let (frame, may_write) = match area(mapping.physical) {
            Some(Area::Memory | Area::Video) => (address, true),
            Some(Area::Rom) => (&raw const self.pages.rom as u32 + (address - ROM), false),
            Some(Area::Hole) => (&raw const self.pages.hole as u32, false),
            Some(Area::LocalApic) => (&raw const self.pages.local_apic as u32, false),
            None => panic!("the guest has nothing at {:09x}", mapping.physical),
        };
        let Mapping { writable, user, executable, .. } = mapping;
        self.shadow.map(linear, Page { frame, writable: writable && may_write, user, executable });
    }

    fn flush(&mut self, what: Flush) {
        match what {
            Flush::All => self.shadow.forget_all(),
            Flush::Page(linear) => self.shadow.forget(linear),
        }
    }

    fn set_descriptor(&mut self, table: Table, index: u16, descriptor: u64) {
        let entries = match table {
            Table::Gdt => &mut self.monitor.guest_gdt,
            Table::Ldt => &mut self.monitor.ldt,
        };
        debug_assert!(index < DESCRIPTORS);
        entries[usize::from(index)] = descriptor;
    }

    fn open_ports(&mut self, open: bool) {
        for (ports, own) in self.monitor.task.ports.iter_mut().zip(ports::OWN) {
            *ports = if open { *ports & !own } else { *ports | own };
        }
    }

    fn port_in(&mut self, port: u16, width: u8) -> u32 {
        ports::read(port, width)
    }

    fn port_out(&mut self, port: u16, width: u8, value: u32) {
        ports::write(port, width, value);
    }

    fn set_apic_register(&mut self, offset: u16, value: u32) {
        self.pages.local_apic[usize::from(offset / 4)] = value;
    }

    fn cycles(&self) -> u64 {
        timer::cycles()
    }

    fn frequency(&self) -> u64 {
        self.timer.frequency()
    }

    fn wall_clock(&self) -> u64 {
        let passed = u128::from(timer::cycles() - self.start) * 1_000_000_000;
        self.started + (passed / u128::from(self.timer.frequency())) as u64
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let answer = __cpuid_count(leaf, subleaf);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        line!("@hv.log {line}");
    }
}

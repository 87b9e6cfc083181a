//! The table of contents: the guests run, one after another.
//!
//! # Safety
//!
//! This is the hypervisor's only thread of control.
#![allow(unsafe_code)]

use vmi_hypervisor::frame::{Frame, eflags};
use vmi_hypervisor::guest::Guest;
use vmi_hypervisor::host::Host;
use vmi_hypervisor::layout::{START_CODE, START_DATA};
use vmi_hypervisor::loader::{BOOTLOADER_MAGIC, INFORMATION, LoadError, Program};
use vmi_hypervisor::rom::Image;
use vmi_hypervisor::run::Entry;
use vmi_hypervisor::stop::Stop;
use vmi_hypervisor::vcpu::Vcpu;

use super::exit::exit;
use super::modules::{Cargo, Module};
use super::options::Options;
use super::races::Races;
use super::timer::{self, Timer};
use super::{Machine, console, rom_code};
use crate::serial::{self, line};

/// Called by the first instructions with EAX and EBX as the loader left them, interrupts masked.
///
/// # Safety
///
/// Called once, by `boot`, which gives what each of the functions below asks for.
#[unsafe(no_mangle)]
unsafe extern "C" fn hypervisor_main(magic: u32, information: u32) -> ! {
    serial::initialize();
    line!("@hv {} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    // SAFETY: nothing but the hypervisor's own memory has been written since the loader ended.
    let cargo = unsafe { Cargo::rescue(magic, information) };
    let options = Options::parse(cargo.command_line);
    let rom = Image::new(&rom_code::code(), options.leave).expect("the assembly names its own places");
    // SAFETY: in ring 0, with paging off and interrupts masked.
    let mut machine = unsafe { Machine::take(&cargo, &rom) };
    line!("@hv.frequency {}", machine.timer.frequency());

    machine.reset();
    let before = machine.fingerprint();
    let mut code = 0;
    for module in cargo.modules() {
        let stop;
        (machine, stop) = guest(machine, module, &options);
        code = code.max(stop.code());
        machine.reset();
    }
    let intact = machine.fingerprint() == before;
    line!("@hv.intact {}", if intact { "yes" } else { "no" });
    exit(if intact { code } else { code.max(Stop::STOPPED) })
}

/// Runs a guest to its end on a machine that was reset.
fn guest(mut machine: Machine, module: &Module, options: &Options) -> (Machine, Stop) {
    let (name, words) = module.words();
    line!("@hv.guest {}", name.escape_ascii());
    let vcpu = match load(module.image, words, &mut machine) {
        Ok(vcpu) => vcpu,
        Err(error) => {
            let stop = Stop::NotStarted(error);
            line!("@hv.stopped {stop}");
            return (machine, stop);
        }
    };
    let windows = machine.windows;
    let mut guest = Guest::new(vcpu, machine);
    guest.windows = windows;
    let mut races = options.races.then(Races::default);
    let stop = turns(&mut guest, options, &mut races);
    console::take_back();
    line!("@hv.stopped {stop}");
    guest.counter_lines(|count| line!("@hv.{count}"));
    if let Some(races) = races {
        line!("@hv.interrupts.in_window {}", races.hits);
    }
    (guest.host, stop)
}

/// Puts a kernel into the guest's memory; the processor with which it starts.
fn load(file: &[u8], command_line: &[u8], machine: &mut Machine) -> Result<Vcpu, LoadError> {
    let program = Program::parse(file)?;
    program.load(command_line, |address, bytes| machine.write(address.into(), bytes))?;
    let (code, data) = (START_CODE.into(), START_DATA.into());
    Ok(Vcpu::new(Frame {
        eip: program.entry,
        eax: BOOTLOADER_MAGIC,
        ebx: INFORMATION,
        cs: code,
        ss: data,
        ds: data,
        es: data,
        fs: data,
        gs: data,
        eflags: eflags::ALWAYS,
        ..Frame::default()
    }))
}

/// Runs a guest until something ends it.
fn turns(guest: &mut Guest<Machine>, options: &Options, races: &mut Option<Races>) -> Stop {
    let steal = options.steal * guest.host.timer.frequency() / 1_000_000;
    loop {
        match guest.enter() {
            Ok(Entry::Run) => {
                guest.host.timer.set(guest.deadline());
                if let Err(stop) = guest.host.run(&mut guest.vcpu) {
                    return stop;
                }
                let is_interrupt = timer::interrupted(guest.vcpu.frame.vector as u8);
                if let Some(races) = races {
                    races.left(guest);
                }
                if is_interrupt && steal != 0 {
                    guest.stolen(Timer::spend(steal));
                }
                if let Err(stop) = guest.exit() {
                    return stop;
                }
            }
            Ok(Entry::Wait) => {
                let Some(deadline) = guest.deadline() else {
                    return Stop::Asleep;
                };
                guest.host.timer.set(Some(deadline));
                Timer::wait();
            }
            Err(stop) => return stop,
        }
    }
}

//! Interrupts on purpose where the ROM's IRET has looked for them already, but has not returned yet.
//!
//! A breakpoint of the real processor lies behind the look, or on the `iretd`. When the guest comes there, it is
//! kept until its next interrupt is due, which so falls between the look and the return.
//!
//! # Safety
//!
//! The breakpoint lies outside the hypervisor, so only the guest runs into it, and that leads to `switch`.
#![allow(unsafe_code)]

use core::arch::asm;

use vmi_hypervisor::fault::vector;
use vmi_hypervisor::frame::eflags;
use vmi_hypervisor::guest::Guest;
use vmi_hypervisor::host::Host;
use vmi_hypervisor::layout::{HYPERCALL, REAL_INTERRUPTS, ROM};
use vmi_hypervisor::paging::{Access, Intent, Privilege};
use vmi_hypervisor::physical::{Area, area};
use vmi_hypervisor::rom::Windows;

use super::timer::Timer;
use super::{Machine, boot};

/// DR6: breakpoint 0 was hit.
const HIT: u32 = 1 << 0;
/// DR7: breakpoint 0, at an instruction, in all tasks.
const ENABLED: u32 = 1 << 1;
const DISABLED: u32 = 0;
/// An interrupt that is farther away than a second divided by this is not waited for: so the guest still gets
/// somewhere between the ticks of its timer.
const NEAR: u64 = 50_000;

/// The breakpoint.
#[derive(Default)]
pub struct Races {
    /// How many of the guest's have fallen into the window.
    pub hits: u32,
    is_set: bool,
    /// Linear address of the ROM.
    rom: Option<u32>,
}

impl Races {
    /// Looks at why the guest was left, before it does.
    pub fn left(&mut self, guest: &mut Guest<Machine>) {
        let frame = &guest.vcpu.frame;
        match frame.vector as u8 {
            vector::DEBUG if self.is_set && frame.error_code & HIT != 0 => {
                // The guest has to get past the place once before it is set again.
                return self.hit(guest);
            }
            HYPERCALL => self.find_rom(guest),
            _ => {}
        }
        if !self.is_set {
            self.set(guest.windows);
        }
    }

    /// The guest comes from the ROM: so it is known where it sees it.
    fn find_rom(&mut self, guest: &mut Guest<Machine>) {
        let eip = guest.vcpu.frame.eip;
        let access = Access { intent: Intent::Execute, privilege: Privilege::Supervisor };
        if let Ok(translation) = guest.translate(eip, access)
            && !guest.vcpu.frame.is_user()
            && area(translation.physical) == Some(Area::Rom)
        {
            self.rom = Some(eip.wrapping_sub(translation.physical as u32 - ROM));
        }
    }

    /// Sets the breakpoint.
    fn set(&mut self, windows: Windows) {
        // Either place has its turn: before the flag is set, and behind that.
        let place = if self.hits.is_multiple_of(2) { windows.iret_asked } else { windows.iret_or };
        let address = self.rom.map(|rom| rom.wrapping_add(place));
        let outside = |address: &u32| !(boot::start()..boot::end()).contains(address);
        if let Some(address) = address.filter(outside) {
            write(address, ENABLED);
            self.is_set = true;
        }
    }

    /// The guest is in the window: waits there with it for an interrupt that is near, and lets it be
    /// interrupted.
    fn hit(&mut self, guest: &mut Guest<Machine>) {
        clear();
        self.is_set = false;
        let now = guest.host.cycles();
        let near = guest.host.frequency() / NEAR;
        if let Some(wait) = guest.deadline().map(|deadline| deadline.saturating_sub(now))
            && wait <= near
        {
            Timer::spend(wait);
            self.hits += 1;
        }
        let frame = &mut guest.vcpu.frame;
        frame.vector = REAL_INTERRUPTS.into();
        frame.error_code = 0;
        frame.eflags &= !eflags::RESUME;
    }
}

/// Takes the breakpoint away.
pub fn clear() {
    write(0, DISABLED);
}

/// Sets DR0 and DR7.
fn write(address: u32, control: u32) {
    // SAFETY: see the module.
    unsafe {
        asm!(
            "mov dr0, {}",
            "mov dr7, {}",
            in(reg) address,
            in(reg) control,
            options(nomem, nostack, preserves_flags),
        );
    }
}

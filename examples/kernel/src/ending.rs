//! The calls that do not come back: each is the last thing of a run of its own.
//!
//! The timer ticks meanwhile, so that a processor which only seems to be switched off goes on. Whether it is
//! off, or the machine was reset, is for the one who watches the machine to see.
//!
//! # Safety
//!
//! Interrupts are unmasked while the kernel does nothing else.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::{irq, power};

use crate::command_line::Ending;
use crate::serial::line;
use crate::{pit, ticks};

/// Says which call comes, and makes it.
pub fn run(ending: Ending) -> ! {
    pit::periodic(pit::SLOW);
    // SAFETY: see the module.
    unsafe { irq::enable() };
    assert!(ticks::wait_for(2), "the timer does not tick");
    let call = match ending {
        Ending::Reboot(_) => Call::REBOOT,
        Ending::Shutdown => Call::SHUTDOWN,
    };
    line!("@last {}", call.number());
    match ending {
        Ending::Reboot(kind) => power::reboot(kind),
        Ending::Shutdown => power::shutdown(),
    }
}

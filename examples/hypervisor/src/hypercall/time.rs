//! Calls 67 to 69: counters and alarms.

use paravirt_vmi_abi::flags::{AlarmFlags, Counter};

use crate::guest::Guest;
use crate::host::Host;

impl<H: Host> Guest<H> {
    pub(super) fn cycle_counter(&mut self, number: u32) -> u64 {
        self.board.time.read(Counter(number), self.host.cycles())
    }

    pub(super) fn set_alarm(&mut self, flags: u32, expiry: u64, period: u64) {
        self.board.time.set_alarm(AlarmFlags::from_bits_retain(flags), expiry, period);
    }

    pub(super) fn cancel_alarm(&mut self, flags: u32) -> bool {
        self.board.time.cancel_alarm(AlarmFlags::from_bits_retain(flags))
    }
}

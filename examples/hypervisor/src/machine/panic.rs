//! What happens when the hypervisor finds itself broken.

use core::panic::PanicInfo;

use super::exit::exit;
use crate::serial::line;

/// The exit code.
const PANICKED: u8 = 0x13;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    line!("@hv.panic {info}");
    exit(PANICKED)
}

//! What happens when the kernel finds itself broken.

use core::panic::PanicInfo;

use paravirt_vmi::irq;

use crate::exit::{Code, exit};
use crate::serial::line;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    irq::disable();
    line!("{info}");
    exit(Code::Panicked)
}

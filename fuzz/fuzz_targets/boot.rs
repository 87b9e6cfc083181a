//! The whole boot sequence on any option-ROM window whose first ROM's checksum has been made right.
#![no_main]

use properties::{boot, probe};

libfuzzer_sys::fuzz_target!(|window: &[u8]| {
    boot::check(&probe::resum(window));
});

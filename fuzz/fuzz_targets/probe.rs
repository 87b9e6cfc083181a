//! Any option-ROM window, as it is and with its first ROM's checksum made right.
#![no_main]

use properties::probe;

libfuzzer_sys::fuzz_target!(|window: &[u8]| {
    _ = probe::check(window);
    _ = probe::check(&probe::resum(window));
});

//! Any section `vmi_sites`.
#![no_main]

use properties::records;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    _ = records::check(bytes);
});

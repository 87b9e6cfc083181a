//! Any kernel in front of any ROM.
#![no_main]

use properties::plan::{self, Case};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    _ = plan::check(&Case::decode(bytes));
});

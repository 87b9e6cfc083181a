//! What must hold, and a list of it.

mod deliveries;
mod halts;
mod leaving;
mod masking;
mod patching;
mod process;
pub mod report;
mod storm;
mod unpatched;

use crate::harness::Test;

/// The list of the tests in a module, by name.
macro_rules! tests {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        pub const TESTS: &[$crate::harness::Test] = &[
            $($(#[$attribute])* (concat!(module_path!(), "::", stringify!($name)), $name)),*
        ];
    };
}
use tests;

/// All tests.
pub fn all() -> Vec<Test> {
    let lists = [
        process::TESTS,
        unpatched::TESTS,
        patching::TESTS,
        masking::TESTS,
        deliveries::TESTS,
        leaving::TESTS,
        halts::TESTS,
        storm::TESTS,
        report::TESTS,
    ];
    let name = |(name, test): &Test| (name.trim_start_matches("process::tests::"), *test);
    lists.into_iter().flatten().map(name).collect()
}

/// Waits for what the guest's thread does, in another one. It sleeps when that takes long, so that it does not take the
/// processor from the guest.
fn wait_until(condition: impl Fn() -> bool) {
    for attempt in 0_u32.. {
        if condition() {
            return;
        }
        if attempt < 200 {
            std::hint::spin_loop();
        } else {
            std::thread::sleep(std::time::Duration::from_micros(10));
        }
    }
}

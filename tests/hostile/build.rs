//! Links by a script of its own.

use std::env;

#[path = "../../examples/kernel/link.rs"]
mod link;

fn main() {
    link::with_script("hostile.ld");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86") {
        // It is loaded many times over into one machine.
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-debug");
    }
}

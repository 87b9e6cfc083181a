//! Links a freestanding i386 program by its own script instead of the host's start files.

use std::env;
use std::path::Path;

/// Tells Cargo to link the package's binaries by `script`, a path relative to the package.
pub fn with_script(script: &str) {
    let package = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let script = Path::new(&package).join(script);
    println!("cargo::rerun-if-changed={}", script.display());
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86") {
        for argument in ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}

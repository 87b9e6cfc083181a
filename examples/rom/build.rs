//! Passes the linker script of the ROM image to the linker, and names what follows from the features.
//!
//! * `legacy`: generation 13.x, whose calls lie in slots.
//! * `all_calls`: the image holds the code of every call. Without it, those that the minimal style does
//!   not provide are left out; in 13.x every slot has to hold something.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=rom.ld");
    println!("cargo::rustc-check-cfg=cfg(legacy)");
    println!("cargo::rustc-check-cfg=cfg(all_calls)");
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let legacy = feature("V13_0") || feature("V13_3");
    if legacy {
        println!("cargo::rustc-cfg=legacy");
    }
    if legacy || !feature("MINIMAL") {
        println!("cargo::rustc-cfg=all_calls");
    }
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("x86") {
        return;
    }
    for argument in [
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        // Relocations stay in the ELF file, so that the image can be checked for absolute addresses.
        "-Wl,--emit-relocs",
        // A section that the script does not place is an error.
        "-Wl,--orphan-handling=error",
    ] {
        println!("cargo::rustc-link-arg={argument}");
    }
    // Build scripts run in the package's directory, the linker does not.
    let script = env::current_dir().expect("a build script has a current directory").join("rom.ld");
    println!("cargo::rustc-link-arg=-T{}", script.display());
}

//! Passes the linker script of the ROM image to the linker.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=rom.ld");
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

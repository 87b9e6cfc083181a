//! Compiles the C part, and links by the script of the example kernel.

use std::env;
use std::path::Path;
use std::process::Command;

#[path = "../../examples/kernel/link.rs"]
mod link;

/// The C part.
const SOURCE: &str = "src/planted.c";

fn main() {
    link::with_script("../../examples/kernel/kernel.ld");
    println!("cargo::rerun-if-changed={SOURCE}");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("x86") {
        return;
    }
    let directory = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let object = Path::new(&directory).join("planted.o");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-m32", "-march=i586", "-c", "-ffreestanding", "-fno-pic", "-O1", "-g"])
        .args(["-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"])
        .args(["-Wall", "-Wextra", "-Werror", SOURCE, "-o"])
        .arg(&object);
    let status = compiler.status().unwrap_or_else(|error| panic!("cannot run cc: {error}"));
    assert!(status.success(), "cc fails: {status}");
    println!("cargo::rustc-link-arg-bins={}", object.display());
}

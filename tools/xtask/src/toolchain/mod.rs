//! What the i386 half of the project needs from the machine: a Rust compiler with `core` for
//! [`TARGET`], a C compiler that links 32-bit programs, QEMU, and for some of the tests Bochs, a 32-bit C library, and
//! the oldest compiler that the libraries build with.
//!
//! What is missing is unpacked from Debian's packages into a private directory; nothing is ever
//! installed into the system.

mod apt;
mod bochs;
mod c_library;
mod cache;
mod compiler;
mod debian;
mod emulator;
pub mod foreign;
mod linker;
mod oldest;

use anyhow::Result;

use crate::packages;

pub use bochs::Bochs;
pub use c_library::CLibrary;
pub use compiler::{Compiler, Library, cargo};
pub use emulator::Emulator;
pub use oldest::OldestCompiler;

/// The freestanding packages are built for this target: a 32-bit x86 without SSE.
pub const TARGET: &str = "i586-unknown-linux-gnu";

/// Whether missing tools may be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Download what is missing.
    Allowed,
    /// Fail when something is missing (`--no-install`).
    Refused,
}

/// Everything that is needed to build and boot the i386 packages.
#[derive(Debug)]
pub struct Toolchain {
    /// Builds the i386 packages.
    pub compiler: Compiler,
    /// Boots them.
    pub emulator: Emulator,
}

impl Toolchain {
    /// Finds or installs the tools.
    pub fn find(install: Install) -> Result<Self> {
        let compiler = Compiler::find(install)?;
        let emulator = Emulator::find(install)?;
        Ok(Self { compiler, emulator })
    }
}

/// `cargo xtask setup`: finds or installs the tools and says which they are.
pub fn setup(install: Install) -> Result<()> {
    let toolchain = Toolchain::find(install)?;
    println!("Rust      {}", toolchain.compiler.describe());
    println!("C         {}", linker::describe()?);
    println!("emulator  {}", toolchain.emulator.describe());
    println!("another   {}", Bochs::find(install)?.describe()?);
    println!("a kernel  GNU Mach: {}", foreign::find(install)?.display());
    let (version, _) = packages::libraries()?;
    println!("oldest    {}", OldestCompiler::find(&version, install)?.describe());
    println!("32 bits   {}", CLibrary::find(install)?.describe());
    Ok(())
}

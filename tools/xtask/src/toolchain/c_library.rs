//! The C library for 32-bit Linux programs, and whether this machine runs such programs.
//!
//! `std` needs the C library, the start files and the unwinder of the C compiler. A machine whose C compiler has them
//! (on Debian, with gcc-multilib) is used as it is; else the two packages that hold them are unpacked into the cache
//! directory, and named to the linker. Programs are linked statically, so that no 32-bit dynamic linker has to exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::linker::{self, Probe};
use super::{Install, cache, debian};
use crate::process;

/// A program without a C library that ends with [`STATUS`].
const FREESTANDING: &str = "\
void _start(void) { __asm__ volatile(\"int $0x80\" : : \"a\"(1), \"b\"(42)); __builtin_unreachable(); }\n";
/// One that needs the C library, and the unwinder.
const HOSTED: &str = "\
int printf(const char *, ...); void *_Unwind_GetIP(void *);
int main(int n, char **v) { return n > 9 ? printf(\"%p\", _Unwind_GetIP(v)) : 42; }\n";
/// The exit status of both.
const STATUS: i32 = 42;

/// What to do where the kernel refuses.
const REFUSED: &str = "this kernel does not run 32-bit programs: it needs CONFIG_IA32_EMULATION, and `ia32_emulation=1` \
                       on its command line if that is off by default";

/// A 32-bit C library that programs can be linked with.
#[derive(Clone, Debug)]
pub struct CLibrary {
    /// Where it is unpacked; nowhere if the C compiler finds its own.
    directory: Option<PathBuf>,
}

impl CLibrary {
    /// Finds a 32-bit C library, or installs one; makes sure before that such programs run on this machine.
    pub fn find(install: Install) -> Result<Self> {
        let probe = Probe::link(FREESTANDING, &["-nostdlib".to_owned()])?;
        if !runs(&probe.context("the C compiler does not link 32-bit programs: install gcc")?) {
            bail!(REFUSED);
        }
        let system = Self { directory: None };
        if system.links() {
            return Ok(system);
        }
        let version = linker::major_version()?;
        let name = format!("libc-i386-gcc-{version}");
        let is_sound = |directory: &Path| Self { directory: Some(directory.to_owned()) }.links();
        if let Some(directory) = cache::find(&name, is_sound)? {
            return Ok(Self { directory: Some(directory) });
        }
        if install == Install::Refused {
            bail!("there is no 32-bit C library here: run `cargo xtask setup`, or install gcc-multilib");
        }
        let compiler = format!("lib32gcc-{version}-dev");
        let packages = ["libc6-dev-i386", compiler.as_str()];
        let directory = debian::install_alone(&name, is_sound, "a 32-bit C library", &packages);
        let directory = debian::otherwise(directory, "otherwise install gcc-multilib")?;
        Ok(Self { directory: Some(directory) })
    }

    /// The arguments of the C compiler that have it find the library.
    pub fn linker_arguments(&self) -> Vec<String> {
        let directories = self.directory.iter().flat_map(|directory| {
            let root = directory.join("root/usr");
            [Some(root.join("lib32")), compiler_directory(&root)].into_iter().flatten()
        });
        // Start files, and libraries.
        directories
            .flat_map(|path| [format!("-B{}", path.display()), format!("-L{}", path.display())])
            .collect()
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        match &self.directory {
            Some(directory) => format!("a static C library, programs run: {}", directory.display()),
            None => "the C compiler's own C library, programs run".to_owned(),
        }
    }

    /// Whether programs can be linked with it, and run.
    fn links(&self) -> bool {
        Probe::link(HOSTED, &self.linker_arguments())
            .is_ok_and(|probe| probe.is_some_and(|probe| runs(&probe)))
    }
}

/// Where the C compiler's own 32-bit files lie: `lib/gcc/MACHINE/VERSION/32`.
fn compiler_directory(root: &Path) -> Option<PathBuf> {
    let inside = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(root.join("lib/gcc")).flat_map(inside).map(|path| path.join("32")).find(|path| path.is_dir())
}

/// Whether a program runs to its end.
fn runs(probe: &Probe) -> bool {
    let mut command = Command::new(probe.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ending = process::run_until(&mut command, std::time::Duration::from_secs(10));
    matches!(ending, Ok(process::Ending::Exited(Some(STATUS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_own_directory_is_found_whatever_machine_and_version_it_is_named_after() {
        let root = std::env::temp_dir().join(format!("paravirt-vmi-c-library-{}", std::process::id()));
        let expected = root.join("lib/gcc/machine/14/32");
        fs::create_dir_all(root.join("lib/gcc/machine/13")).unwrap();
        fs::create_dir_all(&expected).unwrap();
        assert_eq!(compiler_directory(&root), Some(expected));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(compiler_directory(&root), None);
    }

    #[test]
    fn the_c_compilers_own_library_needs_no_argument() {
        assert!(CLibrary { directory: None }.linker_arguments().is_empty());
        let unpacked = CLibrary { directory: Some("/nowhere".into()) };
        assert_eq!(unpacked.linker_arguments(), ["-B/nowhere/root/usr/lib32", "-L/nowhere/root/usr/lib32"]);
    }
}

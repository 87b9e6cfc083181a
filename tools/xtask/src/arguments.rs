//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Error, Parser, ValueExt as _};

use crate::command::bench;
use crate::command::boot::Selection;
use crate::environment::UNPATCHED;
use crate::fuzz::Target;
use crate::rom::{Flavour, Generation, Style};
use crate::toolchain::Install;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To print this text.
    Help(&'static str),
    /// To find or install the tools.
    Setup(Install),
    /// To boot the kernel.
    Boot(Selection, Install),
    /// To build and list the ROM.
    Rom {
        /// How to build it.
        flavour: Flavour,
        /// Where to write it.
        output: Option<PathBuf>,
        /// Whether tools may be installed.
        install: Install,
    },
    /// To write the generated files.
    Bless(Install),
    /// To compare the public interface of the libraries with the lists that are kept.
    Api(Install),
    /// To check the libraries with the oldest compiler that they promise to build with.
    Msrv(Install),
    /// To fuzz a target, or all of them, for some seconds each.
    Fuzz(Option<Target>, u64),
    /// To measure.
    Bench(bench::Selection, Install),
    /// To run all tests, or the steps with this in their names.
    Test(Option<String>, Install),
}

const HELP: &str = "\
cargo xtask COMMAND

  boot   build the kernel and the ROM, boot them in QEMU, show what the kernel found
  test   everything that must hold before a change is good
  bench  measure masking, patching, sizes and booting beside others, and say which goals hold
  rom    build a ROM image and list it
  fuzz   look for ROMs, kernels and site records with which the guest crate breaks its promises
  bless  write the generated files anew
  api    compare the public interface of the libraries with the lists in docs/api
  msrv   check the libraries with the oldest compiler that they promise to build with
  setup  find or install the compiler and QEMU; the other commands call it

`cargo xtask COMMAND --help` says more.";

const SETUP: &str = "\
cargo xtask setup [--no-install]

Finds a Rust compiler with `core` for i586-unknown-linux-gnu, a C compiler that links 32-bit
programs, QEMU, and what only `test` uses: Bochs with GRUB, a static 32-bit C library, a kernel of others
to audit, and the oldest compiler that the libraries build with. What is missing is downloaded as Debian
packages and unpacked, without root, in $PARAVIRT_VMI_CACHE, else $XDG_CACHE_HOME/paravirt-vmi, else
~/.cache/paravirt-vmi. Nothing is installed into the system. The kernel has to run 32-bit programs.

  --no-install  fail when something is missing";

const BOOT: &str = "\
cargo xtask boot [--on NAME[,NAME...]] [--no-patch] [--no-install]

Builds the kernel, its ROMs and the hypervisor, boots the kernel in QEMU, and prints tables by
environment: every call and how it was made, the other checks and figures, what shows the claims about
user code, what each I/O privilege level allows, what the hypervisor counted, the patched sites. Fails
if any check did, or if a call was not checked. Each environment is booted four times; three runs end
with Reboot and Shutdown.

  native          no ROM
  rom             a ROM of generation 3.0 that provides every call
  rom-minimal     one that leaves to native code what that does as well
  rom-13.0        a ROM of generation 13.0
  rom-13.3        a ROM of generation 13.3
  rom-jump        a ROM that wants IRET and SYSEXIT to be jumps
  rom-trace       a ROM that leaves one byte a call at the debug port
  rom-13.3-trace  the same in generation 13.3
  rom-off         a ROM that the kernel is told not to use

  hypervisor            the hypervisor in ring 0, the same kernel in ring 1
  hypervisor-calls      the hypervisor, and a kernel that calls its ROM also where the ROM's code would fit
  hypervisor-steal      one that steals time from the kernel on purpose
  hypervisor-jump       one whose ROM wants IRET and SYSEXIT to be jumps
  hypervisor-races      one that interrupts the kernel within the ROM's calls on purpose
  hypervisor-unpatched  the hypervisor, and a kernel that does not use its ROM: every privileged
                        instruction traps; only the checks that can hold so are made
  storm                 the hypervisor, and a kernel that counts 100,000 interrupts under random masking
  storm-calls           the same with a kernel that calls its ROM everywhere
  storm-races           the same with interrupts within the ROM's calls

  --on NAMES    environments by name; rom is all with a ROM, hypervisor all with a hypervisor, all is
                the default
  --no-patch    the same as --on hypervisor-unpatched
  --no-install  fail when a tool is missing";

const ROM: &str = "\
cargo xtask rom [--abi VERSION] [--style STYLE] [--trace] [--jump] [--output FILE] [--no-install]

Builds the ROM and lists its header, its calls or slots and their machine code.

  --abi VERSION  generation of the interface: 3.0 (the default), 13.0 or 13.3
  --style STYLE  full (the default): everything is provided; minimal: only what native code does
                 not do as well
  --trace        each call first writes its number to port E9, in 13.x that of its slot
  --jump         IRET and SYSEXIT are answered with a jump instead of a call
  --output FILE  where to write the image
  --no-install   fail when a tool is missing";

const FUZZ: &str = "\
cargo xtask fuzz [TARGET] [--seconds N]

Builds the fuzz targets with libFuzzer, and with the address sanitizer where the toolchain has it, runs
one or each in turn, and says how many executions there were and what they reached. Fails if a property
does not hold; the input is then in fuzz/artifacts. Starts from fuzz/corpus, and from what earlier runs
have left in the target directory. Needs a C++ compiler.

  probe    any option-ROM window
  boot     the whole boot sequence on any option-ROM window
  plan     any kernel in front of any ROM
  records  any section vmi_sites

  --seconds N  how long each target runs; 60 is the default";

/// How long a target runs unless something else is said, in seconds.
const FUZZ_SECONDS: u64 = 60;

const BLESS: &str = "\
cargo xtask bless [--no-install]

Writes the files that are generated from the call table and the layouts, and the lists of the public
interface in docs/api, and says which changed.

  --no-install  fail when the compiler is missing that makes the lists";

const API: &str = "\
cargo xtask api [--no-install]

Lists the public interface of each library, on the host and for i386, with all features, and compares
it with the lists in docs/api. `cargo xtask bless` renews them.

  --no-install  fail when the compiler is missing that makes the lists";

const MSRV: &str = "\
cargo xtask msrv [--no-install]

Checks the libraries, for the host and for i386, with each of their features, with a compiler of the
version that their manifests name as rust-version. That compiler is one of rustup's toolchains (with
rust-src), or is unpacked from Debian's packages like the other tools, see `cargo xtask setup --help`.

  --no-install  fail when the compiler is missing";

const BENCH: &str = "\
cargo xtask bench [--only TEXT] [--output DIRECTORY] [--bless] [--no-install]

Measures what masked sections and patching cost, beside others that do the same: in 32-bit processes on
this machine's processor, and in QEMU, which counts instructions. Prints a table of ratios, with
quartiles and with what is wanted of each, and writes it as table.md and plot.svg. A goal that does not
hold is reported, and is no failure. Fails if activating the example kernel takes over a tenth more
instructions than docs/bench/boot.txt says.

  sections  a masked section: the ROM's code at the sites, by hand, calls, indirect calls, traps
  patching  planning and committing 10 to 1,000,000 sites; keys of the crate static-keys
  kernel    instructions natively, beside cli and sti by hand, and on the hypervisor, patched or not
  sizes     bytes of text and records by section, in several styles
  boot      instructions of activation

  --only TEXT         only the parts with TEXT in their names; writes no files without --output
  --output DIRECTORY  where the table and the plot go; docs/bench is the default
  --bless             keep the instructions of activation as they are found
  --no-install        fail when a tool is missing";

const TEST: &str = "\
cargo xtask test [--only TEXT] [--no-install]

Formatting, lints, tests on the host and as 32-bit processes, patched sites executed in such a process,
documentation, the libraries with the oldest compiler that they promise to build with, their public
interface, builds for i386, audits of kernels (ours, one with planted instructions, damaged ones, and GNU
Mach beside `objdump`), checks of machine code, boots in QEMU with good and with bad ROMs, and a hostile
guest under the hypervisor in QEMU and in Bochs. Fails if any of them does.

  --only TEXT   only the steps with TEXT in their names
  --no-install  fail when a tool is missing";

/// Reads the command line.
pub fn parse(mut parser: Parser) -> Result<Request, Error> {
    let command = match parser.next()? {
        None => return Ok(Request::Help(HELP)),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Request::Help(HELP)),
        Some(Arg::Value(command)) => command.string()?,
        Some(argument) => return Err(argument.unexpected()),
    };
    let help = match command.as_str() {
        "setup" => SETUP,
        "boot" => BOOT,
        "rom" => ROM,
        "fuzz" => FUZZ,
        "bless" => BLESS,
        "api" => API,
        "msrv" => MSRV,
        "bench" => BENCH,
        "test" => TEST,
        _ => return Err(format!("there is no command {command:?}").into()),
    };
    let command = command.as_str();
    let mut install = Install::Allowed;
    let mut selection = None;
    let mut flavour = Flavour::default();
    let mut output = None;
    let mut only = None;
    let mut bless = false;
    let mut target = None;
    let mut seconds = FUZZ_SECONDS;
    while let Some(argument) = parser.next()? {
        match (command, &argument) {
            (_, Arg::Short('h') | Arg::Long("help")) => return Ok(Request::Help(help)),
            (_, Arg::Long("no-install")) => {
                install = Install::Refused;
            }
            ("boot", Arg::Long("on")) => {
                let names = parser.value()?.string()?;
                let chosen = Selection::parse(&names)
                    .map_err(|name| format!("--on: there is no environment {name:?}"))?;
                if selection.replace(chosen).is_some() {
                    return Err("--on and --no-patch: one of them, once".into());
                }
            }
            ("boot", Arg::Long("no-patch")) => {
                let chosen = Selection::parse(UNPATCHED).map_err(str::to_owned)?;
                if selection.replace(chosen).is_some() {
                    return Err("--on and --no-patch: one of them, once".into());
                }
            }
            ("fuzz", Arg::Long("seconds")) => seconds = parser.value()?.parse()?,
            ("fuzz", Arg::Value(name)) if target.is_none() => {
                let found = name.to_str().and_then(Target::from_name);
                target = Some(found.ok_or_else(|| format!("there is no fuzz target {name:?}"))?);
            }
            ("bench", Arg::Long("bless")) => bless = true,
            ("test" | "bench", Arg::Long("only")) => only = Some(parser.value()?.string()?),
            ("rom", Arg::Long("abi")) => {
                let name = parser.value()?.string()?;
                flavour.abi = Generation::from_name(&name)
                    .ok_or_else(|| format!("--abi takes 3.0, 13.0 or 13.3, not {name:?}"))?;
            }
            ("rom", Arg::Long("style")) => {
                let name = parser.value()?.string()?;
                flavour.style = Style::from_name(&name)
                    .ok_or_else(|| format!("--style takes full or minimal, not {name:?}"))?;
            }
            ("rom", Arg::Long("trace")) => flavour.trace = true,
            ("rom", Arg::Long("jump")) => flavour.jump = true,
            ("rom" | "bench", Arg::Long("output")) => output = Some(parser.value()?.into()),
            _ => return Err(argument.unexpected()),
        }
    }
    if !flavour.is_possible() {
        return Err(
            "in 13.0 a guest cannot ask how to reach a call: leave out --style minimal and --jump".into()
        );
    }
    Ok(match command {
        "setup" => Request::Setup(install),
        "boot" => Request::Boot(selection.unwrap_or_else(Selection::all), install),
        "rom" => Request::Rom { flavour, output, install },
        "fuzz" => Request::Fuzz(target, seconds),
        "bless" => Request::Bless(install),
        "api" => Request::Api(install),
        "msrv" => Request::Msrv(install),
        "bench" => Request::Bench(bench::Selection { only, output, bless }, install),
        _ => Request::Test(only, install),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Result<Request, String> {
        parse(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn benchmarks_take_a_part_a_directory_and_a_blessing() {
        let all = bench::Selection::default();
        assert_eq!(request(&["bench"]), Ok(Request::Bench(all, Install::Allowed)));
        let words = ["bench", "--only", "sizes", "--output", "d", "--bless", "--no-install"];
        let some = bench::Selection { only: Some("sizes".to_owned()), output: Some("d".into()), bless: true };
        assert_eq!(request(&words), Ok(Request::Bench(some, Install::Refused)));
        assert!(request(&["test", "--bless"]).is_err() && request(&["test", "--output", "d"]).is_err());
        assert_eq!(request(&["bench", "--help"]), Ok(Request::Help(BENCH)));
    }

    #[test]
    fn commands_have_defaults() {
        assert_eq!(request(&["boot"]), Ok(Request::Boot(Selection::all(), Install::Allowed)));
        assert_eq!(request(&["setup"]), Ok(Request::Setup(Install::Allowed)));
        assert_eq!(request(&["test"]), Ok(Request::Test(None, Install::Allowed)));
        assert_eq!(request(&["fuzz"]), Ok(Request::Fuzz(None, FUZZ_SECONDS)));
        assert_eq!(request(&["bless"]), Ok(Request::Bless(Install::Allowed)));
        assert_eq!(request(&["api", "--no-install"]), Ok(Request::Api(Install::Refused)));
        assert_eq!(request(&["msrv"]), Ok(Request::Msrv(Install::Allowed)));
    }

    #[test]
    fn options_are_taken_in_any_order() {
        let expected = Request::Boot(Selection::parse("rom").unwrap(), Install::Refused);
        assert_eq!(request(&["boot", "--on", "rom", "--no-install"]).as_ref(), Ok(&expected));
        assert_eq!(request(&["boot", "--no-install", "--on=rom"]).as_ref(), Ok(&expected));
        let expected = Request::Fuzz(Target::from_name("plan"), 5);
        assert_eq!(request(&["fuzz", "--seconds", "5", "plan"]), Ok(expected));
        let flavour = Flavour { trace: true, ..Flavour::DEFAULT };
        let output = Some("x".into());
        let expected = Request::Rom { flavour, output, install: Install::Allowed };
        assert_eq!(request(&["rom", "--output", "x", "--trace"]), Ok(expected));
        let flavour = Flavour { abi: Generation::V13_3, style: Style::Minimal, ..Flavour::DEFAULT };
        let expected = Request::Rom { flavour, output: None, install: Install::Allowed };
        assert_eq!(request(&["rom", "--style=minimal", "--abi", "13.3"]), Ok(expected));
    }

    #[test]
    fn every_command_explains_itself() {
        assert_eq!(request(&[]), Ok(Request::Help(HELP)));
        assert_eq!(request(&["--help"]), Ok(Request::Help(HELP)));
        for (command, help) in [
            ("setup", SETUP),
            ("boot", BOOT),
            ("rom", ROM),
            ("fuzz", FUZZ),
            ("bless", BLESS),
            ("api", API),
            ("msrv", MSRV),
            ("test", TEST),
        ] {
            assert_eq!(request(&[command, "--help"]), Ok(Request::Help(help)));
            assert!(help.starts_with(&format!("cargo xtask {command}")));
            assert!(HELP.contains(&format!("\n  {command} ")));
        }
    }

    #[test]
    fn unknown_words_are_named() {
        for (words, word) in [
            (&["fly"][..], "fly"),
            (&["--fast"], "--fast"),
            (&["boot", "now"], "now"),
            (&["boot", "--on", "mars"], "mars"),
            (&["boot", "--on", "native,mars"], "mars"),
            (&["boot", "--on", "native", "--no-patch"], "--no-patch"),
            (&["bless", "--on", "rom"], "--on"),
            (&["rom", "--on"], "--on"),
            (&["fuzz", "all"], "all"),
            (&["fuzz", "plan", "boot"], "boot"),
            (&["fuzz", "--seconds", "many"], "many"),
            (&["rom", "--abi", "2.5"], "2.5"),
            (&["rom", "--style", "gothic"], "gothic"),
            (&["rom", "--abi", "13.0", "--jump"], "--jump"),
            (&["rom", "--style", "minimal", "--abi", "13.0"], "minimal"),
        ] {
            let error = request(words).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
    }
}

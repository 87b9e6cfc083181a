//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Error, Parser, ValueExt as _};
use vmi_audit::patched::Place;
use vmi_audit::site::Cpu;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To print the help.
    Help,
    /// To audit a kernel.
    Audit(Job),
}

/// A kernel, and how to audit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The allow-list.
    pub allow: Option<PathBuf>,
    /// The oldest processor.
    pub cpu: Cpu,
    /// The ROM image for which to show the patched text.
    pub rom: Option<PathBuf>,
    /// Where that ROM lies.
    pub place: Place,
    /// Whether the kernel lets sites hold the ROM's own code.
    pub inline: bool,
    /// Whether to write JSON.
    pub json: bool,
}

/// The help.
pub const HELP: &str = "\
vmi-audit [OPTIONS] KERNEL

Lists what an i386 kernel (an ELF file, written with paravirt-vmi or not) does that a hypervisor cannot
follow: sensitive and privileged instructions outside patch sites, each with its place, what becomes of it,
and the call that replaces it. Checks every site record that the kernel has.

  --allow FILE              where any instruction may stand: a line each,
                              symbol NAME [only MNEMONIC,...] -- REASON   (NAME may end in *)
                              section NAME ... | range START..END ... | source PATH ...
                            an entry that allows nothing is reported
  --cpu 386|486|586|686     the oldest processor that must decode the padding in sites; 386 is the default
  --patched ROM             show calls and sites as they would be after patching for this ROM image
  --rom-address N           its physical address, hexadecimal; C3000 is the default
  --physical-offset N       where the kernel maps physical address 0, hexadecimal; C0000000 is the default
  --calls                   for a kernel that calls the ROM also where the ROM's own code would fit at a site
                            (boot::Options::inline is false)
  --json                    write JSON, see the README

Exit status: 0 if nothing was found, 1 if something was (an instruction that is not allowed, a defect of a site,
an entry of the allow-list without use, a ROM for which the kernel would not be patched), 2 if the command line is
wrong or a file cannot be read.";

/// Reads the command line.
pub fn parse(mut parser: Parser) -> Result<Request, Error> {
    let mut kernel = None;
    let (mut allow, mut rom) = (None, None);
    let (mut cpu, mut place, mut json) = (Cpu::default(), Place::default(), false);
    let (mut is_placed, mut inline) = (false, true);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("allow") => allow = Some(parser.value()?.into()),
            Arg::Long("cpu") => {
                let name = parser.value()?.string()?;
                cpu = Cpu::from_name(&name).ok_or_else(|| format!("--cpu takes 386 to 686, not {name:?}"))?;
            }
            Arg::Long("patched") => rom = Some(parser.value()?.into()),
            Arg::Long("rom-address") => {
                place.rom = hexadecimal(&parser.value()?.string()?)?;
                is_placed = true;
            }
            Arg::Long("physical-offset") => {
                place.physical_offset = hexadecimal(&parser.value()?.string()?)?;
                is_placed = true;
            }
            Arg::Long("calls") => inline = false,
            Arg::Long("json") => json = true,
            Arg::Value(path) if kernel.is_none() => kernel = Some(path.into()),
            argument => return Err(argument.unexpected()),
        }
    }
    let kernel = kernel.ok_or("which kernel?")?;
    if (is_placed || !inline) && rom.is_none() {
        return Err("--rom-address, --physical-offset and --calls say nothing without --patched".into());
    }
    Ok(Request::Audit(Job { kernel, allow, cpu, rom, place, inline, json }))
}

fn hexadecimal(text: &str) -> Result<u32, String> {
    let digits = text.trim_start_matches("0x");
    u32::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is no address: write it in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Result<Request, String> {
        parse(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    fn job(kernel: &str) -> Job {
        Job {
            kernel: kernel.into(),
            allow: None,
            cpu: Cpu::I386,
            rom: None,
            place: Place { rom: 0xC3000, physical_offset: 0xC000_0000 },
            inline: true,
            json: false,
        }
    }

    #[test]
    fn everything_but_the_kernel_has_a_default() {
        assert_eq!(request(&["k"]), Ok(Request::Audit(job("k"))));
        assert_eq!(request(&["k", "--help"]), Ok(Request::Help));
    }

    #[test]
    fn options_are_taken_in_any_order() {
        let place = Place { rom: 0xCD000, physical_offset: 0 };
        let expected = Job {
            allow: Some("a".into()),
            cpu: Cpu::I586,
            rom: Some("r".into()),
            place,
            inline: false,
            json: true,
            ..job("k")
        };
        let words =
            "--allow a --json k --cpu=586 --rom-address 0xcd000 --patched r --physical-offset 0 --calls";
        assert_eq!(request(&words.split(' ').collect::<Vec<_>>()), Ok(Request::Audit(expected)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, word) in [
            (&[][..], "which kernel"),
            (&["k", "l"], "\"l\""),
            (&["--fast", "k"], "--fast"),
            (&["k", "--cpu", "z80"], "z80"),
            (&["k", "--patched", "r", "--rom-address", "here"], "here"),
            (&["k", "--rom-address", "c3000"], "--patched"),
            (&["k", "--calls"], "--patched"),
            (&["k", "--allow"], "--allow"),
        ] {
            let error = request(words).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_help_names_every_option_and_status() {
        for word in [
            "--allow",
            "--cpu",
            "--patched",
            "--rom-address",
            "--physical-offset",
            "--json",
            "Exit status: 0",
        ] {
            assert!(HELP.contains(word), "{word}");
        }
    }
}

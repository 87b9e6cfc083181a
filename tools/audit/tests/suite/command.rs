//! The command: what it writes where, and its exit status.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use paravirt_vmi_rom_image::{Generation, Image};

use super::elf::Kernel;

/// A file with these bytes.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Exit status, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vmi-audit")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_exit_status_says_whether_something_was_found() {
    let clean = file("clean.elf", &Kernel::of_all().elf().bytes());
    let clean = clean.to_str().unwrap();
    let (status, output, errors) = run(&[clean]);
    assert_eq!((status, errors.as_str()), (0, ""), "{output}");
    let calls = paravirt_vmi::abi::Call::all();
    let planted = file("planted.elf", &Kernel::new(calls, |index| index == 7).elf().bytes());
    let planted = planted.to_str().unwrap();
    let (status, output, _) = run(&[planted]);
    assert_eq!((status, output.matches("popfd  ").count()), (1, 2), "{output}");
    let allow = file("some.allow", b"symbol function_7 -- planted\n");
    let allow = allow.to_str().unwrap();
    assert_eq!(run(&["--allow", allow, planted]).0, 0);
    assert_eq!(run(&["--allow", allow, clean]).0, 1, "an entry without use");
    let json: serde_json::Value = serde_json::from_str(&run(&["--json", planted]).1).unwrap();
    assert_eq!(json["clean"], false);
    let json: serde_json::Value = serde_json::from_str(&run(&["--json", clean]).1).unwrap();
    assert_eq!(json["clean"], true);
    let rom = file("13.0.rom", Image::new(Generation::V13_0).bytes());
    let (status, _, errors) = run(&["--patched", rom.to_str().unwrap(), clean]);
    assert!(status == 1 && errors.contains("adapter"), "{status} {errors}");
}

#[test]
fn what_cannot_be_read_is_one_line_and_another_status() {
    let text = file("text.elf", b"not a kernel, but as long as the header of one would be.");
    let bad = file("bad.allow", b"section .text\n");
    let clean = file("clean2.elf", &Kernel::of_all().elf().bytes());
    let [text, bad, clean] = [&text, &bad, &clean].map(|path| path.to_str().unwrap());
    for (arguments, word) in [
        (&[][..], "which kernel?"),
        (&["no/such/kernel"], "no/such/kernel"),
        (&[text], "text.elf"),
        (&["--allow", bad, clean], "bad.allow: line 1"),
        (&["--allow", "no/such/list", clean], "no/such/list"),
        (&["--patched", "no/such/rom", clean], "no/such/rom"),
    ] {
        let (status, output, errors) = run(arguments);
        assert_eq!((status, output.as_str(), errors.lines().count()), (2, "", 1), "{errors}");
        assert!(errors.starts_with("error: ") && errors.contains(word), "{errors}");
    }
    assert_eq!(run(&["--help"]).0, 0);
}

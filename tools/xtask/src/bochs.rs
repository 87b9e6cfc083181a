//! One run of the hypervisor and its guests in Bochs, from a CD that GRUB boots.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{self, OpenptFlags};

use crate::artifact;
use crate::counters;
use crate::process;
use crate::qemu::Program;
use crate::toolchain::Bochs;

/// A run that takes longer is killed.
const LIMIT: Duration = Duration::from_secs(300);

/// GRUB's modules that are needed to boot from a CD.
const GRUB_MODULES: [&str; 4] = ["biosdisk", "iso9660", "multiboot", "boot"];

/// GRUB's image in the CD's file system.
const GRUB_IMAGE: &str = "grub.img";

/// What to run.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// Name of the run; its files are kept in a directory of this name.
    pub name: &'a str,
    /// The hypervisor.
    pub hypervisor: Program<'a>,
    /// The guests that it runs one after another.
    pub guests: Vec<Program<'a>>,
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the machine wrote to its serial port.
    pub log: String,
    /// Why it ended.
    pub ending: &'static str,
}

impl Machine<'_> {
    /// Boots the machine, and ends it when the hypervisor has written its last record.
    pub fn run(&self, bochs: &Bochs) -> Result<Run> {
        let directory = artifact::target_directory()?.join("runs").join(self.name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let cd = self.cd(bochs, &directory)?;
        let serial = directory.join("serial.log");
        fs::write(&serial, [])?;
        let configuration = directory.join("bochsrc");
        fs::write(&configuration, machine(bochs, &cd, &directory))?;
        // Debian's Bochs has its debugger compiled in, which waits for a command.
        let commands = directory.join("debugger");
        fs::write(&commands, "c\n")?;

        let terminal = Terminal::open()?;
        let mut command = bochs.emulator()?;
        command.arg("-q").arg("-f").arg(&configuration).arg("-rc").arg(&commands);
        command.stdin(terminal.end()?).stdout(terminal.end()?).stderr(terminal.end()?);
        let mut child = command.spawn().context("cannot run Bochs")?;
        drop(command);
        terminal.discard_output();
        let start = Instant::now();
        let ending = loop {
            if child.try_wait()?.is_some() {
                break "Bochs ended";
            }
            if is_done(&fs::read(&serial)?) {
                break "the hypervisor ended";
            }
            if start.elapsed() >= LIMIT {
                break "no end in time";
            }
            thread::sleep(Duration::from_millis(20));
        };
        // It ends by nothing else.
        child.kill()?;
        child.wait()?;
        Ok(Run { log: String::from_utf8_lossy(&fs::read(&serial)?).into_owned(), ending })
    }

    /// Makes a CD with all programs on it.
    fn cd(&self, bochs: &Bochs, directory: &Path) -> Result<PathBuf> {
        let tree = directory.join("cd");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        fs::create_dir(&tree)?;
        let mut files = Vec::new();
        for program in self.guests.iter().chain([&self.hypervisor]) {
            if !files.contains(&program.path) {
                fs::copy(program.path, tree.join(file_name(files.len())))?;
                files.push(program.path);
            }
        }
        let menu = directory.join("grub.cfg");
        fs::write(&menu, self.menu(&files))?;
        let mut grub = bochs.grub_image();
        grub.args(["--format", "i386-pc-eltorito", "--prefix", "/"]).arg("--config").arg(&menu);
        grub.arg("--output").arg(tree.join(GRUB_IMAGE)).args(GRUB_MODULES);
        process::output(&mut grub)?;
        let image = directory.join("cd.iso");
        let mut maker = bochs.cd_image();
        maker.args(["-as", "mkisofs", "-quiet", "-o"]).arg(&image);
        maker
            .args(["-b", GRUB_IMAGE, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"])
            .arg(&tree);
        process::output(&mut maker)?;
        Ok(image)
    }

    /// GRUB's commands.
    fn menu(&self, files: &[&Path]) -> String {
        let line = |command: &str, program: &Program<'_>| {
            let index = files.iter().position(|path| *path == program.path).unwrap_or_default();
            let name = file_name(index);
            // GRUB leaves the file's name out of the words.
            format!("{command} (cd)/{name} {name} {}", program.words).trim_end().to_owned() + "\n"
        };
        let mut menu = line("multiboot", &self.hypervisor);
        for guest in &self.guests {
            menu += &line("module", guest);
        }
        menu + "boot\n"
    }
}

/// The name of a program on the CD: one that the simplest of file systems can hold.
fn file_name(index: usize) -> String {
    format!("program{index}")
}

/// Whether a log has the hypervisor's last record in full.
fn is_done(log: &[u8]) -> bool {
    let log = String::from_utf8_lossy(log);
    let mut lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.any(|line| counters::LAST.iter().any(|last| line.starts_with(last)))
}

/// Bochs's configuration.
fn machine(bochs: &Bochs, cd: &Path, directory: &Path) -> String {
    let [firmware, display, keyboard] = bochs.firmware();
    let file = |name: &str| directory.join(name).display().to_string();
    format!(
        "display_library: term\n\
         megs: 128\n\
         cpu: model=corei5_lynnfield_750, count=1, ips=50000000, reset_on_triple_fault=0\n\
         clock: sync=none\n\
         romimage: file={}\n\
         vgaromimage: file={}\n\
         keyboard: keymap={}\n\
         sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy\n\
         boot: cdrom\n\
         ata0-master: type=cdrom, path={}, status=inserted\n\
         com1: enabled=1, mode=file, dev={}\n\
         log: {}\n\
         panic: action=fatal\n\
         error: action=report\n\
         info: action=ignore\n",
        firmware.display(),
        display.display(),
        keyboard.display(),
        cd.display(),
        file("serial.log"),
        file("bochs.log"),
    )
}

/// A terminal that nobody looks at: Bochs does not run without one.
struct Terminal {
    controller: File,
    name: PathBuf,
}

impl Terminal {
    fn open() -> Result<Self> {
        let controller = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("no terminal")?;
        pty::grantpt(&controller)?;
        pty::unlockpt(&controller)?;
        let name = pty::ptsname(&controller, Vec::new())?.into_string()?.into();
        Ok(Self { controller: controller.into(), name })
    }

    /// The end that a program uses.
    fn end(&self) -> Result<Stdio> {
        let end = rustix::fs::open(&self.name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        Ok(end.into())
    }

    /// Reads all that the program draws, so that it never waits, until the program has ended.
    fn discard_output(mut self) {
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while self.controller.read(&mut bytes).is_ok_and(|length| length > 0) {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_on_the_cd_once() {
        let (hypervisor, guest) = (Path::new("/h"), Path::new("/g"));
        let machine = Machine {
            name: "test",
            hypervisor: Program { path: hypervisor, words: "steal=5" },
            guests: vec![Program { path: guest, words: "attempt=a" }, Program { path: guest, words: "" }],
        };
        assert_eq!(
            machine.menu(&[guest, hypervisor]),
            "multiboot (cd)/program1 program1 steal=5\n\
             module (cd)/program0 program0 attempt=a\n\
             module (cd)/program0 program0\n\
             boot\n"
        );
    }

    #[test]
    fn a_run_is_done_with_the_whole_of_its_last_record() {
        assert!(is_done(b"@try a\r\n@hv.intact yes\r\n"));
        assert!(is_done(b"@hv.panic no memory\n"));
        assert!(!is_done(b"@try a\r\n@hv.intact ye"));
        assert!(!is_done(b"text @hv.intact yes\n"));
        assert!(!is_done(b""));
    }

    #[test]
    fn a_terminal_takes_what_is_written_to_it() {
        let terminal = Terminal::open().unwrap();
        let mut command = std::process::Command::new(env!("CARGO"));
        command.arg("--version").stdin(terminal.end().unwrap()).stdout(terminal.end().unwrap());
        let mut child = command.spawn().unwrap();
        drop(command);
        terminal.discard_output();
        assert!(child.wait().unwrap().success());
    }
}

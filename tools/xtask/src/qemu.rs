//! One run of a kernel in QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::artifact;
use crate::process::{self, Ending};
use crate::toolchain::Emulator;

/// A run that takes longer is killed.
const LIMIT: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// Name of the run; its files are kept in a directory of this name.
    pub name: &'a str,
    /// The kernel, an ELF with a multiboot header.
    pub kernel: &'a Path,
    /// The kernel's command line.
    pub command_line: &'a str,
    /// The hypervisor that runs the kernel, if one does.
    pub hypervisor: Option<Hypervisor<'a>>,
    /// Option ROMs, in the order in which the firmware finds them.
    pub roms: Vec<&'a [u8]>,
    /// The number of processors.
    pub processors: u32,
    /// MiB of memory; under a hypervisor it is always 128.
    pub memory: u32,
    /// Whether there is a VGA, with its ROM in front of all others.
    pub has_screen: bool,
    /// Whether instructions are counted: then every run is the same, and the time-stamp counter counts them. Else it
    /// counts time.
    pub counts: bool,
    /// How long it may run.
    pub limit: Duration,
}

/// A program and the words that it is started with.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// An ELF with a multiboot header.
    pub path: &'a Path,
    /// Its command line.
    pub words: &'a str,
}

/// What runs beneath the kernel.
#[derive(Clone, Debug)]
pub struct Hypervisor<'a> {
    /// The hypervisor itself.
    pub program: Program<'a>,
    /// Guests that it runs one after another before the kernel.
    pub before: Vec<Program<'a>>,
}

impl Program<'_> {
    /// The program as an element of QEMU's list of modules, in which a comma is doubled.
    fn module(&self) -> String {
        format!("{} {}", self.path.display(), self.words).trim_end().replace(',', ",,")
    }
}

impl<'a> Machine<'a> {
    /// A machine with nothing but a kernel.
    pub fn new(name: &'a str, kernel: &'a Path) -> Self {
        Self {
            name,
            kernel,
            command_line: "",
            hypervisor: None,
            roms: Vec::new(),
            processors: 2,
            memory: 64,
            has_screen: true,
            counts: true,
            limit: LIMIT,
        }
    }

    /// What the loader starts, and QEMU's list of modules for it.
    fn programs(&self) -> (Program<'a>, Option<String>) {
        let kernel = Program { path: self.kernel, words: self.command_line };
        match &self.hypervisor {
            None => (kernel, None),
            Some(hypervisor) => {
                let modules: Vec<_> =
                    hypervisor.before.iter().chain([&kernel]).map(Program::module).collect();
                (hypervisor.program, Some(modules.join(",")))
            }
        }
    }

    /// Boots the machine and waits until it stops.
    pub fn run(&self, emulator: &Emulator) -> Result<Run> {
        let (mut command, files) = self.command(emulator, "none")?;
        let output = fs::File::create(&files.messages)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let ending = process::run_until(&mut command, self.limit)?;
        files.run(Stop::from(ending, self.limit))
    }

    /// What boots the machine, with QEMU's monitor at `monitor`, and the files that it will write.
    pub fn command(&self, emulator: &Emulator, monitor: &str) -> Result<(Command, Files)> {
        let directory = artifact::target_directory()?.join("runs").join(self.name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let files = Files::new(directory);
        for path in [&files.serial, &files.debug, &files.resets] {
            fs::write(path, [])?;
        }
        let (program, modules) = self.programs();
        // A hypervisor has one processor, and memory of its own beside the kernel's.
        let (memory, processors) = if modules.is_some() { (128, 1) } else { (self.memory, self.processors) };
        let mut command = emulator.command();
        command
            .args([
                "-machine",
                "pc",
                "-m",
                &memory.to_string(),
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
            ])
            // the emulator's oldest processor, and pages without instructions
            .args(["-cpu", "qemu32,+nx", "-smp", &processors.to_string()])
            // a screen whose retrace comes when it is due
            .args(["-vga", if self.has_screen { "std,retrace=precise" } else { "none" }])
            .args(["-display", "none", "-nic", "none", "-monitor", monitor])
            .args(["-accel", "tcg"])
            .args(if self.counts { &["-icount", "shift=0,sleep=off"][..] } else { &[] })
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
            .args(["-serial", "chardev:serial", "-chardev"])
            .arg(chardev("serial", &files.serial))
            .args(["-device", "isa-debugcon,iobase=0xe9,chardev=debug", "-chardev"])
            .arg(chardev("debug", &files.debug))
            .args(["-d", "cpu_reset", "-D"])
            .arg(&files.resets)
            .arg("-kernel")
            .arg(program.path);
        if !program.words.is_empty() {
            command.args(["-append", program.words]);
        }
        if let Some(modules) = modules {
            command.arg("-initrd").arg(modules);
        }
        for (index, rom) in self.roms.iter().enumerate() {
            let path = files.directory.join(format!("{index}.rom"));
            fs::write(&path, rom)?;
            command.arg("-option-rom").arg(path);
        }
        Ok((command, files))
    }
}

/// What a machine writes while it runs.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
    serial: PathBuf,
    debug: PathBuf,
    resets: PathBuf,
    /// For QEMU's own messages.
    pub messages: PathBuf,
}

impl Files {
    fn new(directory: PathBuf) -> Self {
        let file = |name: &str| directory.join(name);
        let [serial, debug] = ["serial.log", "debug.bin"].map(file);
        let [resets, messages] = ["resets.log", "qemu.log"].map(file);
        Self { directory, serial, debug, resets, messages }
    }

    /// What the serial port has been given so far.
    pub fn serial(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.serial)?).into_owned())
    }

    /// What a machine left that has stopped.
    pub fn run(self, ending: Stop) -> Result<Run> {
        Ok(Run {
            ending,
            triple_fault: String::from_utf8_lossy(&fs::read(&self.resets)?).contains("Triple fault"),
            serial: self.serial()?,
            debug: fs::read(&self.debug)?,
            messages: String::from_utf8_lossy(&fs::read(&self.messages)?).into_owned(),
            directory: self.directory,
        })
    }
}

/// A character device that writes to a file; a comma in the path is doubled.
fn chardev(id: &str, path: &Path) -> String {
    format!("file,id={id},path={}", path.display().to_string().replace(',', ",,"))
}

/// Why a machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The kernel wrote this code to the debug-exit port.
    Kernel(u8),
    /// QEMU ended with an exit status that no kernel can cause, or by a signal.
    Emulator(Option<i32>),
    /// It was still running at the end of its time, which was this long.
    TimedOut(Duration),
}

impl Stop {
    /// The code with which the kernel says that all checks passed.
    pub const PASSED: Self = Self::Kernel(0x10);
    /// The code with which the kernel says that some check failed.
    pub const FAILED: Self = Self::Kernel(0x11);
    /// The code with which the kernel says that it panicked.
    pub const PANICKED: Self = Self::Kernel(0x12);

    fn from(ending: Ending, limit: Duration) -> Self {
        match ending {
            Ending::TimedOut => Self::TimedOut(limit),
            Ending::Exited(status) => Self::from_status(status),
        }
    }

    /// What an exit status of QEMU means.
    pub fn from_status(status: Option<i32>) -> Self {
        match status {
            // isa-debug-exit: exit status 2 * code + 1
            Some(status) if status & 1 == 1 && status > 1 => {
                u8::try_from(status >> 1).map_or(Self::Emulator(Some(status)), Self::Kernel)
            }
            status => Self::Emulator(status),
        }
    }

    /// What happened, for people.
    pub fn describe(self) -> String {
        match self {
            Self::PASSED => "all checks passed".to_owned(),
            Self::FAILED => "the kernel says that a check failed".to_owned(),
            Self::PANICKED => "the kernel panicked".to_owned(),
            Self::Kernel(code) => format!("the kernel ended with the unknown code {code:#04x}"),
            Self::Emulator(Some(0)) => "the machine was reset".to_owned(),
            Self::Emulator(Some(status)) => format!("QEMU ended with exit status {status}"),
            Self::Emulator(None) => "QEMU was ended by a signal".to_owned(),
            Self::TimedOut(limit) => format!("no end after {} s", limit.as_secs()),
        }
    }
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Run {
    /// Why the machine stopped.
    pub ending: Stop,
    /// Whether an exception met no handler, nor the exception about that one.
    pub triple_fault: bool,
    /// What it wrote to the serial port.
    pub serial: String,
    /// What it wrote to the debug port E9, where the tracing ROM leaves one byte a call.
    pub debug: Vec<u8>,
    /// What QEMU itself had to say.
    pub messages: String,
    /// Where all that is kept.
    pub directory: PathBuf,
}

impl Run {
    /// The end of the serial log and QEMU's messages, for people who look for an error.
    pub fn log(&self) -> String {
        let fault = if self.triple_fault { "there was a triple fault\n" } else { "" };
        format!("--- {}/serial.log\n{}\n{fault}{}", self.directory.display(), self.serial, self.messages)
            .trim_end()
            .to_owned()
            + "\n---\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_the_kernels_codes() {
        let stop = |status| Stop::from(Ending::Exited(Some(status)), LIMIT);
        assert_eq!(stop(33), Stop::PASSED);
        assert_eq!(stop(35), Stop::FAILED);
        assert_eq!(stop(37), Stop::PANICKED);
        assert_eq!(stop(0), Stop::Emulator(Some(0)));
        assert_eq!(stop(1), Stop::Emulator(Some(1)));
        assert_eq!(Stop::from(Ending::Exited(None), LIMIT), Stop::Emulator(None));
        assert_eq!(Stop::from(Ending::TimedOut, LIMIT), Stop::TimedOut(LIMIT));
    }
}

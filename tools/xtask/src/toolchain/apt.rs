//! Debian's packages without installing them: resolve, download and unpack into a directory.
//!
//! apt-get runs with package lists, cache and locks of its own, so it needs no root and changes
//! nothing in the system. The system's configuration is used for what concerns sources, keys and
//! proxies; the commands that it wants to be run after an update are left out.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::process;

/// Packages that are used from the system even when the archive has a newer one: the dynamic linker
/// and the C library must match each other.
const ALWAYS_FROM_SYSTEM: [&str; 2] = ["libc6", "libc-bin"];

/// A package to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name, without architecture.
    pub name: String,
    /// The exact version.
    pub version: String,
}

/// A private apt.
#[derive(Debug)]
pub struct Apt {
    directory: PathBuf,
    /// What went wrong when the package lists were read. One unreachable source out of several does no
    /// harm if nothing is needed from it.
    complaint: Option<String>,
}

impl Apt {
    /// Whether this machine has apt-get at all.
    pub fn exists() -> bool {
        process::exists("apt-get") && process::exists("dpkg-deb")
    }

    /// An apt that keeps its state in `directory`, with current package lists.
    pub fn new(directory: PathBuf) -> Result<Self> {
        Self::with(directory, "")
    }

    /// The same, for packages of another architecture as well.
    pub fn of_architecture(directory: PathBuf, architecture: &str) -> Result<Self> {
        Self::with(directory, &format!("APT::Architectures:: \"{architecture}\";\n"))
    }

    /// The same with more configuration.
    fn with(directory: PathBuf, more: &str) -> Result<Self> {
        for path in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(directory.join(path))?;
        }
        let system = process::output(Command::new("apt-config").arg("dump"))?;
        let kept: String = system
            .lines()
            .filter(|line| line.ends_with(';') && !line.contains("-Invoke"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let path = |name: &str| directory.join(name).display().to_string();
        let own = format!(
            "Dir::Etc::main \"/dev/null\";\n\
             Dir::Etc::parts \"/dev/null\";\n\
             Dir::State::lists \"{}\";\n\
             Dir::Cache \"{}\";\n\
             Debug::NoLocking \"1\";\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::Retries \"3\";\n\
             Acquire::http::Timeout \"30\";\n\
             Acquire::https::Timeout \"30\";\n",
            path("lists"),
            path("cache"),
        );
        fs::write(directory.join("apt.conf"), kept + &own + more)?;
        let mut apt = Self { directory, complaint: None };
        let update = apt.get().arg("update").stdin(Stdio::null()).output();
        let update = update.context("cannot run apt-get")?;
        let complaints = String::from_utf8_lossy(&update.stderr);
        let complaint = complaints.lines().find(|line| line.starts_with("W:") || line.starts_with("E:"));
        apt.complaint = complaint.map(str::to_owned);
        Ok(apt)
    }

    /// The versions of a package that the archive offers, the newest first.
    pub fn versions(&self, name: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        let table = process::output(command.args(["madison", name]))?;
        Ok(table
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(|cell| cell.trim().to_owned())
            .collect())
    }

    /// The packages themselves and all that they need and this machine has not. A name may be followed by `=` and
    /// a version.
    pub fn resolve(&self, names: &[&str]) -> Result<Vec<Package>> {
        let mut command = self.get();
        command.args(["--simulate", "--no-install-recommends", "--reinstall", "install"]);
        let simulation = match (process::output(command.args(names)), &self.complaint) {
            (Ok(simulation), _) => simulation,
            (Err(error), None) => return Err(error),
            (Err(_), Some(complaint)) => bail!("the package lists are incomplete: {complaint}"),
        };
        let packages: Vec<_> = simulation.lines().filter_map(parse_simulated).collect();
        for name in names {
            let name = name.split('=').next().unwrap_or(name);
            if !packages.iter().any(|package| package.name == name) {
                bail!("apt-get does not offer the package {name}");
            }
        }
        Ok(packages)
    }

    /// Downloads packages and unpacks them into `root`.
    pub fn unpack(&self, packages: &[Package], root: &Path) -> Result<()> {
        let directory = self.directory.join("packages");
        self.download(packages, &directory)?;
        eprintln!("unpacking {} packages", packages.len());
        fs::create_dir_all(root)?;
        for entry in fs::read_dir(&directory)? {
            let file = entry?.path();
            process::output(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(root))?;
            fs::remove_file(&file)?;
        }
        Ok(())
    }

    fn download(&self, packages: &[Package], directory: &Path) -> Result<()> {
        let mut child = self
            .get()
            .args(["--quiet=1", "download"])
            .args(packages.iter().map(|package| format!("{}={}", package.name, package.version)))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run apt-get")?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            bail!("apt-get has no output");
        };
        let mut started = 0;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if line.starts_with("Get:") {
                started += 1;
                let package = line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ");
                eprintln!("downloading {started}/{}: {package}", packages.len());
            }
        }
        let complaints: Vec<_> = BufReader::new(stderr).lines().collect::<Result<_, _>>()?;
        let status = child.wait()?;
        if !status.success() {
            let error = complaints.iter().rfind(|line| line.starts_with("E:"));
            let error = error.map_or("it said nothing", String::as_str);
            bail!("apt-get download failed ({status}): {error}");
        }
        Ok(())
    }

    fn get(&self) -> Command {
        self.command("apt-get")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.directory.join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// Reads a line like `Inst NAME [OLD] (VERSION SOURCE [ARCHITECTURE])` of a simulated installation.
fn parse_simulated(line: &str) -> Option<Package> {
    let rest = line.strip_prefix("Inst ")?;
    let (name, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once('(')?;
    let (version, _) = rest.split_once(' ')?;
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    (!ALWAYS_FROM_SYSTEM.contains(&name))
        .then(|| Package { name: name.to_owned(), version: version.to_owned() })
}

/// The upstream part `1.96.0` of a Debian version such as `1.96.0+dfsg1-1~deb12u2`, as numbers.
pub fn upstream(version: &str) -> Result<Vec<u32>> {
    let (_, version) = version.split_once(':').unwrap_or(("", version));
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version[..end]
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| anyhow!("{version} is not a version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_package_is_taken_from_a_simulation() {
        let line = "Inst rustc-web (1.96.0+dfsg1-1~deb12u2 Debian-Security:12/old [amd64])";
        let package = parse_simulated(line).unwrap();
        assert_eq!(package.name, "rustc-web");
        assert_eq!(package.version, "1.96.0+dfsg1-1~deb12u2");
    }

    #[test]
    fn an_upgraded_package_is_taken_in_its_new_version() {
        let line = "Inst libfoo:amd64 [1:7.2-1] (1:7.2-2 Debian:12.15/oldstable [amd64])";
        let package = parse_simulated(line).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("libfoo", "1:7.2-2"));
    }

    #[test]
    fn other_lines_and_the_c_library_are_passed_over() {
        assert_eq!(parse_simulated("Remv qemu-utils [1:10.0.2+ds-2]"), None);
        assert_eq!(parse_simulated("Conf rustc-web (1.96.0 Debian [amd64])"), None);
        assert_eq!(parse_simulated("Inst libc6 [2.36-9] (2.36-10 Debian:12.15 [amd64])"), None);
    }

    #[test]
    fn debian_versions_compare_by_their_upstream_part() {
        assert_eq!(upstream("1.96.0+dfsg1-1~deb12u2").unwrap(), [1, 96, 0]);
        assert!(upstream("1:1.85.0+dfsg3-1").unwrap() >= vec![1, 85]);
        assert!(upstream("1.63.0+dfsg1-2").unwrap() < vec![1, 85]);
        assert!(upstream("unstable").is_err());
    }
}

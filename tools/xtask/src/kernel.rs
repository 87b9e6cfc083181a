//! A kernel that was built: its file, read by `vmi-audit`, and its sites.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use paravirt_vmi::site::Site;
use sha2::{Digest as _, Sha256};
use vmi_audit::site::{Cpu, Sites};

/// A kernel's ELF file.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where it lies.
    pub path: PathBuf,
    /// The start of the SHA-256 of the file, in hexadecimal.
    pub hash: String,
    /// The sites that its records name, in the order of the records.
    pub sites: Vec<Site>,
    /// The file.
    pub data: Vec<u8>,
}

impl Kernel {
    /// Reads a kernel, of which every site must be sound.
    pub fn read(path: &Path) -> Result<Self> {
        let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let context = || format!("{} is not a kernel", path.display());
        let kernel = vmi_audit::Kernel::parse(&data).with_context(context)?;
        let Sites { mut sites, defects, .. } = Sites::new(&kernel, Cpu::default());
        if let Some(defect) = defects.first() {
            bail!("{}: {defect}", context());
        }
        sites.sort_by_key(|checked| checked.index);
        let sites = sites.iter().map(|checked| checked.site).collect();
        Ok(Self { path: path.to_owned(), hash: hash(&data), sites, data })
    }

    /// The file as `vmi-audit` reads it.
    pub fn parse(&self) -> Result<vmi_audit::Kernel<'_>> {
        Ok(vmi_audit::Kernel::parse(&self.data)?)
    }
}

/// The first 6 bytes of the SHA-256 of `data`, in hexadecimal: enough to tell files apart.
pub fn hash(data: &[u8]) -> String {
    Sha256::digest(data).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_start_of_the_sha_256() {
        assert_eq!(hash(b"abc"), "ba7816bf8f01");
    }

    #[test]
    fn a_file_that_is_no_elf_is_refused_by_name() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Kernel::read(&manifest).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not a kernel", manifest.display()));
        let error = Kernel::read(Path::new("no/such/kernel")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read no/such/kernel");
    }
}

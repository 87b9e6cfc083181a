//! The example driver's source: the kernel and the tests on the host are built from the same bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::artifact;

/// Where the driver's source is.
const DIRECTORY: &str = "examples/sampler/src";

/// A source file: `FILE HASH`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Its name in the directory.
    pub file: String,
    /// The hash of its bytes.
    pub hash: u64,
}

impl Source {
    /// Reads what follows `@source`.
    pub fn parse(text: &str) -> Option<Self> {
        let (file, hash) = text.split_once(' ')?;
        let is_whole = !file.is_empty() && hash.len() == 16;
        let hash = u64::from_str_radix(hash, 16).ok()?;
        is_whole.then(|| Self { file: file.to_owned(), hash })
    }
}

/// The files as they are now.
pub fn on_disk() -> Result<Vec<Source>> {
    let directory = artifact::workspace().join(DIRECTORY);
    let mut sources = Vec::new();
    collect(&directory, "", &mut sources)
        .with_context(|| format!("cannot read the source in {}", directory.display()))?;
    Ok(sources)
}

/// Adds the files of a directory, whose names begin with `prefix`.
fn collect(directory: &Path, prefix: &str, sources: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file = format!("{prefix}{}", entry.file_name().display());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{file}/"), sources)?;
        } else {
            let hash = vmi_sampler::source::hash(&fs::read(entry.path())?);
            sources.push(Source { file, hash });
        }
    }
    Ok(())
}

/// In what the files that a kernel has reported differ from those `on_disk`.
pub fn differences(reported: &[Source], on_disk: &[Source]) -> Vec<String> {
    let find = |sources: &[Source], file: &str| {
        sources.iter().find(|source| source.file == file).map(|source| source.hash)
    };
    let mut differences = Vec::new();
    for Source { file, hash } in on_disk {
        match find(reported, file) {
            None => differences.push(format!("{DIRECTORY}/{file} was not reported")),
            Some(found) if found != *hash => {
                differences.push(format!("{DIRECTORY}/{file}: found {found:016x}, expected {hash:016x}"));
            }
            Some(_) => {}
        }
    }
    for Source { file, .. } in reported {
        if find(on_disk, file).is_none() {
            differences.push(format!("{DIRECTORY}/{file} is not there"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let source = Source::parse("lib.rs 00000000000000ff").unwrap();
        assert_eq!((source.file.as_str(), source.hash), ("lib.rs", 0xFF));
        for text in
            ["lib.rs", "lib.rs ff", " 00000000000000ff", "lib.rs 00000000000000fg", "lib.rs  0000000000000ff"]
        {
            assert_eq!(Source::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_files_that_the_host_is_built_from_are_there() {
        let built = vmi_sampler::source::SOURCES;
        let built = built.map(|found| Source { file: found.file.to_owned(), hash: found.hash });
        assert_eq!(differences(&built, &on_disk().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named() {
        let source = |file: &str, hash| Source { file: file.to_owned(), hash };
        let on_disk = [source("a.rs", 1), source("b.rs", 2)];
        assert!(differences(&on_disk, &on_disk).is_empty());
        let reported = [source("a.rs", 3), source("c.rs", 2)];
        assert_eq!(
            differences(&reported, &on_disk),
            [
                "examples/sampler/src/a.rs: found 0000000000000003, expected 0000000000000001",
                "examples/sampler/src/b.rs was not reported",
                "examples/sampler/src/c.rs is not there",
            ]
        );
        assert_eq!(differences(&[], &on_disk).len(), 2);
    }
}

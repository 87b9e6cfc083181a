//! Bytes of text and of records in a masked section, by style: those of the machine code that the package
//! `bench-sizes` is compiled to.

use std::fs;

use anyhow::{Context as _, Result};
use object::read::archive::ArchiveFile;
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget};
use paravirt_vmi::site::SiteRecord;

use super::row::{Goal, Row};
use super::{Bench, Outcome};
use crate::artifact::{self, Package};

/// What every function has that is measured: the store and the return.
const NOTHING: &str = "size_nothing";
/// One store more.
const NOTHING_TWICE: &str = "size_nothing_twice";
/// The section with this crate's records.
const SITES: &str = "vmi_sites";

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    text: u64,
    records: u64,
}

impl Size {
    fn total(self) -> f64 {
        (self.text + self.records) as f64
    }

    /// Text and records, for people.
    fn parts(self) -> String {
        format!("{}+{}", self.text, self.records)
    }
}

/// Builds the package in both ways, and compares.
pub fn measure(bench: &mut Bench, outcome: &mut Outcome) -> Result<()> {
    let objects = |package| -> Result<Objects> {
        let path = artifact::build(&bench.toolchain.compiler, package)?.path;
        Objects::read(&fs::read(&path)?).with_context(|| format!("{} is not what was built", path.display()))
    };
    let (plain, indirect) = (objects(Package::SIZES)?, objects(Package::INDIRECT_SIZES)?);
    for (what, shape) in [("disable and enable", "pair"), ("section", "section")] {
        let ours = plain.size("ours", shape)?;
        for (against, theirs, goal) in [
            ("paravirt_ops of 2007", plain.size("paravirt_ops", shape)?, Goal::AtMost(1.0)),
            ("static keys", plain.size("static_keys", shape)?, Goal::AtMost(1.0)),
            ("indirect, never patched", indirect.size("ours", shape)?, Goal::Reported),
            ("cli and sti, never patched", plain.size("native", shape)?, Goal::Reported),
        ] {
            let what = format!("{what}, text+records: {}", ours.parts());
            let against = format!("{against}: {}", theirs.parts());
            outcome.rows.push(Row::counted(&what, "bytes", ours.total(), &against, theirs.total(), goal));
        }
    }
    Ok(())
}

/// The functions of a library, and the records that belong to each.
#[derive(Clone, Debug, Default)]
struct Objects(Vec<(String, Size)>);

impl Objects {
    fn read(data: &[u8]) -> Result<Self> {
        let mut objects = Self::default();
        let archive = ArchiveFile::parse(data)?;
        for member in archive.members() {
            // An archive of Rust also holds metadata.
            if let Ok(file) = File::parse(member?.data(data)?) {
                objects.add(&file)?;
            }
        }
        Ok(objects)
    }

    fn add(&mut self, file: &File<'_>) -> Result<()> {
        for symbol in file.symbols().filter(|symbol| symbol.is_definition() && symbol.size() > 0) {
            let Some(name) = symbol.name().ok().filter(|name| name.starts_with("size_")) else { continue };
            let section = symbol.section_index().with_context(|| format!("{name} has no section"))?;
            let mut size = Size { text: symbol.size(), records: 0 };
            // Each function has a section of its own, so that its records are those that lead there.
            for records in file.sections().filter(|section| section.name() == Ok(SITES)) {
                for (_, relocation) in records.relocations() {
                    if let RelocationTarget::Symbol(index) = relocation.target()
                        && file.symbol_by_index(index)?.section_index() == Some(section)
                    {
                        size.records += size_of::<SiteRecord>() as u64;
                    }
                }
            }
            let others = name.replacen("size_", "records_", 1);
            size.records += file.section_by_name(&others).map_or(0, |section| section.size());
            self.0.push((name.to_owned(), size));
        }
        Ok(())
    }

    /// What a style adds to the work: the difference between twice and once, if it is there twice, so that what a
    /// function has once does not count.
    fn size(&self, style: &str, shape: &str) -> Result<Size> {
        let once = format!("size_{style}_{shape}");
        let twice = format!("{once}_twice");
        let is_twice = self.0.iter().any(|(found, _)| *found == twice);
        let [more, less, more_work, less_work] = if is_twice {
            [self.get(&twice)?, self.get(&once)?, self.get(NOTHING_TWICE)?, self.get(NOTHING)?]
        } else {
            [self.get(&once)?, Size::default(), self.get(NOTHING)?, Size::default()]
        };
        let work = more_work.text.checked_sub(less_work.text);
        let text = more.text.checked_sub(less.text).zip(work).and_then(|(both, work)| both.checked_sub(work));
        let text = text.with_context(|| format!("{once} is shorter than its work"))?;
        let records = more.records.checked_sub(less.records);
        Ok(Size {
            text,
            records: records.with_context(|| format!("{once} has records, and twice it has less"))?,
        })
    }

    /// The function of that name.
    fn get(&self, name: &str) -> Result<Size> {
        let found = self.0.iter().find(|(found, _)| found == name).map(|(_, size)| *size);
        found.with_context(|| format!("the library does not have {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_in_a_section_does_not_count() {
        let size = |text, records| Size { text, records };
        let objects = Objects(vec![
            (NOTHING.to_owned(), size(11, 0)),
            (NOTHING_TWICE.to_owned(), size(21, 0)),
            ("size_native_pair".to_owned(), size(13, 0)),
            // an aligned stack: 6
            ("size_ours_pair".to_owned(), size(33, 10)),
            ("size_ours_pair_twice".to_owned(), size(59, 20)),
            ("size_bad_pair".to_owned(), size(9, 0)),
        ]);
        assert_eq!(objects.size("native", "pair").unwrap(), size(2, 0));
        let found = objects.size("ours", "pair").unwrap();
        assert_eq!((found.parts().as_str(), found.total()), ("16+10", 26.0));
        assert!(objects.size("bad", "pair").is_err());
        assert!(objects.size("ours", "section").is_err());
    }
}

//! [`AllowList`]: where a kernel may use any instruction, and why.
//!
//! ```text
//! # A comment.
//! section .boot.text -- runs before the sites are patched
//! symbol  interrupt_entry only push,mov -- saves the selectors that it found, and loads them again
//! symbol  kernel::raw::* -- compared with what the calls say
//! range   00100000..00100200 -- the trampoline
//! source  src/arch/x86/mod.rs only mov -- asks for the ring
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

/// An entry: where, which instructions, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of its line in the file, counted from 1.
    pub line: usize,
    /// Where.
    pub place: Place,
    /// The mnemonics that it is for; empty if it is for all.
    pub only: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Where an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a function, or behind a label, by its name in the file or as people write it.
    Symbol(String),
    /// In all whose names begin so.
    Symbols(String),
    /// In a section.
    Section(String),
    /// At these linear addresses.
    Range(Range<u32>),
    /// In code from a source file, by the last parts of its path.
    Source(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(name) => write!(f, "symbol {name}"),
            Self::Symbols(prefix) => write!(f, "symbol {prefix}*"),
            Self::Section(name) => write!(f, "section {name}"),
            Self::Range(range) => write!(f, "range {:08x}..{:08x}", range.start, range.end),
            Self::Source(path) => write!(f, "source {path}"),
        }
    }
}

/// What is wrong with an allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowError {
    /// The number of the line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub defect: String,
}

impl fmt::Display for AllowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.defect)
    }
}

impl std::error::Error for AllowError {}

/// Where a kernel may use any instruction.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    /// The entries, in the order of the file.
    pub entries: Vec<Entry>,
    by_place: HashMap<Place, usize>,
    /// The entries for ranges, by address.
    ranges: Vec<usize>,
    /// The different lengths of the beginnings of names.
    lengths: BTreeSet<usize>,
}

/// What an entry is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The names of the function or label, as in the file and as people write it.
    pub symbol: Option<[&'a str; 2]>,
    /// The name of the section.
    pub section: &'a str,
    /// The linear address.
    pub address: u32,
    /// The path of the source file.
    pub source: Option<&'a str>,
    /// The mnemonic.
    pub mnemonic: &'a str,
}

impl AllowList {
    /// Reads an allow-list.
    ///
    /// # Errors
    ///
    /// The first line that is no entry, or that says something a second time.
    pub fn parse(text: &str) -> Result<Self, AllowError> {
        let mut list = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let error = |defect| AllowError { line: number, defect };
            let entry = entry(number, line).map_err(error)?;
            if let Some(earlier) = list.by_place.insert(entry.place.clone(), list.entries.len()) {
                let earlier = list.entries[earlier].line;
                return Err(error(format!("{} is in line {earlier} already", entry.place)));
            }
            if let Place::Symbols(prefix) = &entry.place {
                list.lengths.insert(prefix.len());
            }
            list.entries.push(entry);
        }
        list.sort_ranges()?;
        Ok(list)
    }

    fn sort_ranges(&mut self) -> Result<(), AllowError> {
        let mut ranges: Vec<_> =
            (0..self.entries.len()).filter(|index| self.range(*index).is_some()).collect();
        ranges.sort_by_key(|index| self.range(*index).map_or(0, |range| range.start));
        for pair in ranges.windows(2) {
            let [first, second] = [self.range(pair[0]), self.range(pair[1])].map(Option::unwrap_or_default);
            if second.start < first.end {
                let entry = &self.entries[pair[1]];
                let earlier = self.entries[pair[0]].line;
                let defect = format!("{} overlaps that of line {earlier}", entry.place);
                return Err(AllowError { line: entry.line, defect });
            }
        }
        self.ranges = ranges;
        Ok(())
    }

    fn range(&self, index: usize) -> Option<Range<u32>> {
        match &self.entries[index].place {
            Place::Range(range) => Some(range.clone()),
            _ => None,
        }
    }

    /// The entries that allow something, by index, those for symbols first.
    pub fn matching(&self, subject: &Subject<'_>) -> Vec<usize> {
        let mut found = Vec::new();
        if self.entries.is_empty() {
            return found;
        }
        let mut look_up = |place| found.extend(self.by_place.get(&place));
        for name in subject.symbol.iter().flatten() {
            look_up(Place::Symbol((*name).to_owned()));
            for prefix in self.lengths.iter().filter_map(|length| name.get(..*length)) {
                look_up(Place::Symbols(prefix.to_owned()));
            }
        }
        look_up(Place::Section(subject.section.to_owned()));
        if let Some(path) = subject.source {
            look_up(Place::Source(path.to_owned()));
            for (slash, _) in path.match_indices('/') {
                look_up(Place::Source(path[slash + 1..].to_owned()));
            }
        }
        let start = |index: &usize| self.range(*index).is_some_and(|range| range.start <= subject.address);
        if let Some(last) = self.ranges.partition_point(start).checked_sub(1) {
            let index = self.ranges[last];
            found.extend(self.range(index).filter(|range| range.contains(&subject.address)).map(|_| index));
        }
        found.dedup();
        let is_for = |index: &usize| {
            let only = &self.entries[*index].only;
            only.is_empty() || only.iter().any(|mnemonic| mnemonic == subject.mnemonic)
        };
        found.retain(is_for);
        found
    }
}

/// Reads a line.
fn entry(line: usize, text: &str) -> Result<Entry, String> {
    let (what, reason) = text.split_once(" -- ").ok_or("it has no reason: end it by ` -- ` and one")?;
    if reason.trim().is_empty() {
        return Err("its reason is empty".to_owned());
    }
    let (kind, rest) =
        what.split_once(char::is_whitespace).ok_or("it has one word in front of its reason")?;
    let (place, only) = match rest.rsplit_once(" only ") {
        Some((place, only)) => {
            (place.trim(), only.split(',').map(|word| word.trim().to_lowercase()).collect())
        }
        None => (rest.trim(), Vec::new()),
    };
    if place.is_empty() || only.iter().any(String::is_empty) {
        return Err("something is missing in front of its reason".to_owned());
    }
    let place = match kind {
        "symbol" => match place.strip_suffix('*') {
            // Alone it would allow everything that has a symbol.
            Some("") => return Err("`symbol *` would allow all of the kernel".to_owned()),
            Some(prefix) => Place::Symbols(prefix.to_owned()),
            None => Place::Symbol(place.to_owned()),
        },
        "section" => Place::Section(place.to_owned()),
        "source" => Place::Source(place.to_owned()),
        "range" => Place::Range(range(place)?),
        other => return Err(format!("{other:?} is none of symbol, section, range and source")),
    };
    Ok(Entry { line, place, only, reason: reason.trim().to_owned() })
}

/// Reads START..END, hexadecimal.
fn range(text: &str) -> Result<Range<u32>, String> {
    let number = |text: &str| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    let bounds = text.split_once("..").and_then(|(start, end)| Some(number(start)?..number(end)?));
    let range = bounds.ok_or_else(|| format!("{text:?} is no range: write START..END, hexadecimal"))?;
    if range.is_empty() {
        return Err(format!("the range {text} is empty"));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "
        # boot code
        section .boot.text -- before patching
        symbol entry only push,MOV -- saves selectors
        symbol kernel::raw::* -- a second opinion
        symbol <A as B>::only -- strange, and a name
        range 00001000..0x2000 -- the trampoline
        source arch/mod.rs only mov -- the ring
    ";

    fn lines(subject: Subject<'_>) -> Vec<usize> {
        let list = AllowList::parse(LIST).unwrap();
        list.matching(&subject).into_iter().map(|index| list.entries[index].line).collect()
    }

    fn symbol(name: &'static str, mnemonic: &'static str) -> Subject<'static> {
        Subject { symbol: Some(["_mangled", name]), section: ".text", mnemonic, ..Subject::default() }
    }

    #[test]
    fn entries_hold_where_they_say_and_nowhere_else() {
        assert_eq!(lines(Subject { section: ".boot.text", ..symbol("a", "cli") }), [3]);
        assert_eq!(lines(Subject { section: ".boot.text2", ..symbol("a", "cli") }), [0_usize; 0]);
        assert_eq!(lines(symbol("entry", "push")), [4]);
        assert_eq!(lines(symbol("entry", "mov")), [4]);
        assert_eq!(lines(symbol("entry", "cli")), [0_usize; 0]);
        assert_eq!(lines(symbol("entry2", "push")), [0_usize; 0]);
        assert_eq!(lines(symbol("kernel::raw::cr0", "cli")), [5]);
        assert_eq!(lines(symbol("kernel::rather", "cli")), [0_usize; 0]);
        assert_eq!(lines(symbol("<A as B>::only", "cli")), [6]);
        assert_eq!(lines(Subject { symbol: Some(["entry", "other"]), ..symbol("", "push") }), [4]);
    }

    #[test]
    fn ranges_end_in_front_of_their_end() {
        let at = |address| lines(Subject { address, ..symbol("a", "cli") });
        assert_eq!([at(0xFFF), at(0x1000), at(0x1FFF), at(0x2000)], [vec![], vec![7], vec![7], vec![]]);
    }

    #[test]
    fn sources_are_compared_by_whole_parts_of_their_paths() {
        let source = |source| lines(Subject { source: Some(source), ..symbol("a", "mov") });
        assert_eq!(source("/home/a/src/arch/mod.rs"), [8]);
        assert_eq!(source("arch/mod.rs"), [8]);
        assert_eq!(source("/home/a/src/march/mod.rs"), [0_usize; 0]);
        assert_eq!(lines(Subject { source: Some("arch/mod.rs"), ..symbol("a", "cli") }), [0_usize; 0]);
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, defect) in [
            ("symbol a", "line 1: it has no reason"),
            ("\nsymbol a --  ", "line 2: it has no reason"),
            ("function a -- b", "line 1: \"function\" is none of"),
            ("symbol -- b", "line 1: it has one word"),
            ("symbol * -- all", "line 1: `symbol *` would allow all"),
            ("symbol a only , -- b", "line 1: something is missing"),
            ("range 1000 -- b", "line 1: \"1000\" is no range"),
            ("range 2000..1000 -- b", "line 1: the range 2000..1000 is empty"),
            ("range 100000000..100000001 -- b", "line 1: \"100000000..100000001\" is no range"),
            ("section a -- b\nsection a -- c", "line 2: section a is in line 1 already"),
            (
                "range 0..10 -- b\nrange f..20 -- c",
                "line 2: range 0000000f..00000020 overlaps that of line 1",
            ),
        ] {
            let error = AllowList::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(defect), "{error}");
        }
    }
}

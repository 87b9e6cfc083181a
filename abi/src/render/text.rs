//! How the parts of a call's row look in text.

use core::fmt;

use crate::convention::{Argument, Clobbers, Segments};
use crate::relocation::RelocationKinds;

/// The items of an iterator with a separator between them, or a word that stands for none.
struct List<F> {
    /// Makes the iterator.
    items: F,
    /// Written between two items.
    separator: &'static str,
    /// Written when there is no item.
    empty: &'static str,
}

impl<F: Fn() -> I, I: Iterator<Item: fmt::Display>> fmt::Display for List<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = (self.items)();
        match items.next() {
            None => f.write_str(self.empty),
            Some(first) => {
                write!(f, "{first}")?;
                items.try_for_each(|item| write!(f, "{}{item}", self.separator))
            }
        }
    }
}

/// A word in lower case.
struct LowerCase(&'static str);

impl fmt::Display for LowerCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().flat_map(char::to_lowercase).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

/// Arguments or results, separated by commas.
pub(super) fn arguments(list: &'static [Argument], empty: &'static str) -> impl fmt::Display {
    List { items: move || list.iter(), separator: ", ", empty }
}

/// What a call changes, in the words of the call table.
pub(super) fn clobbers(clobbers: Clobbers) -> impl fmt::Display {
    let items = move || clobbers.iter_names().map(|(name, _)| LowerCase(name));
    List { items, separator: " ", empty: "nothing" }
}

/// The segment registers that must be flat.
pub(super) fn segments(segments: Segments) -> &'static str {
    match segments {
        Segments::All => "cs ss ds es",
        Segments::CodeAndStack => "cs ss",
    }
}

/// The relocation kinds that a guest can act on.
pub(super) fn relocations(kinds: RelocationKinds) -> impl fmt::Display {
    let items = move || kinds.iter_names().map(|(name, _)| name);
    List { items, separator: " ", empty: "none" }
}

/// The lines of a documentation text, each without the blank that follows `///` in the source.
pub(super) fn lines(documentation: &'static str) -> impl Iterator<Item = &'static str> {
    documentation.lines().map(|line| line.strip_prefix(' ').unwrap_or(line))
}

//! [`Map`]: which bytes of a kernel's sections are code, which are data, and of which nothing says it.

use std::ops::Range;

use crate::kernel::{Kernel, Section, SymbolKind};

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A symbol says that it is code.
    Code,
    /// A symbol says that it is data. It is not decoded.
    Data,
    /// No symbol says anything. It is decoded, as if it were code.
    Unclassified,
}

/// A run of bytes in one section. Decoding begins anew at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The linear addresses.
    pub range: Range<u32>,
    /// The index of the section.
    pub section: usize,
    /// What is there.
    pub content: Content,
}

/// The regions of a kernel, by address: together they are all of its sections with instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// The regions.
    pub regions: Vec<Region>,
}

impl Map {
    /// Tells code from data by what the symbols say.
    ///
    /// A function or an object with a size is what its symbol says, up to its end; one without a size, and a label,
    /// up to the next symbol. Where a function and an object overlap there is code.
    pub fn new(kernel: &Kernel<'_>) -> Self {
        let mut map = Self::default();
        for (index, section) in kernel.code.iter().enumerate() {
            map.add(kernel, index, section);
        }
        map
    }

    fn add(&mut self, kernel: &Kernel<'_>, index: usize, section: &Section<'_>) {
        let Range { start, end } = section.range();
        let first = kernel.symbols.partition_point(|symbol| symbol.address < start);
        let last = kernel.symbols.partition_point(|symbol| symbol.address < end);
        let symbols = &kernel.symbols[first..last];
        let mut bounds = vec![start, end];
        for symbol in symbols {
            bounds.extend([symbol.address, symbol.address.saturating_add(symbol.size).min(end)]);
        }
        bounds.sort_unstable();
        bounds.dedup();

        let (mut code_end, mut data_end, mut open) = (start, start, Content::Unclassified);
        let mut symbols = symbols.iter().peekable();
        for pair in bounds.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            while let Some(symbol) = symbols.next_if(|symbol| symbol.address <= from) {
                let symbol_end = symbol.address.saturating_add(symbol.size).min(end);
                // A label in a function, or in an object, says nothing about what is behind that.
                let is_inside = from < code_end || from < data_end;
                open = match symbol.kind {
                    _ if symbol.size > 0 || is_inside => Content::Unclassified,
                    SymbolKind::Object => Content::Data,
                    SymbolKind::Function | SymbolKind::Label => Content::Code,
                };
                match symbol.kind {
                    SymbolKind::Object => data_end = data_end.max(symbol_end),
                    SymbolKind::Function | SymbolKind::Label => code_end = code_end.max(symbol_end),
                }
            }
            let content = match () {
                () if from < code_end => Content::Code,
                () if from < data_end => Content::Data,
                () => open,
            };
            self.regions.push(Region { range: from..to, section: index, content });
        }
    }

    /// The region that an address lies in.
    pub fn at(&self, address: u32) -> Option<&Region> {
        let index = self.regions.partition_point(|region| region.range.start <= address).checked_sub(1)?;
        Some(&self.regions[index]).filter(|region| region.range.contains(&address))
    }

    /// How many bytes there are of some content.
    pub fn bytes(&self, content: Content) -> u64 {
        let regions = self.regions.iter().filter(|region| region.content == content);
        regions.map(|region| region.range.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Content::{Code, Data, Unclassified};
    use super::*;
    use crate::kernel::Symbol;

    /// The regions of a section of 0x40 bytes at 0x100 with the given symbols.
    fn regions(symbols: &[(u32, u32, SymbolKind)]) -> Vec<(u32, Content)> {
        let symbol = |&(address, size, kind)| Symbol { name: "symbol", address, size, kind };
        let mut symbols: Vec<_> = symbols.iter().map(symbol).collect();
        symbols.sort_by_key(|symbol| (symbol.address, symbol.kind));
        let kernel = Kernel {
            code: vec![Section { name: ".text", address: 0x100, bytes: &[0; 0x40] }],
            symbols,
            records: None,
            stubs: None,
            calls: None,
            adapters: Vec::new(),
        };
        let map = Map::new(&kernel);
        let mut next = 0x100;
        for region in &map.regions {
            assert_eq!(region.range.start, next, "regions follow each other");
            assert!(!region.range.is_empty());
            assert_eq!(map.at(region.range.end - 1), Some(region));
            next = region.range.end;
        }
        assert_eq!((next, map.at(0xFF), map.at(0x140)), (0x140, None, None));
        map.regions.iter().map(|region| (region.range.start, region.content)).collect()
    }

    #[test]
    fn without_symbols_nothing_is_known() {
        assert_eq!(regions(&[]), [(0x100, Unclassified)]);
    }

    #[test]
    fn what_has_a_size_ends_there() {
        let symbols = [(0x108, 8, SymbolKind::Function), (0x120, 0x10, SymbolKind::Object)];
        let expected = [
            (0x100, Unclassified),
            (0x108, Code),
            (0x110, Unclassified),
            (0x120, Data),
            (0x130, Unclassified),
        ];
        assert_eq!(regions(&symbols), expected);
    }

    #[test]
    fn what_has_none_ends_at_the_next_symbol() {
        let symbols =
            [(0x100, 0, SymbolKind::Label), (0x110, 0, SymbolKind::Object), (0x120, 4, SymbolKind::Function)];
        let expected = [(0x100, Code), (0x110, Data), (0x120, Code), (0x124, Unclassified)];
        assert_eq!(regions(&symbols), expected);
    }

    #[test]
    fn a_label_in_a_function_is_a_place_to_begin_anew_and_says_nothing_about_what_follows() {
        let symbols = [(0x100, 0x20, SymbolKind::Function), (0x110, 0, SymbolKind::Label)];
        assert_eq!(regions(&symbols), [(0x100, Code), (0x110, Code), (0x120, Unclassified)]);
        let symbols = [(0x100, 0x20, SymbolKind::Object), (0x110, 0, SymbolKind::Label)];
        assert_eq!(regions(&symbols), [(0x100, Data), (0x110, Data), (0x120, Unclassified)]);
    }

    #[test]
    fn a_function_counts_more_than_an_object_and_both_end_with_their_section() {
        let symbols = [(0x100, 0x20, SymbolKind::Object), (0x110, u32::MAX, SymbolKind::Function)];
        assert_eq!(regions(&symbols), [(0x100, Data), (0x110, Code), (0x120, Code)]);
    }
}

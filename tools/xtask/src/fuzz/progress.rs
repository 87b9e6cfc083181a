//! What libFuzzer writes while it runs, and at its end.

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How often the target has been executed.
    pub executions: u64,
    /// How many of the program's edges have been reached.
    pub edges: u64,
    /// How many edges, counts of them and comparisons are told apart.
    pub features: u64,
    /// How many inputs are kept for what they alone reach.
    pub inputs: u64,
}

impl Progress {
    /// Reads a line like `#1479 NEW    cov: 544 ft: 598 corp: 5/18b ...`.
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix('#')?.split_whitespace();
        let executions = words.next()?.parse().ok()?;
        let mut progress = Self { executions, ..Self::default() };
        while let Some(word) = words.next() {
            let place = match word {
                "cov:" => &mut progress.edges,
                "ft:" => &mut progress.features,
                "corp:" => &mut progress.inputs,
                _ => continue,
            };
            *place = words.next()?.split('/').next()?.parse().ok()?;
        }
        Some(progress)
    }
}

/// Reads the number of edges from `INFO: Loaded 1 PC tables (5906 PCs): ...`.
pub fn edges(line: &str) -> Option<u64> {
    let (count, _) = line.strip_prefix("INFO: Loaded ")?.split_once(" PCs)")?;
    count.rsplit_once('(')?.1.parse().ok()
}

/// A function of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// Whether it has been reached.
    pub is_covered: bool,
}

impl Function {
    /// Reads a line like `COVERED_FUNC: hits: 10 edges: 20/64 NAME  /src/patch/plan.rs:169`.
    pub fn read(line: &str) -> Option<Self> {
        let (is_covered, rest) = match line.strip_prefix("UN") {
            Some(rest) => (false, rest),
            None => (true, line),
        };
        let rest = rest.strip_prefix("COVERED_FUNC: hits: ")?;
        let (_, rest) = rest.split_once(" edges: ")?;
        let (_, rest) = rest.split_once(' ')?;
        let (name, place) = rest.rsplit_once(' ')?;
        let (file, _) = place.split_once(':')?;
        Some(Self { name: name.trim().to_owned(), file: file.to_owned(), is_covered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_every_kind_of_line() {
        let line =
            "#1479\tNEW    cov: 544 ft: 598 corp: 5/18b lim: 14 exec/s: 1479 rss: 43Mb L: 14/14 MS: 2 -";
        let expected = Progress { executions: 1479, edges: 544, features: 598, inputs: 5 };
        assert_eq!(Progress::read(line), Some(expected));
        assert_eq!(Progress::read("#2\tDONE   cov: 1 ft: 2 corp: 3/4b").map(|it| it.inputs), Some(3));
        assert_eq!(Progress::read("###### End of recommended dictionary. ######"), None);
        assert_eq!(Progress::read("INFO: Seed: 174942106"), None);
    }

    #[test]
    fn the_number_of_edges_is_read() {
        let line = "INFO: Loaded 1 PC tables (5906 PCs): 5906 [0x5608fb3709c8,0x5608fb387ae8), ";
        assert_eq!(edges(line), Some(5906));
        assert_eq!(edges("INFO: Loaded 1 modules   (5906 inline 8-bit counters): 5906 [0x1, 0x2), "), None);
    }

    #[test]
    fn functions_are_read_with_their_files() {
        let line = "UNCOVERED_FUNC: hits: 0 edges: 0/7 <a::B as core::fmt::Debug>::fmt  /x/src/a.rs:9";
        let expected = Function {
            name: "<a::B as core::fmt::Debug>::fmt".into(),
            file: "/x/src/a.rs".into(),
            is_covered: false,
        };
        assert_eq!(Function::read(line), Some(expected));
        let line = "COVERED_FUNC: hits: 10 edges: 20/64 a::b  /x/src/a.rs:169";
        assert!(Function::read(line).unwrap().is_covered);
        assert_eq!(Function::read("  UNCOVERED_PC: /x/src/a.rs:170"), None);
    }
}

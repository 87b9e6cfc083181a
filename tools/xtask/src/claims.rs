//! The claims about user code and the interrupt flag, and what each I/O privilege level allows.

use crate::outcome::Outcome;
use vmi_audit::table::Table;

/// The claims, by number from 1.
pub const CLAIMS: [&str; 7] = [
    "interrupts are always enabled while user code runs",
    "user code may be granted ports, never influence on the interrupt flag",
    "cli and sti in user code trap, or have no effect where ports are granted",
    "popf silently leaves the flag alone",
    "user code sees the flag set",
    "iopl(3), cli, a long loop, sti: ticks go on arriving",
    "timing, video registers and the CMOS clock work without masking",
];

/// A figure that shows a claim: `NUMBER NAME VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claim's number.
    pub number: usize,
    /// What was counted.
    pub name: String,
    /// What it came to.
    pub value: String,
}

/// What an instruction did at an I/O privilege level: `KEY=VALUE... expected=RESULT found=RESULT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What says which: names and values.
    pub key: Vec<(String, String)>,
    /// What must happen.
    pub expected: String,
    /// What happened.
    pub found: String,
}

impl Claim {
    /// Reads what follows `@claim`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, rest) = text.split_once(' ')?;
        let (name, value) = rest.split_once(' ')?;
        let number = number.parse().ok().filter(|number| (1..=CLAIMS.len()).contains(number))?;
        let is_whole = !name.is_empty() && !value.is_empty();
        is_whole.then(|| Self { number, name: name.to_owned(), value: value.to_owned() })
    }
}

impl Cell {
    /// Reads what follows `@cell`.
    pub fn parse(text: &str) -> Option<Self> {
        let pair = |word: &str| {
            let (name, value) = word.split_once('=')?;
            (!name.is_empty() && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        };
        let mut key = text.split(' ').map(pair).collect::<Option<Vec<_>>>()?;
        let (found, expected) = (key.pop()?, key.pop()?);
        let is_whole = found.0 == "found" && expected.0 == "expected" && !key.is_empty();
        is_whole.then_some(Self { key, expected: expected.1, found: found.1 })
    }

    /// What happened, and what should have, if that is something else.
    fn result(&self) -> String {
        match self.found == self.expected {
            true => self.found.clone(),
            false => format!("{}, expected {}", self.found, self.expected),
        }
    }
}

/// The table of claims: under each claim the figures that show it, a column for each environment; `None` if
/// no environment has a figure.
pub fn table(outcomes: &[Outcome]) -> Option<Table> {
    let reporting: Vec<_> = outcomes.iter().filter(|outcome| !outcome.report.claims.is_empty()).collect();
    let names = reporting.iter().map(|outcome| outcome.environment.name);
    let mut table = Table::new(["", "claim"].into_iter().chain(names));
    for (index, claim) in CLAIMS.iter().enumerate() {
        let number = index + 1;
        table.row([number.to_string().as_str(), claim]);
        let mut figures = Vec::<&str>::new();
        for found in reporting.iter().flat_map(|outcome| &outcome.report.claims) {
            if found.number == number && !figures.contains(&found.name.as_str()) {
                figures.push(&found.name);
            }
        }
        for name in figures {
            let cells = reporting.iter().map(|outcome| {
                let claims = &outcome.report.claims;
                let found = claims.iter().find(|found| found.number == number && found.name == name);
                found.map_or("-", |found| found.value.as_str())
            });
            table.row(["".to_owned(), format!("  {name}")].into_iter().chain(cells.map(str::to_owned)));
        }
    }
    (!reporting.is_empty()).then_some(table)
}

/// What is missing: every claim is to be shown by a figure.
pub fn problem(claims: &[Claim]) -> Option<String> {
    let is_shown = |number: &usize| claims.iter().any(|claim| claim.number == *number);
    let missing: Vec<_> = (1..=CLAIMS.len()).filter(|number| !is_shown(number)).collect();
    (!missing.is_empty()).then(|| format!("no figure shows the claims {missing:?}"))
}

/// The table of what instructions did: a row for each key, a column for each set of environments that agree
/// on all of it; `None` if no environment has a cell.
pub fn matrix(outcomes: &[Outcome]) -> Option<Table> {
    let mut groups: Vec<(Vec<&str>, &[Cell])> = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.report.cells.is_empty()) {
        let (name, cells) = (outcome.environment.name, outcome.report.cells.as_slice());
        match groups.iter_mut().find(|(_, found)| *found == cells) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], cells)),
        }
    }
    let mut keys = Vec::<&[(String, String)]>::new();
    for cell in groups.iter().flat_map(|(_, cells)| *cells) {
        if !keys.contains(&cell.key.as_slice()) {
            keys.push(&cell.key);
        }
    }
    let first = *keys.first()?;
    let mut headings: Vec<_> = first.iter().map(|(name, _)| name.clone()).collect();
    headings.extend(groups.iter().map(|(names, _)| names.join(" ")));
    let mut table = Table::new(headings);
    for key in keys {
        let mut row: Vec<_> = key.iter().map(|(_, value)| value.clone()).collect();
        row.resize(first.len(), String::new());
        row.extend(groups.iter().map(|(_, cells)| {
            cells.iter().find(|cell| cell.key == key).map_or("-".to_owned(), Cell::result)
        }));
        table.row(row);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;
    use crate::qemu::Stop;

    #[test]
    fn claims_and_cells_are_read() {
        let claim = Claim::parse("6 ticks.while.masked 200").unwrap();
        assert_eq!(
            (claim.number, claim.name.as_str(), claim.value.as_str()),
            (6, "ticks.while.masked", "200")
        );
        for text in ["0 a 1", "8 a 1", "x a 1", "1 a", "1", "1  1", "1 a "] {
            assert_eq!(Claim::parse(text), None, "{text}");
        }
        let cell = Cell::parse("iopl=3 code=user expected=skipped found=fault").unwrap();
        assert_eq!(cell.key[1], ("code".to_owned(), "user".to_owned()));
        assert_eq!(cell.result(), "fault, expected skipped");
        for text in
            ["expected=a found=a", "iopl=3 found=a expected=a", "iopl expected=a found=a", "iopl=3 found="]
        {
            assert_eq!(Cell::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_claim_without_a_figure_is_missed() {
        let claim = |number| Claim { number, name: "a".to_owned(), value: "1".to_owned() };
        let claims: Vec<_> = (1..=7).map(claim).collect();
        assert_eq!(problem(&claims), None);
        assert_eq!(problem(&claims[..5]).as_deref(), Some("no figure shows the claims [6, 7]"));
    }

    #[test]
    fn each_claim_has_its_figures_by_environment() {
        let native = outcome("native", "@claim 5 flag.seen 1\n", &[], Stop::PASSED);
        let rom = outcome("rom", "@claim 5 flag.seen 0\n@claim 5 other 7\n", &[], Stop::PASSED);
        let quiet = outcome("rom-off", "", &[], Stop::PASSED);
        let text = table(&[native, rom, quiet.clone()]).unwrap().to_string();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["claim", "native", "rom"]);
        assert!(rows.contains(&vec!["flag.seen", "1", "0"]), "{text}");
        assert!(rows.contains(&vec!["other", "-", "7"]), "{text}");
        assert!(table(&[quiet]).is_none());
    }

    #[test]
    fn environments_that_agree_share_a_column() {
        let cells = "@cell iopl=3 code=user expected=skipped found=skipped\n\
                     @cell iopl=0 code=user expected=fault found=fault\n";
        let native = outcome("native", cells, &[], Stop::PASSED);
        let rom = outcome("rom", cells, &[], Stop::PASSED);
        let other = outcome("rom-off", &cells.replace("found=skipped", "found=done"), &[], Stop::PASSED);
        let text = matrix(&[native, rom, other]).unwrap().to_string();
        assert!(text.lines().next().unwrap().ends_with("native rom  rom-off"), "{text}");
        assert!(text.contains("   3  user  skipped     done, expected skipped"), "{text}");
        assert!(matrix(&[]).is_none());
    }
}

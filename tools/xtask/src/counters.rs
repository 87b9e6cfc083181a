//! What the hypervisor reports on the serial port, among the records of its guests.
//!
//! ```text
//! @hv NAME VERSION
//! @hv.frequency HZ
//! @hv.guest NAME
//! @hv.log TEXT
//! @hv.NAME COUNT
//! @hv.stopped WHY
//! @hv.intact yes
//! @hv.intact no
//! @hv.panic TEXT
//! ```
//!
//! A count is that of the guest which has just ended. `@hv.intact`, or `@hv.panic`, is the last record of a
//! run.

use std::fmt;

use vmi_audit::table::Table;

/// What begins each of the hypervisor's records.
pub const PREFIX: &str = "@hv.";

/// What begins the record of a guest's end.
pub const STOPPED: &str = "@hv.stopped ";

/// The records by which a run ends, whether the emulator does or not.
pub const LAST: [&str; 2] = ["@hv.intact ", "@hv.panic "];

/// Whether a guest ended by itself.
pub fn is_exit(why: &str) -> bool {
    why.starts_with("exit ")
}

/// The hypervisor's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hypervisor {
    /// Names and counts, in the order of their first appearance. With several guests they are added up.
    pub counters: Vec<(String, u64)>,
    /// Why guests were stopped that did not end by themselves.
    pub stopped: Vec<String>,
    /// Whether what is the hypervisor's is as it was before the first guest.
    pub is_intact: Option<bool>,
    /// Why the hypervisor itself came to an end.
    pub panics: Vec<String>,
}

impl Hypervisor {
    /// Takes in a record, of which `name` follows the prefix; `None` if it cannot be read.
    pub fn read(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "stopped" if is_exit(value) => {}
            "stopped" => self.stopped.push(value.to_owned()),
            "intact" => {
                let is_intact = match value {
                    "yes" => true,
                    "no" => false,
                    _ => return None,
                };
                // Once damaged, damaged for good.
                self.is_intact = Some(is_intact && self.is_intact != Some(false));
            }
            "panic" => self.panics.push(value.to_owned()),
            "frequency" | "guest" | "log" => {}
            _ => {
                let count: u64 = value.parse().ok()?;
                match self.counters.iter_mut().find(|(found, _)| found == name) {
                    Some((_, sum)) => *sum += count,
                    None => self.counters.push((name.to_owned(), count)),
                }
            }
        }
        Some(())
    }

    /// The count of that name.
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters.iter().find(|(found, _)| found == name).map(|(_, count)| *count)
    }

    /// What is wrong with the end of a run.
    pub fn defects(&self) -> Vec<String> {
        let mut defects: Vec<_> =
            self.panics.iter().map(|panic| format!("the hypervisor panicked: {panic}")).collect();
        match self.is_intact {
            None => defects.push("the hypervisor did not say whether it is intact".to_owned()),
            Some(false) => defects.push("the hypervisor is damaged".to_owned()),
            Some(true) => {}
        }
        defects
    }
}

/// The table of counts: a row for each name, a column for each run.
pub fn table<'a>(runs: impl IntoIterator<Item = (&'a str, &'a Hypervisor)>) -> Table {
    let runs: Vec<_> = runs.into_iter().collect();
    let mut table = Table::new(["count"].into_iter().chain(runs.iter().map(|(name, _)| *name)));
    let mut names = Vec::<&str>::new();
    for (name, _) in runs.iter().flat_map(|(_, hypervisor)| &hypervisor.counters) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        let cells = runs.iter().map(|(_, hypervisor)| Count(hypervisor.counter(name)).to_string());
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    table
}

/// A count, if there is one.
struct Count(Option<u64>);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => count.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &[(&str, &str)]) -> Hypervisor {
        let mut hypervisor = Hypervisor::default();
        for (name, value) in records {
            hypervisor.read(name, value).unwrap();
        }
        hypervisor
    }

    #[test]
    fn counts_of_several_guests_are_added_up() {
        let hypervisor = read(&[("exits.cli", "3"), ("exits.sti", "1"), ("exits.cli", "4")]);
        assert_eq!(hypervisor.counter("exits.cli"), Some(7));
        assert_eq!(hypervisor.counter("exits.hlt"), None);
        assert_eq!(hypervisor.counters[1], ("exits.sti".to_owned(), 1));
    }

    #[test]
    fn damage_is_not_made_good_by_the_next_guest() {
        assert_eq!(read(&[("intact", "yes")]).defects(), Vec::<String>::new());
        let damaged = read(&[("intact", "no"), ("intact", "yes")]);
        assert_eq!(damaged.defects(), ["the hypervisor is damaged"]);
        assert_eq!(read(&[]).defects(), ["the hypervisor did not say whether it is intact"]);
    }

    #[test]
    fn its_end_and_what_it_stopped_are_read() {
        let hypervisor = read(&[("stopped", "triple fault"), ("stopped", "exit with code 0x10")]);
        assert_eq!(hypervisor.stopped, ["triple fault"]);
        let panicked = read(&[("guest", "/kernel"), ("panic", "no memory")]);
        assert_eq!(panicked.defects()[0], "the hypervisor panicked: no memory");
    }

    #[test]
    fn records_that_cannot_be_read_are_refused() {
        for (name, value) in [("exits.cli", "many"), ("exits.cli", ""), ("intact", "perhaps")] {
            assert_eq!(Hypervisor::default().read(name, value), None, "{name} {value}");
        }
    }

    #[test]
    fn the_table_has_a_column_for_each_run() {
        let (one, other) = (read(&[("exits.cli", "3")]), read(&[("exits.sti", "1")]));
        let text = table([("patched", &one), ("raw", &other)]).to_string();
        assert_eq!(
            text,
            "count      patched  raw\n\
             -----------------------\n\
             exits.cli        3    -\n\
             exits.sti        -    1\n"
        );
    }
}

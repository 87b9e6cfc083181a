//! Every call in every environment: whether it was checked, and how it was made there.

use paravirt_vmi_abi::{Call, legacy};

use crate::outcome::Outcome;
use vmi_audit::table::Table;

/// What became of one call in one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Checked and right.
    Ok(Way),
    /// Checked and wrong.
    Failed,
    /// Not checked.
    Unchecked,
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Natively, because there is no ROM.
    Native,
    /// By a call or a jump to the ROM.
    Rom,
    /// Not at all: the ROM says that there is nothing to do.
    Nop,
    /// Natively, because the ROM says so.
    None,
    /// Natively, because the ROM's generation of the interface does not have the call.
    Absent,
    /// In vain: the machine has no other processor to start.
    Alone,
}

/// What the words in the table mean.
pub const LEGEND: &str = "\
ok         checked; made natively without a ROM, else through the ROM
ok nop     the ROM answers NOP: the sites are empty
ok native  the ROM answers NONE: the sites keep their native form
ok absent  the call is not in this generation of the interface: the sites keep their native form
ok alone   the machine has one processor: the call starts no other";

impl Cell {
    /// The cell of `call`.
    pub fn of(call: Call, outcome: &Outcome) -> Self {
        let ended: Vec<_> = outcome.endings.iter().filter(|ended| ended.ending.call == call).collect();
        let id = check_id(call);
        let check = outcome.report.checks.iter().find(|check| check.id == id);
        match check {
            None if ended.is_empty() => Self::Unchecked,
            Some(check) if check.failure.is_some() => Self::Failed,
            _ if ended.iter().any(|ended| !ended.problems.is_empty()) => Self::Failed,
            _ => Self::Ok(Way::of(call, outcome)),
        }
    }

    /// Whether the call was looked at.
    pub fn is_checked(self) -> bool {
        self != Self::Unchecked
    }

    fn text(self) -> &'static str {
        match self {
            Self::Ok(Way::Native | Way::Rom) => "ok",
            Self::Ok(Way::Nop) => "ok nop",
            Self::Ok(Way::None) => "ok native",
            Self::Ok(Way::Absent) => "ok absent",
            Self::Ok(Way::Alone) => "ok alone",
            Self::Failed => "FAIL",
            Self::Unchecked => "-",
        }
    }
}

impl Way {
    fn of(call: Call, outcome: &Outcome) -> Self {
        let report = &outcome.report;
        if call == Call::SET_INITIAL_AP_STATE && report.figure("processors") == Some(1) {
            return Self::Alone;
        }
        if !report.is_vmi() {
            return Self::Native;
        }
        let version = report.backend_value("api").and_then(|version| version.split_once('.'));
        let is_legacy = version.is_some_and(|(major, _)| major == legacy::API_VERSION_MAJOR.to_string());
        match outcome.relocation_kind(call) {
            Some("CALL_REL" | "JUMP_REL") => Self::Rom,
            Some("NOP") => Self::Nop,
            _ if is_legacy && call.info().slot_13_3.is_none() => Self::Absent,
            _ => Self::None,
        }
    }
}

/// The name of a call's check.
pub fn check_id(call: Call) -> String {
    format!("call.{:02}.{call}", call.number())
}

/// How many calls were looked at.
pub fn checked(outcome: &Outcome) -> usize {
    Call::all().filter(|call| Cell::of(*call, outcome).is_checked()).count()
}

/// What is missing from the matrix: every call is to be checked in every environment.
pub fn problem(outcome: &Outcome) -> Option<String> {
    let missing: Vec<_> =
        Call::all().filter(|call| !Cell::of(*call, outcome).is_checked()).map(Call::name).collect();
    let (checked, all) = (checked(outcome), Call::COUNT);
    (checked != all).then(|| format!("{checked} of {all} calls are checked; not {}", missing.join(", ")))
}

/// The table: a row for each call, a column for each environment, and the number of calls checked.
pub fn table(outcomes: &[Outcome]) -> Table {
    let outcomes: Vec<_> = outcomes.iter().filter(|outcome| outcome.environment.is_whole()).collect();
    let names = outcomes.iter().map(|outcome| outcome.environment.name);
    let mut table = Table::new(["", "call"].into_iter().chain(names));
    for call in Call::all() {
        let cells = outcomes.iter().map(|outcome| Cell::of(call, outcome).text());
        table.row([call.number().to_string().as_str(), call.name()].into_iter().chain(cells));
    }
    let counts = outcomes.iter().map(|outcome| format!("{} of {}", checked(outcome), Call::COUNT));
    table.row(["".to_owned(), "calls checked".to_owned()].into_iter().chain(counts));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::{self, Ended};
    use crate::outcome::tests::outcome;
    use crate::qemu::Stop;

    /// A log in which every check of a call has passed.
    fn log(backend: &str) -> String {
        let mut log = format!("@kernel k 1\n@backend {backend}\n");
        for call in Call::all().filter(|call| ![Call::REBOOT, Call::SHUTDOWN].contains(call)) {
            log += &format!("@check {} ok\n", check_id(call));
        }
        log + "@end 72 0\n"
    }

    fn with_endings(log: &str) -> Outcome {
        let mut outcome = outcome("rom", log, &[], Stop::PASSED);
        outcome.endings =
            ending::ALL.map(|ending| Ended { ending, problems: vec![], debug: vec![] }).to_vec();
        outcome
    }

    #[test]
    fn a_matrix_without_a_gap_has_every_call() {
        let outcome = with_endings(&log("native no ROM"));
        assert_eq!(checked(&outcome), Call::COUNT);
        assert_eq!(problem(&outcome), None);
        assert!(Call::all().all(|call| Cell::of(call, &outcome) == Cell::Ok(Way::Native)));
        assert!(table(&[outcome]).to_string().ends_with("74 of 74\n"));
    }

    #[test]
    fn a_call_that_is_not_checked_is_named() {
        let outcome = with_endings(&log("native no ROM").replace("@check call.28.CLTS ok\n", ""));
        assert_eq!(Cell::of(Call::CLTS, &outcome), Cell::Unchecked);
        assert_eq!(problem(&outcome).as_deref(), Some("73 of 74 calls are checked; not CLTS"));
        let mut outcome = with_endings(&log("native no ROM"));
        outcome.endings.clear();
        assert_eq!(problem(&outcome).as_deref(), Some("72 of 74 calls are checked; not Reboot, Shutdown"));
    }

    #[test]
    fn a_failure_shows_whether_in_the_run_or_at_its_end() {
        let outcome = with_endings(&log("native no ROM").replace("CLTS ok", "CLTS fail CR0"));
        assert_eq!(Cell::of(Call::CLTS, &outcome), Cell::Failed);
        let mut outcome = with_endings(&log("native no ROM"));
        outcome.endings[1].problems.push("no reset".to_owned());
        assert_eq!(Cell::of(Call::REBOOT, &outcome), Cell::Failed);
        assert_eq!(Cell::of(Call::SHUTDOWN, &outcome), Cell::Ok(Way::Native));
    }

    #[test]
    fn the_answers_of_a_rom_show() {
        let log = log("vmi rom=000c3000 api=13.0 ring=0")
            + "@call 28 CALL_REL 000c3000 1\n@call 33 JUMP_REL 000c3000 1\n@call 65 NOP - 1\n\
               @call 19 NONE - 1\n@call 40 NONE - 1\n";
        let outcome = with_endings(&log);
        for (call, way) in [
            (Call::CLTS, Way::Rom),
            (Call::IRET, Way::Rom),
            (Call::IO_DELAY, Way::Nop),
            (Call::GET_CR0, Way::None),
            (Call::UPDATE_PXE, Way::Absent),
        ] {
            assert_eq!(Cell::of(call, &outcome), Cell::Ok(way));
        }
        let newer = with_endings(&log.replace("api=13.0", "api=3.0"));
        assert_eq!(Cell::of(Call::UPDATE_PXE, &newer), Cell::Ok(Way::None));
    }

    #[test]
    fn a_machine_with_one_processor_is_named() {
        let log = log("vmi rom=000cc000 api=3.0 ring=1") + "@figure processors 1\n";
        let outcome = with_endings(&log);
        assert_eq!(Cell::of(Call::SET_INITIAL_AP_STATE, &outcome), Cell::Ok(Way::Alone));
        assert_eq!(Cell::of(Call::APIC_READ, &outcome), Cell::Ok(Way::None));
        let log = log.replace("processors 1", "processors 2");
        assert_ne!(Cell::of(Call::SET_INITIAL_AP_STATE, &with_endings(&log)), Cell::Ok(Way::Alone));
    }
}

//! What the kernel reports on its serial port.
//!
//! Lines that start with `@` are records; everything else is for people:
//!
//! ```text
//! @kernel NAME VERSION
//! @backend native REASON
//! @backend vmi rom=HEX api=MAJOR.MINOR ring=RING
//! @error TEXT
//! @call NUMBER KIND TARGET SITES
//! @site ADDRESS NUMBER BEFORE AFTER
//! @check ID ok
//! @check ID fail DETAIL
//! @figure ID INTEGER
//! @claim NUMBER NAME VALUE
//! @cell KEY=VALUE... expected=RESULT found=RESULT
//! @source FILE HASH
//! @ticks FORM TIMES TICKS...
//! @end PASSED FAILED
//! @last NUMBER
//! ```
//!
//! `@hv` and the records whose name begins with `@hv.` are a hypervisor's: see [`crate::counters`].
//!
//! `@last` stands in place of checks and `@end` in a run that ends with the call of that number.

use std::fmt;

use paravirt_vmi_abi::Call;

use crate::bench::samples::Samples;
use crate::claims::{Cell, Claim};
use crate::counters::{self, Hypervisor};
use crate::source::Source;

/// All records of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Name and version of the kernel.
    pub kernel: Option<String>,
    /// The backend that the kernel runs on, as it describes it.
    pub backend: Option<String>,
    /// Why activation failed after `vmi_init` had succeeded.
    pub errors: Vec<String>,
    /// What the ROM answered for each call.
    pub calls: Vec<CallRecord>,
    /// The bytes of each site.
    pub sites: Vec<SiteRecord>,
    /// The checks in the order in which they ran.
    pub checks: Vec<CheckRecord>,
    /// Named numbers.
    pub figures: Vec<(String, i64)>,
    /// The figures that show the claims about user code and the interrupt flag.
    pub claims: Vec<Claim>,
    /// What instructions did by I/O privilege level.
    pub cells: Vec<Cell>,
    /// The source files of the example driver.
    pub sources: Vec<Source>,
    /// What forms of masking took.
    pub samples: Vec<Samples>,
    /// What the hypervisor reported.
    pub hypervisor: Hypervisor,
    /// The kernel's own count of passed and failed checks; its last record.
    pub end: Option<(usize, usize)>,
    /// The call with which a run without checks ends; its last record.
    pub last: Option<Call>,
    /// Records that could not be read.
    pub malformed: Vec<String>,
}

/// What the ROM answered for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The call.
    pub call: Call,
    /// Kind of the relocation.
    pub kind: String,
    /// Where it leads, if anywhere.
    pub target: Option<u32>,
    /// The number of the kernel's sites for the call.
    pub sites: u32,
}

/// One patched site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRecord {
    /// Linear address of the first byte.
    pub address: u32,
    /// The call.
    pub call: Call,
    /// Its bytes before activation.
    pub before: Vec<u8>,
    /// Its bytes after activation.
    pub after: Vec<u8>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRecord {
    /// Name, such as `irq.nesting`.
    pub id: String,
    /// Why the check failed, if it did.
    pub failure: Option<String>,
}

impl Report {
    /// Reads a serial log, whole or cut off anywhere.
    pub fn parse(log: &str) -> Self {
        let mut report = Self::default();
        for line in log.lines() {
            let line = line.trim_end();
            if line.starts_with('@') && report.read(line).is_none() {
                report.malformed.push(line.to_owned());
            }
        }
        report
    }

    fn read(&mut self, record: &str) -> Option<()> {
        let (word, rest) = record.split_once(' ')?;
        if let Some(name) = word.strip_prefix(counters::PREFIX) {
            return self.hypervisor.read(name, rest);
        }
        match word {
            "@hv" => {}
            "@kernel" => self.kernel = Some(rest.to_owned()),
            "@backend" => self.backend = Some(rest.to_owned()),
            "@error" => self.errors.push(rest.to_owned()),
            "@call" => self.calls.push(CallRecord::parse(rest)?),
            "@site" => self.sites.push(SiteRecord::parse(rest)?),
            "@check" => self.checks.push(CheckRecord::parse(rest)?),
            "@figure" => {
                let (id, value) = rest.split_once(' ')?;
                self.figures.push((id.to_owned(), value.parse().ok()?));
            }
            "@claim" => self.claims.push(Claim::parse(rest)?),
            "@cell" => self.cells.push(Cell::parse(rest)?),
            "@source" => self.sources.push(Source::parse(rest)?),
            "@ticks" => self.samples.push(Samples::parse(rest)?),
            "@end" => {
                let (passed, failed) = rest.split_once(' ')?;
                self.end = Some((passed.parse().ok()?, failed.parse().ok()?));
            }
            "@last" => self.last = Some(parse_call(rest)?),
            _ => return None,
        }
        Some(())
    }

    /// Whether the kernel runs on the VMI backend.
    pub fn is_vmi(&self) -> bool {
        self.backend.as_deref().is_some_and(|backend| backend.starts_with("vmi "))
    }

    /// A value of the backend record, such as `000c3000` for `rom`.
    pub fn backend_value(&self, key: &str) -> Option<&str> {
        let words = self.backend.as_deref()?.split_whitespace();
        words.filter_map(|word| word.split_once('=')).find(|(found, _)| *found == key).map(|(_, v)| v)
    }

    /// The figure of that name.
    pub fn figure(&self, id: &str) -> Option<i64> {
        self.figures.iter().find(|(found, _)| found == id).map(|(_, value)| *value)
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CheckRecord> {
        self.checks.iter().filter(|check| check.failure.is_some())
    }

    /// What is wrong with any report.
    fn common_defects(&self) -> Vec<String> {
        let mut defects: Vec<_> =
            self.malformed.iter().map(|record| format!("not a record: {record}")).collect();
        if self.kernel.is_none() {
            defects.push("the kernel did not say its name".to_owned());
        }
        if self.backend.is_none() {
            defects.push("the kernel did not name its backend".to_owned());
        }
        defects
    }

    /// What is wrong with the report of a run that ends with `call`.
    pub fn defects_before(&self, call: Call) -> Vec<String> {
        let mut defects = self.common_defects();
        if self.last != Some(call) {
            defects.push(format!("the kernel did not come to {call}"));
        }
        defects
    }

    /// What is wrong with the report as a whole: a check that failed is not.
    pub fn defects(&self) -> Vec<String> {
        let mut defects = self.common_defects();
        let failed = self.failures().count();
        let counted = (self.checks.len() - failed, failed);
        match self.end {
            None => defects.push("the report has no end".to_owned()),
            Some(end) if end != counted => defects.push(format!(
                "the kernel counted {} passed and {} failed checks, but reported {} and {}",
                end.0, end.1, counted.0, counted.1
            )),
            Some(_) => {}
        }
        for (index, check) in self.checks.iter().enumerate() {
            if self.checks[..index].iter().any(|earlier| earlier.id == check.id) {
                defects.push(format!("the check {} was reported twice", check.id));
            }
        }
        defects
    }
}

impl CallRecord {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let call = parse_call(words.next()?)?;
        let kind = words.next().filter(|kind| KINDS.contains(kind))?.to_owned();
        let target = match words.next()? {
            "-" => None,
            target => Some(u32::from_str_radix(target, 16).ok()?),
        };
        let sites = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { call, kind, target, sites })
    }
}

/// The kinds of relocation, as the kernel writes them.
const KINDS: [&str; 4] = ["NONE", "CALL_REL", "JUMP_REL", "NOP"];

impl SiteRecord {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let address = u32::from_str_radix(words.next()?, 16).ok()?;
        let call = parse_call(words.next()?)?;
        let before = parse_bytes(words.next()?)?;
        let after = parse_bytes(words.next()?)?;
        let whole = words.next().is_none() && before.len() == after.len();
        whole.then_some(Self { address, call, before, after })
    }
}

impl CheckRecord {
    fn parse(text: &str) -> Option<Self> {
        let (id, result) = text.split_once(' ')?;
        let failure = match result {
            "ok" => None,
            _ => Some(result.strip_prefix("fail")?.trim_start().to_owned()),
        };
        Some(Self { id: id.to_owned(), failure })
    }
}

impl fmt::Display for CheckRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            None => write!(f, "{} ok", self.id),
            Some(failure) => write!(f, "{} failed: {failure}", self.id),
        }
    }
}

fn parse_call(number: &str) -> Option<Call> {
    Call::from_number(number.parse().ok()?)
}

fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "SeaBIOS (version 1.16.2)\r\n\
        @kernel vmi-kernel 0.1.0\r\n\
        @backend vmi rom=000c3000 api=3.0 ring=0\r\n\
        probing\r\n\
        @call 33 CALL_REL 000c3460 2\r\n\
        @call 36 NONE - 0\r\n\
        @site 00101234 30 3e3e3e3efa e8000000ff\r\n\
        @check irq.nesting ok\r\n\
        @check irq.save fail mask: found 1, expected 0\r\n\
        @figure ticks.delivered 2000\r\n\
        @source lib.rs cbf29ce484222325\r\n\
        @end 1 1\r\n";

    #[test]
    fn a_whole_log_is_read_without_defects() {
        let report = Report::parse(LOG);
        assert_eq!(report.defects(), Vec::<String>::new());
        assert_eq!(report.kernel.as_deref(), Some("vmi-kernel 0.1.0"));
        assert!(report.is_vmi());
        assert_eq!(report.backend_value("rom"), Some("000c3000"));
        assert_eq!(report.calls[0].target, Some(0xC3460));
        assert_eq!(report.calls[1].target, None);
        assert_eq!(report.sites[0].call, Call::DISABLE_INTERRUPTS);
        assert_eq!(report.sites[0].after, [0xE8, 0, 0, 0, 0xFF]);
        assert_eq!(report.checks[0].failure, None);
        assert_eq!(report.checks[1].to_string(), "irq.save failed: mask: found 1, expected 0");
        assert_eq!(report.figure("ticks.delivered"), Some(2000));
        assert_eq!(report.sources[0].hash, 0xCBF2_9CE4_8422_2325);
        assert_eq!(report.end, Some((1, 1)));
    }

    #[test]
    fn a_log_cut_off_anywhere_is_defective() {
        for length in 0..LOG.len() - "1\r\n".len() {
            let defects = Report::parse(&LOG[..length]).defects();
            assert!(!defects.is_empty(), "nothing was missed at {length}");
        }
    }

    #[test]
    fn a_count_that_disagrees_with_the_checks_is_a_defect() {
        let log = LOG.replace("@check irq.nesting ok\r\n", "");
        let defects = Report::parse(&log).defects();
        assert_eq!(defects, ["the kernel counted 1 passed and 1 failed checks, but reported 0 and 1"]);
    }

    #[test]
    fn a_check_that_is_reported_twice_is_a_defect() {
        let log = LOG.replace("irq.save fail", "irq.nesting fail");
        assert_eq!(Report::parse(&log).defects(), ["the check irq.nesting was reported twice"]);
    }

    #[test]
    fn records_that_cannot_be_read_are_defects() {
        for record in [
            "@check",
            "@check irq.nesting",
            "@check irq.nesting perhaps",
            "@figure ticks many",
            "@source lib.rs",
            "@site 00101234 30 3e3e3e3efa e8",
            "@site 00101234 30 3e3e3 e8000",
            "@site 00101234 74 3e3e3e3efa e8000000ff",
            "@call 33 CALL 000c3460 2",
            "@call 33 CALL_REL 000c3460 2 3",
            "@unknown record",
        ] {
            let report = Report::parse(&format!("{LOG}{record}\n"));
            assert_eq!(report.malformed, [record]);
        }
    }

    #[test]
    fn a_run_may_end_with_a_call_instead_of_checks() {
        let log = "@kernel vmi-kernel 0.1.0\n@backend native no ROM\n@last 37\n";
        assert_eq!(Report::parse(log).defects_before(Call::SHUTDOWN), Vec::<String>::new());
        assert_eq!(Report::parse(log).defects_before(Call::REBOOT), ["the kernel did not come to Reboot"]);
        assert_eq!(Report::parse(log).defects(), ["the report has no end"]);
        assert_eq!(Report::parse("@last 74\n").malformed, ["@last 74"]);
    }

    #[test]
    fn text_that_mentions_a_record_is_not_one() {
        let report = Report::parse("the line @end 1 1 ends the report\n");
        assert_eq!(report, Report::default());
    }
}

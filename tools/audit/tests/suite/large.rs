//! A kernel with 100,000 sites.

use paravirt_vmi::abi::Call;
use vmi_audit::audit::Status;
use vmi_audit::report;

use super::audit;
use super::elf::Kernel;

const SITES: usize = 100_000;

/// In each so manieth function there is a `popf`.
const EACH: usize = 10;

#[test]
fn of_a_hundred_thousand_sites_each_is_checked_and_everything_between_them_is_found() {
    let calls = (0..SITES).map(|index| Call::from_number((index % Call::COUNT) as u32).unwrap());
    let kernel = Kernel::new(calls, |index| index % EACH == 0);
    let elf = kernel.elf().bytes();
    audit(&elf, "symbol function_0 -- one of them is allowed", |audit| {
        assert_eq!((audit.sites.records, audit.sites.native_ranges().len()), (SITES, SITES));
        assert_eq!(audit.sites.defects, []);
        let expected: Vec<_> = kernel.sites.iter().step_by(EACH).skip(1).map(|site| site - 2).collect();
        let found: Vec<_> = audit.open().map(|finding| finding.address).collect();
        assert_eq!(found, expected);
        let stubs = audit.findings.iter().filter(|finding| matches!(finding.status, Status::Stub(_)));
        assert_eq!((stubs.count(), audit.unused.len()), (Call::COUNT, 0));
        let text = report::text::audit(audit).unwrap();
        assert_eq!(text.matches("popfd  ").count(), expected.len() + 1);
        assert_eq!(
            report::json::report(audit, None).unwrap().matches("\"mnemonic\": \"popfd\"").count(),
            expected.len() + 1
        );
    });
}

//! Any bytes at all are a kernel, an allow-list or a ROM, or one line that says why not.

use proptest::prelude::*;
use vmi_audit::allow::AllowList;
use vmi_audit::audit::{Audit, Options};
use vmi_audit::kernel::Kernel as Parsed;
use vmi_audit::patched::{Patched, Place};
use vmi_audit::report;
use vmi_audit::rom;
use vmi_audit::site::Cpu;

use super::elf::Kernel;

/// Audits bytes, and looks at everything that comes of it.
fn survive(data: &[u8]) {
    let kernel = match Parsed::parse(data) {
        Ok(kernel) => kernel,
        Err(error) => return assert!(!error.to_string().contains('\n')),
    };
    let allow = AllowList::default();
    let audit = Audit::new(&kernel, data, Options { cpu: Cpu::I686, allow: &allow });
    assert!(report::text::audit(&audit).is_ok());
    assert!(report::json::report(&audit, None).is_ok());
    for finding in &audit.findings {
        assert!(kernel.section_at(finding.address).is_some());
    }
}

/// A kernel with everything that is looked at.
fn sample() -> Vec<u8> {
    Kernel::of_all().elf().bytes()
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_survived() {
    let data = sample();
    for length in 0..data.len() {
        survive(&data[..length]);
    }
}

#[test]
fn every_byte_of_the_headers_may_be_anything() {
    let data = sample();
    let headers = data.len() - 40 * 8..data.len();
    for place in (0..52).chain(headers) {
        for value in [0x00, 0x01, 0x04, 0x7F, 0x80, 0xFF] {
            let mut damaged = data.clone();
            damaged[place] = value;
            survive(&damaged);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut data = sample();
        for (place, value) in changes {
            let place = place.index(data.len());
            data[place] = value;
        }
        survive(&data);
    }

    #[test]
    fn any_text_is_an_allow_list_or_an_error(text in "((symbol|section|range|source)? ?[ -~]{0,20}( -- )?[a-z*.]{0,8}\n?){0,4}") {
        match AllowList::parse(&text) {
            Ok(list) => prop_assert!(list.entries.iter().all(|entry| !entry.reason.is_empty())),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }

    #[test]
    fn any_code_answers_or_is_an_error(code in prop::collection::vec(any::<u8>(), 0..64), base in any::<u32>(), number in 0..80_u32) {
        if let Err(error) = rom::ask(&code, base, base, number) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_bytes_are_a_rom_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let data = sample();
        let kernel = Parsed::parse(&data).unwrap();
        let sites = vmi_audit::site::Sites::new(&kernel, Cpu::I386);
        let error = Patched::new(&kernel, &sites, &bytes, Place::default(), true).unwrap_err();
        prop_assert!(error.to_string().starts_with("ROM at C3000: "));
    }
}

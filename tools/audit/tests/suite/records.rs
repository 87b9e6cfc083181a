//! What can be wrong with sites: each defect is found, at the right record, and hides no other.

use paravirt_vmi::abi::Call;
use paravirt_vmi::site::SiteRecord;
use vmi_audit::site::{Defect, DefectKind};

use super::audit;
use super::elf::{FUNCTION, Kernel, LABEL, TEXT};

const CLI: Call = Call::DISABLE_INTERRUPTS;
/// Bytes of a record.
const RECORD: usize = size_of::<SiteRecord>();

/// The defects of a kernel.
fn defects(kernel: &Kernel) -> Vec<Defect> {
    audit(&kernel.elf().bytes(), "", |audit| audit.sites.defects.clone())
}

/// The kinds of the defects, and the records that they are of.
fn kinds(kernel: &Kernel) -> Vec<(usize, &'static str)> {
    defects(kernel).iter().map(|defect| (defect.index, defect.kind.name())).collect()
}

/// A byte of the text at a site.
fn byte(kernel: &mut Kernel, site: usize, offset: u32) -> &mut u8 {
    let address = kernel.sites[site] + offset - TEXT;
    &mut kernel.text[address as usize]
}

#[test]
fn sound_sites_of_all_calls_have_no_defect_and_nothing_in_them_is_found() {
    let kernel = Kernel::of_all();
    assert_eq!(defects(&kernel), []);
    audit(&kernel.elf().bytes(), "", |audit| {
        assert!(audit.is_clean());
        assert_eq!(audit.sites.native_ranges().len(), Call::COUNT);
    });
}

#[test]
fn every_bad_record_is_reported() {
    let mut kernel = Kernel::new([CLI; 6], |_| false);
    for (index, number) in [(1, 74), (2, 75), (4, 255)] {
        kernel.records[index * RECORD + 4] = number;
    }
    kernel.records.extend([1, 2, 3]);
    let found = defects(&kernel);
    let texts: Vec<_> = found.iter().map(|defect| defect.kind.to_string()).collect();
    assert_eq!(
        texts,
        [
            "site record at 08000005: no call has the number 74",
            "site record at 0800000a: no call has the number 75",
            "site record at 08000014: no call has the number 255",
            "site record at 0800001e: the section vmi_sites has 33 bytes, which is not a multiple of 5",
        ]
    );
    let records: Vec<_> = found.iter().map(|defect| (defect.index, defect.record)).collect();
    assert_eq!(records, [(1, 0x0800_0005), (2, 0x0800_000A), (4, 0x0800_0014), (6, 0x0800_001E)]);
    // What no record names is looked at like everything else.
    audit(&kernel.elf().bytes(), "", |audit| {
        let found: Vec<_> = audit.open().map(|finding| finding.address).collect();
        assert_eq!(found, [1, 2, 4].map(|site| kernel.sites[site]));
    });
}

#[test]
fn a_site_with_other_bytes_is_no_site() {
    let mut kernel = Kernel::new([CLI; 3], |_| false);
    *byte(&mut kernel, 1, 0) = 0x90;
    let expected = vec![0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0xFA];
    let found = vec![0x90, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0xFA];
    let [defect] = &defects(&kernel)[..] else { panic!() };
    assert_eq!((defect.index, &defect.kind), (1, &DefectKind::NotNative { expected, found }));
    audit(&kernel.elf().bytes(), "", |audit| {
        let open: Vec<_> = audit.open().map(|finding| finding.text()).collect();
        assert_eq!(open, ["cli"], "what stands in its place is found");
    });
}

#[test]
fn a_site_outside_the_code_is_named() {
    let mut kernel = Kernel::new([CLI; 2], |_| false);
    kernel.records[..4].copy_from_slice(&0_u32.to_le_bytes());
    assert_eq!(kinds(&kernel), [(0, "outside-code")]);
    // The last one begins in the text, and ends behind it.
    let mut kernel = Kernel::new([CLI; 2], |_| false);
    kernel.text.pop();
    assert_eq!(kinds(&kernel), [(1, "outside-code")]);
}

#[test]
fn padding_must_be_code_of_the_chosen_processor() {
    let mut kernel = Kernel::new([Call::CPUID], |_| false);
    // nop dword [eax]
    for (offset, value) in [(2, 0x0F), (3, 0x1F), (4, 0x00)] {
        *byte(&mut kernel, 0, offset) = value;
    }
    let found = defects(&kernel);
    assert_eq!(kinds(&kernel), [(0, "not-native"), (0, "padding")]);
    assert_eq!(found[1].kind.to_string(), "`nop [eax]` is no instruction of a 386");
}

#[test]
fn where_the_code_comes_back_no_jump_may_stand() {
    let mut kernel = Kernel::new([Call::IRET, Call::SYSEXIT, CLI], |_| false);
    // cli where there should be iretd; iretd where there should be cli
    *byte(&mut kernel, 0, 0) = 0xFA;
    *byte(&mut kernel, 2, 7) = 0xCF;
    assert_eq!(kinds(&kernel), [(0, "not-native"), (0, "flow"), (2, "not-native"), (2, "flow")]);
}

#[test]
fn sites_that_overlap_are_both_named() {
    let mut kernel = Kernel::new([CLI, CLI, CLI], |_| false);
    // The second record names the last byte of the first site, then the third one the same site as the first.
    let [first, second, _] = kernel.sites[..] else { panic!() };
    let offset =
        |record: u32, site: u32| site.wrapping_sub(0x0800_0000 + RECORD as u32 * record).to_le_bytes();
    kernel.records[RECORD..][..4].copy_from_slice(&offset(1, first + 7));
    kernel.records[2 * RECORD..][..4].copy_from_slice(&offset(2, first));
    assert!(kinds(&kernel).contains(&(1, "overlap")) && kinds(&kernel).contains(&(2, "overlap")));
    // Side by side they are sound.
    let mut kernel = Kernel::new([CLI, CLI], |_| false);
    let start = (second - TEXT - 3) as usize;
    kernel.text.drain(start..start + 3);
    kernel.records[RECORD..][..4].copy_from_slice(&offset(1, second - 3));
    kernel.sites.truncate(1);
    assert_eq!(kinds(&kernel), []);
}

#[test]
fn branches_into_the_middle_of_a_site_are_found_and_others_are_none() {
    for (target, is_bad) in [(-1, false), (0, false), (1, true), (7, true), (8, false)] {
        let mut kernel = Kernel::new([CLI; 2], |_| false);
        // In front of the second site: jz rel8
        let site = kernel.sites[0] as i32;
        let branch = kernel.sites[1] - 3;
        let at = (branch - TEXT) as usize;
        kernel.text[at] = 0x74;
        kernel.text[at + 1] = (site + target - (branch as i32 + 2)) as u8;
        let expected = DefectKind::BranchInto { from: branch, target: (site + target) as u32 };
        let found: Vec<_> = defects(&kernel).into_iter().map(|defect| (defect.index, defect.kind)).collect();
        assert_eq!(found, if is_bad { vec![(0, expected)] } else { vec![] }, "{target}");
    }
}

#[test]
fn a_symbol_in_the_middle_of_a_site_is_found() {
    let kernel = Kernel::new([CLI; 2], |_| false);
    for (offset, is_bad) in [(0, false), (1, true), (7, true), (8, false)] {
        let mut elf = kernel.elf();
        elf.symbol("label", kernel.sites[0] + offset, 0, LABEL, 1);
        let found = audit(&elf.bytes(), "", |audit| {
            assert_eq!(audit.is_clean(), !is_bad);
            audit.sites.defects.iter().map(|defect| defect.kind.name()).collect::<Vec<_>>()
        });
        assert_eq!(found, if is_bad { vec!["symbol-into"] } else { vec![] }, "{offset}");
    }
}

#[test]
fn without_a_table_the_stubs_are_those_that_the_sites_agree_about() {
    let mut kernel = Kernel::new([Call::SET_GDT, Call::SET_LDT, Call::SET_GDT, Call::SET_GDT], |_| false);
    let strip = |kernel: &Kernel| {
        let mut elf = kernel.elf();
        elf.symbols.clear();
        elf.bytes()
    };
    audit(&strip(&kernel), "", |audit| {
        assert_eq!(audit.sites.defects, []);
        assert_eq!(audit.sites.stubs[Call::SET_GDT.number() as usize], kernel.stubs[3]);
        assert_eq!(audit.sites.stubs[Call::SET_DR.number() as usize], 0);
    });
    *byte(&mut kernel, 2, 1) += 4;
    audit(&strip(&kernel), "", |audit| {
        let [defect] = &audit.sites.defects[..] else { panic!("{:?}", audit.sites.defects) };
        let (target, first) = (kernel.stubs[3] + 4, kernel.stubs[3]);
        assert_eq!((defect.index, &defect.kind), (2, &DefectKind::StubsDiffer { target, first }));
    });
    *byte(&mut kernel, 2, 4) = 0x7F;
    assert_eq!(kinds(&kernel), [(2, "stub-outside-code")]);
}

#[test]
fn a_function_in_the_middle_of_another_is_no_defect() {
    let kernel = Kernel::new([CLI; 2], |_| false);
    let mut elf = kernel.elf();
    elf.symbol("inner", kernel.sites[1] - 2, 2, FUNCTION, 1);
    audit(&elf.bytes(), "", |audit| assert!(audit.is_clean()));
}

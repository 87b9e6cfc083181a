//! What is found, allowed, and passed over.

use paravirt_vmi::abi::Call;
use vmi_audit::audit::Status;
use vmi_audit::kernel::{Kernel as Parsed, ReadError};
use vmi_audit::report;

use super::audit;
use super::elf::{ALLOC, CODE, Elf, FUNCTION, Kernel, LABEL, OBJECT, TEXT};

/// `cli; popf` in two functions, a table between them that looks like `sti`, and bytes that are none.
fn elf() -> Elf {
    let mut elf = Elf::new();
    let bytes = vec![0xFA, 0xC3, 0xFB, 0xFB, 0x9D, 0xC3, 0x0F, 0x04, 0x90, 0x0F, 0x04, 0x90];
    let text = elf.section(".text", CODE, TEXT, bytes);
    elf.section(".rodata", ALLOC, 0x20_0000, vec![0xFA; 8]);
    elf.symbol("masks", TEXT, 2, FUNCTION, text);
    elf.symbol("table", TEXT + 2, 2, OBJECT, text);
    elf.symbol("restores", TEXT + 4, 5, FUNCTION, text);
    elf
}

fn open(allow: &str) -> Vec<String> {
    audit(&elf().bytes(), allow, |audit| {
        audit.open().map(|finding| format!("{:x} {}", finding.address - TEXT, finding.mnemonic())).collect()
    })
}

fn unused(allow: &str) -> Vec<usize> {
    audit(&elf().bytes(), allow, |audit| audit.unused.clone())
}

#[test]
fn code_is_looked_at_and_data_is_not() {
    assert_eq!(open(""), ["0 cli", "4 popfd", "6 undecodable"]);
    audit(&elf().bytes(), "", |audit| {
        assert_eq!(audit.findings.last().map(|finding| finding.status), Some(Status::Unclassified));
        assert_eq!(audit.counts.undecodable, 2);
        assert!(!audit.is_clean());
    });
}

#[test]
fn what_is_allowed_is_not_open_and_what_allows_nothing_is_reported() {
    assert_eq!(open("symbol masks -- a"), ["4 popfd", "6 undecodable"]);
    assert_eq!(open("symbol masks only sti -- a"), ["0 cli", "4 popfd", "6 undecodable"]);
    assert_eq!(open("symbol restores only popfd -- a"), ["0 cli", "6 undecodable"]);
    assert_eq!(open("range 00100004..00100005 -- a"), ["0 cli", "6 undecodable"]);
    assert!(open("section .text -- a").is_empty());
    assert!(unused("section .text -- a\nsymbol masks -- b").is_empty());
    assert_eq!(
        unused("symbol masks -- a\nsymbol mask -- b\nsymbol table -- c\nsection .rodata -- d"),
        [1, 2, 3]
    );
    audit(&elf().bytes(), "section .text -- a\nsymbol nothing -- b", |audit| assert!(!audit.is_clean()));
    audit(&elf().bytes(), "section .text -- a", |audit| assert!(audit.is_clean()));
}

#[test]
fn without_symbols_everything_is_decoded() {
    let mut elf = elf();
    elf.symbols.clear();
    audit(&elf.bytes(), "", |audit| {
        let found: Vec<_> = audit.open().map(|finding| finding.mnemonic()).collect();
        assert_eq!(found, ["cli", "sti", "sti", "popfd"]);
        assert_eq!(audit.kernel.place(TEXT + 4), ".text+0x4");
    });
}

#[test]
fn every_section_with_instructions_is_looked_at() {
    let mut elf = elf();
    // Right behind the other: no instruction goes over from one into the next.
    elf.section(".init", CODE, TEXT + 12, vec![0xFB]);
    audit(&elf.bytes(), "section .text -- a", |audit| {
        let found: Vec<_> = audit.open().map(|finding| audit.kernel.place(finding.address)).collect();
        assert_eq!(found, [".init"]);
        // The end of the first one has been looked at too.
        assert_eq!(audit.counts.undecodable, 2);
    });
}

#[test]
fn native_stubs_are_known_by_the_kernels_own_table() {
    let kernel = Kernel::of_all();
    let mut elf = kernel.elf();
    // Right behind the last stub.
    let stubs = elf.sections.iter_mut().find(|section| section.name == ".native.text").unwrap();
    stubs.bytes.push(0xFA);
    audit(&elf.bytes(), "", |audit| {
        let stubs: Vec<_> =
            audit.findings.iter().filter(|found| matches!(found.status, Status::Stub(_))).collect();
        assert_eq!(stubs.len(), Call::COUNT);
        assert_eq!(stubs[3].status, Status::Stub(Call::SET_GDT));
        assert_eq!(audit.open().map(|found| found.mnemonic()).collect::<Vec<_>>(), ["cli"]);
    });
}

#[test]
fn calls_through_the_table_of_an_indirect_build_are_counted() {
    let mut elf = Elf::new();
    let table = 0x0030_0000_u32;
    let mut code = vec![0x36, 0xFF, 0x15];
    code.extend((table + 4 * 30).to_le_bytes());
    // Behind the table.
    code.extend([0x36, 0xFF, 0x15]);
    code.extend((table + 4 * 74).to_le_bytes());
    elf.section(".text", CODE, TEXT, code);
    let data = elf.section(".data", ALLOC, table, vec![0; 4 * Call::COUNT]);
    elf.symbol("__paravirt_vmi_calls", table, 0, LABEL, data);
    audit(&elf.bytes(), "", |audit| assert_eq!(audit.counts.through_table, 1));
}

#[test]
fn files_that_cannot_be_audited_are_refused_by_name() {
    let error = |change: fn(&mut Elf)| {
        let mut elf = elf();
        change(&mut elf);
        Parsed::parse(&elf.bytes()).unwrap_err()
    };
    assert_eq!(error(|elf| elf.kind = 1), ReadError::Relocatable);
    assert!(matches!(error(|elf| elf.machine = 62), ReadError::WrongMachine { .. }));
    assert_eq!(error(|elf| elf.sections[0].flags = ALLOC), ReadError::NoCode);
    assert!(matches!(error(|elf| elf.sections[0].address = u32::MAX - 4), ReadError::BeyondTop { .. }));
    let overlap = error(|elf| _ = elf.section(".more", CODE, TEXT + 11, vec![0x90]));
    assert_eq!(overlap.to_string(), "the sections .text and .more overlap at 0010000b");
    assert!(matches!(
        Parsed::parse(b"not an ELF file, and longer than its header"),
        Err(ReadError::Unreadable { .. })
    ));
}

#[test]
fn reports_say_what_why_and_instead() {
    audit(&elf().bytes(), "symbol masks -- a\nsymbol x -- b", |audit| {
        let text = report::text::audit(audit).unwrap();
        for part in [
            "00100004  popfd        does nothing    restores      32 SetInterruptMask (irq::restore) or 61 SetIOPLMask",
            "it leaves IF and IOPL as they are, without a fault",
            "line 2: symbol x",
            "00100009  1 byte in .text+0x9",
            "no source lines: the file has no debug information",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&report::json::report(audit, None).unwrap()).unwrap();
        assert_eq!((&json["version"], &json["clean"]), (&1.into(), &false.into()));
        assert_eq!(json["findings"][0]["allowed_by"]["reason"], "a");
        let popf = &json["findings"][1];
        assert_eq!((&popf["status"], &popf["effect"]), (&"open".into(), &"ignored".into()));
        assert_eq!(popf["calls"][1]["function"], "port::set_iopl");
        assert_eq!(json["unused_allowances"][0]["line"], 2);
    });
}

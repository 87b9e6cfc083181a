//! What a C compiler makes of `vmi.h` is what Rust makes of the crate: every size, alignment,
//! offset and number, in 32-bit and 64-bit objects, and every number in assembler sources.

use object::{Object, ObjectSection, ObjectSymbol};
use paravirt_vmi_abi::{CALLS, CONSTANTS, STRUCTURES, legacy::LEGACY_CALLS};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A C expression and the value that it must have.
type Expectation = (String, u64);

/// Sizes, alignments and offsets.
fn layouts() -> Vec<Expectation> {
    let mut expected = Vec::new();
    for layout in STRUCTURES {
        let tag = layout.c_name;
        expected.push((format!("sizeof(struct {tag})"), layout.size as u64));
        expected.push((format!("_Alignof(struct {tag})"), layout.align as u64));
        for field in layout.fields {
            let name = field.name;
            let member = format!("((struct {tag} *)0)->{name}");
            expected.push((format!("offsetof(struct {tag}, {name})"), field.offset as u64));
            expected.push((format!("sizeof({member})"), field.size as u64));
            if let Some(elements) = field.elements {
                let count = format!("sizeof({member}) / sizeof({member}[0])");
                expected.push((count, elements as u64));
            }
        }
    }
    expected
}

/// Call numbers, slots and constants.
fn numbers() -> Vec<Expectation> {
    let mut expected = vec![("VMI_CALL_COUNT".to_owned(), CALLS.len() as u64)];
    for info in &CALLS {
        let name = info.name;
        expected.push((format!("VMI_CALL_{name}"), info.call.number().into()));
        for (version, slot) in [("13_0", info.slot_13_0), ("13_3", info.slot_13_3)] {
            if let Some(slot) = slot {
                expected.push((format!("VMI_SLOT_{version}_{name}"), slot.number.into()));
            }
        }
    }
    for call in &LEGACY_CALLS {
        expected.push((format!("VMI_SLOT_13_3_{}", call.name), call.slot.into()));
        if call.since_minor == 0 {
            expected.push((format!("VMI_SLOT_13_0_{}", call.name), call.slot.into()));
        }
    }
    for group in CONSTANTS {
        for constant in group.constants {
            expected.push((format!("{}{}", group.prefix, constant.name), constant.value.into()));
        }
    }
    expected
}

/// A C source whose symbol `vmi_values` is the table of the expressions' values.
fn c_source(expected: &[Expectation]) -> String {
    let values: String = expected.iter().map(|(name, _)| format!("    {name},\n")).collect();
    format!(
        "#include \"vmi.h\"\nextern const uint64_t vmi_values[];\nconst uint64_t vmi_values[] = {{\n{values}}};\n"
    )
}

/// The same for the preprocessed assembler.
fn assembler_source(expected: &[Expectation]) -> String {
    let values: String = expected.iter().map(|(name, _)| format!("    .quad {name}\n")).collect();
    format!("#include \"vmi.h\"\n    .data\n    .globl vmi_values\nvmi_values:\n{values}")
}

/// The C compiler.
fn compiler() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".to_owned())
}

/// Compiles `source`, whose file is called `name`, and returns the object's path.
fn compile(name: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (input, output) = (directory.join(name), directory.join(format!("{name}.o")));
    std::fs::write(&input, source).expect("the target directory is writable");
    let result = Command::new(compiler())
        .args(arguments)
        .args(["-ffreestanding", "-Wall", "-Wextra", "-Werror", "-std=c11", "-c", "-I"])
        .arg(env!("CARGO_MANIFEST_DIR"))
        .arg("-o")
        .args([&output, &input])
        .output()
        .unwrap_or_else(|error| panic!("this test needs the C compiler {}: {error}", compiler()));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    output
}

/// The words of `vmi_values` in an object of `count` of them.
fn values(path: &Path, count: usize) -> Vec<u64> {
    let bytes = std::fs::read(path).expect("the compiler has written it");
    let object = object::File::parse(&*bytes).expect("an object file");
    let symbol = object
        .symbols()
        .find(|symbol| symbol.name().is_ok_and(|name| name.trim_start_matches('_') == "vmi_values"))
        .expect("the object has the table");
    let section = symbol.section_index().expect("the table is defined");
    let section = object.section_by_index(section).expect("the section exists");
    let start = usize::try_from(symbol.address() - section.address()).expect("a small object");
    let words = &section.data().expect("the section has bytes")[start..][..count * 8];
    let word = |bytes: &[u8]| {
        let bytes = bytes.try_into().expect("8 bytes");
        if object.is_little_endian() { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) }
    };
    words.chunks_exact(8).map(word).collect()
}

/// Compiles the expressions and compares their values, all differences in one message.
fn compare(name: &str, expected: &[Expectation], source: &str, arguments: &[&str]) {
    let object = compile(name, source, arguments);
    let found = values(&object, expected.len());
    let differences: Vec<String> = expected
        .iter()
        .zip(found)
        .filter(|((_, expected), found)| expected != found)
        .map(|((name, expected), found)| format!("{name} is {found:#x} in C, {expected:#x} in Rust"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whether the host's C compiler has the two modes of x86.
fn is_x86_64() -> bool {
    let answer = cfg!(target_arch = "x86_64");
    if !answer {
        eprintln!("not an x86-64 host: its C compiler has no -m32, only its own mode is tested");
    }
    answer
}

#[test]
fn the_header_says_in_32_bit_c_what_rust_says() {
    if is_x86_64() {
        let expected = [layouts(), numbers()].concat();
        compare("vmi_32.c", &expected, &c_source(&expected), &["-m32"]);
    }
}

#[test]
fn the_header_says_in_64_bit_c_what_rust_says() {
    let expected = [layouts(), numbers()].concat();
    let mode: &[&str] = if is_x86_64() { &["-m64"] } else { &[] };
    compare("vmi_64.c", &expected, &c_source(&expected), mode);
}

#[test]
fn the_header_gives_its_numbers_to_assembler_sources() {
    let expected = numbers();
    let mode: &[&str] = if is_x86_64() { &["-m32"] } else { &[] };
    compare("vmi_assembler.S", &expected, &assembler_source(&expected), mode);
}

#[test]
fn no_name_of_the_header_is_given_twice() {
    let mut names: Vec<String> = numbers().into_iter().map(|(name, _)| name).collect();
    names.sort();
    let repeated: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

//! The ROM's assembly is what the model models: whoever changes one has to look at the other.

/// The source of the ROM's code.
const SOURCE: &str = include_str!("../../../examples/hypervisor/src/machine/rom_code.rs");

/// The instructions from `label` on to the next empty line, without comments, directives and other labels.
fn instructions(label: &str) -> Vec<&'static str> {
    let (_, code) = SOURCE.split_once(&format!("\n{label}:\n")).unwrap_or_else(|| panic!("no {label}"));
    let lines = code.lines().map(str::trim).take_while(|line| !line.is_empty());
    lines
        .filter(|line| !line.starts_with(['#', '.']) && !line.ends_with(':'))
        .map(|line| line.split_once(": ").map_or(line, |(_, instruction)| instruction).trim())
        .collect()
}

/// The store that unmasks.
const SET: &str = "mov byte ptr ss:[{flag_byte}], {enabled}";
/// The store that masks.
const CLEAR: &str = "mov byte ptr ss:[{flag_byte}], 0";

#[test]
fn enabling_disabling_and_asking_are_one_instruction() {
    assert_eq!(instructions("rom_enable"), [SET, "ret"]);
    assert_eq!(instructions("rom_disable"), [CLEAR, "ret"]);
    assert_eq!(instructions("rom_get_mask"), ["mov ah, ss:[{flag_byte}]", "ret"]);
    let set = ["test eax, {interrupt_flag}", "jnz rom_enable", CLEAR, "ret"];
    assert_eq!(instructions("rom_set_mask"), set);
}

#[test]
fn returning_looks_sets_the_flag_and_goes_back() {
    assert_eq!(
        instructions("rom_iret_by_jump"),
        [
            "test byte ptr [esp + 4], 2",
            "jnz 3f",
            "test dword ptr [esp + 8], {interrupt_flag}",
            "jnz 3f",
            CLEAR,
            "iretd",
            "test dword ptr ss:[{flag}], {interrupt_flag}",
            "jz rom_window",
            "iretd",
            "cmp dword ptr ss:[{pending}], 0",
            "jne 4f",
            SET,
            "iretd",
            "push {iret}",
            "int {hypercall}",
        ]
    );
}

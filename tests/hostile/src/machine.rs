//! Raw memory and raw instructions, all safe to call in name only.
//!
//! # Safety
//!
//! This program is made to do harm, to itself in the first place: none of this is sound, and every call may
//! fault. The attempts are made under [`trap::catch`](crate::trap::catch), after which the program relies
//! on nothing but its text, its stack and its tables; and each run makes one attempt and ends.
#![allow(unsafe_code)]

use core::arch::asm;

/// Reads a word at a linear address.
pub fn read(address: u32) -> u32 {
    let value;
    // SAFETY: see the module.
    unsafe { asm!("mov {}, [{}]", out(reg) value, in(reg) address, options(nostack)) };
    value
}

/// Writes a word at a linear address.
pub fn write(address: u32, value: u32) {
    // SAFETY: see the module.
    unsafe { asm!("mov [{}], {}", in(reg) address, in(reg) value, options(nostack)) };
}

/// Writes a word at a linear address by an instruction that reads it as well.
pub fn exchange(address: u32, value: u32) {
    // SAFETY: see the module.
    unsafe { asm!("xchg [{}], {}", in(reg) address, inout(reg) value => _, options(nostack)) };
}

/// Sets bits of a word at a linear address.
pub fn set_bits(address: u32, value: u32) {
    // SAFETY: see the module.
    unsafe { asm!("or [{}], {}", in(reg) address, in(reg) value, options(nostack)) };
}

/// Copies words between linear addresses.
pub fn copy(from: u32, to: u32, bytes: u32) {
    for offset in (0..bytes).step_by(4) {
        write(to + offset, read(from + offset));
    }
}

/// Defines instructions that take one operand.
macro_rules! instructions {
    ($($(#[$meta:meta])* $name:ident $template:literal;)*) => {$(
        $(#[$meta])*
        pub fn $name(operand: u32) {
            // SAFETY: see the module.
            unsafe { asm!($template, in("eax") operand) };
        }
    )*};
}

instructions! {
    /// LGDT of the six bytes at an address.
    lgdt "lgdt [eax]";
    /// LIDT of the six bytes at an address.
    lidt "lidt [eax]";
    /// LLDT.
    lldt "lldt ax";
    /// LTR.
    ltr "ltr ax";
    /// LMSW.
    lmsw "lmsw ax";
    /// MOV to CR0.
    set_cr0 "mov cr0, eax";
    /// MOV to CR3.
    set_cr3 "mov cr3, eax";
    /// MOV to CR4.
    set_cr4 "mov cr4, eax";
    /// MOV to DR0.
    set_dr0 "mov dr0, eax";
    /// MOV to DR1.
    set_dr1 "mov dr1, eax";
    /// MOV to DR7.
    set_dr7 "mov dr7, eax";
    /// INVLPG.
    invlpg "invlpg [eax]";
    /// MOV to FS.
    load_fs "mov fs, eax";
    /// POPFD.
    popfd "push eax; popfd";
}

/// A near call.
pub fn call(address: u32) {
    // SAFETY: see the module.
    unsafe { asm!("pushad", "call eax", "popad", "cld", in("eax") address) };
}

/// Jumps to an address with another stack, all other registers 0, and TF set; does not come back.
pub fn jump_in_steps(address: u32, stack: u32) {
    // SAFETY: see the module.
    unsafe {
        asm!(
            "mov esp, ecx",
            "xor ebx, ebx",
            "xor ecx, ecx",
            "xor edx, edx",
            "xor esi, esi",
            "xor edi, edi",
            "xor ebp, ebp",
            "push 0x102",
            "popfd",
            "jmp eax",
            in("eax") address,
            in("ecx") stack,
            options(noreturn),
        );
    }
}

/// Defines instructions that give a word.
macro_rules! answers {
    ($($(#[$meta:meta])* $name:ident $template:literal;)*) => {$(
        $(#[$meta])*
        pub fn $name() -> u32 {
            let answer;
            // SAFETY: see the module.
            unsafe { asm!($template, out("eax") answer) };
            answer
        }
    )*};
}

answers! {
    /// PUSHFD: never traps, and shows the real IF and the real IOPL.
    pushfd "pushfd; pop eax";
    /// CS: its RPL is the real CPL.
    cs "mov eax, cs";
    /// SMSW: the lower half of the real CR0.
    smsw "xor eax, eax; smsw ax";
    /// STR: the real TR.
    str "xor eax, eax; str ax";
    /// MOV from CR0.
    cr0 "mov eax, cr0";
    /// MOV from CR3.
    cr3 "mov eax, cr3";
    /// MOV from CR4.
    cr4 "mov eax, cr4";
    /// The base in the real GDTR.
    gdt_base "sub esp, 8; sgdt [esp]; mov eax, [esp + 2]; add esp, 8";
    /// The base in the real IDTR.
    idt_base "sub esp, 8; sidt [esp]; mov eax, [esp + 2]; add esp, 8";
}

/// CLI.
pub fn cli() {
    // SAFETY: see the module.
    unsafe { asm!("cli") };
}

/// WRMSR.
pub fn wrmsr(register: u32, value: u32) {
    // SAFETY: see the module.
    unsafe { asm!("wrmsr", in("ecx") register, in("eax") value, in("edx") 0) };
}

/// IN of a byte.
pub fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: see the module.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value) };
    value
}

/// IN of a double word.
pub fn in32(port: u16) -> u32 {
    let value;
    // SAFETY: see the module.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value) };
    value
}

/// OUT of a byte.
pub fn out8(port: u16, value: u8) {
    // SAFETY: see the module.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value) };
}

/// OUT of a double word.
pub fn out32(port: u16, value: u32) {
    // SAFETY: see the module.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value) };
}

/// LSL: the limit of a segment as the processor has it; `None` if it has none.
pub fn lsl(selector: u32) -> Option<u32> {
    let (limit, found): (u32, u8);
    // SAFETY: see the module.
    unsafe {
        asm!("xor ecx, ecx", "lsl ecx, eax", "setz dl", in("eax") selector, out("ecx") limit, out("dl") found);
    }
    (found != 0).then_some(limit)
}

/// Writes a word at an offset in FS.
pub fn write_fs(offset: u32, value: u32) {
    // SAFETY: see the module.
    unsafe { asm!("mov fs:[eax], ecx", in("eax") offset, in("ecx") value) };
}

/// Jumps to the code segment of a selector, here, and back; returns CS as it was meanwhile.
pub fn far_jump(selector: u32) -> u32 {
    let found;
    // SAFETY: see the module.
    unsafe {
        asm!(
            "mov ecx, cs",
            "push eax",
            "lea edx, [2f]",
            "push edx",
            "jmp fword ptr [esp]",
            "2:",
            "add esp, 8",
            "mov eax, cs",
            "push ecx",
            "lea edx, [3f]",
            "push edx",
            "retf",
            "3:",
            inout("eax") selector => found,
            out("ecx") _,
            out("edx") _,
        );
    }
    found
}

/// A far call through a selector, to `offset`; what is there sets EAX and returns by RETF.
pub fn far_call(selector: u32, offset: u32) -> u32 {
    let found;
    // SAFETY: see the module.
    unsafe {
        asm!(
            "push eax",
            "push edx",
            "call fword ptr [esp]",
            "add esp, 8",
            inout("eax") selector => found,
            inout("edx") offset => _,
            out("ecx") _,
        );
    }
    found
}

/// IRETD to CS:EIP here, with EFLAGS; returns the real EFLAGS afterwards.
pub fn iret_here(code: u32, eflags: u32) -> u32 {
    let found;
    // SAFETY: see the module.
    unsafe {
        asm!(
            "push eax",
            "push ecx",
            "lea eax, [2f]",
            "push eax",
            "iretd",
            "2:",
            "pushfd",
            "pop eax",
            inout("eax") eflags => found,
            inout("ecx") code => _,
        );
    }
    found
}

/// IRETD with five words on the stack: EIP, CS, EFLAGS, ESP, SS; with VM set, four segments more.
pub fn iret_out(eip: u32, cs: u32, eflags: u32, esp: u32, ss: u32) {
    // SAFETY: see the module.
    unsafe {
        asm!(
            "push 0",
            "push 0",
            "push 0",
            "push 0",
            "push {ss}",
            "push {esp_}",
            "push {eflags}",
            "push {cs}",
            "push {eip}",
            "iretd",
            ss = in(reg) ss,
            esp_ = in(reg) esp,
            eflags = in(reg) eflags,
            cs = in(reg) cs,
            eip = in(reg) eip,
        );
    }
}

/// UD2 with another stack pointer.
pub fn fault_on_stack(esp: u32) {
    // SAFETY: see the module.
    unsafe { asm!("mov esp, eax", "ud2", in("eax") esp) };
}

/// The hypercall INT with another stack pointer.
pub fn hypercall_on_stack(esp: u32) {
    // SAFETY: see the module.
    unsafe { asm!("mov esp, eax", "int 0xF0", in("eax") esp) };
}

/// The hypercall INT as the ROM makes it, with any number and any words in the registers.
pub fn hypercall(number: u32, eax: u32, ecx: u32, edx: u32) {
    // SAFETY: see the module.
    unsafe {
        asm!(
            "push {number}",
            "int 0xF0",
            "lea esp, [esp + 4]",
            number = in(reg) number,
            inout("eax") eax => _,
            inout("ecx") ecx => _,
            inout("edx") edx => _,
        );
    }
}

/// INT with any vector: through a table of all of them.
pub fn int(vector: u32) {
    unsafe extern "C" {
        safe static int_table: u8;
    }
    call((&raw const int_table).addr() as u32 + vector * 4);
}

core::arch::global_asm!(
    r#"
    .section .boot.text.hostile, "ax", @progbits
    .balign 16
    # int n; ret; each of 4 bytes
    .globl int_table
int_table:
    .set vector, 0
    .rept 256
    .byte 0xCD, vector, 0xC3, 0x90
    .set vector, vector + 1
    .endr

    # the target of far calls: EAX = CS
    .balign 16
    .globl far_target
far_target:
    mov eax, cs
    retf

    # the target of jumps that do not come back: by `int 0x81`, which shows CS in the handler's frame
    .balign 16
    .globl lost_target
lost_target:
    mov eax, cs
    int 0x81
    .text
"#
);

/// The address of code that gives CS in EAX and returns by RETF.
pub fn far_target() -> u32 {
    unsafe extern "C" {
        safe static far_target: u8;
    }
    (&raw const far_target).addr() as u32
}

/// The address of code that gives CS in EAX and ends by vector 81.
pub fn lost_target() -> u32 {
    unsafe extern "C" {
        safe static lost_target: u8;
    }
    (&raw const lost_target).addr() as u32
}

/// The vector by which [`lost_target`] ends.
pub const LOST: u32 = 0x81;

/// The port at which the hypervisor says how often it was entered; no machine has a device there.
const EXITS: u16 = 0x5650;

/// Whether `f` entered the hypervisor. Never so on bare metal.
pub fn traps(f: impl FnOnce()) -> bool {
    let exits = || in32(EXITS);
    let (before, between) = (exits(), exits());
    f();
    exits().wrapping_sub(between) > between.wrapping_sub(before)
}

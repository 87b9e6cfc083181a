//! `user_program!`: the assembly of a program for ring 3, and `prepare_user!`: the kernel's last steps on the
//! way there.

/// The instructions that keep the registers of the C ABI and the stack for `leave_user`, and load the user's
/// data segment, whose selector is then in EAX.
///
/// The assembly in which they stand has the operands `kernel_stack` and `user_data`.
macro_rules! prepare_user {
    () => {
        "push ebp
        push ebx
        push esi
        push edi
        mov [{kernel_stack}], esp
        mov eax, {user_data}
        mov ds, eax
        mov es, eax"
    };
}

/// Emits a program for ring 3: its lines, and the operands that are its own.
///
/// The lines can make each system call by a macro of its name. EAX is its result, and EBX its argument:
/// `CALL_TICKS`, `CALL_REPORT index` with the answer in ECX, `POP_REPORT index` with the answer on the stack,
/// `CALL_EXIT`, `CALL_IOPL level`, `CALL_SLEEP ticks`, `CALL_VIDEO take`.
macro_rules! user_program {
    ($program:literal $(, $operand:ident = const $value:expr)* $(,)?) => {
        core::arch::global_asm!(
            r#"
            .section .user.text, "ax", @progbits
            .macro CALL_TICKS
            mov eax, {ticks}
            int {system_call}
            .endm
            .macro CALL_REPORT index
            mov ebx, \index
            mov eax, {report}
            int {system_call}
            .endm
            .macro POP_REPORT index
            pop ecx
            CALL_REPORT \index
            .endm
            .macro CALL_EXIT
            mov eax, {exit}
            int {system_call}
            .endm
            .macro CALL_IOPL level
            mov ebx, \level
            mov eax, {iopl}
            int {system_call}
            .endm
            .macro CALL_SLEEP ticks
            mov ebx, \ticks
            mov eax, {sleep}
            int {system_call}
            .endm
            .macro CALL_VIDEO take
            mov ebx, \take
            mov eax, {video}
            int {system_call}
            .endm
            "#,
            $program,
            r#"
            .purgem CALL_TICKS
            .purgem CALL_REPORT
            .purgem POP_REPORT
            .purgem CALL_EXIT
            .purgem CALL_IOPL
            .purgem CALL_SLEEP
            .purgem CALL_VIDEO
            .text
            "#,
            system_call = const crate::traps::SYSTEM_CALL,
            ticks = const crate::user::call::TICKS,
            report = const crate::user::call::REPORT,
            exit = const crate::user::call::EXIT,
            iopl = const crate::user::call::IOPL,
            sleep = const crate::user::call::SLEEP,
            video = const crate::user::call::VIDEO,
            $($operand = const $value,)*
        );
    };
}

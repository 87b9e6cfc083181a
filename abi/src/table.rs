//! The call table: the one place where a call's number and calling convention are written down.
//!
//! Everything that needs them is derived from [`for_each_call!`](crate::for_each_call): the
//! [`Call`](crate::Call) constants and [`CallInfo`](crate::CallInfo) rows of this crate, the stubs
//! and sites of the guest crate, the relocation table of a ROM, `vmi.h` and `calls.md`.
//!
//! # The row
//!
//! ```text
//! { NUMBER CONSTANT "Name" group
//!   in(LOCATION name, ...) out(LOCATION name, ...) clobbers(...) segments(...)
//!   relocations(...) slots(...) native("...") "summary" }
//! ```
//!
//! * `in`, `out`: where each argument and result travels. `eax` ... `edi` are 32-bit registers, `al`
//!   and `ax` their low parts, `s1` and `s2` the words at `[esp+4]` and `[esp+8]` at the callee's
//!   entry (the caller removes them), `frame` the words of an interrupt-return frame. `out(!)`: the
//!   call does not return.
//! * `clobbers`: every register that may differ after the call, results included; `flags` are the
//!   arithmetic flags; `memory` means that guest memory other than the stack may change.
//! * `segments`: `all` requires flat CS, SS, DS and ES; `stack` only CS and SS.
//! * `relocations`: the answers of GetRelocationInfo that a guest can act on.
//! * `slots`: the slot in the 13.x generation; empty when the call is new in 3.0; `with(...)` when
//!   the arguments differ there; a second number when 13.3 added a slot with the arguments of 3.0.
//! * `native`: what the call replaces; `""` where the native equivalent is to do nothing.
//!
//! A row may end in `undocumented`: no specification describes the call, its convention is that of
//! the one known implementation.
//!
//! Source: facts sheet, sections 4.1 (table), 4.4 (13.x numbers), 5.2 (clobbers), 5.4 (segments),
//! 6.2 (relocations).

/// Passes every row of the call table, in order of number, to a macro.
///
/// `for_each_call!(callback)` expands to `callback! { rows }`; anything after the callback's name
/// is passed through in front of the rows. The row grammar is described in the
/// [module](crate::table).
///
/// ```
/// macro_rules! names {
///     ($({ $number:literal $constant:ident $name:literal $($row:tt)* })*) => { [$($name),*] };
/// }
/// let names = paravirt_vmi_abi::for_each_call!(names);
/// assert_eq!(names[33], "IRET");
/// ```
#[macro_export]
macro_rules! for_each_call {
    ($($callback:ident)::+ $(, $($prefix:tt)*)?) => { $($callback)::+! {
        $($($prefix)*)?
        { 0 CPUID "CPUID" cpu
          in(eax leaf, ecx subleaf) out(eax eax, ebx ebx, ecx ecx, edx edx)
          clobbers(eax ebx ecx edx flags) segments(all) relocations(none call) slots(5)
          native("cpuid") "Processor identification, with the feature bits that the guest may use." }
        { 1 WRMSR "WRMSR" cpu
          in(ecx msr, eax low, edx high) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(6)
          native("wrmsr") "Writes a model-specific register; not every one exists." }
        { 2 RDMSR "RDMSR" cpu
          in(ecx msr) out(eax low, edx high)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(7)
          native("rdmsr") "Reads a model-specific register." }
        { 3 SET_GDT "SetGDT" descriptor
          in(eax register_image) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(8)
          native("lgdt [eax]; reload the segment registers")
          "Loads the GDT register and reloads every segment register; the table may be edited." }
        { 4 SET_LDT "SetLDT" descriptor
          in(eax selector) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(9)
          native("lldt ax; reload the segment registers")
          "Loads the LDT register and reloads every segment register." }
        { 5 SET_IDT "SetIDT" descriptor
          in(eax register_image) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(10)
          native("lidt [eax]") "Loads the IDT register; the gates may be edited." }
        { 6 SET_TR "SetTR" descriptor
          in(eax selector) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(11)
          native("ltr ax") "Loads the task register." }
        { 7 GET_GDT "GetGDT" descriptor
          in(eax register_image) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(12)
          native("sgdt [eax]") "Stores the guest's view of the GDT register." }
        { 8 GET_LDT "GetLDT" descriptor
          in() out(eax selector)
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(13)
          native("sldt eax") "The guest's view of the LDT register." }
        { 9 GET_IDT "GetIDT" descriptor
          in(eax register_image) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(14)
          native("sidt [eax]") "Stores the guest's view of the IDT register." }
        { 10 GET_TR "GetTR" descriptor
          in() out(eax selector)
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(15)
          native("str eax") "The guest's view of the task register." }
        { 11 WRITE_GDT_ENTRY "WriteGDTEntry" descriptor
          in(eax table, edx index, ecx low, s1 high) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(16)
          native("mov [eax+8*edx], ecx; copy [esp+4] to [eax+8*edx+4]")
          "Writes a GDT descriptor; the stored value may differ from the one passed." }
        { 12 WRITE_LDT_ENTRY "WriteLDTEntry" descriptor
          in(eax table, edx index, ecx low, s1 high) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(17)
          native("mov [eax+8*edx], ecx; copy [esp+4] to [eax+8*edx+4]")
          "Writes an LDT descriptor; the stored value may differ from the one passed." }
        { 13 WRITE_IDT_ENTRY "WriteIDTEntry" descriptor
          in(eax table, edx index, ecx low, s1 high) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(18)
          native("mov [eax+8*edx], ecx; copy [esp+4] to [eax+8*edx+4]")
          "Writes an IDT gate; the stored value may differ from the one passed." }
        { 14 UPDATE_KERNEL_STACK "UpdateKernelStack" descriptor
          in(eax ss0, edx esp0) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop)
          slots(19 with(eax tss, edx esp0))
          native("") "Announces the kernel stack; the guest writes esp0 of its TSS too." }
        { 15 SET_CR0 "SetCR0" cpu
          in(eax value) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(20)
          native("mov cr0, eax") "Features may be turned on, not off again." }
        { 16 SET_CR2 "SetCR2" cpu
          in(eax value) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(21)
          native("mov cr2, eax") "Sets the page-fault address." }
        { 17 SET_CR3 "SetCR3" cpu
          in(eax value) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(22)
          native("mov cr3, eax") "Switches page tables and flushes the local TLB; may be queued in lazy mode." }
        { 18 SET_CR4 "SetCR4" cpu
          in(eax value) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(23)
          native("mov cr4, eax") "As SetCR0 for the paging bits." }
        { 19 GET_CR0 "GetCR0" cpu
          in() out(eax value)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(24)
          native("mov eax, cr0") "Reads CR0." }
        { 20 GET_CR2 "GetCR2" cpu
          in() out(eax value)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(25)
          native("mov eax, cr2") "Reads the page-fault address." }
        { 21 GET_CR3 "GetCR3" cpu
          in() out(eax value)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(26)
          native("mov eax, cr3") "Reads CR3." }
        { 22 GET_CR4 "GetCR4" cpu
          in() out(eax value)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(27)
          native("mov eax, cr4") "Reads CR4." }
        { 23 WBINVD "WBINVD" cpu
          in() out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots(29)
          native("wbinvd") "Writes back and invalidates the caches." }
        { 24 SET_DR "SetDR" cpu
          in(eax number, edx value) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(30)
          native("mov drN, edx") "Sets a debug register." }
        { 25 GET_DR "GetDR" cpu
          in(eax number) out(eax value)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(31)
          native("mov eax, drN") "Reads a debug register; may answer 0." }
        { 26 RDPMC "RDPMC" cpu
          in(ecx counter) out(eax low, edx high)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(32)
          native("rdpmc") "Reads a performance counter." }
        { 27 RDTSC "RDTSC" cpu
          in() out(eax low, edx high)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(33)
          native("rdtsc") "Reads the time-stamp counter." }
        { 28 CLTS "CLTS" cpu
          in() out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(34)
          native("clts") "Clears CR0.TS." }
        { 29 ENABLE_INTERRUPTS "EnableInterrupts" irq
          in() out()
          clobbers(flags) segments(stack) relocations(none call) slots(35)
          native("sti") "Unmasks interrupts; pending ones are delivered inside the call." }
        { 30 DISABLE_INTERRUPTS "DisableInterrupts" irq
          in() out()
          clobbers(flags) segments(stack) relocations(none call) slots(36)
          native("cli") "Masks interrupts." }
        { 31 GET_INTERRUPT_MASK "GetInterruptMask" irq
          in() out(eax mask)
          clobbers(eax flags) segments(stack) relocations(none call) slots(37)
          native("pushfd; pop eax") "Bit 9 of the result is the interrupt flag; no other bit has a meaning." }
        { 32 SET_INTERRUPT_MASK "SetInterruptMask" irq
          in(eax mask) out()
          clobbers(flags) segments(stack) relocations(none call) slots(38)
          native("push eax; popfd (IF only)")
          "Sets the interrupt flag to bit 9 of the argument; delivers what is pending if that is 1." }
        { 33 IRET "IRET" irq
          in(frame frame) out(!)
          clobbers() segments(stack) relocations(call jump) slots(39)
          native("iretd") "Returns through an interrupt frame: EIP CS EFLAGS [ESP SS [ES DS FS GS]]." }
        { 34 SYSEXIT "SYSEXIT" irq
          in(edx eip, ecx esp) out(!)
          clobbers() segments(stack) relocations(call jump) slots(40)
          native("sti; sysexit") "Returns to user code with interrupts enabled, atomically." }
        { 35 HALT "Halt" irq
          in() out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(42)
          native("sti; hlt") "Enables interrupts and waits for one, atomically." }
        { 36 REBOOT "Reboot" power
          in(eax hard) out(!)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(43)
          native("reset the machine") "Resets the machine: 0 soft (like INIT), 1 hard." }
        { 37 SHUTDOWN "Shutdown" power
          in() out(!)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(44)
          native("cli; hlt") "Powers this processor off." }
        { 38 SET_PXE "SetPxE" mmu
          in(eax entry, edx entry_address, ecx page_flags) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call)
          slots(45 with(eax entry_address, edx entry), 86)
          native("mov [edx], eax") "Writes a page-table entry." }
        { 39 SET_PXE_LONG "SetPxELong" mmu
          in(eax low, edx high, ecx entry_address, s1 page_flags) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call)
          slots(48 with(eax low, edx high, ecx entry_address), 87)
          native("two stores in the order that never exposes a torn entry")
          "Writes a PAE page-table entry." }
        { 40 UPDATE_PXE "UpdatePxE" mmu
          in(eax entry_address, edx page_flags) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots()
          native("") "Announces a page-table entry that the guest has written itself." }
        { 41 UPDATE_PXE_LONG "UpdatePxELong" mmu
          in(eax entry_address, edx page_flags) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots()
          native("") "Announces a PAE page-table entry that the guest has written itself." }
        { 42 MACHINE_TO_PHYSICAL "MachineToPhysical" mmu
          in(eax machine) out(eax physical)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots()
          native("mov eax, eax") "Translates a machine page to a guest-physical one." undocumented }
        { 43 PHYSICAL_TO_MACHINE "PhysicalToMachine" mmu
          in(eax physical, edx argument) out(eax machine)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots()
          native("mov eax, eax") "Translates a guest-physical page to a machine one." undocumented }
        { 44 ALLOCATE_PAGE "AllocatePage" mmu
          in(eax frame, edx page_flags, ecx clone_frame, s1 first, s2 count) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots(53)
          native("") "Announces a page frame that is about to become a page table." }
        { 45 RELEASE_PAGE "ReleasePage" mmu
          in(eax frame, edx page_flags) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots(54)
          native("") "Announces that a page frame is no longer a page table." }
        { 46 INVAL_PAGE "InvalPage" mmu
          in(eax address) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(55)
          native("invlpg [eax]") "Invalidates the translation of one page, small or large." }
        { 47 FLUSH_TLB "FlushTLB" mmu
          in(eax flush) out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call) slots(56)
          native("reload cr3; toggle CR4.PGE for global pages")
          "Flushes the local TLB: 1, or 3 for global translations too." }
        { 48 SET_LINEAR_MAPPING "SetLinearMapping" mmu
          in(eax slot, edx address, ecx pages, s1 frame) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots(58)
          native("") "Declares where the guest maps physical memory; slots 0 to 3, for each processor." }
        { 49 INL "INL" port
          in(edx port) out(eax value)
          clobbers(eax memory) segments(all) relocations(none call) slots(59)
          native("in eax, dx") "Reads a 32-bit port." }
        { 50 INB "INB" port
          in(edx port) out(al value)
          clobbers(eax memory) segments(all) relocations(none call) slots(60)
          native("in al, dx") "Reads an 8-bit port; the upper bits of EAX are not specified." }
        { 51 INW "INW" port
          in(edx port) out(ax value)
          clobbers(eax memory) segments(all) relocations(none call) slots(61)
          native("in ax, dx") "Reads a 16-bit port; the upper bits of EAX are not specified." }
        { 52 INSL "INSL" port
          in(edi destination, edx port, ecx count) out()
          clobbers(edi ecx memory) segments(all) relocations(none call) slots(62)
          native("rep insd") "Reads a 32-bit port into memory." }
        { 53 INSB "INSB" port
          in(edi destination, edx port, ecx count) out()
          clobbers(edi ecx memory) segments(all) relocations(none call) slots(63)
          native("rep insb") "Reads an 8-bit port into memory." }
        { 54 INSW "INSW" port
          in(edi destination, edx port, ecx count) out()
          clobbers(edi ecx memory) segments(all) relocations(none call) slots(64)
          native("rep insw") "Reads a 16-bit port into memory." }
        { 55 OUTL "OUTL" port
          in(eax value, edx port) out()
          clobbers() segments(all) relocations(none call) slots(65)
          native("out dx, eax") "Writes a 32-bit port." }
        { 56 OUTB "OUTB" port
          in(al value, edx port) out()
          clobbers() segments(all) relocations(none call) slots(66)
          native("out dx, al") "Writes an 8-bit port." }
        { 57 OUTW "OUTW" port
          in(ax value, edx port) out()
          clobbers() segments(all) relocations(none call) slots(67)
          native("out dx, ax") "Writes a 16-bit port." }
        { 58 OUTSL "OUTSL" port
          in(esi source, edx port, ecx count) out()
          clobbers(esi ecx) segments(all) relocations(none call) slots(68)
          native("rep outsd") "Writes memory to a 32-bit port." }
        { 59 OUTSB "OUTSB" port
          in(esi source, edx port, ecx count) out()
          clobbers(esi ecx) segments(all) relocations(none call) slots(69)
          native("rep outsb") "Writes memory to an 8-bit port." }
        { 60 OUTSW "OUTSW" port
          in(esi source, edx port, ecx count) out()
          clobbers(esi ecx) segments(all) relocations(none call) slots(70)
          native("rep outsw") "Writes memory to a 16-bit port." }
        { 61 SET_IOPL_MASK "SetIOPLMask" port
          in(eax mask) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(71)
          native("pushfd; merge bits 12 and 13; popfd") "Gives or takes port access for user code: IOPL << 12." }
        { 62 SET_INITIAL_AP_STATE "SetInitialAPState" smp
          in(eax state, edx apic_id) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots(75)
          native("") "Gives the state in which another processor starts." }
        { 63 APIC_WRITE "APICWrite" apic
          in(eax register, edx value) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(76)
          native("mov [eax], edx") "Writes a local APIC register; bits 11 to 0 of the address tell which." }
        { 64 APIC_READ "APICRead" apic
          in(eax register) out(eax value)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(77)
          native("mov eax, [eax]") "Reads a local APIC register; bits 11 to 0 of the address tell which." }
        { 65 IO_DELAY "IODelay" port
          in() out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots(78)
          native("out 0x80, al") "Waits for the length of an ISA bus cycle." }
        { 66 GET_CYCLE_FREQUENCY "GetCycleFrequency" time
          in() out(eax low, edx high)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(79)
          native("xor eax, eax; xor edx, edx") "Cycles per second; NONE means that there is no time interface." }
        { 67 GET_CYCLE_COUNTER "GetCycleCounter" time
          in(eax counter) out(eax low, edx high)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(80)
          native("rdtsc") "Reads a counter: 0 real, 1 available, 2 stolen." }
        { 68 SET_ALARM "SetAlarm" time
          in(eax alarm_flags, edx expiry_low, ecx expiry_high, s1 period_low, s2 period_high) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(81)
          native("") "Arms the alarm of a counter." }
        { 69 CANCEL_ALARM "CancelAlarm" time
          in(eax alarm_flags) out(eax was_armed)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(82)
          native("xor eax, eax") "Disarms the alarm of a counter; 1 if it was armed." }
        { 70 GET_WALLCLOCK_TIME "GetWallclockTime" time
          in() out(eax low, edx high)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(83)
          native("xor eax, eax; xor edx, edx") "Nanoseconds since 1970." }
        { 71 WALLCLOCK_UPDATED "WallclockUpdated" time
          in() out(eax updated)
          clobbers(eax ecx edx flags) segments(all) relocations(none call) slots(84)
          native("xor eax, eax") "1 once after the wall clock has jumped." }
        { 72 SET_CALLBACKS "SetCallbacks" cpu
          in() out()
          clobbers(eax ecx edx flags memory) segments(all) relocations(none call nop) slots()
          native("") "Nothing is known of it but its number." undocumented }
        { 73 SET_LAZY_MODE "SetLazyMode" mmu
          in(eax mode) out()
          clobbers(eax ecx edx flags) segments(all) relocations(none call nop) slots()
          native("") "Batching of updates: 0 none, 1 MMU, 2 CPU." }
    } };
}

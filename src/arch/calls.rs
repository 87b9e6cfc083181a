//! The functions that make the calls, one for each, by the names of the call table in Rust's spelling.

/// Passes every call's constant and the name of its function to a macro, one invocation each.
macro_rules! for_each_function {
    ($callback:ident) => {
        for_each_function! { @ $callback
            CPUID cpuid; WRMSR wrmsr; RDMSR rdmsr; SET_GDT set_gdt; SET_LDT set_ldt; SET_IDT set_idt;
            SET_TR set_tr; GET_GDT get_gdt; GET_LDT get_ldt; GET_IDT get_idt; GET_TR get_tr;
            WRITE_GDT_ENTRY write_gdt_entry; WRITE_LDT_ENTRY write_ldt_entry;
            WRITE_IDT_ENTRY write_idt_entry; UPDATE_KERNEL_STACK update_kernel_stack;
            SET_CR0 set_cr0; SET_CR2 set_cr2; SET_CR3 set_cr3; SET_CR4 set_cr4; GET_CR0 get_cr0;
            GET_CR2 get_cr2; GET_CR3 get_cr3; GET_CR4 get_cr4; WBINVD wbinvd; SET_DR set_dr;
            GET_DR get_dr; RDPMC rdpmc; RDTSC rdtsc; CLTS clts; ENABLE_INTERRUPTS enable_interrupts;
            DISABLE_INTERRUPTS disable_interrupts; GET_INTERRUPT_MASK get_interrupt_mask;
            SET_INTERRUPT_MASK set_interrupt_mask; HALT halt; REBOOT reboot; SHUTDOWN shutdown;
            SET_PXE set_pxe; SET_PXE_LONG set_pxe_long; UPDATE_PXE update_pxe;
            UPDATE_PXE_LONG update_pxe_long; MACHINE_TO_PHYSICAL machine_to_physical;
            PHYSICAL_TO_MACHINE physical_to_machine; ALLOCATE_PAGE allocate_page;
            RELEASE_PAGE release_page; INVAL_PAGE inval_page; FLUSH_TLB flush_tlb;
            SET_LINEAR_MAPPING set_linear_mapping; INL inl; INB inb; INW inw; INSL insl; INSB insb;
            INSW insw; OUTL outl; OUTB outb; OUTW outw; OUTSL outsl; OUTSB outsb; OUTSW outsw;
            SET_IOPL_MASK set_iopl_mask; SET_INITIAL_AP_STATE set_initial_ap_state;
            APIC_WRITE apic_write; APIC_READ apic_read; IO_DELAY io_delay;
            GET_CYCLE_FREQUENCY get_cycle_frequency; GET_CYCLE_COUNTER get_cycle_counter;
            SET_ALARM set_alarm; CANCEL_ALARM cancel_alarm; GET_WALLCLOCK_TIME get_wallclock_time;
            WALLCLOCK_UPDATED wallclock_updated; SET_CALLBACKS set_callbacks;
            SET_LAZY_MODE set_lazy_mode;
        }
    };
    (@ $callback:ident $($call:ident $name:ident;)*) => {
        $(paravirt_vmi_abi::with_call!($call => $callback, $name,);)*
    };
}

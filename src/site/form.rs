//! The native form of each call: what its sites hold until they are patched.

use paravirt_vmi_abi::Call;
use static_assertions::const_assert;

use super::{BRANCH_LENGTH, MAX_SITE_LENGTH, SiteKind};

/// The native form of a call: what its sites hold until they are patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeForm {
    /// The call.
    pub call: Call,
    /// What may stand at the call's sites.
    pub kind: SiteKind,
    /// The machine code.
    pub code: NativeCode,
}

/// The machine code of a native form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeCode {
    /// These instructions, of the length of a site.
    Inline(&'static [u8]),
    /// `E8 rel32` to the call's native stub, which follows the calling convention of the call.
    Stub,
}

impl NativeForm {
    /// The native form of `call`.
    pub const fn of(call: Call) -> &'static Self {
        &NATIVE_FORMS[call.number() as usize]
    }

    /// The length of the call's sites, in bytes.
    pub const fn length(&self) -> usize {
        match self.code {
            NativeCode::Inline(bytes) => bytes.len(),
            NativeCode::Stub => BRANCH_LENGTH,
        }
    }
}

/// The native form of each call, passed to a callback macro of this crate.
///
/// `__native_form!(CALL => callback)` expands to `$crate::callback! { CALL, kind, bytes }`, or to
/// `$crate::callback! { CALL, kind, stub }`.
///
/// The padding is code that a 386 decodes. `nop` stands where one byte is missing, else
/// `mov esi, esi` (89 F6), `lea esi, [esi]` (8D 76 00) and `lea esi, [esi]` with a SIB byte
/// (8D 74 26 00).
#[doc(hidden)]
#[macro_export]
macro_rules! __native_form {
    (CPUID => $c:ident) => {
        $crate::$c! { CPUID, FallThrough, 0x0f, 0xa2, 0x8d, 0x76, 0x00 }
    };
    (WRMSR => $c:ident) => {
        $crate::$c! { WRMSR, FallThrough, 0x0f, 0x30, 0x8d, 0x76, 0x00 }
    };
    (RDMSR => $c:ident) => {
        $crate::$c! { RDMSR, FallThrough, 0x0f, 0x32, 0x8d, 0x76, 0x00 }
    };
    (SET_GDT => $c:ident) => {
        $crate::$c! { SET_GDT, FallThrough, stub }
    };
    (SET_LDT => $c:ident) => {
        $crate::$c! { SET_LDT, FallThrough, stub }
    };
    // lidt [eax]
    (SET_IDT => $c:ident) => {
        $crate::$c! { SET_IDT, FallThrough, 0x0f, 0x01, 0x18, 0x89, 0xf6 }
    };
    // ltr ax
    (SET_TR => $c:ident) => {
        $crate::$c! { SET_TR, FallThrough, 0x0f, 0x00, 0xd8, 0x89, 0xf6 }
    };
    // sgdt [eax]
    (GET_GDT => $c:ident) => {
        $crate::$c! { GET_GDT, FallThrough, 0x0f, 0x01, 0x00, 0x89, 0xf6 }
    };
    // sldt eax
    (GET_LDT => $c:ident) => {
        $crate::$c! { GET_LDT, FallThrough, 0x0f, 0x00, 0xc0, 0x89, 0xf6 }
    };
    // sidt [eax]
    (GET_IDT => $c:ident) => {
        $crate::$c! { GET_IDT, FallThrough, 0x0f, 0x01, 0x08, 0x89, 0xf6 }
    };
    // str eax
    (GET_TR => $c:ident) => {
        $crate::$c! { GET_TR, FallThrough, 0x0f, 0x00, 0xc8, 0x89, 0xf6 }
    };
    (WRITE_GDT_ENTRY => $c:ident) => {
        $crate::$c! { WRITE_GDT_ENTRY, FallThrough, stub }
    };
    (WRITE_LDT_ENTRY => $c:ident) => {
        $crate::$c! { WRITE_LDT_ENTRY, FallThrough, stub }
    };
    (WRITE_IDT_ENTRY => $c:ident) => {
        $crate::$c! { WRITE_IDT_ENTRY, FallThrough, stub }
    };
    (UPDATE_KERNEL_STACK => $c:ident) => {
        $crate::__nothing! { UPDATE_KERNEL_STACK => $c }
    };
    // mov crN, eax
    (SET_CR0 => $c:ident) => {
        $crate::$c! { SET_CR0, FallThrough, 0x0f, 0x22, 0xc0, 0x89, 0xf6 }
    };
    (SET_CR2 => $c:ident) => {
        $crate::$c! { SET_CR2, FallThrough, 0x0f, 0x22, 0xd0, 0x89, 0xf6 }
    };
    (SET_CR3 => $c:ident) => {
        $crate::$c! { SET_CR3, FallThrough, 0x0f, 0x22, 0xd8, 0x89, 0xf6 }
    };
    (SET_CR4 => $c:ident) => {
        $crate::$c! { SET_CR4, FallThrough, 0x0f, 0x22, 0xe0, 0x89, 0xf6 }
    };
    // mov eax, crN
    (GET_CR0 => $c:ident) => {
        $crate::$c! { GET_CR0, FallThrough, 0x0f, 0x20, 0xc0, 0x89, 0xf6 }
    };
    (GET_CR2 => $c:ident) => {
        $crate::$c! { GET_CR2, FallThrough, 0x0f, 0x20, 0xd0, 0x89, 0xf6 }
    };
    (GET_CR3 => $c:ident) => {
        $crate::$c! { GET_CR3, FallThrough, 0x0f, 0x20, 0xd8, 0x89, 0xf6 }
    };
    (GET_CR4 => $c:ident) => {
        $crate::$c! { GET_CR4, FallThrough, 0x0f, 0x20, 0xe0, 0x89, 0xf6 }
    };
    (WBINVD => $c:ident) => {
        $crate::$c! { WBINVD, FallThrough, 0x0f, 0x09, 0x8d, 0x76, 0x00 }
    };
    (SET_DR => $c:ident) => {
        $crate::$c! { SET_DR, FallThrough, stub }
    };
    (GET_DR => $c:ident) => {
        $crate::$c! { GET_DR, FallThrough, stub }
    };
    (RDPMC => $c:ident) => {
        $crate::$c! { RDPMC, FallThrough, 0x0f, 0x33, 0x8d, 0x76, 0x00 }
    };
    (RDTSC => $c:ident) => {
        $crate::$c! { RDTSC, FallThrough, 0x0f, 0x31, 0x8d, 0x76, 0x00 }
    };
    (CLTS => $c:ident) => {
        $crate::$c! { CLTS, FallThrough, 0x0f, 0x06, 0x8d, 0x76, 0x00 }
    };
    // ds sti: `sti` behind redundant prefixes is one instruction, and keeps its shadow for what follows
    (ENABLE_INTERRUPTS => $c:ident) => {
        $crate::$c! {
            ENABLE_INTERRUPTS, FallThrough, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0xfb
        }
    };
    // ds cli
    (DISABLE_INTERRUPTS => $c:ident) => {
        $crate::$c! {
            DISABLE_INTERRUPTS, FallThrough, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0xfa
        }
    };
    // ds pushfd; pop eax
    (GET_INTERRUPT_MASK => $c:ident) => {
        $crate::$c! {
            GET_INTERRUPT_MASK, FallThrough, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x9c, 0x58
        }
    };
    // cli; test ah, 2; jz behind; sti: looks at bit 9 only, and needs no popf, which would do
    // nothing outside ring 0
    (SET_INTERRUPT_MASK => $c:ident) => {
        $crate::$c! { SET_INTERRUPT_MASK, FallThrough, 0xfa, 0xf6, 0xc4, 0x02, 0x74, 0x01, 0xfb }
    };
    // iretd
    (IRET => $c:ident) => {
        $crate::$c! { IRET, NoReturn, 0xcf, 0xcc, 0xcc, 0xcc, 0xcc }
    };
    // sti; sysexit
    (SYSEXIT => $c:ident) => {
        $crate::$c! { SYSEXIT, NoReturn, 0xfb, 0x0f, 0x35, 0xcc, 0xcc }
    };
    // ds sti; hlt
    (HALT => $c:ident) => {
        $crate::$c! { HALT, FallThrough, 0x3e, 0x3e, 0x3e, 0xfb, 0xf4 }
    };
    (REBOOT => $c:ident) => {
        $crate::$c! { REBOOT, FallThrough, stub }
    };
    (SHUTDOWN => $c:ident) => {
        $crate::$c! { SHUTDOWN, FallThrough, stub }
    };
    // mov [edx], eax
    (SET_PXE => $c:ident) => {
        $crate::$c! { SET_PXE, FallThrough, 0x89, 0x02, 0x8d, 0x76, 0x00 }
    };
    (SET_PXE_LONG => $c:ident) => {
        $crate::$c! { SET_PXE_LONG, FallThrough, stub }
    };
    (UPDATE_PXE => $c:ident) => {
        $crate::__nothing! { UPDATE_PXE => $c }
    };
    (UPDATE_PXE_LONG => $c:ident) => {
        $crate::__nothing! { UPDATE_PXE_LONG => $c }
    };
    (MACHINE_TO_PHYSICAL => $c:ident) => {
        $crate::__nothing! { MACHINE_TO_PHYSICAL => $c }
    };
    (PHYSICAL_TO_MACHINE => $c:ident) => {
        $crate::__nothing! { PHYSICAL_TO_MACHINE => $c }
    };
    (ALLOCATE_PAGE => $c:ident) => {
        $crate::__nothing! { ALLOCATE_PAGE => $c }
    };
    (RELEASE_PAGE => $c:ident) => {
        $crate::__nothing! { RELEASE_PAGE => $c }
    };
    // invlpg [eax]
    (INVAL_PAGE => $c:ident) => {
        $crate::$c! { INVAL_PAGE, FallThrough, 0x0f, 0x01, 0x38, 0x89, 0xf6 }
    };
    (FLUSH_TLB => $c:ident) => {
        $crate::$c! { FLUSH_TLB, FallThrough, stub }
    };
    (SET_LINEAR_MAPPING => $c:ident) => {
        $crate::__nothing! { SET_LINEAR_MAPPING => $c }
    };
    // in eax, dx; in al, dx; in ax, dx
    (INL => $c:ident) => {
        $crate::$c! { INL, FallThrough, 0xed, 0x8d, 0x74, 0x26, 0x00 }
    };
    (INB => $c:ident) => {
        $crate::$c! { INB, FallThrough, 0xec, 0x8d, 0x74, 0x26, 0x00 }
    };
    (INW => $c:ident) => {
        $crate::$c! { INW, FallThrough, 0x66, 0xed, 0x8d, 0x76, 0x00 }
    };
    // rep insd; rep insb; rep insw
    (INSL => $c:ident) => {
        $crate::$c! { INSL, FallThrough, 0xf3, 0x6d, 0x8d, 0x76, 0x00 }
    };
    (INSB => $c:ident) => {
        $crate::$c! { INSB, FallThrough, 0xf3, 0x6c, 0x8d, 0x76, 0x00 }
    };
    (INSW => $c:ident) => {
        $crate::$c! { INSW, FallThrough, 0xf3, 0x66, 0x6d, 0x89, 0xf6 }
    };
    // out dx, eax; out dx, al; out dx, ax
    (OUTL => $c:ident) => {
        $crate::$c! { OUTL, FallThrough, 0xef, 0x8d, 0x74, 0x26, 0x00 }
    };
    (OUTB => $c:ident) => {
        $crate::$c! { OUTB, FallThrough, 0xee, 0x8d, 0x74, 0x26, 0x00 }
    };
    (OUTW => $c:ident) => {
        $crate::$c! { OUTW, FallThrough, 0x66, 0xef, 0x8d, 0x76, 0x00 }
    };
    // rep outsd; rep outsb; rep outsw
    (OUTSL => $c:ident) => {
        $crate::$c! { OUTSL, FallThrough, 0xf3, 0x6f, 0x8d, 0x76, 0x00 }
    };
    (OUTSB => $c:ident) => {
        $crate::$c! { OUTSB, FallThrough, 0xf3, 0x6e, 0x8d, 0x76, 0x00 }
    };
    (OUTSW => $c:ident) => {
        $crate::$c! { OUTSW, FallThrough, 0xf3, 0x66, 0x6f, 0x89, 0xf6 }
    };
    (SET_IOPL_MASK => $c:ident) => {
        $crate::$c! { SET_IOPL_MASK, FallThrough, stub }
    };
    (SET_INITIAL_AP_STATE => $c:ident) => {
        $crate::__nothing! { SET_INITIAL_AP_STATE => $c }
    };
    // mov [eax], edx
    (APIC_WRITE => $c:ident) => {
        $crate::$c! { APIC_WRITE, FallThrough, 0x89, 0x10, 0x8d, 0x76, 0x00 }
    };
    // mov eax, [eax]
    (APIC_READ => $c:ident) => {
        $crate::$c! { APIC_READ, FallThrough, 0x8b, 0x00, 0x8d, 0x76, 0x00 }
    };
    // out 0x80, al
    (IO_DELAY => $c:ident) => {
        $crate::$c! { IO_DELAY, FallThrough, 0xe6, 0x80, 0x8d, 0x76, 0x00 }
    };
    // xor eax, eax; xor edx, edx
    (GET_CYCLE_FREQUENCY => $c:ident) => {
        $crate::$c! { GET_CYCLE_FREQUENCY, FallThrough, 0x31, 0xc0, 0x31, 0xd2, 0x90 }
    };
    (GET_CYCLE_COUNTER => $c:ident) => {
        $crate::$c! { GET_CYCLE_COUNTER, FallThrough, stub }
    };
    (SET_ALARM => $c:ident) => {
        $crate::__nothing! { SET_ALARM => $c }
    };
    // xor eax, eax
    (CANCEL_ALARM => $c:ident) => {
        $crate::$c! { CANCEL_ALARM, FallThrough, 0x31, 0xc0, 0x8d, 0x76, 0x00 }
    };
    (GET_WALLCLOCK_TIME => $c:ident) => {
        $crate::$c! { GET_WALLCLOCK_TIME, FallThrough, 0x31, 0xc0, 0x31, 0xd2, 0x90 }
    };
    (WALLCLOCK_UPDATED => $c:ident) => {
        $crate::$c! { WALLCLOCK_UPDATED, FallThrough, 0x31, 0xc0, 0x8d, 0x76, 0x00 }
    };
    (SET_CALLBACKS => $c:ident) => {
        $crate::__nothing! { SET_CALLBACKS => $c }
    };
    (SET_LAZY_MODE => $c:ident) => {
        $crate::__nothing! { SET_LAZY_MODE => $c }
    };
}

/// The native form of a call that is nothing natively: one instruction without effect.
#[doc(hidden)]
#[macro_export]
macro_rules! __nothing {
    ($call:ident => $callback:ident) => {
        // ds lea esi, [esi] with a SIB byte
        $crate::$callback! { $call, FallThrough, 0x3e, 0x8d, 0x74, 0x26, 0x00 }
    };
}

/// [`NATIVE_FORMS`] from the rows of the call table.
macro_rules! native_forms {
    ($({ $number:literal $call:ident $($row:tt)* })*) => {
        [$({
            const FORM: NativeForm = $crate::__native_form!($call => __form_value);
            const_assert!(FORM.length() >= BRANCH_LENGTH && FORM.length() <= MAX_SITE_LENGTH);
            FORM
        }),*]
    };
}

/// The native form of every call, in order of number.
pub static NATIVE_FORMS: [NativeForm; Call::COUNT] = paravirt_vmi_abi::for_each_call!(native_forms);

//! [`UserFrame`]: the frame by which a kernel enters user mode.

use core::mem::offset_of;

use static_assertions::const_assert;

use crate::descriptor::Selector;

/// EFLAGS bit 1, which is always set.
const ALWAYS_SET: u32 = 1 << 1;
/// EFLAGS.IF.
const INTERRUPT: u32 = 1 << 9;
/// CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC and ID: what a program may set by itself, and RF, by which a
/// debugger gets past a breakpoint.
const PROGRAM: u32 = 0x0025_0dd5;

/// EFLAGS of user code: IF is set, and IOPL, NT, VM, VIF and VIP are clear.
///
/// Whatever asks for something else is *corrected*, not refused. The flags that a program goes on with come
/// from it more often than not: from a signal frame, from a debugger, from a context that it saved. What
/// they say about IF is then what the program believes about a flag that it cannot change, and no reason to
/// end it: `popf` ignores the same bits without a word. Source: facts sheet, sections 8.5 and 8.11.
///
/// ```
/// use paravirt_vmi::user::UserFlags;
///
/// assert_eq!(UserFlags::new(0).bits(), 0x202);
/// assert_eq!(UserFlags::new(0xffff_ffff).bits() & 0x2_7200, 0x200); // of VM, NT, IOPL and IF, IF alone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct UserFlags(u32);

impl UserFlags {
    /// Those of a program that begins: interrupts enabled, and all else clear.
    pub const INITIAL: Self = Self::new(0);

    /// The bits of `eflags` that are the program's own: CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC, ID.
    #[must_use]
    pub const fn new(eflags: u32) -> Self {
        Self(eflags & PROGRAM | INTERRUPT | ALWAYS_SET)
    }

    /// EFLAGS.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl Default for UserFlags {
    fn default() -> Self {
        Self::INITIAL
    }
}

/// What [`iret_site!`](crate::iret_site) finds at `[esp]` to enter user mode: EIP, CS, EFLAGS, ESP, SS.
///
/// It cannot carry IF = 0, IOPL, NT or VM ([`UserFlags`]), nor an RPL other than 3, so it leads to ring 3 with
/// interrupts enabled, natively and under a hypervisor. What the caller owes is that the selectors name flat
/// segments of the user's, DPL 3, code and writable data.
///
/// ```
/// use paravirt_vmi::descriptor::Selector;
/// use paravirt_vmi::user::{UserFlags, UserFrame};
///
/// let [code, data] = [Selector::gdt(3), Selector::gdt(4)];
/// let frame = UserFrame::new(code, 0x40_0000, data, 0x80_0000, UserFlags::INITIAL);
/// assert_eq!((frame.cs().0, frame.flags().bits(), frame.ss().0), (0x1b, 0x202, 0x23));
/// ```
///
/// To enter user mode the frame is copied to the top of the kernel's stack. ESP must not be set to a frame that
/// lies elsewhere: a ROM, and the hypervisor after it, push below the frame.
///
/// ```
/// # #[cfg(target_arch = "x86")]
/// core::arch::global_asm!(
///     "enter_user:", // its argument is the frame's address
///     "mov eax, [esp + 4]",
///     "push dword ptr [eax + 16]",
///     "push dword ptr [eax + 12]",
///     "push dword ptr [eax + 8]",
///     "push dword ptr [eax + 4]",
///     "push dword ptr [eax]",
///     paravirt_vmi::iret_site!(),
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct UserFrame {
    eip: u32,
    cs: u32,
    eflags: UserFlags,
    esp: u32,
    ss: u32,
}
const_assert!(size_of::<UserFrame>() == 20 && align_of::<UserFrame>() == 4);
const_assert!(offset_of!(UserFrame, eip) == 0 && offset_of!(UserFrame, cs) == 4);
const_assert!(offset_of!(UserFrame, eflags) == 8);
const_assert!(offset_of!(UserFrame, esp) == 12 && offset_of!(UserFrame, ss) == 16);

impl UserFrame {
    /// The frame that leads to `code:eip` with the stack `stack:esp`. The selectors get an RPL of 3.
    #[must_use]
    pub const fn new(code: Selector, eip: u32, stack: Selector, esp: u32, flags: UserFlags) -> Self {
        Self { eip, cs: code.with_rpl(3).0 as u32, eflags: flags, esp, ss: stack.with_rpl(3).0 as u32 }
    }

    /// Where the program goes on.
    pub const fn eip(&self) -> u32 {
        self.eip
    }

    /// The program's code segment.
    pub const fn cs(&self) -> Selector {
        Selector(self.cs as u16)
    }

    /// The program's flags.
    pub const fn flags(&self) -> UserFlags {
        self.eflags
    }

    /// The program's stack pointer.
    pub const fn esp(&self) -> u32 {
        self.esp
    }

    /// The program's stack segment.
    pub const fn ss(&self) -> Selector {
        Selector(self.ss as u16)
    }
}

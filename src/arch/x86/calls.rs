//! The sites of the calls.
//!
//! Each function is made from its row of the call table: the arms of `site_function!` are the shapes
//! of calling convention that occur, and a row of another shape does not compile.
//!
//! # Safety
//!
//! A site is sound in both of its forms if its operands and clobbers are those of the call table and
//! its options claim no more: no `nomem`, because masking and unmasking are what keeps a handler's
//! accesses apart from other code, and the other calls change what memory means, so no load or store
//! may move across; no `preserves_flags`, because the ROM may use the arithmetic flags; no `nostack`,
//! because a call pushes its return address, and a handler may run inside.
//!
//! Stack words are pushed in front of the site and removed behind it by `lea`, and travel there in EDI:
//! no other register is free in every shape. What a call does to the machine is the caller's to answer
//! for; the functions are unsafe where that can break memory safety.
#![allow(unsafe_code)]

use core::arch::asm;

use paravirt_vmi_abi::flags::InterruptMask;

/// A function that consists of one site.
macro_rules! site_function {
    // the linear address of the TSS in ECX, which 3.0 does not look at: 13.x has it as its first argument
    ($name:ident, { $n:literal UPDATE_KERNEL_STACK $abi:literal $group:ident
       in(eax $a:ident, edx $b:ident) out() clobbers(eax ecx edx flags) $($row:tt)* }) => {
        site_function!(@ UPDATE_KERNEL_STACK $name($a, $b, tss) -> () { {}
            (inout("eax") $a => _, inout("edx") $b => _, inout("ecx") tss => _)
        });
    };

    // flags only
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in() out() clobbers(flags) $($row:tt)* }) => {
        site_function!(@ $call $name() -> () { {} () });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in() out(eax $r:ident) clobbers(eax flags) $($row:tt)* }) => {
        site_function!(@ $call $name() -> u32 { { let $r: u32; } (out("eax") $r) => $r });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident) out() clobbers(flags) $($row:tt)* }) => {
        site_function!(@ $call $name($a) -> () { {} (in("eax") $a) });
    };

    // the standard clobbers
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in() out() clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name() -> () { {}
            (out("eax") _, out("ecx") _, out("edx") _)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident) out() clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name($a) -> () { {}
            (inout("eax") $a => _, out("ecx") _, out("edx") _)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in() out(eax $r:ident) clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name() -> u32 { { let $r: u32; }
            (out("eax") $r, out("ecx") _, out("edx") _) => $r
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident) out(eax $r:ident) clobbers(eax ecx edx flags) $($row:tt)* }) => {
        site_function!(@ $call $name($a) -> u32 { { let $r: u32; }
            (inout("eax") $a => $r, out("ecx") _, out("edx") _) => $r
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident, edx $b:ident) out() clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name($a, $b) -> () { {}
            (inout("eax") $a => _, inout("edx") $b => _, out("ecx") _)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident, edx $b:ident) out(eax $r:ident) clobbers(eax ecx edx flags) $($row:tt)* }) => {
        site_function!(@ $call $name($a, $b) -> u32 { { let $r: u32; }
            (inout("eax") $a => $r, inout("edx") $b => _, out("ecx") _) => $r
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident, edx $b:ident, ecx $c:ident) out()
       clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name($a, $b, $c) -> () { {}
            (inout("eax") $a => _, inout("edx") $b => _, inout("ecx") $c => _)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident, edx $b:ident, ecx $c:ident, s1 $s1:ident) out()
       clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name($a, $b, $c, $s1) -> () { {}
            push("push edi")
            (in("edi") $s1, inout("eax") $a => _, inout("edx") $b => _, inout("ecx") $c => _)
            pop("lea esp, [esp + 4]")
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident, edx $b:ident, ecx $c:ident, s1 $s1:ident, s2 $s2:ident) out()
       clobbers(eax ecx edx flags $(memory)?) $($row:tt)* }) => {
        site_function!(@ $call $name($a, $b, $c, $s1, $s2) -> () { { let words = [$s1, $s2]; }
            push("push [edi + 4]\npush [edi]")
            (in("edi") &words, inout("eax") $a => _, inout("edx") $b => _, inout("ecx") $c => _)
            pop("lea esp, [esp + 8]")
        });
    };

    // 64 bits in EDX:EAX
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in() out(eax $l:ident, edx $h:ident) clobbers(eax ecx edx flags) $($row:tt)* }) => {
        site_function!(@ $call $name() -> u64 { { let ($l, $h): (u32, u32); }
            (out("eax") $l, out("edx") $h, out("ecx") _) => u64::from($h) << 32 | u64::from($l)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident) out(eax $l:ident, edx $h:ident) clobbers(eax ecx edx flags) $($row:tt)* }) => {
        site_function!(@ $call $name($a) -> u64 { { let ($l, $h): (u32, u32); }
            (inout("eax") $a => $l, out("edx") $h, out("ecx") _) => u64::from($h) << 32 | u64::from($l)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(ecx $c:ident) out(eax $l:ident, edx $h:ident) clobbers(eax ecx edx flags) $($row:tt)* }) => {
        site_function!(@ $call $name($c) -> u64 { { let ($l, $h): (u32, u32); }
            (inout("ecx") $c => _, out("eax") $l, out("edx") $h) => u64::from($h) << 32 | u64::from($l)
        });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(ecx $c:ident, eax $l:ident, edx $h:ident) out()
       clobbers(eax ecx edx flags memory) $($row:tt)* }) => {
        site_function!(@ $call $name($c, $l, $h) -> () { {}
            (inout("ecx") $c => _, inout("eax") $l => _, inout("edx") $h => _)
        });
    };

    // CPUID
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(eax $a:ident, ecx $c:ident) out(eax $eax:ident, ebx $ebx:ident, ecx $ecx:ident, edx $edx:ident)
       clobbers(eax ebx ecx edx flags) $($row:tt)* }) => {
        site_function!(@ $call $name($a, $c) -> [u32; 4] { { let ($eax, $ebx, $ecx, $edx); }
            (inout("eax") $a => $eax, out("ebx") $ebx, inout("ecx") $c => $ecx, out("edx") $edx)
            => [$eax, $ebx, $ecx, $edx]
        });
    };

    // ports; the upper part of EAX is not specified after the narrow ones
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(edx $p:ident) out($width:ident $r:ident) clobbers(eax memory) $($row:tt)* }) => {
        site_function!(@ $call $name($p) -> u32 { { let $r: u32; } (in("edx") $p, out("eax") $r) => $r });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in($width:ident $v:ident, edx $p:ident) out() clobbers() $($row:tt)* }) => {
        site_function!(@ $call $name($v, $p) -> () { {} (in("eax") $v, in("edx") $p) });
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(edi $to:ident, edx $p:ident, ecx $c:ident) out() clobbers(edi ecx memory) $($row:tt)* }) => {
        site_function!(@ $call $name($to, $p, $c) -> () { {}
            (inout("edi") $to => _, in("edx") $p, inout("ecx") $c => _)
        });
    };
    // ESI cannot be an operand: it may hold the frame's base
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in(esi $from:ident, edx $p:ident, ecx $c:ident) out() clobbers(esi ecx) $($row:tt)* }) => {
        site_function!(@ $call $name($from, $p, $c) -> () { {}
            push("xchg esi, edi")
            (inout("edi") $from => _, in("edx") $p, inout("ecx") $c => _)
            pop("xchg esi, edi")
        });
    };

    // calls that do not return
    ($name:ident, { $n:literal $call:ident $abi:literal power
       in($(eax $a:ident)?) out(!) $($row:tt)* }) => {
        #[inline]
        pub(crate) unsafe fn $name($($a: u32)?) -> ! {
            // SAFETY: the operands are those of the row; see the module.
            unsafe { asm!($crate::__site!($call), "ud2", $(in("eax") $a,)? options(noreturn)) }
        }
    };

    (@ $call:ident $name:ident($($argument:ident),*) -> $result:ty {
        { $($before:tt)* }
        $(push($push:literal))? ($($operands:tt)*) $(pop($pop:literal))?
        $(=> $value:expr)?
    }) => {
        #[inline(always)]
        pub(crate) unsafe fn $name($($argument: u32),*) -> $result {
            $($before)*
            // SAFETY: the operands are those of the row; see the module.
            unsafe { asm!($($push,)? $crate::__site!($call), $($pop,)? $($operands)*) };
            $($value)?
        }
    };
}
for_each_function!(site_function);

/// The site of EnableInterrupts, which is left out if bit 9 of `mask` is clear.
///
/// The branch stands here and not in Rust, where a compiler may put the site out of the way, with a jump there and a
/// jump back: most sections end with interrupts unmasked.
#[inline(always)]
pub(crate) unsafe fn enable_interrupts_if(mask: u32) {
    // SAFETY: the operands are those of the row, and the test changes flags alone; see the module.
    unsafe {
        asm!(
            "test {mask:h}, {bit}",
            "jz 772f",
            crate::__site!(ENABLE_INTERRUPTS),
            "772:",
            mask = in(reg_abcd) mask,
            // of the second byte
            bit = const InterruptMask::IF.bits() >> 8,
        );
    }
}

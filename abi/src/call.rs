//! [`Call`] and [`CallInfo`]: the call table of [`for_each_call!`](crate::for_each_call) as constants
//! and rows.

use core::fmt;

use crate::convention::{Argument, Clobbers, Segments};
use crate::relocation::RelocationKinds;

/// One of the 74 calls of generation 3.0, by its number.
///
/// Values outside the table do not exist: [`Call::from_number`] refuses them. Source: facts sheet,
/// section 4.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call(u8);

impl Call {
    /// The number of calls in generation 3.0.
    pub const COUNT: usize = CALLS.len();

    /// The call with the given 3.0 number, or `None` if the interface has no such call.
    pub const fn from_number(number: u32) -> Option<Self> {
        if number < Self::COUNT as u32 { Some(Self(number as u8)) } else { None }
    }

    /// The call's number in generation 3.0: what GetRelocationInfo takes in EAX.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The call's row in the table.
    pub const fn info(self) -> &'static CallInfo {
        &CALLS[self.0 as usize]
    }

    /// The name that the ABI gives to the call.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// All calls in order of number.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        (0..Self::COUNT as u8).map(Self)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// Writes the name that the ABI gives to the call.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Everything that the interface says about one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallInfo {
    /// The call, and with it its number in generation 3.0.
    pub call: Call,
    /// Name in the ABI, for example `"DisableInterrupts"`.
    pub name: &'static str,
    /// The module of the guest crate that offers the call.
    pub group: &'static str,
    /// Arguments, in the order of the specification.
    pub arguments: &'static [Argument],
    /// Results; a 64-bit one takes two entries, low half first.
    pub results: &'static [Argument],
    /// Whether the call comes back to its caller.
    pub returns: bool,
    /// What may differ after the call, results included.
    pub clobbers: Clobbers,
    /// Which segment registers must be flat.
    pub segments: Segments,
    /// The answers of GetRelocationInfo that a guest can act on.
    pub relocations: RelocationKinds,
    /// The call's slot in 13.0 to 13.2, with the arguments it has there.
    pub slot_13_0: Option<LegacySlot>,
    /// The call's slot in 13.3, with the arguments it has there.
    pub slot_13_3: Option<LegacySlot>,
    /// The instructions that the call replaces; empty where that is nothing.
    pub native: &'static str,
    /// One sentence on what the call does.
    pub summary: &'static str,
    /// Whether a specification describes the call.
    pub documented: bool,
}

/// A call's place in the 13.x generation: slot `number` lies at ROM base + 32 * `number`.
///
/// Source: facts sheet, section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacySlot {
    /// Slot number.
    pub number: u8,
    /// Arguments in that generation.
    pub arguments: &'static [Argument],
}

/// A list of arguments from `(location name, ...)` tokens.
macro_rules! arguments {
    ($($location:ident $name:ident),*) => {
        &[$(Argument { location: location!($location), name: stringify!($name) }),*]
    };
}

/// A location from its token.
macro_rules! location {
    (eax) => {
        $crate::Location::Eax
    };
    (ebx) => {
        $crate::Location::Ebx
    };
    (ecx) => {
        $crate::Location::Ecx
    };
    (edx) => {
        $crate::Location::Edx
    };
    (esi) => {
        $crate::Location::Esi
    };
    (edi) => {
        $crate::Location::Edi
    };
    (al) => {
        $crate::Location::Al
    };
    (ax) => {
        $crate::Location::Ax
    };
    (s1) => {
        $crate::Location::Stack(1)
    };
    (s2) => {
        $crate::Location::Stack(2)
    };
    (frame) => {
        $crate::Location::Frame
    };
}

/// A set of clobbers from its tokens.
macro_rules! clobbers {
    ($($clobber:ident)*) => { Clobbers::empty()$(.union(clobbers!(@ $clobber)))* };
    (@ eax) => { Clobbers::EAX };
    (@ ebx) => { Clobbers::EBX };
    (@ ecx) => { Clobbers::ECX };
    (@ edx) => { Clobbers::EDX };
    (@ esi) => { Clobbers::ESI };
    (@ edi) => { Clobbers::EDI };
    (@ flags) => { Clobbers::FLAGS };
    (@ memory) => { Clobbers::MEMORY };
}

/// The segment requirement from its token.
macro_rules! segments {
    (all) => {
        Segments::All
    };
    (stack) => {
        Segments::CodeAndStack
    };
}

/// A set of relocation kinds from its tokens.
macro_rules! relocations {
    ($($kind:ident)*) => { RelocationKinds::empty()$(.union(relocations!(@ $kind)))* };
    (@ none) => { RelocationKinds::NONE };
    (@ call) => { RelocationKinds::CALL_REL };
    (@ jump) => { RelocationKinds::JUMP_REL };
    (@ nop) => { RelocationKinds::NOP };
}

/// Results and whether the call returns, from the `out` tokens.
macro_rules! results {
    (!) => { &[] };
    ($($results:tt)*) => { arguments!($($results)*) };
}

/// Whether the call returns, from the `out` tokens.
macro_rules! returns {
    (!) => {
        false
    };
    ($($results:tt)*) => {
        true
    };
}

/// The pair of 13.0 and 13.3 slots from the `slots` tokens; the second group is the 3.0 arguments.
macro_rules! slots {
    (() ($($in:tt)*)) => { (None, None) };
    (($both:literal) ($($in:tt)*)) => {{
        let slot = Some(LegacySlot { number: $both, arguments: arguments!($($in)*) });
        (slot, slot)
    }};
    (($both:literal with($($older:tt)*)) ($($in:tt)*)) => {{
        let slot = Some(LegacySlot { number: $both, arguments: arguments!($($older)*) });
        (slot, slot)
    }};
    (($first:literal with($($older:tt)*), $second:literal) ($($in:tt)*)) => {
        (
            Some(LegacySlot { number: $first, arguments: arguments!($($older)*) }),
            Some(LegacySlot { number: $second, arguments: arguments!($($in)*) }),
        )
    };
}

/// Whether a row is documented, from its optional last token.
macro_rules! documented {
    () => {
        true
    };
    (undocumented) => {
        false
    };
}

/// Defines the `Call` constants and [`CALLS`].
macro_rules! define_calls {
    ($(
        { $number:literal $constant:ident $name:literal $group:ident
          in($($in:tt)*) out($($out:tt)*) clobbers($($clobber:ident)*) segments($segments:ident)
          relocations($($relocation:ident)*) slots($($slots:tt)*)
          native($native:literal) $summary:literal $($undocumented:ident)? }
    )*) => {
        impl Call {
            $(
                #[doc = concat!("`", $name, "`, call ", stringify!($number), ". ", $summary)]
                pub const $constant: Self = Self($number);
            )*
        }

        /// The call table of generation 3.0, in order of number.
        pub static CALLS: [CallInfo; [$($number),*].len()] = [$({
            const SLOTS: (Option<LegacySlot>, Option<LegacySlot>) = slots!(($($slots)*) ($($in)*));
            CallInfo {
                call: Call::$constant,
                name: $name,
                group: stringify!($group),
                arguments: arguments!($($in)*),
                results: results!($($out)*),
                returns: returns!($($out)*),
                clobbers: clobbers!($($clobber)*),
                segments: segments!($segments),
                relocations: relocations!($($relocation)*),
                slot_13_0: SLOTS.0,
                slot_13_3: SLOTS.1,
                native: $native,
                summary: $summary,
                documented: documented!($($undocumented)?),
            }
        }),*];
    };
}
for_each_call!(define_calls);

/// Defines `with_call!`; `$d` is the dollar sign of the macro that it defines.
macro_rules! define_with_call {
    ($d:tt $(
        { $number:literal $constant:ident $($row:tt)* }
    )*) => {
        /// Passes the row of one call to a macro.
        ///
        /// `with_call!(IRET => callback)` expands to `callback! { row }`; anything after the
        /// callback's name is passed through in front of the row. The row grammar is described in
        /// the [module](crate::table).
        ///
        /// ```
        /// macro_rules! number {
        ///     ({ $number:literal $($row:tt)* }) => { $number };
        /// }
        /// assert_eq!(paravirt_vmi_abi::with_call!(IRET => number), 33);
        /// ```
        #[macro_export]
        macro_rules! with_call {
            $(
                ($constant => $d($d callback:ident)::+ $d(, $d($d prefix:tt)*)?) => {
                    $d($d callback)::+! { $d($d($d prefix)*)? { $number $constant $($row)* } }
                };
            )*
        }
    };
}
for_each_call!(define_with_call, $);

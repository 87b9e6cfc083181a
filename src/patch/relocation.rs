//! What the ROM answered for each call, checked once.

use core::fmt;
use core::ops::Range;

use paravirt_vmi_abi::{Call, RelocationKind, RelocationKinds};

use super::inline::InlineTable;
use crate::rom::Adapter;
use crate::site::SiteBytes;

/// The answer of GetRelocationInfo for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// What may be put at the sites of the call.
    pub kind: RelocationKind,
    /// Linear address that a call or a jump goes to; without meaning for the other kinds.
    pub target: u32,
}

impl Relocation {
    /// The call is not provided.
    pub const NONE: Self = Self { kind: RelocationKind::NONE, target: 0 };

    /// The target, if the kind is one that has a target.
    pub fn branch_target(&self) -> Option<u32> {
        matches!(self.kind, RelocationKind::CALL_REL | RelocationKind::JUMP_REL).then_some(self.target)
    }
}

/// Writes the kind, and the target if there is one.
impl fmt::Display for Relocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match self.branch_target() {
            Some(target) => write!(f, " {target:08x}"),
            None => Ok(()),
        }
    }
}

/// The relocation of every call, each of a known kind and with a target inside the ROM, or of an
/// [adapter](crate::rom::Adapter) that leads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelocationTable {
    entries: [Relocation; Call::COUNT],
    /// Where each adapter leads: what the ROM answered for its call.
    behind: [u32; Adapter::COUNT],
    /// What sites hold in place of a call.
    inline: InlineTable,
}

impl RelocationTable {
    /// Asks once for the relocation of each call.
    ///
    /// `rom` holds the linear addresses of the ROM's image; `ask` is GetRelocationInfo.
    ///
    /// # Errors
    ///
    /// The first answer that no guest can act on.
    pub fn query(rom: Range<u32>, ask: impl FnMut(Call) -> Relocation) -> Result<Self, RelocationError> {
        Self::query_kinds(rom, RelocationKinds::all(), ask)
    }

    /// The same, of a ROM that knows only the given kinds of relocation.
    pub(crate) fn query_kinds(
        rom: Range<u32>,
        kinds: RelocationKinds,
        mut ask: impl FnMut(Call) -> Relocation,
    ) -> Result<Self, RelocationError> {
        let mut entries = [Relocation::NONE; Call::COUNT];
        for (call, entry) in Call::all().zip(&mut entries) {
            let relocation = ask(call);
            if !relocation.kind.to_kinds().is_some_and(|kind| kinds.contains(kind)) {
                return Err(RelocationError::UnknownKind { call, relocation });
            }
            if relocation.branch_target().is_some_and(|target| !rom.contains(&target)) {
                let rom = rom.clone();
                return Err(RelocationError::TargetOutsideRom { call, relocation, rom });
            }
            *entry = relocation;
        }
        Ok(Self { entries, behind: [0; Adapter::COUNT], inline: InlineTable::default() })
    }

    /// Puts the ROM's own code at the sites of calls 29 to 32 in place of a call to it, where it is short enough:
    /// one store, `and`, `or`, `bts` or `btr` with an absolute operand, a load of EAX or AH in GetInterruptMask, a
    /// store of EAX in SetInterruptMask, and a return. `image` has the bytes of the ROM, which is mapped at linear
    /// address `base`.
    ///
    /// That does what a call would do, as long as the ROM does not care from where it is run: no ROM is known
    /// that does. Source: facts sheet, section 6.3.
    #[must_use]
    pub fn with_inline_code(mut self, base: u32, image: &[u8]) -> Self {
        self.inline = InlineTable::new(|call| match self.get(call) {
            Relocation { kind: RelocationKind::CALL_REL, target } => {
                image.get(target.checked_sub(base)? as usize..)
            }
            _ => None,
        });
        self
    }

    /// What the sites of `call` hold in place of a call, if they do.
    pub fn inline_code(&self, call: Call) -> Option<SiteBytes> {
        self.inline.get(call)
    }

    /// The relocation of `call`.
    pub fn get(&self, call: Call) -> Relocation {
        self.entries[call.number() as usize]
    }

    /// Puts `adapter` in front of `call`, if it has a target: `bind` makes the adapter lead there, and
    /// returns the adapter's address.
    pub(crate) fn put_in_front(&mut self, call: Call, adapter: Adapter, bind: impl FnOnce(u32) -> u32) {
        let relocation = &mut self.entries[call.number() as usize];
        if let Some(target) = relocation.branch_target() {
            self.behind[adapter as usize] = target;
            relocation.target = bind(target);
        }
    }

    /// What the ROM answered for `call`, in front of which stands `adapter`.
    pub(crate) fn answer(&self, call: Call, adapter: Option<Adapter>) -> Relocation {
        let relocation = self.get(call);
        match (adapter, relocation.branch_target()) {
            (Some(adapter), Some(_)) => Relocation { target: self.behind[adapter as usize], ..relocation },
            _ => relocation,
        }
    }

    /// Checks that a site of any call can take the relocation of the call.
    ///
    /// # Errors
    ///
    /// The first relocation that the call table does not allow.
    pub(crate) fn check_sites_of_all(&self) -> Result<(), RelocationError> {
        Call::all().try_for_each(|call| self.for_site(call).map(|_| ()))
    }

    /// The relocation of `call`, if a site of the call can take it.
    ///
    /// # Errors
    ///
    /// If the call table does not allow the kind for this call.
    pub(super) fn for_site(&self, call: Call) -> Result<Relocation, RelocationError> {
        let relocation = self.get(call);
        let allowed = call.info().relocations;
        match relocation.kind.to_kinds() {
            Some(kind) if allowed.contains(kind) => Ok(relocation),
            _ => Err(RelocationError::NotAllowed { call, relocation }),
        }
    }
}

/// An answer of GetRelocationInfo that the guest cannot act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelocationError {
    /// The kind is none of NONE, CALL_REL, JUMP_REL and NOP, or is NOP in generation 13.x, which has none.
    UnknownKind {
        /// The call asked for.
        call: Call,
        /// The answer.
        relocation: Relocation,
    },
    /// The target is not inside the ROM's image.
    TargetOutsideRom {
        /// The call asked for.
        call: Call,
        /// The answer.
        relocation: Relocation,
        /// The linear addresses of the image.
        rom: Range<u32>,
    },
    /// The kind exists, but not for this call: a jump where only a call fits, NOP for a call that
    /// has an effect, NONE or NOP for one that must be patched.
    NotAllowed {
        /// The call asked for.
        call: Call,
        /// The answer.
        relocation: Relocation,
    },
}

impl fmt::Display for RelocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind { call, relocation } => {
                write!(f, "{call} (call {}): relocation type {} is unknown", call.number(), relocation.kind)
            }
            Self::TargetOutsideRom { call, relocation, rom } => write!(
                f,
                "{call} (call {}): target {:08x} is outside the ROM at {:08x}..{:08x}",
                call.number(),
                relocation.target,
                rom.start,
                rom.end
            ),
            Self::NotAllowed { call, relocation } => {
                write!(f, "{call} (call {}): ", call.number())?;
                match relocation.kind {
                    RelocationKind::NONE => f.write_str("the ROM must provide it, and answers NONE"),
                    RelocationKind::JUMP_REL => f.write_str("JUMP_REL where only a call fits"),
                    kind => write!(f, "{kind} for a call that cannot be left out"),
                }
            }
        }
    }
}

impl core::error::Error for RelocationError {}

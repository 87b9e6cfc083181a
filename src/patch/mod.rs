//! Rewriting the sites: plan, commit, verify, revert.
//!
//! ```text
//! SiteTable ────────────┐
//! (vmi_sites)           ├── Plan::new ── commit ── verify ── revert
//! RelocationTable ──────┘   (pure)       (all or nothing)
//! (GetRelocationInfo, once for each call)
//! ```
//!
//! Nothing is written unless the whole plan is sound. The bytes at a site must be its native form or
//! the planned one, so a second pass is harmless, and a wrong linker script or a foreign patch is
//! noticed. A failed commit puts the sites back. The patcher uses no site while it runs.
//!
//! Where the ROM's code for a call of the interrupt flag is one plain instruction, the sites of the call hold that in place
//! of a call to it: see [`RelocationTable::with_inline_code`].
//!
//! The plan is made of a table, a closure and a [`TextWriter`], so all of it runs on the host:
//!
//! ```
//! use paravirt_vmi::abi::{Call, RelocationKind};
//! use paravirt_vmi::patch::{Plan, Relocation, RelocationTable, TextError, TextWriter};
//! use paravirt_vmi::site::{NativeForm, SiteRecord, SiteTable};
//!
//! struct Text([u8; 8]); // a kernel of eight bytes at address 0x1000
//! impl TextWriter for Text {
//!     fn read(&self, _address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
//!         Ok(bytes.copy_from_slice(&self.0))
//!     }
//!     fn write(&mut self, _address: u32, bytes: &[u8]) -> Result<(), TextError> {
//!         Ok(self.0.copy_from_slice(bytes))
//!     }
//!     fn serialize(&mut self) {}
//! }
//!
//! let native = NativeForm::of(Call::DISABLE_INTERRUPTS);
//! let native_bytes = [0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0xfa]; // cli
//! let mut text = Text(native_bytes);
//! // its record at 0x2000 names the site 0x1000 bytes below
//! let records = [SiteRecord { offset: (-0x1000).into(), call: native.call.number() as u8 }];
//! let relocations = RelocationTable::query(0xc3000..0xc4000, |_| Relocation {
//!     kind: RelocationKind::CALL_REL,
//!     target: 0xc3100,
//! })?;
//! let stubs = [0; Call::COUNT]; // no site calls one
//! let plan = Plan::new(SiteTable::new(0x2000, &records, &stubs), relocations, &text).unwrap();
//! unsafe { plan.commit(&mut text).unwrap() };
//! assert_eq!(text.0[..5], [0xe8, 0xfb, 0x20, 0x0c, 0x00]); // call 0xc3100, and a filler behind it
//! unsafe { plan.revert(&mut text).unwrap() };
//! assert_eq!(text.0, native_bytes);
//! # Ok::<(), paravirt_vmi::patch::RelocationError>(())
//! ```

mod encode;
mod error;
mod inline;
mod plan;
mod relocation;
mod report;
mod text;

pub use error::{CommitError, PlanError, SiteError};
pub use plan::{Plan, check_native};
pub use relocation::{Relocation, RelocationError, RelocationTable};
pub use report::{CallReport, SiteReport};
pub use text::{TextError, TextErrorReason, TextWriter};

pub use crate::arch::DirectWriter;

//! [`Plan`]: what every site will hold, decided and checked before anything is written.
//!
//! # Safety
//!
//! No block here is unsafe: text is reached through [`TextWriter`] alone. [`Plan::commit`] and
//! [`Plan::revert`] are unsafe to call, because what they write is code that something may be
//! executing.
#![allow(unsafe_code)]

use paravirt_vmi_abi::Call;

use super::encode::encode;
use super::error::{CommitError, PlanError, SiteError};
use super::{Relocation, RelocationTable, TextWriter};
use crate::arch;
use crate::rom::Adapter;
use crate::site::{Site, SiteBytes, SiteTable};

/// A sound plan: every site of a kernel, and what the ROM's relocations put there.
///
/// Making one writes nothing. [`commit`](Self::commit), [`verify`](Self::verify) and
/// [`revert`](Self::revert) can be repeated in any order.
///
/// While text is written, interrupts must be off and no other processor may run the kernel's text;
/// `commit` and `revert` are `unsafe` for that reason.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    sites: SiteTable<'a>,
    relocations: RelocationTable,
}

impl<'a> Plan<'a> {
    /// Plans what `relocations` put at `sites`.
    ///
    /// # Errors
    ///
    /// If a record is damaged, if the text at a site is neither native nor as planned, or if the
    /// relocation of a site's call is not one that its sites can take.
    pub fn new(
        sites: SiteTable<'a>,
        relocations: RelocationTable,
        text: &impl TextWriter,
    ) -> Result<Self, PlanError> {
        let plan = Self { sites, relocations };
        if cfg!(feature = "indirect") {
            // Every entry of the call table counts as a site.
            plan.relocations.check_sites_of_all()?;
        }
        for site in plan.sites.iter() {
            let site = site.map_err(SiteError::from)?;
            plan.relocations.for_site(site.form.call)?;
            plan.current(&site, text)?;
        }
        Ok(plan)
    }

    /// Writes the planned bytes to every site, serialises, reads back and compares.
    ///
    /// Sites that hold the planned bytes already are left alone. All sites are checked before the
    /// first write.
    ///
    /// # Errors
    ///
    /// If a site is found changed, nothing is written. If the writer refuses a write, or the bytes
    /// read back differ, the sites are put back to their native form.
    ///
    /// # Safety
    ///
    /// Interrupts are off, no non-maskable interrupt uses a site, no other processor executes the
    /// kernel's text, and the ROM that gave the relocations has been initialised.
    pub unsafe fn commit(&self, text: &mut impl TextWriter) -> Result<(), CommitError> {
        self.write_all(text, Self::planned)?;
        arch::bind_calls(&self.relocations);
        Ok(())
    }

    /// Writes the native bytes to every site, serialises, reads back and compares.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    ///
    /// # Safety
    ///
    /// Interrupts are off, no non-maskable interrupt uses a site, no other processor executes the
    /// kernel's text, and the native instructions are right where the kernel runs: in ring 0 of the
    /// machine, or under a hypervisor that emulates them.
    pub unsafe fn revert(&self, text: &mut impl TextWriter) -> Result<(), CommitError> {
        self.write_all(text, |_, site| site.native())?;
        arch::unbind_calls();
        Ok(())
    }

    /// Checks that every site holds the planned bytes.
    ///
    /// # Errors
    ///
    /// The first site that does not.
    pub fn verify(&self, text: &impl TextWriter) -> Result<(), SiteError> {
        self.compare(text, Self::planned)
    }

    /// Checks that every site holds its native bytes.
    ///
    /// # Errors
    ///
    /// The first site that does not.
    pub fn verify_native(&self, text: &impl TextWriter) -> Result<(), SiteError> {
        self.compare(text, |_, site| site.native())
    }

    /// The relocation that the plan uses for `call`.
    pub fn relocation(&self, call: Call) -> Relocation {
        self.relocations.get(call)
    }

    /// What the sites of `call` hold in place of a call to the ROM, if they do.
    pub fn inline_code(&self, call: Call) -> Option<SiteBytes> {
        self.relocations.inline_code(call)
    }

    /// What the ROM answered for `call`, in front of which stands `adapter`.
    pub(crate) fn answer(&self, call: Call, adapter: Option<Adapter>) -> Relocation {
        self.relocations.answer(call, adapter)
    }

    /// The sites of the plan.
    pub(super) fn site_table(&self) -> SiteTable<'a> {
        self.sites
    }

    /// The bytes that the plan puts at `site`.
    pub(super) fn planned(&self, site: &Site) -> SiteBytes {
        encode(site, &self.relocations)
    }

    /// The bytes at `site`, which are native or as planned.
    fn current(&self, site: &Site, text: &impl TextWriter) -> Result<SiteBytes, SiteError> {
        let (found, native) = (read(site, text)?, site.native());
        if found == native || found == self.planned(site) {
            Ok(found)
        } else {
            Err(SiteError::unexpected(site, native, found))
        }
    }

    /// Writes `wanted` to every site, or puts all sites back to their native form.
    fn write_all(
        &self,
        text: &mut impl TextWriter,
        wanted: impl Fn(&Self, &Site) -> SiteBytes,
    ) -> Result<(), CommitError> {
        for site in self.sites.iter() {
            self.current(&site.map_err(SiteError::from)?, text)?;
        }
        let outcome = self.write_unchecked(text, &wanted).map_err(CommitError::Write);
        text.serialize();
        let outcome = outcome.and_then(|()| self.compare(text, wanted).map_err(CommitError::Verify));
        outcome.inspect_err(|_| self.restore_native(text))
    }

    /// Writes `wanted` to the sites that hold something else.
    fn write_unchecked(
        &self,
        text: &mut impl TextWriter,
        wanted: &impl Fn(&Self, &Site) -> SiteBytes,
    ) -> Result<(), SiteError> {
        for site in self.sites.iter() {
            let site = site?;
            let bytes = wanted(self, &site);
            if read(&site, text)? != bytes {
                text.write(site.address, bytes.as_slice())?;
            }
        }
        Ok(())
    }

    /// Puts back the native form wherever the writer still allows it, after a failure: the error
    /// that is reported is the one that came first.
    fn restore_native(&self, text: &mut impl TextWriter) {
        for site in self.sites.iter().flatten() {
            let native = site.native();
            if read(&site, text) != Ok(native) {
                _ = text.write(site.address, native.as_slice());
            }
        }
        text.serialize();
    }

    /// Checks that every site holds `wanted`.
    fn compare(
        &self,
        text: &impl TextWriter,
        wanted: impl Fn(&Self, &Site) -> SiteBytes,
    ) -> Result<(), SiteError> {
        for site in self.sites.iter() {
            let site = site?;
            let found = read(&site, text)?;
            let expected = wanted(self, &site);
            if found != expected {
                return Err(SiteError::unexpected(&site, expected, found));
            }
        }
        Ok(())
    }
}

/// Checks that every site of `sites` holds its native bytes.
///
/// # Errors
///
/// The first record that is damaged, or site that holds something else.
pub fn check_native(sites: SiteTable<'_>, text: &impl TextWriter) -> Result<(), SiteError> {
    for site in sites.iter() {
        let site = site?;
        let found = read(&site, text)?;
        let native = site.native();
        if found != native {
            return Err(SiteError::unexpected(&site, native, found));
        }
    }
    Ok(())
}

/// The bytes at `site`.
pub(super) fn read(site: &Site, text: &impl TextWriter) -> Result<SiteBytes, SiteError> {
    let mut found = SiteBytes::of(site.form.call);
    text.read(site.address, found.as_mut_slice())?;
    Ok(found)
}

//! What happened to each call and to each site, for a kernel to print.

use core::fmt;

use paravirt_vmi_abi::Call;

use super::error::SiteError;
use super::plan::read;
use super::{Plan, Relocation, TextWriter};
use crate::site::SiteBytes;

/// What a plan does with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// The call.
    pub call: Call,
    /// What the ROM answered for it.
    pub relocation: Relocation,
    /// What its sites hold in place of a call to the ROM, if they do.
    pub inline_code: Option<SiteBytes>,
    /// How many sites of it the kernel has.
    pub sites: usize,
}

/// Writes the call, its relocation, and the number of its sites.
impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, relocation, inline_code, sites } = self;
        write!(f, "{:2} {call:18} {:8}", call.number(), relocation.kind)?;
        match relocation.branch_target() {
            Some(target) => write!(f, " {target:08x}")?,
            None => write!(f, " {:8}", "-")?,
        }
        write!(f, " {sites} sites")?;
        inline_code.map_or(Ok(()), |code| write!(f, " inline [{code}]"))
    }
}

/// What a plan does with one site, and what the site holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteReport {
    /// Linear address of the site.
    pub address: u32,
    /// The call.
    pub call: Call,
    /// The site's native bytes.
    pub native: SiteBytes,
    /// The bytes that the plan puts there.
    pub planned: SiteBytes,
    /// The bytes found there now.
    pub current: SiteBytes,
}

/// Writes the site, its native bytes, and the planned ones.
impl fmt::Display for SiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, call, native, planned, .. } = self;
        write!(f, "{address:08x} {call:18} [{native}] -> [{planned}]")
    }
}

impl Plan<'_> {
    /// What the plan does with each call, in order of number.
    ///
    /// Counting the sites of all calls walks the records once for each call.
    pub fn calls(&self) -> impl Iterator<Item = CallReport> + '_ {
        Call::all().map(|call| CallReport {
            call,
            relocation: self.relocation(call),
            inline_code: self.inline_code(call),
            sites: self.site_table().iter().flatten().filter(|site| site.form.call == call).count(),
        })
    }

    /// What the plan does with each site, in the order of the records.
    ///
    /// # Errors
    ///
    /// An item is an error if the record or the text of a site can no longer be read.
    pub fn sites<'b, T: TextWriter>(
        &'b self,
        text: &'b T,
    ) -> impl Iterator<Item = Result<SiteReport, SiteError>> + 'b {
        self.site_table().iter().map(move |site| {
            let site = site?;
            Ok(SiteReport {
                address: site.address,
                call: site.form.call,
                native: site.native(),
                planned: self.planned(&site),
                current: read(&site, text)?,
            })
        })
    }
}

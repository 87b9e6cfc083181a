//! Planning and patching: what must hold for any records, any relocations and any text.
//!
//! # Safety
//!
//! Committing and reverting are unsafe because they change code that may be running. Here the text is a vector that
//! nobody runs.
#![allow(unsafe_code)]

use std::fmt;

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::patch::{CommitError, Plan, PlanError, RelocationError, RelocationTable, SiteError};
use paravirt_vmi::site::{RecordDefect, RecordError, Site, SiteKind, SiteTable};

use crate::kernel::{Kernel, RECORD_LENGTH};
use crate::text::Text;

/// Why a kernel was not patched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no sound plan.
    Plan(PlanError),
    /// The plan could not be carried out.
    Commit(CommitError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => write!(f, "no plan: {error}"),
            Self::Commit(error) => write!(f, "not committed: {error}"),
        }
    }
}

/// Plans, commits, verifies and reverts, and checks each step; the number of sites.
///
/// # Errors
///
/// If the kernel is not patched.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(kernel: &Kernel, relocations: &RelocationTable) -> Result<usize, Refusal> {
    let plan = || {
        let table = SiteTable::from_bytes(kernel.record_address, &kernel.records, &kernel.stubs);
        Plan::new(table.map_err(SiteError::from)?, relocations.clone(), &kernel.text)
    };
    let (plan, again) = match (plan(), plan()) {
        (Ok(plan), Ok(again)) => (plan, again),
        (Err(error), again) => {
            assert_eq!(again.err().as_ref(), Some(&error), "planning twice gives two results");
            _ = error.to_string();
            assert!(is_true(&error, kernel, relocations), "not so: {error}");
            return Err(Refusal::Plan(error));
        }
        (Ok(_), Err(error)) => panic!("planning a second time: {error}"),
    };
    let sites =
        Vec::from_iter(kernel.sites().into_iter().map(|site| site.expect("a plan with a damaged record")));
    assert!(plan.sites(&kernel.text).eq(again.sites(&kernel.text)), "planning twice gives two plans");
    assert_eq!(plan.sites(&kernel.text).count(), sites.len());
    let mut counts = [0; Call::COUNT];
    for (report, site) in plan.sites(&kernel.text).zip(&sites) {
        let report = report.expect("a plan with a site that cannot be read");
        assert_eq!((report.address, report.call), (site.address, site.form.call));
        assert_eq!(report.native, site.native());
        assert!(report.current == report.native || report.current == report.planned, "{report}");
        check_bytes(report.planned.as_slice(), site, relocations);
        counts[site.form.call.number() as usize] += 1;
    }
    for (call, count) in plan.calls().zip(counts) {
        assert_eq!((call.relocation, call.sites), (relocations.get(call.call), count), "{call}");
        assert_eq!(again.relocation(call.call), call.relocation, "planning twice gives two plans");
    }
    // What people are shown must not end the kernel either.
    _ = plan.calls().find(|call| call.sites > 0).map(|call| call.to_string());
    _ = plan.sites(&kernel.text).flatten().next().map(|site| site.to_string());
    carry_out(kernel, &plan, &sites)
}

/// Checks that a site will hold what its relocation says.
fn check_bytes(planned: &[u8], site: &Site, relocations: &RelocationTable) {
    let (native, relocation) = (site.native(), relocations.get(site.form.call));
    let kinds = site.form.call.info().relocations;
    assert!(relocation.kind.to_kinds().is_some_and(|kind| kinds.contains(kind)), "{:?}", relocation.kind);
    assert_eq!(planned.len(), native.as_slice().len());
    let opcode = match relocation.kind {
        RelocationKind::CALL_REL => 0xe8,
        RelocationKind::JUMP_REL => 0xe9,
        RelocationKind::NOP => return assert!(is_nothing(planned), "{planned:02x?} at {:08x}", site.address),
        _ => return assert_eq!(planned, native.as_slice()),
    };
    let displacement = u32::from_le_bytes([planned[1], planned[2], planned[3], planned[4]]);
    let target = site.address.wrapping_add(5).wrapping_add(displacement);
    assert_eq!((planned[0], target), (opcode, relocation.target));
    let is_end = site.form.kind == SiteKind::NoReturn;
    assert!(!is_end || planned[5..].iter().all(|byte| *byte == 0xcc));
}

/// Whether the bytes are `lea esi, [esi]` with a displacement of 0, in one of its encodings.
fn is_nothing(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(&[0x3e]).unwrap_or(bytes);
    matches!(bytes, [0x8d, 0x76 | 0xb6, rest @ ..] | [0x8d, 0x74 | 0xb4, 0x26, rest @ ..] if rest.iter().all(|byte| *byte == 0))
        && [3, 4, 6, 7].contains(&bytes.len())
}

/// Commits, verifies and reverts.
fn carry_out(kernel: &Kernel, plan: &Plan<'_>, sites: &[Site]) -> Result<usize, Refusal> {
    let native = with_sites(&kernel.text, sites, |site| site.native().as_slice().to_vec());
    let planned = plan.sites(&kernel.text).flatten().map(|report| report.planned.as_slice().to_vec());
    let planned = Vec::from_iter(planned);
    let mut text = kernel.text.clone();
    // SAFETY: nobody runs the text.
    let result = unsafe { plan.commit(&mut text) };
    assert!(text.is_serialized() || result.is_err() && text.writes == 0);
    if let Err(error) = result {
        _ = error.to_string();
        match error {
            CommitError::Changed(_) => panic!("nothing has changed since the plan was made: {error}"),
            CommitError::Verify(SiteError::UnexpectedBytes { expected, found, .. }) => {
                assert_ne!(expected, found, "not so: {error}");
            }
            _ => {}
        }
        check_native(plan, &text, &native, sites);
        return Err(Refusal::Commit(error));
    }
    let mut next = planned.iter();
    let expected = with_sites(&kernel.text, sites, |_| next.next().cloned().unwrap_or_default());
    assert_eq!(text.bytes, expected.bytes, "something else than the plan was written");
    assert_eq!(plan.verify(&text), Ok(()));

    let writes = text.writes;
    // SAFETY: nobody runs the text.
    let result = unsafe { plan.commit(&mut text) };
    assert_eq!((result, text.writes), (Ok(()), writes), "committing twice");

    text.begin_batch();
    // SAFETY: nobody runs the text.
    let result = unsafe { plan.revert(&mut text) };
    assert!(!matches!(result, Err(CommitError::Changed(_))), "{result:?}");
    check_native(plan, &text, &native, sites);
    Ok(sites.len())
}

/// Checks that text is native, and that elsewhere nothing has changed.
///
/// What failed while sites were being put back cannot be put right. Nor can sites that overlap so that not all of them
/// can be native: elsewhere nothing has changed all the same.
fn check_native(plan: &Plan<'_>, text: &Text, native: &Text, sites: &[Site]) {
    let held = |site: &Site| native.at(site.address, site.form.length()) == Some(site.native().as_slice());
    if !text.failed_late && sites.iter().all(held) {
        assert_eq!(text.bytes, native.bytes, "the text is not native and whole");
        assert_eq!(plan.verify_native(text), Ok(()));
        return;
    }
    let mut outside = text.clone();
    for site in sites {
        let length = site.form.length();
        let (Some(to), Some(from)) = (outside.at_mut(site.address, length), native.at(site.address, length))
        else {
            panic!("a plan with a site outside the text")
        };
        to.copy_from_slice(from);
    }
    assert_eq!(outside.bytes, native.bytes, "something was written where there is no site");
}

/// `text` with other bytes at its sites, one after the other.
fn with_sites(text: &Text, sites: &[Site], mut bytes: impl FnMut(&Site) -> Vec<u8>) -> Text {
    let mut text = text.clone();
    for site in sites {
        let place =
            text.at_mut(site.address, site.form.length()).expect("a plan with a site outside the text");
        place.copy_from_slice(&bytes(site));
    }
    text
}

/// Whether there is no plan for the reason given.
fn is_true(error: &PlanError, kernel: &Kernel, relocations: &RelocationTable) -> bool {
    match error {
        PlanError::Relocation(RelocationError::NotAllowed { call, relocation }) => {
            let is_needed = kernel.sites().iter().flatten().any(|site| site.form.call == *call);
            let kind = relocation.kind.to_kinds();
            let is_allowed = kind.is_some_and(|kind| call.info().relocations.contains(kind));
            is_needed && *relocation == relocations.get(*call) && !is_allowed
        }
        // The table of relocations has been made already.
        PlanError::Relocation(_) => false,
        PlanError::Site(SiteError::UnexpectedBytes { address, call, native, expected, found }) => {
            let bytes = kernel.text.at(*address, found.as_slice().len());
            let mut sites = kernel.sites().into_iter().flatten();
            let site = sites.find(|site| (site.address, site.form.call) == (*address, *call));
            site.is_some_and(|site| site.native() == *native)
                && expected == native
                && bytes == Some(found.as_slice())
                && found != native
        }
        PlanError::Site(SiteError::Text(error)) => kernel.text.at(error.address, error.length).is_none(),
        PlanError::Site(SiteError::Record(error)) => is_damaged(error, kernel),
    }
}

/// Whether a record is as an error says.
fn is_damaged(error: &RecordError, kernel: &Kernel) -> bool {
    let offset = error.record_address.wrapping_sub(kernel.record_address) as usize;
    if let RecordDefect::TableLength { length } = error.defect {
        return offset == 0 && length == kernel.records.len() && length % RECORD_LENGTH != 0;
    }
    let record = kernel.records.get(offset..).and_then(|rest| rest.get(..RECORD_LENGTH));
    let Some(&[_, _, _, _, number]) = record else { return false };
    match error.defect {
        RecordDefect::UnknownCall { number: found } => found == number && number >= 74,
        RecordDefect::TableLength { .. } => false,
    }
}

/// The text of a kernel that has been patched.
///
/// # Errors
///
/// If there is no sound plan, or it cannot be carried out.
pub fn patched(kernel: &Kernel, relocations: &RelocationTable) -> Result<Vec<u8>, Refusal> {
    let table = SiteTable::from_bytes(kernel.record_address, &kernel.records, &kernel.stubs);
    let table = table.map_err(|error| Refusal::Plan(SiteError::from(error).into()))?;
    let plan = Plan::new(table, relocations.clone(), &kernel.text).map_err(Refusal::Plan)?;
    let mut text = kernel.text.clone();
    // SAFETY: nobody runs the text.
    unsafe { plan.commit(&mut text) }.map_err(Refusal::Commit)?;
    Ok(text.bytes)
}

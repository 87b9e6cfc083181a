//! Patching once: one processor commits the plan, and starts another one.
//!
//! The plan and its writes are those of the guest crate; the text is memory that both processors see, a byte at a
//! time, with no order but what the STARTUP message gives.
//!
//! # Safety
//!
//! Nothing here is executed. `Plan::commit` is unsafe because of what its text may be, and this text is a list of
//! numbers.
#![allow(unsafe_code)]

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicBool, AtomicU8};
use loom::thread;
use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::patch::{
    CommitError, Plan, Relocation, RelocationTable, TextError, TextErrorReason, TextWriter,
};
use paravirt_vmi::site::{NativeForm, SiteRecord, SiteTable, StubTable};

/// What is done differently on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// The kernel's writer refuses the last site. The other processor is started all the same, and natively.
    WriteRefused,
    /// The other processor is started before the plan is committed.
    StartedBefore,
    /// The other processor is started by a message that orders nothing.
    StartedWithoutOrder,
}

/// The calls that have a site, one behind the other. Their sites are short: each byte multiplies the interleavings.
const CALLS: [Call; 2] = [Call::CLTS, Call::HALT];
/// Address of the first site.
const TEXT: u32 = 0x1000;
/// Address of the records.
const RECORDS: u32 = 0x2000;
/// Linear addresses of the ROM.
const ROM: core::ops::Range<u32> = 0xC_3000..0xC_4000;
/// The native stubs: no site here calls one.
static NO_STUBS: StubTable = [0; Call::COUNT];

/// The text as one processor writes it.
struct Writer {
    bytes: Arc<Vec<AtomicU8>>,
    /// The end of what may be written.
    end: u32,
}

impl Writer {
    fn bytes(&self, address: u32, length: usize) -> Result<&[AtomicU8], TextError> {
        let start = address.wrapping_sub(TEXT) as usize;
        let outside = TextError { address, length, reason: TextErrorReason::OutsideText };
        self.bytes.get(start..start.saturating_add(length)).ok_or(outside)
    }
}

impl TextWriter for Writer {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        let text = self.bytes(address, bytes.len())?;
        bytes.iter_mut().zip(text).for_each(|(byte, text)| *byte = text.load(Relaxed));
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        let text = self.bytes(address, bytes.len())?;
        if address + bytes.len() as u32 > self.end {
            return Err(TextError { address, length: bytes.len(), reason: TextErrorReason::NotWritable });
        }
        text.iter().zip(bytes).for_each(|(text, byte)| text.store(*byte, Relaxed));
        Ok(())
    }

    /// It concerns the writing processor alone; another one has fetched nothing before it is started.
    fn serialize(&mut self) {}
}

/// A record for each site.
fn records() -> Vec<SiteRecord> {
    let mut site = TEXT;
    let record = |(index, call): (usize, &Call)| {
        let form = NativeForm::of(*call);
        let address = RECORDS + (index * size_of::<SiteRecord>()) as u32;
        let offset = (site.wrapping_sub(address) as i32).into();
        site += form.length() as u32;
        SiteRecord { offset, call: call.number() as u8 }
    };
    CALLS.iter().enumerate().map(record).collect()
}

/// Every call of the ROM lies at its number.
fn relocations() -> RelocationTable {
    let at = |call: Call| Relocation { kind: RelocationKind::CALL_REL, target: ROM.start + call.number() };
    RelocationTable::query(ROM, at).expect("the ROM is sound")
}

/// The bytes of a site: native, and patched.
type Forms = (Vec<u8>, Vec<u8>);

/// What the other processor fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fetched {
    /// It was not up in time.
    Nothing,
    /// What should be at every site.
    Expected,
    /// A site that is of an earlier time, or half of one and half of another.
    Wrong,
}

/// Commits a plan and starts another processor, which fetches every site.
pub fn run(deviation: Option<Deviation>) -> Fetched {
    let records = records();
    let sites = SiteTable::new(RECORDS, &records, &NO_STUBS);
    let native: Vec<_> = sites
        .iter()
        .flat_map(|site| site.expect("the records are sound").native().as_slice().to_vec())
        .collect();
    let bytes = Arc::new(native.iter().copied().map(AtomicU8::new).collect::<Vec<_>>());
    let end = match deviation {
        Some(Deviation::WriteRefused) => TEXT + native.len() as u32 - 1,
        _ => u32::MAX,
    };
    let mut writer = Writer { bytes: bytes.clone(), end };
    let plan = Plan::new(sites, relocations(), &writer).expect("the plan is sound");
    let forms: Vec<Forms> = plan
        .sites(&writer)
        .map(|site| site.expect("the text can be read"))
        .map(|site| (site.native.as_slice().to_vec(), site.planned.as_slice().to_vec()))
        .collect();

    let message = Arc::new(AtomicBool::new(false));
    let is_native = deviation == Some(Deviation::WriteRefused);
    let other =
        {
            let message = message.clone();
            thread::spawn(move || {
                if message.load(Acquire) { fetch(&bytes, &forms, is_native) } else { Fetched::Nothing }
            })
        };
    let order = if deviation == Some(Deviation::StartedWithoutOrder) { Relaxed } else { Release };
    if deviation == Some(Deviation::StartedBefore) {
        message.store(true, order);
    }
    // SAFETY: nobody executes the text.
    let committed = unsafe { plan.commit(&mut writer) };
    assert_eq!(matches!(committed, Err(CommitError::Write(_))), is_native, "{committed:?}");
    if deviation != Some(Deviation::StartedBefore) {
        message.store(true, order);
    }
    other.join().expect("the other processor has panicked")
}

/// Fetches every site.
fn fetch(bytes: &[AtomicU8], forms: &[Forms], is_native: bool) -> Fetched {
    let expected = forms.iter().flat_map(|(native, patched)| if is_native { native } else { patched });
    let differs = bytes.iter().zip(expected).any(|(byte, expected)| byte.load(Relaxed) != *expected);
    if differs { Fetched::Wrong } else { Fetched::Expected }
}

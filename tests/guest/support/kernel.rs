//! A kernel's text and site records, built in memory.

use paravirt_vmi::abi::Call;
use paravirt_vmi::patch::{TextError, TextErrorReason, TextWriter};
use paravirt_vmi::site::{NativeCode, NativeForm, Site, SiteRecord, SiteTable, StubTable};

/// Where the kernel's native stubs are: 16 bytes apart, for each call that has one.
pub static STUBS: StubTable = {
    let mut stubs = [0; Call::COUNT];
    let mut number = 0;
    while number < Call::COUNT {
        if let NativeCode::Stub = paravirt_vmi::site::NATIVE_FORMS[number].code {
            stubs[number] = 0xc018_0000 + 16 * number as u32;
        }
        number += 1;
    }
    stubs
};

/// A kernel: text with sites in it, and their records.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub text: Text,
    pub records: Vec<SiteRecord>,
    pub record_address: u32,
}

/// Text that counts its writes, and can refuse or spoil one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub address: u32,
    pub bytes: Vec<u8>,
    pub writes: usize,
    pub serialized_after: Option<usize>,
    pub fault: Option<(usize, Fault)>,
}

/// What happens at the write of a given number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused.
    Refuse,
    /// It is reported as done, and is not.
    Lose,
}

impl Kernel {
    /// A kernel with the given sites, in this order, with other code between them.
    pub fn new(sites: impl IntoIterator<Item = &'static NativeForm>) -> Self {
        let (address, record_address) = (0xc010_0000u32, 0xc020_0000u32);
        let mut bytes = vec![0x55, 0x89, 0xe5];
        let mut records = Vec::new();
        for form in sites {
            let site = address + bytes.len() as u32;
            let record = record_address + (records.len() * size_of::<SiteRecord>()) as u32;
            records.push(SiteRecord {
                offset: (site.wrapping_sub(record) as i32).into(),
                call: form.call.number() as u8,
            });
            let site = Site { address: site, form, stub: STUBS[form.call.number() as usize] };
            bytes.extend(site.native().as_slice());
            bytes.extend([0x40, 0xc3]);
        }
        let text = Text { address, bytes, writes: 0, serialized_after: None, fault: None };
        Self { text, records, record_address }
    }

    /// The site records.
    pub fn sites(&self) -> SiteTable<'_> {
        SiteTable::new(self.record_address, &self.records, &STUBS)
    }

    /// The bytes of the text at `address`.
    pub fn at(&self, address: u32, length: usize) -> &[u8] {
        &self.text.bytes[(address - self.text.address) as usize..][..length]
    }
}

impl Text {
    fn range(&self, address: u32, length: usize) -> Result<core::ops::Range<usize>, TextError> {
        let outside = TextError { address, length, reason: TextErrorReason::OutsideText };
        let start = address.checked_sub(self.address).ok_or(outside)? as usize;
        let range = start..start + length;
        self.bytes.get(range.clone()).map(|_| range).ok_or(outside)
    }
}

impl TextWriter for Text {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        let range = self.range(address, bytes.len())?;
        bytes.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        let range = self.range(address, bytes.len())?;
        let number = self.writes;
        self.writes += 1;
        match self.fault {
            Some((at, Fault::Refuse)) if at == number => {
                let reason = TextErrorReason::NotWritable;
                return Err(TextError { address, length: bytes.len(), reason });
            }
            Some((at, Fault::Lose)) if at == number => {}
            _ => self.bytes[range].copy_from_slice(bytes),
        }
        Ok(())
    }

    fn serialize(&mut self) {
        self.serialized_after = Some(self.writes);
    }
}

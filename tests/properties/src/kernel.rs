//! [`Kernel`]: text with sites in it, and their records, as this crate's macros would have left them.

use paravirt_vmi::abi::Call;
use paravirt_vmi::site::{NATIVE_FORMS, NativeCode, NativeForm, Site, SiteRecord, StubTable};
use zerocopy::IntoBytes;

use crate::text::Text;

/// What lies in front of each site.
const OTHER_CODE: [u8; 3] = [0x55, 0x89, 0xe5];

/// How far behind the text the records are, and the stubs behind the records.
const DISTANCE: u32 = 0x0010_0000;

/// The length of a record.
pub const RECORD_LENGTH: usize = size_of::<SiteRecord>();

/// A kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its text.
    pub text: Text,
    /// Linear address of its site records.
    pub record_address: u32,
    /// Its site records.
    pub records: Vec<u8>,
    /// Its native stubs.
    pub stubs: StubTable,
}

impl Kernel {
    /// A kernel at `address` with the given sites, in this order, and other code between them.
    pub fn new(address: u32, sites: impl IntoIterator<Item = &'static NativeForm>) -> Self {
        let record_address = address.wrapping_add(DISTANCE);
        let stubs = stubs(record_address.wrapping_add(DISTANCE));
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for form in sites {
            bytes.extend(OTHER_CODE);
            let place = address.wrapping_add(bytes.len() as u32);
            let record = record_address.wrapping_add(records.len() as u32);
            let record = SiteRecord {
                offset: (place.wrapping_sub(record) as i32).into(),
                call: form.call.number() as u8,
            };
            records.extend(record.as_bytes());
            let site = Site { address: place, form, stub: stubs[form.call.number() as usize] };
            bytes.extend(site.native().as_slice());
        }
        let mut kernel = Self { text: Text::new(address, bytes), record_address, records, stubs };
        kernel.allow_sites();
        kernel
    }

    /// A kernel with each site `times` times.
    pub fn of_all_forms(times: usize) -> Self {
        Self::new(0xc010_0000, (0..times).flat_map(|_| &NATIVE_FORMS))
    }

    /// Allows those sites to be touched that the records name now. A record that is not sound names none.
    pub fn allow_sites(&mut self) {
        let sites = self.sites();
        self.text.allow(sites.iter().flatten().map(|site| (site.address, site.form.length())));
    }

    /// The site that each record names, read without the code under test; `None` for a record that is not sound.
    pub fn sites(&self) -> Vec<Option<Site>> {
        let records = self.records.chunks_exact(RECORD_LENGTH).enumerate();
        Vec::from_iter(records.map(|(index, record)| {
            let &[o0, o1, o2, o3, number] = record else { return None };
            let form = NATIVE_FORMS.get(usize::from(number))?;
            let place = self.record_address.wrapping_add((RECORD_LENGTH * index) as u32);
            let address = place.wrapping_add(u32::from_le_bytes([o0, o1, o2, o3]));
            Some(Site { address, form, stub: self.stubs[form.call.number() as usize] })
        }))
    }
}

/// Native stubs 16 bytes apart, for each call that has one.
fn stubs(address: u32) -> StubTable {
    let mut stubs = [0; Call::COUNT];
    for (form, stub) in NATIVE_FORMS.iter().zip(&mut stubs) {
        if form.code == NativeCode::Stub {
            *stub = address.wrapping_add(16 * form.call.number());
        }
    }
    stubs
}

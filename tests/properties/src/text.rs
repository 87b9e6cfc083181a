//! [`Text`]: a kernel's text that allows sites to be touched, and nothing else.

use paravirt_vmi::patch::{TextError, TextErrorReason, TextWriter};

/// What happens at one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused.
    Refuse,
    /// It is reported as done, and is not.
    Lose,
}

/// Text in memory. An access that is not of one whole site ends the test.
#[derive(Clone, Debug)]
pub struct Text {
    /// Linear address of the first byte. The text may wrap at the top of the address space.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many writes there have been.
    pub writes: usize,
    /// The write that fails.
    pub fault: Option<(usize, Fault)>,
    /// What failed, failed after the text had been serialised: when sites were being put back.
    pub failed_late: bool,
    /// After how many writes it was serialised last.
    serialized_after: Option<usize>,
    /// Address and length of each site, in order.
    sites: Vec<(u32, usize)>,
}

impl Text {
    /// Text at an address, without sites.
    pub fn new(address: u32, bytes: Vec<u8>) -> Self {
        let (sites, serialized_after) = (Vec::new(), None);
        Self { address, bytes, writes: 0, fault: None, failed_late: false, serialized_after, sites }
    }

    /// Allows the given sites to be touched, address and length of each.
    pub fn allow(&mut self, sites: impl IntoIterator<Item = (u32, usize)>) {
        self.sites = Vec::from_iter(sites);
        self.sites.sort_unstable();
    }

    /// Whether everything written has been serialised.
    pub fn is_serialized(&self) -> bool {
        self.serialized_after == Some(self.writes)
    }

    /// What comes now is another batch of writes.
    pub fn begin_batch(&mut self) {
        (self.serialized_after, self.failed_late) = (None, false);
    }

    /// The bytes at `address`, if they are all text.
    pub fn at(&self, address: u32, length: usize) -> Option<&[u8]> {
        self.bytes.get(address.wrapping_sub(self.address) as usize..)?.get(..length)
    }

    /// The bytes of a site, to be changed.
    pub fn at_mut(&mut self, address: u32, length: usize) -> Option<&mut [u8]> {
        self.bytes.get_mut(address.wrapping_sub(self.address) as usize..)?.get_mut(..length)
    }

    /// Ends the test if there is no such site.
    fn must_be_site(&self, access: &str, address: u32, length: usize) {
        let is_site = self.sites.binary_search(&(address, length)).is_ok();
        assert!(is_site, "a {access} of {length} bytes at {address:08x}, where there is no such site");
    }
}

impl TextWriter for Text {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        let length = bytes.len();
        self.must_be_site("read", address, length);
        let outside = TextError { address, length, reason: TextErrorReason::OutsideText };
        bytes.copy_from_slice(self.at(address, length).ok_or(outside)?);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        let length = bytes.len();
        self.must_be_site("write", address, length);
        let fault = self.fault.filter(|(number, _)| *number == self.writes);
        self.writes += 1;
        self.failed_late |= fault.is_some() && self.serialized_after.is_some();
        let error = |reason| TextError { address, length, reason };
        match fault {
            Some((_, Fault::Refuse)) => return Err(error(TextErrorReason::NotWritable)),
            Some((_, Fault::Lose)) => return Ok(()),
            None => {}
        }
        let place = self.at_mut(address, length).ok_or(error(TextErrorReason::OutsideText))?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn serialize(&mut self) {
        self.serialized_after = Some(self.writes);
    }
}

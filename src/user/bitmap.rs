//! [`IoPermissionBitmap`]: which ports user code may use.

use core::fmt;
use core::ops::RangeInclusive;

use static_assertions::const_assert;

/// A bit for each of the 65,536 ports, and the byte of ones that has to follow them.
///
/// A port may be used if its bit is 0, one of several bytes if the bits of all its bytes are. The processor
/// looks at the bitmap whenever the privilege level of the code is above the I/O privilege level.
///
/// # Where it lies
///
/// In the task state segment, at the offset that the segment's word at [`BASE_OFFSET`](Self::BASE_OFFSET)
/// tells, which must not be above [`MAX_BASE`](Self::MAX_BASE). The segment's limit must include the last
/// byte: [`segment_limit`](Self::segment_limit). The processor always reads two bytes, so a shorter limit
/// closes the highest ports. With a base behind the limit ([`NONE`](Self::NONE)) there is no bitmap and every
/// port is closed, which is the fast way to switch between programs with and without ports:
///
/// ```
/// use core::mem::offset_of;
/// use paravirt_vmi::user::IoPermissionBitmap;
///
/// #[repr(C)]
/// struct TaskState {
///     registers: [u32; 25], // the stack of the kernel among them
///     trap: u16,
///     io_map_base: u16,
///     ports: IoPermissionBitmap,
/// }
/// const BASE: u16 = offset_of!(TaskState, ports) as u16;
///
/// const LIMIT: u32 = IoPermissionBitmap::segment_limit(BASE); // for the segment's descriptor
///
/// let mut task = TaskState {
///     registers: [0; 25],
///     trap: 0,
///     io_map_base: IoPermissionBitmap::NONE,
///     ports: IoPermissionBitmap::CLOSED,
/// };
/// assert_eq!(LIMIT as usize, usize::from(BASE) + size_of::<IoPermissionBitmap>() - 1);
/// // a program is granted the VGA's registers
/// task.ports.open(0x3c0..=0x3df);
/// task.io_map_base = BASE;
/// assert!(task.ports.allows(0x3d4, 2));
/// ```
///
/// The processor reads the bitmap in memory each time, so a change is in force at once on the processor whose
/// task register names the segment. Source: Intel manual, volume 1, section 19.5.2 and volume 3, section 8.2.1.
#[derive(Clone, PartialEq, Eq)]
#[repr(C)]
pub struct IoPermissionBitmap {
    ports: [u8; Self::BYTES],
    end: u8,
}
const_assert!(size_of::<IoPermissionBitmap>() == 8193 && align_of::<IoPermissionBitmap>() == 1);

impl IoPermissionBitmap {
    /// Bytes of bits.
    const BYTES: usize = 0x1_0000 / 8;

    /// Offset in a 32-bit task state segment of the word that holds the bitmap's offset.
    pub const BASE_OFFSET: u32 = 0x66;
    /// The highest offset that the bitmap may have in its segment.
    pub const MAX_BASE: u16 = 0xdfff;
    /// An offset behind the limit of any task state segment that [`segment_limit`](Self::segment_limit) tells:
    /// no bitmap, every port is closed.
    pub const NONE: u16 = 0xffff;

    /// No port may be used.
    pub const CLOSED: Self = Self { ports: [0xff; Self::BYTES], end: 0xff };
    /// Every port may be used: what `iopl(3)` grants.
    pub const OPEN: Self = Self { ports: [0; Self::BYTES], end: 0xff };

    /// The limit of a task state segment whose bitmap lies at `base`: the offset of the bitmap's last byte.
    ///
    /// # Panics
    ///
    /// If `base` is above [`MAX_BASE`](Self::MAX_BASE).
    pub const fn segment_limit(base: u16) -> u32 {
        assert!(base <= Self::MAX_BASE, "the bitmap must not begin above DFFF");
        base as u32 + Self::BYTES as u32
    }

    /// Lets the ports be used. An empty range changes nothing.
    pub const fn open(&mut self, ports: RangeInclusive<u16>) {
        self.set(*ports.start(), *ports.end(), false);
    }

    /// Does not let the ports be used. An empty range changes nothing.
    pub const fn close(&mut self, ports: RangeInclusive<u16>) {
        self.set(*ports.start(), *ports.end(), true);
    }

    const fn set(&mut self, first: u16, last: u16, closed: bool) {
        let mut port = first as usize;
        while port <= last as usize {
            let byte = &mut self.ports[port / 8];
            if port % 8 == 0 && port + 7 <= last as usize {
                *byte = if closed { 0xff } else { 0 };
                port += 8;
            } else {
                let bit = 1 << (port % 8);
                *byte = if closed { *byte | bit } else { *byte & !bit };
                port += 1;
            }
        }
    }

    /// Whether the port, of one byte, may be used.
    pub const fn is_open(&self, port: u16) -> bool {
        self.ports[port as usize / 8] & 1 << (port % 8) == 0
    }

    /// Whether the port of `width` bytes may be used, as the processor decides it: none of its bytes is closed.
    /// What would lie behind port FFFF is closed.
    pub const fn allows(&self, port: u16, width: u8) -> bool {
        let mut byte = 0;
        while byte < width as u32 {
            match port as u32 + byte {
                port @ 0..0x1_0000 if self.is_open(port as u16) => byte += 1,
                _ => return false,
            }
        }
        true
    }
}

impl Default for IoPermissionBitmap {
    /// No port may be used.
    fn default() -> Self {
        Self::CLOSED
    }
}

impl fmt::Debug for IoPermissionBitmap {
    /// The ranges that are open.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        let mut first = None;
        for port in 0..=u16::MAX {
            match (first, self.is_open(port)) {
                (None, true) => first = Some(port),
                (Some(start), false) => {
                    set.entry(&format_args!("{start:04x}..={:04x}", port - 1));
                    first = None;
                }
                _ => {}
            }
        }
        if let Some(start) = first {
            set.entry(&format_args!("{start:04x}..=ffff"));
        }
        set.finish()
    }
}

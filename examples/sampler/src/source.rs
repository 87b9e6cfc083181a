//! The driver's own source: which files this build was made of, so that a kernel can say it.

/// A source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name in `src/`.
    pub file: &'static str,
    /// The [`hash`] of its bytes.
    pub hash: u64,
}

/// The FNV-1a hash of 64 bits.
pub const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x100_0000_01B3);
        index += 1;
    }
    hash
}

/// A [`Source`] for each of these files.
macro_rules! sources {
    ($($file:literal)*) => {
        [$(Source { file: $file, hash: const { hash(include_bytes!($file)) } }),*]
    };
}

/// All files of `src/`.
pub const SOURCES: [Source; 6] =
    sources!["lateness.rs" "lib.rs" "ring.rs" "sampler.rs" "source.rs" "timer.rs"];

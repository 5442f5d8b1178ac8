//! How much packed bytes can hold.
//!
//! The libraries make room for as many bytes as a file says that a part of it unpacks to. A damaged file may say any
//! number, so the number is compared with what the method of packing allows before the libraries see it.

/// The most bytes of a Zstandard block (RFC 8878, section 3.1.1.2.4).
const ZSTD_BLOCK: u64 = 128 << 10;

/// A method of packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Deflate,
    Lz4,
    Snappy,
    Zstd,
}

impl Packing {
    /// Returns the most bytes that so many packed ones can hold.
    fn most(self, packed: u64) -> u64 {
        match self {
            // A match of 258 bytes takes two bits.
            Self::Deflate => packed.saturating_mul(258 * 4),
            // A byte of a length stands for 255.
            Self::Lz4 => packed.saturating_mul(255),
            // A copy of 64 bytes takes three.
            Self::Snappy => packed.saturating_mul(64),
            // The header of a block has three bytes, and a block of equal bytes one more.
            Self::Zstd => (packed / 4 + 1).saturating_mul(ZSTD_BLOCK),
        }
    }

    /// Says what is wrong where so many packed bytes cannot hold so many, or where memory cannot.
    pub(super) fn refuse(self, packed: u64, unpacked: u64) -> Option<String> {
        if unpacked > self.most(packed) {
            return Some(format!(
                "{packed} packed bytes cannot unpack to {unpacked}, as is written before them"
            ));
        }
        let mut room = Vec::<u8>::new();
        let reserved =
            usize::try_from(unpacked).is_ok_and(|count| room.try_reserve_exact(count).is_ok());
        // Without this, the compiler may leave out room that nothing is written to.
        std::hint::black_box(&mut room);
        (!reserved)
            .then(|| format!("there is no memory for the {unpacked} bytes that it unpacks to"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packed_bytes_cannot_hold_is_refused() {
        for (packing, packed, most) in [
            (Packing::Deflate, 10, 10_320),
            (Packing::Lz4, 10, 2550),
            (Packing::Snappy, 10, 640),
            (Packing::Zstd, 10, 3 * ZSTD_BLOCK),
        ] {
            assert_eq!(packing.refuse(packed, most), None, "{packing:?}");
            let message = packing.refuse(packed, most + 1).expect("too many");
            assert!(message.contains("10 packed bytes"), "{message}");
        }
        // No machine has so much memory.
        let message = Packing::Deflate.refuse(1 << 50, 1 << 60).expect("too many");
        assert!(message.contains("no memory"), "{message}");
    }
}

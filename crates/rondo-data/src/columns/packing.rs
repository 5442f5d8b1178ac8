//! Bounds on the uncompressed size of compressed bytes.
//!
//! The libraries allocate as many bytes as the file declares for the uncompressed data. A damaged
//! file may declare any number, so the number is first compared with what the compression method
//! allows.

/// The largest content of a Zstandard block, in bytes (RFC 8878, section 3.1.1.2.4).
const ZSTD_BLOCK: u64 = 128 << 10;

/// A compression method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Deflate,
    Lz4,
    Snappy,
    Zstd,
}

impl Packing {
    /// Returns the largest size to which `packed` compressed bytes can expand.
    fn most(self, packed: u64) -> u64 {
        match self {
            // A match of 258 bytes takes at least two bits.
            Self::Deflate => packed.saturating_mul(258 * 4),
            // A length byte stands for at most 255 bytes.
            Self::Lz4 => packed.saturating_mul(255),
            // A copy of 64 bytes takes three bytes.
            Self::Snappy => packed.saturating_mul(64),
            // A block takes at least four bytes: a header of three, and one byte that is repeated.
            Self::Zstd => (packed / 4 + 1).saturating_mul(ZSTD_BLOCK),
        }
    }

    /// Returns an error message if the compressed bytes cannot expand to that many uncompressed
    /// bytes, or if there is not enough memory for them.
    pub(super) fn refuse(self, packed: u64, unpacked: u64) -> Option<String> {
        if unpacked > self.most(packed) {
            return Some(format!(
                "{packed} packed bytes cannot unpack to the {unpacked} bytes that the file declares"
            ));
        }
        let mut room = Vec::<u8>::new();
        let reserved =
            usize::try_from(unpacked).is_ok_and(|count| room.try_reserve_exact(count).is_ok());
        // Without this call, the compiler may remove an allocation that is never written to.
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
        // No machine has this much memory.
        let message = Packing::Deflate.refuse(1 << 50, 1 << 60).expect("too many");
        assert!(message.contains("no memory"), "{message}");
    }
}

//! Finds the end of delta-coded integers, Parquet's `DELTA_BINARY_PACKED`.

/// Skips the integers. Returns their number and the bytes after them; `None` if they are truncated.
pub(super) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (block, rest) = number(bytes)?;
    let (miniblocks, rest) = number(rest)?;
    let (count, rest) = number(rest)?;
    let (_first, mut rest) = number(rest)?;
    let values = block.checked_div(miniblocks).filter(|&values| values > 0)?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        // A block begins with its smallest difference, then the bit width of each miniblock.
        (_, rest) = number(rest)?;
        let (widths, behind) = rest.split_at_checked(usize::try_from(miniblocks).ok()?)?;
        rest = behind;
        for &bits in widths {
            if left == 0 {
                break;
            }
            let bytes = values.checked_mul(u64::from(bits))? / 8;
            rest = rest.get(usize::try_from(bytes).ok()?..)?;
            left = left.saturating_sub(values);
        }
    }
    Some((count, rest))
}

/// Reads a varint: seven bits per byte, the lowest first. Returns the number and the bytes after
/// it.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_over_block_by_block() {
        // Blocks of 128 values in four miniblocks, and five integers that begin with 1. Their
        // differences take two bits each, so the first miniblock takes 8 bytes.
        let head = [0x80, 0x01, 4, 5, 2];
        let block = [&[0, 2, 0, 0, 0][..], &[0xff; 8]].concat();
        let bytes = [&head[..], &block, b"behind"].concat();
        assert_eq!(read(&bytes), Some((5, &b"behind"[..])));
        for cut in 0..head.len() + block.len() {
            assert_eq!(read(&bytes[..cut]), None, "{cut}");
        }
        // A single integer has no block.
        assert_eq!(read(&[0x80, 0x01, 4, 1, 2, 9]), Some((1, &[9][..])));
        assert_eq!(read(&[0x80, 0x01, 0, 5, 2, 0]), None);
    }

    #[test]
    fn a_number_has_seven_bits_in_each_byte() {
        assert_eq!(number(&[0xd8, 0x04, 7]), Some((600, &[7][..])));
        assert_eq!(number(&[0x80; 12]), None);
        assert_eq!(number(&[]), None);
    }
}

//! Pixels as the bytes of a PNG file: 8 bits of red, green and blue, one IDAT chunk, no filter.
//!
//! Pictures are flat areas, lines and text, which deflate packs well without a filter. `flate2` packs
//! and checks; around it the format is four chunks (W3C, Portable Network Graphics, §5).

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
/// Bits per channel, colour type RGB, deflate, adaptive filters, not interlaced.
const FORMAT: [u8; 5] = [8, 2, 0, 0, 0];

/// Returns the file of a picture whose rows, from the top, are `width` times red, green, blue.
///
/// # Errors
/// What the packer says, which has no reason to: it writes to memory.
pub(crate) fn file(width: u32, height: u32, rgb: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in rgb.chunks_exact(3 * width as usize) {
        packed.write_all(&[0])?;
        packed.write_all(row)?;
    }
    let mut header = Vec::from(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend(FORMAT);
    let mut out = Vec::from(SIGNATURE);
    chunk(&mut out, *b"IHDR", &header);
    chunk(&mut out, *b"IDAT", &packed.finish()?);
    chunk(&mut out, *b"IEND", &[]);
    Ok(out)
}

/// Appends length, name, data and the checksum of name and data.
fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let mut crc = Crc::new();
    crc.update(&name);
    crc.update(data);
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(name);
    out.extend(data);
    out.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    #[test]
    fn a_file_is_a_header_rows_behind_filter_bytes_and_an_end() {
        let rgb: Vec<u8> = (0..2 * 3 * 3).collect();
        let file = file(2, 3, &rgb).expect("a file");
        assert_eq!(file[..8], SIGNATURE);
        assert_eq!(
            file[8..33],
            [
                [0, 0, 0, 13].as_slice(),
                b"IHDR",
                &[0, 0, 0, 2, 0, 0, 0, 3, 8, 2, 0, 0, 0],
                // CRC-32 of the seventeen bytes before it, from Python's zlib.
                &CRC_OF_HEADER.to_be_bytes(),
            ]
            .concat()
        );
        // The standard's own last chunk.
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let mut rows = Vec::new();
        let packed = &file[41..file.len() - 16];
        let unpacked = ZlibDecoder::new(packed).read_to_end(&mut rows);
        unpacked.expect("whole data");
        assert_eq!(
            rows,
            [
                0, 0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 11, 0, 12, 13, 14, 15, 16, 17
            ]
        );
    }

    const CRC_OF_HEADER: u32 = 0x3688_49d6;
}

//! Reads the pages of a column. The sizes that a page header declares are compared with the file
//! before the library allocates memory for them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::super::packing::Packing;
use super::delta;

/// The number of bytes before each text of a page that hold the length of the text.
const LENGTH_BYTES: u64 = 4;

/// The pages of one column in one row group.
pub(super) struct Pages {
    inner: SerializedPageReader<Headed>,
    /// The number of values of all pages, null values included.
    values: i64,
    /// Whether a page has levels, which mark null values.
    nullable: bool,
}

impl Pages {
    /// Returns the pages of a column in a row group of `rows` rows.
    pub(super) fn new(file: File, column: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        let packing = match column.compression() {
            Compression::SNAPPY => Some(Packing::Snappy),
            Compression::GZIP(_) => Some(Packing::Deflate),
            Compression::LZ4 | Compression::LZ4_RAW => Some(Packing::Lz4),
            Compression::ZSTD(_) => Some(Packing::Zstd),
            // The library reads the first of these without decompression, and refuses the others.
            Compression::UNCOMPRESSED | Compression::LZO | Compression::BROTLI(_) => None,
        };
        let file = Arc::new(Headed { file, packing });
        Ok(Self {
            inner: SerializedPageReader::new(file, column, rows, None)?,
            values: column.num_values(),
            nullable: column.column_descr().max_def_level() > 0,
        })
    }
}

/// Returns what is wrong with the number of values that a page declares, in a column with `all`
/// values.
fn wrong(page: &Page, all: i64, nullable: bool) -> Option<String> {
    let values = u64::from(page.num_values());
    let bytes = page.buffer().len() as u64;
    if let Page::DictionaryPage { .. } = page {
        return (values > bytes / LENGTH_BYTES)
            .then(|| format!("a dictionary of {bytes} bytes cannot hold {values} texts"));
    }
    if u64::try_from(all).is_ok_and(|all| values > all) {
        return Some(format!(
            "a page names {values} values, its column has {all}"
        ));
    }
    let parts = match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return None,
    };
    // The page begins with the lengths of the texts. With `DELTA_BYTE_ARRAY`, another list comes
    // before: for each text, the length of the prefix that it shares with the text before it.
    let mut rest = behind_levels(page, nullable)?;
    for _ in 0..parts {
        let (count, behind) = delta::read(rest)?;
        if count > values {
            return Some(format!("a page of {values} values has {count} lengths"));
        }
        rest = behind;
    }
    None
}

/// Returns the bytes of a page after its levels; `None` if the page is too short.
fn behind_levels(page: &Page, nullable: bool) -> Option<&[u8]> {
    let bytes: &[u8] = page.buffer();
    let levels = match page {
        Page::DataPageV2 {
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize,
        Page::DataPage {
            def_level_encoding: Encoding::RLE,
            ..
        } if nullable => {
            let length = u32::from_le_bytes(*bytes.first_chunk()?);
            (length as usize).checked_add(4)?
        }
        Page::DataPage { .. } if nullable => return None,
        Page::DataPage { .. } | Page::DictionaryPage { .. } => 0,
    };
    bytes.get(levels..)
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        let wrong = |page| wrong(page, self.values, self.nullable);
        match page.as_ref().and_then(wrong) {
            None => Ok(page),
            Some(why) => Err(ParquetError::General(why)),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// A file that checks the sizes in a page header before the library reads the header.
struct Headed {
    file: File,
    /// `None` if the pages are not compressed.
    packing: Option<Packing>,
}

impl Length for Headed {
    fn len(&self) -> u64 {
        Length::len(&self.file)
    }
}

impl ChunkReader for Headed {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut reader = self.file.get_read(start)?;
        let Some(packing) = self.packing else {
            return Ok(reader);
        };
        let refuse = |why: String| {
            ParquetError::General(format!("the header of the page at byte {start}: {why}"))
        };
        let Some((unpacked, packed)) = sizes(reader.fill_buf()?) else {
            return Err(refuse("it has no sizes".to_owned()));
        };
        match packing.refuse(packed, unpacked) {
            None => Ok(reader),
            Some(why) => Err(refuse(why)),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.file.get_bytes(start, length)
    }
}

/// Returns the uncompressed and the compressed size of a page: the second and the third field of
/// the page header, a structure in Thrift's compact protocol. Each field is one byte (field number
/// one more than the last, type i32) and then a zigzag number.
fn sizes(header: &[u8]) -> Option<(u64, u64)> {
    const NEXT_INTEGER: u8 = 0x15;
    let mut rest = header;
    let mut fields = [0; 3];
    for field in &mut fields {
        let (&NEXT_INTEGER, behind) = rest.split_first()? else {
            return None;
        };
        let (number, behind) = delta::number(behind)?;
        // Zigzag: an odd number is negative, and a negative size is invalid.
        if number & 1 == 1 {
            return None;
        }
        (*field, rest) = (number >> 1, behind);
    }
    Some((fields[1], fields[2]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Returns a page of 5 values.
    fn data_page(encoding: Encoding, bytes: &[u8]) -> Page {
        Page::DataPage {
            buf: Bytes::copy_from_slice(bytes),
            num_values: 5,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    #[test]
    fn a_page_with_more_values_than_there_can_be_is_refused() {
        let dictionary = |num_values| Page::DictionaryPage {
            buf: Bytes::from_static(&[0; 16]),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert_eq!(wrong(&dictionary(4), 9, true), None);
        let message = wrong(&dictionary(1 << 31), 9, true).expect("too many");
        assert!(
            message.contains("16 bytes cannot hold 2147483648"),
            "{message}"
        );
        let page = data_page(Encoding::PLAIN, &[0; 20]);
        assert_eq!(wrong(&page, 5, false), None);
        let message = wrong(&page, 4, false).expect("too many");
        assert!(message.contains("names 5 values"), "{message}");
    }

    #[test]
    fn lengths_that_are_more_than_the_values_are_refused() {
        let count = |count: u8| [0x80, 0x01, 4, count, 2, 0, 0, 0, 0, 0];
        let levels = [2, 0, 0, 0, 10, 1];
        for (encoding, before) in [
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, &[][..]),
            (Encoding::DELTA_BYTE_ARRAY, &count(5)),
        ] {
            for (lengths, is_wrong) in [(5, false), (6, true)] {
                let bytes = [before, &count(lengths)].concat();
                let page = data_page(encoding, &bytes);
                assert_eq!(wrong(&page, 5, false).is_some(), is_wrong, "{encoding}");
                let page = data_page(encoding, &[&levels[..], &bytes].concat());
                assert_eq!(wrong(&page, 5, true).is_some(), is_wrong, "{encoding}");
            }
        }
    }

    #[test]
    fn a_size_that_packed_bytes_cannot_have_is_refused_before_the_page_is_read() {
        let mut file = tempfile::tempfile().expect("a file");
        // A page of 2^31 − 2 bytes, compressed to 20; then a page of 300 bytes, compressed to 20.
        file.write_all(&[0x15, 0, 0x15, 0xfc, 0xff, 0xff, 0xff, 0x0f, 0x15, 40])
            .expect("writable");
        file.write_all(&[0x15, 0, 0x15, 0xd8, 0x04, 0x15, 40, 0])
            .expect("writable");
        let read = |packing, at| {
            let file = file.try_clone().expect("open");
            Headed { file, packing }.get_read(at).map(|_| ())
        };
        for packing in [
            Packing::Snappy,
            Packing::Lz4,
            Packing::Deflate,
            Packing::Zstd,
        ] {
            let error = read(Some(packing), 0).expect_err("too many").to_string();
            assert!(
                error.contains("page at byte 0") && error.contains("2147483646"),
                "{error}"
            );
            read(Some(packing), 10).expect("possible");
            let error = read(Some(packing), 17).expect_err("no header").to_string();
            assert!(error.contains("no sizes"), "{error}");
        }
        read(None, 0).expect("not packed");
    }

    #[test]
    fn a_header_tells_its_sizes() {
        // A data page (0) of 300 bytes, compressed to 5.
        assert_eq!(
            sizes(&[0x15, 0, 0x15, 0xd8, 0x04, 0x15, 10]),
            Some((300, 5))
        );
        for damaged in [
            &[][..],
            &[0x15, 0, 0x15],
            &[0x15, 0, 0x25, 10, 0x15, 10],
            &[0x15, 0, 0x15, 11, 0x15, 10],
            &[0x15, 0, 0x15, 0xff],
        ] {
            assert_eq!(sizes(damaged), None, "{damaged:?}");
        }
    }
}

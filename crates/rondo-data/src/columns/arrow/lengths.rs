//! Compares the lengths that the messages of an Arrow stream declare with the file size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use arrow_ipc::{CompressionType, Message, RecordBatch, root_as_message};

use super::super::packing::Packing;

/// The bytes with which a file begins and ends.
const MAGIC: &[u8; 6] = b"ARROW1";

/// The first bytes of a message. Before version 0.15 a message begins with its length instead.
const CONTINUATION: u32 = u32::MAX;

/// The number of bytes before a compressed buffer that hold its uncompressed size.
const PREFIX_BYTES: u64 = 8;

/// The uncompressed size that marks a buffer as not compressed.
const NOT_PACKED: i64 = -1;

/// Where the stream begins, and whether it has an end mark.
pub(super) struct Start {
    pub(super) at: u64,
    pub(super) ended: bool,
}

/// Follows the messages of a stream without reading their bodies. Returns where the stream begins,
/// or what is wrong with the messages.
pub(super) fn check(file: &mut File) -> io::Result<Result<Start, String>> {
    let (start, end) = match bounds(file)? {
        Ok(bounds) => bounds,
        Err(why) => return Ok(Err(why)),
    };
    let mut at = start;
    let mut message = Vec::new();
    for number in 0_u64.. {
        let refuse = |why: &str| Ok(Err(format!("message {number} at byte {at}: {why}")));
        if at == end && number > 0 {
            return Ok(Ok(Start {
                at: start,
                ended: false,
            }));
        }
        if end - at < 4 {
            return refuse("the file ends inside it");
        }
        file.seek(SeekFrom::Start(at))?;
        let mut word = [0; 4];
        file.read_exact(&mut word)?;
        let mut begin = at + 4;
        if u32::from_le_bytes(word) == CONTINUATION {
            if end - at < 8 {
                return refuse("the file ends inside it");
            }
            file.read_exact(&mut word)?;
            begin = at + 8;
        }
        let bytes = u32::from_le_bytes(word);
        if bytes == 0 {
            return Ok(Ok(Start {
                at: start,
                ended: true,
            }));
        }
        if u64::from(bytes) > end - begin {
            return refuse("its header is longer than the file");
        }
        message.resize(bytes as usize, 0);
        file.read_exact(&mut message)?;
        let Ok(header) = root_as_message(&message) else {
            return refuse("its header is damaged");
        };
        let body = begin + u64::from(bytes);
        let length = match u64::try_from(header.bodyLength()) {
            Ok(length) if length <= end - body => length,
            _ => return refuse("its body is longer than the file"),
        };
        if let Some(why) = check_buffers(file, &header, body, length)? {
            return refuse(&why);
        }
        at = body + length;
    }
    Ok(Err("it has too many messages".to_owned()))
}

/// Finds out, from the file's first bytes, where the stream begins and where it must have ended;
/// otherwise returns what is wrong.
fn bounds(file: &mut File) -> io::Result<Result<(u64, u64), String>> {
    let length = file.metadata()?.len();
    let mut head = [0; 8];
    if length >= 8 {
        file.read_exact(&mut head)?;
    }
    if !head.starts_with(MAGIC) {
        return Ok(Ok((0, length)));
    }
    if length < 18 {
        return Ok(Err("it ends after its first bytes".to_owned()));
    }
    let mut tail = [0; 10];
    file.seek(SeekFrom::End(-10))?;
    file.read_exact(&mut tail)?;
    let footer = i32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    if tail[4..] != *MAGIC {
        return Ok(Err(
            "the footer is missing, as where the file was cut".to_owned()
        ));
    }
    Ok(match u64::try_from(footer) {
        Ok(footer) if footer + 18 <= length => Ok((8, length - 10 - footer)),
        _ => Err(format!("a footer of {footer} bytes lies beyond the file")),
    })
}

/// Returns what is wrong with the lengths of a batch's buffers in a body of the given size.
fn check_buffers(
    file: &mut File,
    header: &Message<'_>,
    body: u64,
    length: u64,
) -> io::Result<Option<String>> {
    let Some(batch) = batch_of(header) else {
        return Ok(None);
    };
    let packing = match batch.compression().map(|packing| packing.codec()) {
        None => None,
        Some(CompressionType::LZ4_FRAME) => Some(Packing::Lz4),
        Some(CompressionType::ZSTD) => Some(Packing::Zstd),
        Some(other) => return Ok(Some(format!("an unknown way of packing, {}", other.0))),
    };
    for (number, buffer) in batch.buffers().into_iter().flatten().enumerate() {
        let (offset, bytes) = (
            u64::try_from(buffer.offset()),
            u64::try_from(buffer.length()),
        );
        let (Ok(offset), Ok(bytes)) = (offset, bytes) else {
            return Ok(Some(format!("its buffer {number} has a negative length")));
        };
        if offset.checked_add(bytes).is_none_or(|end| end > length) {
            return Ok(Some(format!("its buffer {number} lies beyond its body")));
        }
        let Some(packing) = packing.filter(|_| bytes > 0) else {
            continue;
        };
        if bytes < PREFIX_BYTES {
            return Ok(Some(format!("its buffer {number} is cut")));
        }
        let mut prefix = [0; PREFIX_BYTES as usize];
        file.seek(SeekFrom::Start(body + offset))?;
        file.read_exact(&mut prefix)?;
        let unpacked = i64::from_le_bytes(prefix);
        let wrong = match u64::try_from(unpacked) {
            Ok(unpacked) => packing.refuse(bytes - PREFIX_BYTES, unpacked),
            Err(_) if unpacked == NOT_PACKED => None,
            Err(_) => Some(format!("it unpacks to {unpacked} bytes")),
        };
        if let Some(why) = wrong {
            return Ok(Some(format!("its buffer {number}: {why}")));
        }
    }
    Ok(None)
}

/// Returns the record batch of a message: its rows, or the texts of a dictionary.
fn batch_of<'a>(header: &Message<'a>) -> Option<RecordBatch<'a>> {
    let dictionary = || header.header_as_dictionary_batch()?.data();
    header.header_as_record_batch().or_else(dictionary)
}

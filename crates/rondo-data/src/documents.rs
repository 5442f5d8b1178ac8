//! From one file to its documents: plain text, JSON lines, gzip and Zstandard.
//!
//! The endings of the name decide: `.gz` or `.zst` first, then `.jsonl` (one document a line);
//! everything else is one document. JSON lines are streamed, one line in memory at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::error::DataError;

/// The largest document of a compressed file, in bytes: a small file can unpack to any size.
const MAX_UNPACKED: u64 = 4 << 30;

/// Whether the reader of documents has had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// More, please.
    No,
    /// Nothing more is wanted.
    Here,
}

/// Hands over every document of a file that is not empty.
pub(crate) fn for_each(
    path: &Path,
    json_field: &str,
    each: &mut dyn FnMut(&str) -> Result<Stop, DataError>,
) -> Result<Stop, DataError> {
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
    let file = BufReader::new(File::open(path).map_err(DataError::io("read", path))?);
    let reader: Box<dyn BufRead>;
    let (name, most) = if let Some(name) = name.strip_suffix(".gz") {
        reader = Box::new(BufReader::new(MultiGzDecoder::new(file)));
        (name, MAX_UNPACKED)
    } else if let Some(name) = name.strip_suffix(".zst") {
        reader = Box::new(BufReader::new(ZstdFrames::new(file)));
        (name, MAX_UNPACKED)
    } else {
        reader = Box::new(file);
        (name.as_str(), u64::MAX)
    };
    let mut reader = Documents { path, reader, most };
    if Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "jsonl")
    {
        json_lines(&mut reader, json_field, each)
    } else {
        let mut bytes = Vec::new();
        reader.read(None, &mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|error| DataError::Document {
            path: path.to_owned(),
            message: format!(
                "not UTF-8 text at byte {}; name the text files alone, for example with a glob",
                error.utf8_error().valid_up_to()
            ),
        })?;
        if text.is_empty() {
            return Ok(Stop::No);
        }
        each(&text)
    }
}

/// The bytes of a file, unpacked, of which no document may have more than so many.
struct Documents<'p> {
    path: &'p Path,
    reader: Box<dyn BufRead>,
    most: u64,
}

impl Documents<'_> {
    /// Reads on to the byte that ends a document, or to the end of the file; returns whether there was anything.
    fn read(&mut self, end: Option<u8>, bytes: &mut Vec<u8>) -> Result<bool, DataError> {
        let most = self.most;
        let mut rest = self.reader.by_ref().take(most.saturating_add(1));
        let read = match end {
            Some(end) => rest.read_until(end, bytes),
            None => rest.read_to_end(bytes),
        };
        let count = read.map_err(DataError::io("read", self.path))?;
        if count as u64 > most {
            return Err(DataError::Document {
                path: self.path.to_owned(),
                message: format!("unpacks to a document of more than {most} bytes"),
            });
        }
        Ok(count > 0)
    }
}

fn json_lines(
    reader: &mut Documents<'_>,
    field: &str,
    each: &mut dyn FnMut(&str) -> Result<Stop, DataError>,
) -> Result<Stop, DataError> {
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        if !reader.read(Some(b'\n'), &mut buffer)? {
            break;
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        let refuse = |message: String| DataError::Line {
            path: reader.path.to_owned(),
            line,
            message,
        };
        let value: serde_json::Value = serde_json::from_slice(&buffer)
            .map_err(|error| refuse(format!("not a line of JSON: {error}")))?;
        let text = value
            .get(field)
            .and_then(serde_json::Value::as_str)
            .ok_or_else(|| refuse(format!("no text under the key `{field}` (json_field)")))?;
        if !text.is_empty() && each(text)? == Stop::Here {
            return Ok(Stop::Here);
        }
    }
    Ok(Stop::No)
}

/// Reads Zstandard frames one after another, as `zstd` and its parallel variants write them.
struct ZstdFrames<R: BufRead> {
    state: Frames<R>,
}

enum Frames<R: BufRead> {
    Between(R),
    Inside(Box<StreamingDecoder<R, FrameDecoder>>),
    /// After an error.
    Lost,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(reader: R) -> Self {
        Self {
            state: Frames::Between(reader),
        }
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, Frames::Lost) {
                Frames::Between(mut reader) => {
                    if reader.fill_buf()?.is_empty() {
                        self.state = Frames::Between(reader);
                        return Ok(0);
                    }
                    let decoder = StreamingDecoder::new(reader).map_err(io::Error::other)?;
                    self.state = Frames::Inside(Box::new(decoder));
                }
                Frames::Inside(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = Frames::Inside(decoder);
                        return Ok(read);
                    }
                    self.state = Frames::Between(decoder.into_inner());
                }
                Frames::Lost => return Err(io::Error::other("the Zstandard stream is damaged")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>, DataError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("writable");
        let mut texts = Vec::new();
        for_each(&path, "text", &mut |text| {
            texts.push(text.to_owned());
            Ok(Stop::No)
        })?;
        Ok(texts)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("into memory");
        encoder.finish().expect("into memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    const LINES: &[u8] = b"{\"text\":\"one\",\"id\":1}\n\n{\"text\":\"\"}\n{\"text\":\"t\\nwo\"}";

    #[test]
    fn a_text_file_is_one_document_compressed_or_not() {
        let text = b"a\nb\n";
        for (name, bytes) in [
            ("a.txt", text.to_vec()),
            ("a.md.gz", gzip(text)),
            ("A.TXT.ZST", zstd(text)),
            ("no-ending", text.to_vec()),
        ] {
            assert_eq!(read(name, &bytes).expect(name), ["a\nb\n"], "{name}");
        }
        assert!(read("empty.txt", b"").expect("readable").is_empty());
    }

    #[test]
    fn json_lines_are_one_document_each_compressed_or_not() {
        for (name, bytes) in [
            ("a.jsonl", LINES.to_vec()),
            ("a.jsonl.gz", gzip(LINES)),
            ("a.jsonl.zst", zstd(LINES)),
        ] {
            assert_eq!(read(name, &bytes).expect(name), ["one", "t\nwo"], "{name}");
        }
    }

    #[test]
    fn several_compressed_members_are_read_on() {
        let twice = |one: Vec<u8>| [one.clone(), one].concat();
        assert_eq!(read("a.gz", &twice(gzip(b"ab"))).expect("gzip"), ["abab"]);
        assert_eq!(read("a.zst", &twice(zstd(b"ab"))).expect("zstd"), ["abab"]);
    }

    #[test]
    fn a_document_that_unpacks_to_more_than_is_allowed_is_refused() {
        let mut documents = Documents {
            path: Path::new("a.gz"),
            reader: Box::new(&b"abc\ndefg"[..]),
            most: 4,
        };
        let mut bytes = Vec::new();
        for _ in 0..2 {
            assert!(documents.read(Some(b'\n'), &mut bytes).expect("four bytes"));
        }
        assert_eq!(bytes, b"abc\ndefg");
        documents.reader = Box::new(&b"abcde"[..]);
        let error = documents.read(None, &mut bytes).expect_err("five bytes");
        assert!(error.to_string().starts_with("a.gz: unpacks to"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        for (name, bytes, expected) in [
            (
                "a.jsonl",
                &b"{\"text\":\"x\"}\n\n{\"tex"[..],
                "a.jsonl:3: not a line of JSON",
            ),
            (
                "a.jsonl",
                b"{\"body\":\"x\"}",
                "a.jsonl:1: no text under the key `text`",
            ),
            (
                "a.jsonl",
                b"{\"text\":5}",
                "a.jsonl:1: no text under the key `text`",
            ),
            ("a.jsonl", b"[1]", "a.jsonl:1: no text"),
            (
                "a.jsonl",
                b"{\"text\":\"\xff\"}",
                "a.jsonl:1: not a line of JSON",
            ),
            ("a.txt", b"ab\xff", "not UTF-8 text at byte 2"),
        ] {
            let error = read(name, bytes).expect_err(name).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn damaged_compressed_files_are_errors_and_never_panics() {
        for (name, whole) in [("a.gz", gzip(&[7; 3000])), ("a.zst", zstd(&[7; 3000]))] {
            for cut in 1..whole.len() {
                assert!(read(name, &whole[..cut]).is_err(), "{name} cut at {cut}");
            }
        }
    }
}

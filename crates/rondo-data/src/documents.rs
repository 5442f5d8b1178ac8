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
    let (mut reader, name): (Box<dyn BufRead>, &str) = if let Some(name) = name.strip_suffix(".gz")
    {
        (Box::new(BufReader::new(MultiGzDecoder::new(file))), name)
    } else if let Some(name) = name.strip_suffix(".zst") {
        (Box::new(BufReader::new(ZstdFrames::new(file))), name)
    } else {
        (Box::new(file), &name)
    };
    if Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "jsonl")
    {
        json_lines(path, &mut *reader, json_field, each)
    } else {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(DataError::io("read", path))?;
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

fn json_lines(
    path: &Path,
    reader: &mut dyn BufRead,
    field: &str,
    each: &mut dyn FnMut(&str) -> Result<Stop, DataError>,
) -> Result<Stop, DataError> {
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        let read = reader
            .read_until(b'\n', &mut buffer)
            .map_err(DataError::io("read", path))?;
        if read == 0 {
            break;
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        let refuse = |message: String| DataError::Line {
            path: path.to_owned(),
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

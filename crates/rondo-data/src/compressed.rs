//! Reads compressed files as their tools do: every gzip member, every Zstandard frame.

use std::cell::Cell;
use std::io::{self, BufRead, Chain, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The first bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The first four bytes of a skippable frame lie in this range (RFC 8878, section 3.1.2).
const SKIPPABLE: std::ops::RangeInclusive<u32> = 0x184d_2a50..=0x184d_2a5f;

/// A reader, preceded by up to `N` bytes that were taken from it to inspect them.
type After<const N: usize, R> = Chain<io::Take<Cursor<[u8; N]>>, R>;

/// Reads up to `N` bytes. Returns the bytes and their number.
fn take_head<const N: usize>(reader: &mut impl Read) -> io::Result<([u8; N], usize)> {
    let mut head = [0; N];
    let mut count = 0;
    while count < N {
        match reader.read(&mut head[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((head, count))
}

/// Puts the first `count` bytes of `head` back in front of the reader.
fn put_back<const N: usize, R: Read>(head: [u8; N], count: usize, reader: R) -> After<N, R> {
    Cursor::new(head).take(count as u64).chain(reader)
}

/// Reads gzip members one after another. Bytes after the last member are ignored, as in `zcat`;
/// bytes that begin like a member must be a whole member.
pub(crate) struct GzMembers<R: BufRead> {
    /// `None` after the last member.
    member: Option<GzDecoder<After<2, R>>>,
    ignored: Rc<Cell<bool>>,
}

impl<R: BufRead> GzMembers<R> {
    /// Makes a reader. It sets `ignored` to true if bytes after the last member are not all zero.
    pub(crate) fn new(reader: R, ignored: Rc<Cell<bool>>) -> Self {
        Self {
            member: Some(GzDecoder::new(put_back([0; 2], 0, reader))),
            ignored,
        }
    }
}

impl<R: BufRead> Read for GzMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(decoder) = self.member.take() else {
                break;
            };
            let (_, mut reader) = decoder.into_inner().into_inner();
            let (head, count) = take_head(&mut reader)?;
            if head == GZIP_MAGIC {
                self.member = Some(GzDecoder::new(put_back(head, count, reader)));
            } else if count > 0 {
                let mut rest = Vec::new();
                reader.take(1 << 20).read_to_end(&mut rest)?;
                let all_zero = head.iter().chain(&rest).all(|&byte| byte == 0);
                self.ignored.set(!all_zero);
            }
        }
        Ok(0)
    }
}

/// Reads Zstandard frames one after another, as `zstd` and its parallel variants write them.
pub(crate) struct ZstdFrames<R: Read> {
    state: Frames<R>,
}

enum Frames<R: Read> {
    Between(R),
    Inside(Box<StreamingDecoder<After<4, R>, FrameDecoder>>),
    /// The state after an error.
    Lost,
}

impl<R: Read> ZstdFrames<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            state: Frames::Between(reader),
        }
    }
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, Frames::Lost) {
                Frames::Between(mut reader) => {
                    let (head, count) = take_head(&mut reader)?;
                    if count == 0 {
                        self.state = Frames::Between(reader);
                        return Ok(0);
                    }
                    if count == head.len() && SKIPPABLE.contains(&u32::from_le_bytes(head)) {
                        skip_frame(&mut reader)?;
                        self.state = Frames::Between(reader);
                        continue;
                    }
                    let decoder = StreamingDecoder::new(put_back(head, count, reader))
                        .map_err(io::Error::other)?;
                    self.state = Frames::Inside(Box::new(decoder));
                }
                Frames::Inside(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = Frames::Inside(decoder);
                        return Ok(read);
                    }
                    self.state = Frames::Between(decoder.into_inner().into_inner().1);
                }
                Frames::Lost => return Err(io::Error::other("the Zstandard stream is damaged")),
            }
        }
    }
}

/// Skips the length and the content of a skippable frame.
fn skip_frame(reader: &mut impl Read) -> io::Result<()> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
    match skipped == length {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file ends inside a skippable Zstandard frame",
        )),
    }
}

#[cfg(test)]
mod tests;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn skippable(magic: u32, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u32;
    [&magic.to_le_bytes(), &length.to_le_bytes(), content].concat()
}

/// A reader that returns one byte per read, so that no buffer holds a whole magic number.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

impl BufRead for Dripping<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0[..self.0.len().min(1)])
    }

    fn consume(&mut self, amount: usize) {
        self.0 = &self.0[amount..];
    }
}

fn unzipped(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    let ignored: Rc<Cell<bool>> = Rc::default();
    let (mut whole, mut dripped) = (Vec::new(), Vec::new());
    GzMembers::new(bytes, Rc::default()).read_to_end(&mut whole)?;
    GzMembers::new(Dripping(bytes), Rc::clone(&ignored)).read_to_end(&mut dripped)?;
    assert_eq!(whole, dripped);
    Ok((whole, ignored.get()))
}

fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let (mut whole, mut dripped) = (Vec::new(), Vec::new());
    ZstdFrames::new(bytes).read_to_end(&mut whole)?;
    ZstdFrames::new(Dripping(bytes)).read_to_end(&mut dripped)?;
    assert_eq!(whole, dripped);
    Ok(whole)
}

#[test]
fn skippable_frames_of_every_magic_are_skipped_wherever_they_stand() {
    let frame = zstd(b"text ");
    for magic in SKIPPABLE {
        for skipped in [
            skippable(magic, b""),
            skippable(magic, b"abcd"),
            skippable(magic, &frame),
        ] {
            let bytes = [
                &skipped,
                &skipped,
                &frame[..],
                &skipped,
                &frame,
                &skipped,
                &skipped,
            ]
            .concat();
            assert_eq!(unpacked(&bytes).expect("whole"), b"text text ");
            assert_eq!(unpacked(&skipped).expect("no frame of data"), b"");
        }
    }
}

#[test]
fn a_frame_that_is_cut_or_unknown_is_an_error() {
    let frame = zstd(b"text");
    let skipped = skippable(0x184d_2a53, b"abcd");
    for cut in 1..skipped.len() {
        let bytes = [&frame[..], &skipped[..cut]].concat();
        assert!(unpacked(&bytes).is_err(), "cut at {cut}");
    }
    for behind in [&b"\0\0\0\0"[..], b"\r\n", b"\x60\x2a\x4d\x18\0\0\0\0"] {
        assert!(unpacked(&[&frame[..], behind].concat()).is_err());
    }
}

#[test]
fn bytes_behind_the_last_member_are_ignored() {
    let member = gzip(b"text");
    for (behind, ignored) in [
        (&b""[..], false),
        (&[0], false),
        (&[0; 700], false),
        (b"\r\n", true),
        (b"\x1f", true),
        (b"\0\x1f\x8b", true),
        (b"{\"text\":1}", true),
    ] {
        let found = unzipped(&[&member, &member[..], behind].concat()).expect("whole");
        assert_eq!(found, (b"texttext".to_vec(), ignored), "{behind:?}");
    }
}

#[test]
fn a_second_member_is_read_whole_or_refused() {
    let member = gzip(b"some text of some length");
    for cut in 2..member.len() {
        let bytes = [&member[..], &member[..cut]].concat();
        assert!(unzipped(&bytes).is_err(), "cut at {cut}");
    }
    for place in 2..4 {
        let mut damaged = member.clone();
        damaged[place] ^= 0xff;
        assert!(unzipped(&[&member[..], &damaged].concat()).is_err());
    }
    let mut wrong_sum = member.clone();
    wrong_sum[member.len() - 6] ^= 1;
    assert!(unzipped(&[&member[..], &wrong_sum].concat()).is_err());
}

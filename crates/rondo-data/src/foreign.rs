//! Files that are not UTF-8 text: names their format and says what to do with them.

/// The number of bytes at the start of a file that are searched for a mark.
pub(crate) const HEAD_BYTES: usize = 512;

/// A format: the offset of its mark, the mark, its name, and what to do.
type Mark = (usize, &'static [u8], &'static str, &'static str);

const RECORDS: &str = "write its texts to a .jsonl file, in Python with \
                       `datasets.load_dataset(..).to_json(\"texts.jsonl\")`, and name that";
const TOKENS: &str = "name it as data.train of `kind = \"tokens\"`";
const PARQUET: &str = "unpack it, or give its name the ending .parquet";
const ARROW: &str = "unpack it, or give its name the ending .arrow";
const UNPACK: &str = "unpack it, or pack it with gzip or zstd";
const ENDING: &str = "add the ending to its name, or unpack it";
const LEAVE_OUT: &str = "name the text files alone, for example with a glob like `FOLDER/**/*.txt`";
const TO_TEXT: &str = "convert it to text first";

/// Marks from the formats' specifications. If one mark begins like another, the longer one comes
/// first.
const MARKS: [Mark; 35] = [
    (0, b"PAR1", "a Parquet file", PARQUET),
    (0, b"ARROW1", "an Arrow file", ARROW),
    (0, b"\xff\xff\xff\xff", "an Arrow stream", ARROW),
    (0, b"FEA1", "a Feather file", RECORDS),
    (0, b"Obj\x01", "an Avro file", RECORDS),
    (0, b"SQLite format 3\0", "an SQLite database", RECORDS),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", RECORDS),
    (0, b"\x93NUMPY", "a NumPy array (.npy)", TOKENS),
    (
        0,
        b"MMIDIDX\0\0",
        "the index of a Megatron token file",
        TOKENS,
    ),
    (
        0,
        b"\x88\xd8\x34\x01",
        "a token file of llm.c or modded-nanogpt",
        TOKENS,
    ),
    (
        0,
        b"\xa1\xd9\x34\x01",
        "a token file of llm.c for Llama 3",
        TOKENS,
    ),
    (
        0,
        b"RONDOTOK",
        "a token file of this trainer",
        "name the folder that `prepare` wrote as `data.path` with `kind = \"prepared\"`",
    ),
    (8, b"{\"", "a safetensors file", LEAVE_OUT),
    (0, b"GGUF", "a GGUF model", LEAVE_OUT),
    (0, b"\xfd7zXZ\0", "packed with xz", UNPACK),
    (0, b"BZh", "packed with bzip2", UNPACK),
    (0, b"\x04\x22\x4d\x18", "packed with lz4", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (
        0,
        b"PK\x03\x04",
        "a ZIP archive (also .npz, .docx, .pt)",
        UNPACK,
    ),
    (257, b"ustar", "a tar archive", UNPACK),
    (
        0,
        b"\x1f\x8b",
        "packed with gzip without the ending .gz",
        ENDING,
    ),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "packed with zstd without the ending .zst",
        ENDING,
    ),
    (0, b"%PDF-", "a PDF document", TO_TEXT),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", LEAVE_OUT),
    (0, b"\xff\xd8\xff", "a JPEG picture", LEAVE_OUT),
    (0, b"GIF8", "a GIF picture", LEAVE_OUT),
    (0, b"II*\0", "a TIFF picture", LEAVE_OUT),
    (
        0,
        b"RIFF",
        "a picture, sound or film in RIFF (WebP, WAV, AVI)",
        LEAVE_OUT,
    ),
    (0, b"OggS", "sound or film in Ogg", LEAVE_OUT),
    (0, b"ID3", "sound in MP3", LEAVE_OUT),
    (4, b"ftyp", "a film in MP4", LEAVE_OUT),
    (0, b"\x7fELF", "a program", LEAVE_OUT),
    (0, b"\x80\x02", "a pickle of Python", TO_TEXT),
    (0, b"\x80\x04", "a pickle of Python", TO_TEXT),
];

/// Recognises the format of a file that is not UTF-8 text by its first bytes or its name. Returns
/// the format and what to do with the file; `None` if the format is not recognised.
pub(crate) fn name_of(head: &[u8], file_name: &str) -> Option<String> {
    let convert = |encoding: &str| {
        Some(format!(
            "{encoding} text; convert it with `iconv -f {encoding} -t UTF-8 FILE > NEW`"
        ))
    };
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return convert("UTF-32"),
        [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] if !rest.starts_with(&[0xff, 0xff]) => {
            return convert("UTF-16");
        }
        _ => {}
    }
    if let Some((_, _, name, remedy)) = marked(head) {
        return Some(format!("{name}, not text; {remedy}"));
    }
    match zero_halves(head) {
        Some(0) => return convert("UTF-16BE"),
        Some(_) => return convert("UTF-16LE"),
        None => {}
    }
    let is_token_file = [".bin", ".idx"]
        .iter()
        .any(|ending| file_name.ends_with(ending));
    is_token_file.then(|| {
        format!(
            "token ids, as nanoGPT and Megatron write them, or other numbers, not text; {TOKENS}"
        )
    })
}

/// Returns the format whose mark a file has.
fn marked(head: &[u8]) -> Option<&'static Mark> {
    MARKS
        .iter()
        .find(|(at, mark, ..)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark)))
}

/// Returns the name of the format whose mark is at the start of a file. The mark must be so long
/// that numbers cannot begin with it by chance.
pub(crate) fn name_of_mark(head: &[u8]) -> Option<&'static str> {
    let &(at, mark, name, _) = marked(head)?;
    (at == 0 && mark.len() >= 4).then_some(name)
}

/// Returns which of the two bytes of each pair is zero nearly always, as in UTF-16 of Latin
/// letters. `None` if neither is, or if the other bytes are not ASCII text.
fn zero_halves(head: &[u8]) -> Option<usize> {
    let (pairs, _) = head.as_chunks::<2>();
    (0..2).find(|&half| {
        let letters = pairs
            .iter()
            .filter(|pair| pair[half] == 0)
            .filter(|pair| matches!(pair[1 - half], b'\t' | b'\n' | b'\r' | b' '..=b'~'))
            .count();
        pairs.len() >= 4 && letters * 10 >= pairs.len() * 9
    })
}

/// Returns what is wrong with a part of a text: bytes that are not UTF-8, or a NUL. `None` if the
/// part is correct. `before` is the number of bytes in front of the part; `whole` is false if the
/// text continues after it.
pub(crate) fn defect(head: &[u8], before: u64, whole: bool) -> Option<String> {
    if let Some(at) = head.iter().position(|&byte| byte == 0) {
        return Some(format!(
            "not text: a NUL at byte {}; name the text files alone",
            before + at as u64
        ));
    }
    let error = std::str::from_utf8(head).err()?;
    let cut = error.error_len().is_none() && !whole;
    (!cut).then(|| {
        format!(
            "not UTF-8 text at byte {}; convert text in another encoding with `iconv`, or {LEAVE_OUT}",
            before + error.valid_up_to() as u64
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_marks() {
        for (head, expected) in [
            (&b"PAR1\x15\x04"[..], "Parquet"),
            (b"ARROW1\0\0\xff\xff\xff\xff", "Arrow file"),
            (b"\xff\xff\xff\xff\x10\0\0\0", "Arrow stream"),
            (b"\x93NUMPY\x01\0", "NumPy"),
            (b"\xfd7zXZ\0\0", "xz"),
            (b"\x50\0\0\0\0\0\0\0{\"a\":", "safetensors"),
            (&20_240_520_u32.to_le_bytes(), "llm.c"),
            (&20_240_801_u32.to_le_bytes(), "Llama 3"),
            (b"\xff\xfea\0b\0", "iconv -f UTF-16 "),
            (b"\xfe\xff\0a\0b", "iconv -f UTF-16 "),
            (b"\xff\xfe\0\0a\0\0\0", "iconv -f UTF-32 "),
            (b"l\0i\0n\0e\0\n\0", "iconv -f UTF-16LE "),
            (b"\0l\0i\0n\0e\0\n", "iconv -f UTF-16BE "),
        ] {
            let name = name_of(head, "x").expect(expected);
            assert!(name.contains(expected), "{name}");
        }
        let mut tar = vec![0; HEAD_BYTES];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(name_of(&tar, "x").is_some_and(|name| name.contains("tar archive")));
    }

    #[test]
    fn numbers_without_a_mark_are_known_by_the_ending_alone() {
        let ids = [7, 1, 9, 0, 200, 3, 66, 0, 255, 255];
        assert!(name_of(&ids, "train.bin").is_some_and(|name| name.contains("nanoGPT")));
        assert_eq!(name_of(&ids, "train.txt"), None);
    }

    #[test]
    fn a_text_has_no_defect_even_where_its_head_ends_inside_a_character() {
        assert_eq!(defect("aé猫".as_bytes(), 0, true), None);
        assert_eq!(defect(&"aé猫".as_bytes()[..5], 0, false), None);
        for (head, whole, expected) in [
            (&"aé猫".as_bytes()[..5], true, "byte 3"),
            (b"ab\xff", false, "byte 2"),
            (b"ab\0c", false, "NUL at byte 2"),
        ] {
            let found = defect(head, 0, whole).expect(expected);
            assert!(found.contains(expected), "{found}");
        }
    }
}

//! NumPy's `.npy`: a description in Python syntax, and the array (NEP 1 and format version 3).

use super::Layout;
use crate::mapped::Width;

/// The first bytes of a file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Finds the tokens of a one-dimensional array, or of a row-major array with more dimensions.
pub(super) fn layout(file: &[u8]) -> Result<Layout, String> {
    let cut = || "the file ends inside the description of the array".to_owned();
    let major = *file.get(6).ok_or_else(cut)?;
    // The length of the description takes two bytes in version 1 and four since version 2.
    let (length_at, width): (_, usize) = match major {
        1 => (8..10, 2),
        2 | 3 => (8..12, 4),
        other => return Err(format!("version {other} of .npy is not known")),
    };
    let start = 8 + width;
    let length = file.get(length_at).ok_or_else(cut)?.iter().rev();
    let length = length.fold(0_usize, |value, &byte| value << 8 | usize::from(byte));
    let end = start.checked_add(length).ok_or_else(cut)?;
    let about = file.get(start..end).ok_or_else(cut)?;
    let about = std::str::from_utf8(about)
        .map_err(|_| "the description of the array is no text".to_owned())?;

    let kind = value(about, "descr")
        .and_then(|text| text.strip_prefix(['\'', '"']))
        .and_then(|text| text.split(['\'', '"']).next())
        .ok_or("the description names no type of numbers")?;
    let width = match kind {
        "|u1" | "<u1" | "|i1" => Width::One,
        "<u2" | "<i2" => Width::Two,
        "<u4" | "<i4" => Width::Four,
        "<u8" | "<i8" => Width::Eight,
        other => {
            return Err(format!(
                "an array of type {other}; token ids are little-endian integers: save it again with \
                 `array.astype(\"<u4\")`"
            ));
        }
    };
    if value(about, "fortran_order").is_none_or(|text| !text.starts_with("False")) {
        return Err("an array in column-major order; save a copy in row-major order".to_owned());
    }
    let shape = value(about, "shape")
        .and_then(|text| text.strip_prefix('('))
        .and_then(|text| text.split(')').next())
        .ok_or("the description names no shape")?;
    let mut count = 1_usize;
    for part in shape
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let size: Option<usize> = part.parse().ok();
        count = size
            .and_then(|size| count.checked_mul(size))
            .ok_or_else(|| format!("the shape ({shape}) is not known"))?;
    }
    let there = file.len() - end;
    match count.checked_mul(width as usize) {
        Some(bytes) if bytes == there => Ok(Layout {
            at: end..file.len(),
            width,
        }),
        _ => Err(format!(
            "an array of shape ({shape}) with {} bytes each, but {there} bytes are there; it was cut or damaged",
            width as usize
        )),
    }
}

/// Returns the text after a key of the description.
fn value<'t>(about: &'t str, key: &str) -> Option<&'t str> {
    ['\'', '"'].iter().find_map(|quote| {
        let (_, behind) = about.split_once(&format!("{quote}{key}{quote}"))?;
        Some(behind.trim_start().strip_prefix(':')?.trim_start())
    })
}

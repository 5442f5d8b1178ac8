//! Reads event files: their frames, and the fields of their protocol-buffer messages.

use std::fs;
use std::path::Path;

/// The value of a field as it is encoded in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Integer(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

/// A message: its fields in order, each with its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(Vec<(u64, Field)>);

impl Fields {
    /// Splits a message into its fields.
    pub(crate) fn of(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Integer(varint(&mut bytes)),
                1 => Field::Double(f64::from_le_bytes(
                    take(&mut bytes, 8).try_into().expect("eight bytes"),
                )),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    Field::Bytes(take(&mut bytes, length).to_vec())
                }
                5 => Field::Float(f32::from_le_bytes(
                    take(&mut bytes, 4).try_into().expect("four bytes"),
                )),
                other => panic!("wire type {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    /// Returns all fields with this number.
    pub(crate) fn all(&self, number: u64) -> impl Iterator<Item = &Field> {
        self.0
            .iter()
            .filter(move |(found, _)| *found == number)
            .map(|(_, field)| field)
    }

    /// Returns the messages in the fields with this number.
    pub(crate) fn messages(&self, number: u64) -> Vec<Self> {
        self.all(number)
            .map(|field| match field {
                Field::Bytes(bytes) => Self::of(bytes),
                other => panic!("{other:?} is no message"),
            })
            .collect()
    }

    /// Returns the last message in the fields with this number; an empty message if there is none.
    pub(crate) fn message(&self, number: u64) -> Self {
        self.messages(number).pop().unwrap_or_default()
    }

    /// Returns the text in the first field with this number; an empty text if there is none.
    pub(crate) fn text(&self, number: u64) -> String {
        match self.all(number).next() {
            Some(Field::Bytes(bytes)) => String::from_utf8(bytes.clone()).expect("text"),
            None => String::new(),
            other => panic!("{other:?} is no text"),
        }
    }

    /// Returns the whole number in the first field with this number; 0 if there is none.
    pub(crate) fn integer(&self, number: u64) -> u64 {
        match self.all(number).next() {
            Some(Field::Integer(x)) => *x,
            None => 0,
            other => panic!("{other:?} is no whole number"),
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut x = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        x |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    x
}

/// Returns the payloads of an event file. The file has the form
/// `[length: 8, crc: 4, payload, crc: 4]…`.
pub(crate) fn payloads(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).expect("an event file");
    let mut rest = bytes.as_slice();
    let mut payloads = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes")) as usize;
        payloads.push(rest[12..12 + length].to_vec());
        rest = &rest[16 + length..];
    }
    payloads
}

/// A value of a summary, and the step of its event.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) step: u64,
    pub(crate) tag: String,
    /// The fields of `Summary.Value`: `simple_value = 2, tensor = 8, metadata = 9`.
    pub(crate) value: Fields,
}

impl Found {
    /// Returns the scalar; `None` if the value is not a scalar.
    pub(crate) fn scalar(&self) -> Option<f32> {
        match self.value.all(2).next() {
            Some(Field::Float(x)) => Some(*x),
            _ => None,
        }
    }

    /// Returns the name and the content of the plugin in the metadata; both are empty without
    /// metadata.
    pub(crate) fn plugin(&self) -> (String, Fields) {
        let data = self.value.message(9).message(1);
        (data.text(1), data.message(2))
    }

    /// Returns the text of a string tensor.
    pub(crate) fn words(&self) -> String {
        self.value.message(8).text(8)
    }
}

/// Returns every value of every summary in an event file, in the order of the file.
pub(crate) fn values(file: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for payload in payloads(file) {
        let event = Fields::of(&payload);
        for value in event.message(5).messages(1) {
            let (step, tag) = (event.integer(2), value.text(1));
            found.push(Found { step, tag, value });
        }
    }
    found
}

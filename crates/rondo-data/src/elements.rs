//! Reads the records of a JSON list one after another; at most one record is in memory.

use std::io::{self, BufRead};

/// Why the next record cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file cannot be read.
    Io(io::Error),
    /// The text is not a list of records. Holds the line, counted from one, and what is wrong.
    Form(usize, String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads `[{..}, {..}]` record by record, without parsing the records.
pub(crate) struct Elements<'r> {
    reader: &'r mut dyn BufRead,
    /// The maximum size of a record, in bytes.
    most: u64,
    /// The number of the current line, counted from one.
    line: usize,
    /// The number of records read so far; `None` before the list begins.
    count: Option<usize>,
}

impl<'r> Elements<'r> {
    pub(crate) fn new(reader: &'r mut dyn BufRead, most: u64) -> Self {
        Self {
            reader,
            most,
            line: 1,
            count: None,
        }
    }

    /// Writes the next record into `record` and returns the line in which it begins; `None` after
    /// the end of the list.
    pub(crate) fn next(&mut self, record: &mut Vec<u8>) -> Result<Option<usize>, Fault> {
        record.clear();
        let mut byte = self.significant()?;
        let count = match self.count {
            Some(count) => count,
            None if byte == Some(b'[') => {
                byte = self.behind_one()?;
                0
            }
            None => return Err(self.refuse("no JSON list")),
        };
        match (byte, count) {
            (Some(b','), 1..) => byte = self.behind_one()?,
            (Some(b']'), _) => {
                return match self.behind_one()? {
                    None => Ok(None),
                    Some(_) => Err(self.refuse("something follows the end of the JSON list")),
                };
            }
            (Some(_), 1..) => return Err(self.refuse("a comma is missing in the JSON list")),
            _ => {}
        }
        self.count = Some(count + 1);
        match byte {
            Some(b'{') => {
                let line = self.line;
                self.record(record)?;
                Ok(Some(line))
            }
            Some(_) => Err(self.refuse("an element of the JSON list is no record `{..}`")),
            None => Err(self.refuse("the JSON list has no end")),
        }
    }

    fn refuse(&self, message: &str) -> Fault {
        Fault::Form(self.line, message.to_owned())
    }

    /// Skips a byte and returns the next byte that is not white space, without consuming it.
    fn behind_one(&mut self) -> io::Result<Option<u8>> {
        self.reader.consume(1);
        self.significant()
    }

    fn significant(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace());
            let (lines, blank) = blank.fold((0, 0), |(lines, n), &byte| {
                (lines + usize::from(byte == b'\n'), n + 1)
            });
            let found = buffer.get(blank).copied();
            self.line += lines;
            self.reader.consume(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Reads up to the brace that closes the record.
    fn record(&mut self, record: &mut Vec<u8>) -> Result<(), Fault> {
        let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Err(self.refuse("the file ends inside a record"));
            }
            let mut taken = 0;
            let mut closed = false;
            for &byte in buffer {
                taken += 1;
                self.line += usize::from(byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if inside => escaped = true,
                    b'"' => inside = !inside,
                    b'{' | b'[' if !inside => depth += 1,
                    b'}' | b']' if !inside => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    closed = true;
                    break;
                }
            }
            record.extend_from_slice(&buffer[..taken]);
            self.reader.consume(taken);
            if closed {
                return Ok(());
            }
            if record.len() as u64 > self.most {
                return Err(self.refuse(&format!("a record of more than {} bytes", self.most)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Reads a list through a buffer of `buffer` bytes.
    fn read(text: &str, buffer: usize) -> Result<Vec<(usize, String)>, Fault> {
        let mut reader = BufReader::with_capacity(buffer, text.as_bytes());
        let mut elements = Elements::new(&mut reader, 1000);
        let (mut found, mut record) = (Vec::new(), Vec::new());
        while let Some(line) = elements.next(&mut record)? {
            found.push((line, String::from_utf8(record.clone()).expect("a str")));
        }
        Ok(found)
    }

    #[test]
    fn records_come_whole_with_their_lines() {
        let text = " [\n{\"a\": \"}]\\\"\"},\n\n{\"b\": [{}, {\"c\": 1}]}\n,{} ] \n";
        for buffer in [1, 2, 7, 4096] {
            let found = read(text, buffer).expect("a list");
            let expected = [
                (2, "{\"a\": \"}]\\\"\"}"),
                (4, "{\"b\": [{}, {\"c\": 1}]}"),
                (5, "{}"),
            ];
            let expected = expected.map(|(line, record)| (line, record.to_owned()));
            assert_eq!(found, expected, "buffer of {buffer}");
        }
        assert!(read("[ ]", 9).expect("no record").is_empty());
    }

    #[test]
    fn what_is_no_list_of_records_is_refused_with_its_line() {
        for (text, line, expected) in [
            ("{}", 1, "no JSON list"),
            ("", 1, "no JSON list"),
            ("[\n{}\n{}]", 3, "comma is missing"),
            ("[{}] x", 1, "follows the end"),
            ("[\n[1]]", 2, "no record"),
            ("[{},]", 1, "no record"),
            ("[,{}]", 1, "no record"),
            ("[{}\n", 2, "has no end"),
            ("[", 1, "has no end"),
            ("[{\"a\": 1", 1, "ends inside"),
        ] {
            match read(text, 3) {
                Err(Fault::Form(found, message)) => {
                    assert!(message.contains(expected), "{text}: {message}");
                    assert_eq!(found, line, "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let long = format!("[{{\"a\": \"{}\"}}]", "x".repeat(2000));
        assert!(matches!(read(&long, 100), Err(Fault::Form(1, _))));
    }
}

//! Notices about a corpus that do not stop reading: files and lines that were skipped.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// A kind of notice.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Notice {
    /// A link whose target does not exist.
    DanglingLink,
    /// A link to one of its parent folders.
    LinkLoop,
    /// A named pipe, a socket or a device inside a folder.
    NotRegular,
    /// A `.csv` or `.tsv` file.
    Table,
    /// A `.json` file without records.
    Json,
    /// Bytes after the last member of a gzip file.
    BehindGzip,
    /// A line that is not a document, if such lines may be skipped.
    BadLine,
    /// A file that describes the tables beside it.
    BesideColumns,
    /// A table of a data set's validation or test part, beside a table of its training part.
    OtherSplit,
    /// An Arrow stream without the mark of its end.
    NoEndMark,
}

impl Notice {
    fn text(self) -> &'static str {
        match self {
            Self::DanglingLink => "skipped, a link whose target does not exist",
            Self::LinkLoop => "skipped, a link back to one of its parent folders",
            Self::NotRegular => "skipped, a pipe, a socket or a device",
            Self::Table => {
                "read as one plain text, separators and quotes included (write a .jsonl file with one record a \
                 line to read a column of texts)"
            }
            Self::Json => {
                "read as one plain text, syntax included (it is not a list of records with a text under data.field)"
            }
            Self::BehindGzip => "bytes after the last gzip member are ignored",
            Self::BadLine => "skipped, as data.skip_bad_lines asks",
            Self::BesideColumns => "skipped, a description beside Parquet or Arrow files",
            Self::OtherSplit => {
                "skipped, a validation or test part beside a training part (name the file to read it)"
            }
            Self::NoEndMark => {
                "an Arrow stream without the mark of its end, which may have been cut"
            }
        }
    }
}

/// For each kind of notice, the number of notices and the place of the first one.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notices(BTreeMap<Notice, (usize, String)>);

impl Notices {
    /// Adds one notice about a place.
    pub(crate) fn add(&mut self, notice: Notice, place: impl Display) {
        let (count, _) = self
            .0
            .entry(notice)
            .or_insert_with(|| (0, place.to_string()));
        *count += 1;
    }

    /// Returns how many notices of a kind there are.
    pub(crate) fn count(&self, notice: Notice) -> usize {
        self.0.get(&notice).map_or(0, |(count, _)| *count)
    }

    /// Returns one line for each kind.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(notice, (count, first)): (&Notice, &(usize, String))| {
            let more = match count - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            format!("{}: {first}{more}", notice.text())
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_one_line_with_its_first_place_and_how_many_more_there_are() {
        let mut notices = Notices::default();
        notices.add(Notice::BadLine, "a.jsonl:3");
        notices.add(Notice::BadLine, "b.jsonl:1");
        notices.add(Notice::DanglingLink, "c");
        assert_eq!(notices.count(Notice::BadLine), 2);
        assert_eq!(
            notices.lines(),
            [
                "skipped, a link whose target does not exist: c",
                "skipped, as data.skip_bad_lines asks: a.jsonl:3 (and 1 more)"
            ]
        );
    }
}

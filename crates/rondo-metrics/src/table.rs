//! Formats plain tables of numbers: columns are aligned to the right, without borders, with a line
//! under the header.

use std::fmt;

use comfy_table::{CellAlignment, ContentLineStyle, LineStyle, TableStyle};

use crate::format::MISSING;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none().junction(' '));

/// A table whose cells are texts that the caller has formatted.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    left: Vec<usize>,
}

impl Table {
    /// Starts a table with a header. All columns are aligned to the right.
    pub fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|&cell| cell.to_owned()).collect();
        Self {
            header,
            rows: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Aligns a column to the left, for words. Columns are counted from 0.
    #[must_use]
    pub fn left(mut self, column: usize) -> Self {
        self.left.push(column);
        self
    }

    /// Adds a row. If the row has fewer cells than the header, the rest is printed as [`MISSING`].
    /// Cells beyond the header are dropped.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) -> &mut Self {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.header.len(), MISSING.to_owned());
        self.rows.push(row);
        self
    }
}

impl fmt::Display for Table {
    /// Writes the lines without trailing spaces, and without a line end after the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table
            .load_style(STYLE)
            .set_header(&self.header)
            .add_rows(&self.rows);
        let last = self.header.len().saturating_sub(1);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, u16::from(index < last)));
            if !self.left.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        f.write_str(&table.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_under_an_underlined_header() {
        let mut table = Table::new(&["run", "recurrence", "loss"]).left(0);
        table
            .row(["main", "1", "13.18"])
            .row(["bad-run-1", "32", "9.8"])
            .row(["x"]);
        let golden = "\
run        recurrence   loss
────────────────────────────
main                1  13.18
bad-run-1          32    9.8
x                 n/a    n/a";
        assert_eq!(table.to_string(), golden);
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        assert_eq!(Table::new(&["a", "b"]).to_string(), "a  b\n────");
    }

    #[test]
    fn the_width_does_not_depend_on_the_terminal() {
        let long = "x".repeat(300);
        let mut table = Table::new(&["path"]);
        table.row([long.as_str()]);
        assert!(table.to_string().ends_with(&long));
    }
}

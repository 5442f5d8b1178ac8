//! The numbers behind a picture, as CSV (RFC 4180, lines end with a single line feed).

/// A table that is written row by row.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    text: String,
}

impl Table {
    /// Starts a table with its header.
    pub(crate) fn new<S: AsRef<str>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self {
            text: String::new(),
        };
        table.row(header.into_iter().map(|cell| text(cell.as_ref())));
        table
    }

    /// Adds a row of finished cells.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.text.push_str(&cell);
        }
        self.text.push('\n');
    }

    /// Returns the file's content.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Returns a cell of text, quoted where it must be.
pub(crate) fn text(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Returns a cell with a number that reads back exactly; empty where it is not finite.
pub(crate) fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:?}"),
        false => String::new(),
    }
}

/// Returns a cell with a number, empty where there is none.
pub(crate) fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, number)
}

/// Returns a cell with a count.
pub(crate) fn count(value: usize) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_quotes_and_line_ends_are_quoted() {
        let mut table = Table::new(["token", "loss"]);
        table.row([text("a,\"b\"\n"), number(0.1)]);
        table.row([text(" the"), number(f64::NAN)]);
        table.row([text("plain"), number(1e-7)]);
        let expected = "token,loss\n\"a,\"\"b\"\"\n\",0.1\n\" the\",\nplain,1e-7\n";
        assert_eq!(table.as_str(), expected);
    }
}

//! The numbers of a picture as CSV (RFC 4180, but lines end with a single line feed).

/// A table that is written row by row.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    text: String,
}

impl Table {
    /// Starts a table with a header, the names of the columns separated by commas.
    pub(crate) fn new(header: &str) -> Self {
        let text = format!("{header}\n");
        Self { text }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[&dyn Cell]) {
        let cells: Vec<String> = cells.iter().map(|cell| cell.text()).collect();
        self.text.push_str(&cells.join(","));
        self.text.push('\n');
    }

    /// Returns the file's content.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A value that a cell can hold.
pub(crate) trait Cell {
    /// Returns the text of the cell.
    fn text(&self) -> String;
}

/// The text is quoted if necessary.
impl Cell for &str {
    fn text(&self) -> String {
        if self.contains([',', '"', '\n', '\r']) || self.trim() != *self {
            format!("\"{}\"", self.replace('"', "\"\""))
        } else {
            (*self).to_owned()
        }
    }
}

impl Cell for String {
    fn text(&self) -> String {
        self.as_str().text()
    }
}

/// The text reads back as exactly the same number; it is empty if the number is not finite.
impl Cell for f64 {
    fn text(&self) -> String {
        match self.is_finite() {
            true => format!("{self:?}"),
            false => String::new(),
        }
    }
}

impl Cell for u64 {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Cell for usize {
    fn text(&self) -> String {
        self.to_string()
    }
}

/// The text of `None` is empty.
impl<C: Cell> Cell for Option<C> {
    fn text(&self) -> String {
        self.as_ref().map_or_else(String::new, Cell::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_quotes_and_line_ends_are_quoted() {
        let mut table = Table::new("token,loss");
        table.row(&[&"a,\"b\"\n", &0.1]);
        table.row(&[&" the", &f64::NAN]);
        table.row(&[&"plain", &1e-7]);
        table.row(&[&"none", &None::<f64>]);
        let expected = "token,loss\n\"a,\"\"b\"\"\n\",0.1\n\" the\",\nplain,1e-7\nnone,\n";
        assert_eq!(table.as_str(), expected);
    }
}

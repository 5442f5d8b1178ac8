//! A table that can be shown in a terminal or on a page.

use rondo_diagnosis::Verdict;
use rondo_metrics::Table;

/// The assumed width of a terminal, in columns.
const WIDTH: usize = 80;

/// A heading that several columns share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    /// The heading on a page.
    pub(super) long: &'static str,
    /// The heading in a terminal, where these columns are merged into one.
    pub(super) short: &'static str,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) heading: String,
    /// The heading that the column shares with its neighbours.
    pub(super) over: Option<Over>,
    /// Whether the column holds words, which are left-aligned.
    pub(super) words: bool,
}

impl Column {
    pub(super) fn words(heading: &str) -> Self {
        Self {
            heading: heading.to_owned(),
            over: None,
            words: true,
        }
    }

    pub(super) fn numbers(heading: &str) -> Self {
        Self {
            words: false,
            ..Self::words(heading)
        }
    }

    pub(super) fn under(over: Over, heading: &str) -> Self {
        Self {
            over: Some(over),
            ..Self::numbers(heading)
        }
    }
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// Verdicts, each with the number of runs that have it.
    Verdicts(Vec<(Verdict, usize)>),
}

impl Cell {
    /// Describes each verdict in words. For a single run, the text is the verdict alone. For
    /// several runs, the number of runs precedes the verdict.
    pub(super) fn verdicts(counts: &[(Verdict, usize)]) -> Vec<(Verdict, String)> {
        let runs: usize = counts.iter().map(|(_, count)| count).sum();
        let word = |(verdict, count): &(Verdict, usize)| match runs {
            1 => (*verdict, verdict.to_string()),
            _ => (*verdict, format!("{count} {verdict}")),
        };
        counts.iter().map(word).collect()
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Verdicts(counts) => {
                let words: Vec<String> = Self::verdicts(counts)
                    .into_iter()
                    .map(|(_, word)| word)
                    .collect();
                words.join(", ")
            }
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// The columns and the rows of a table.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Returns the indices of the columns, grouped by shared heading.
    pub(super) fn spans(&self) -> Vec<Vec<usize>> {
        let places: Vec<usize> = (0..self.columns.len()).collect();
        let together = |a: &usize, b: &usize| {
            let (a, b) = (&self.columns[*a], &self.columns[*b]);
            a.over.is_some() && a.over == b.over
        };
        places.chunk_by(together).map(<[usize]>::to_vec).collect()
    }

    /// Returns the table as text. A table that is wider than a terminal is split into several
    /// tables, one below the other, each with the first column.
    pub(super) fn text(&self) -> String {
        let spans = self.spans();
        let (first, mut rest) = spans.split_at(spans.len().min(1));
        let part = |spans: &[Vec<usize>]| {
            let places: Vec<usize> = first.iter().chain(spans).flatten().copied().collect();
            let columns = places.iter().map(|at| self.columns[*at].clone());
            let cells = |row: &Vec<Cell>| places.iter().map(|at| row[*at].clone()).collect();
            Self {
                columns: columns.collect(),
                rows: self.rows.iter().map(cells).collect(),
            }
            .table()
            .to_string()
        };
        let fits = |text: &str| text.lines().all(|line| line.chars().count() <= WIDTH);
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let most = (1..=rest.len())
                .rev()
                .find(|count| fits(&part(&rest[..*count])));
            let (shown, others) = rest.split_at(most.unwrap_or(1));
            parts.push(part(shown));
            rest = others;
        }
        parts.join("\n\n")
    }

    /// Returns the table for a terminal. Columns that share a heading become one column.
    pub(super) fn table(&self) -> Table {
        let spans = self.spans();
        let heading = |span: &Vec<usize>| {
            let parts: Vec<&str> = span
                .iter()
                .map(|at| self.columns[*at].heading.as_str())
                .collect();
            match self.columns[span[0]].over {
                Some(over) => format!("{} {}", over.short, parts.join(", ")),
                None => parts.join(", "),
            }
        };
        let headings: Vec<String> = spans.iter().map(heading).collect();
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        let words = (0..spans.len()).filter(|at| self.columns[spans[*at][0]].words);
        let mut table = words.fold(Table::new(&headings), Table::left);
        for row in &self.rows {
            table.row(spans.iter().map(|span| {
                let cells: Vec<String> = span.iter().map(|at| row[*at].text()).collect();
                cells.join(", ")
            }));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(texts: &[&str]) -> Vec<Cell> {
        texts
            .iter()
            .map(|text| Cell::Text((*text).to_owned()))
            .collect()
    }

    #[test]
    fn columns_under_one_heading_are_one_in_a_terminal() {
        let over = Over {
            long: "Correlation",
            short: "corr",
        };
        let grid = Grid {
            columns: vec![
                Column::words("run"),
                Column::under(over, "first"),
                Column::under(over, "last"),
            ],
            rows: vec![cells(&["a", "0.10", "0.20"])],
        };
        let expected = "\
run  corr first, last
─────────────────────
a          0.10, 0.20";
        assert_eq!(grid.table().to_string(), expected);
        assert_eq!(grid.text(), expected);
    }

    #[test]
    fn a_table_wider_than_a_terminal_is_several_with_the_first_column_in_each() {
        let long = "x".repeat(30);
        let names = ["key", "a", "b", "c"];
        let grid = Grid {
            columns: names.map(Column::words).into(),
            rows: vec![cells(&["k", &long, &long, &long])],
        };
        let text = grid.text();
        let tables: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(tables.len(), 2);
        assert!(tables[1].starts_with("key  c"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn the_verdicts_of_a_group_are_counted() {
        let words = |counts: &[(Verdict, usize)]| Cell::Verdicts(counts.to_vec()).text();
        assert_eq!(words(&[(Verdict::Healthy, 1)]), "healthy");
        let mixed = [(Verdict::Healthy, 2), (Verdict::Divergence, 1)];
        assert_eq!(words(&mixed), "2 healthy, 1 divergence");
    }
}

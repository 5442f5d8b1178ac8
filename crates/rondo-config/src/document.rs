//! Converts TOML text to the tree of values, and stores the line of every key.

use std::ops::Range;
use std::thread;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::path;
use crate::value::{Node, Table, Value};
use crate::violation::{Origin, Violation, Violations};

/// The maximum nesting of tables and arrays. It limits the recursion over the tree.
pub(crate) const MAX_DEPTH: usize = 64;

/// The stack size of the parsing thread, in bytes. It is about 5 KiB for each of the 6400 levels of
/// nesting that `toml` allows.
const STACK_BYTES: usize = 32 << 20;

/// A configuration as written: its values and their origins.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) name: String,
    pub(crate) root: Node,
    pub(crate) problems: Vec<Violation>,
    pub(crate) plain: Vec<String>,
    /// The keys that overrides have removed.
    pub(crate) unset: Vec<String>,
    pub(crate) alias: fn(&str) -> Option<&'static str>,
}

impl Document {
    /// Parses TOML text. Messages use `name` for the text; it is usually the file's path.
    ///
    /// # Errors
    /// Returns an error with line and column if the text is not TOML or is nested deeper than 64
    /// levels.
    pub fn parse(name: &str, text: &str) -> Result<Self, Violations> {
        let refuse = |violation| Violations::new(name, vec![violation]);
        let root = with_deep_stack(|| parse_root(text)).map_err(refuse)?;
        Ok(Self {
            name: name.to_owned(),
            root: Node {
                value: Value::Table(root),
                origin: Origin::Missing,
            },
            problems: Vec::new(),
            plain: Vec::new(),
            unset: Vec::new(),
            alias: |_| None,
        })
    }

    /// Declares tables in which `kind` is an ordinary key that does not select a variant. An
    /// override of `kind` does not drop the other keys of such a table.
    #[must_use]
    pub fn with_plain_tables(self, tables: &[&str]) -> Self {
        let plain = tables.iter().map(|&table| table.to_owned()).collect();
        Self { plain, ..self }
    }

    /// Sets a function that maps the name that another program uses for a key to this program's
    /// name of the key.
    #[must_use]
    pub fn with_aliases(self, alias: fn(&str) -> Option<&'static str>) -> Self {
        Self { alias, ..self }
    }

    /// Converts a finding of another check into a violation. The violation is located at the key,
    /// or at the nearest enclosing section that the document contains.
    pub(crate) fn violation(&self, key: &str, message: String) -> Violation {
        let path = path::parse(key).unwrap_or_default();
        let node = (0..=path.len())
            .rev()
            .find_map(|length| self.root.get(&path[..length]));
        let origin = node.map_or(Origin::Missing, |node| node.origin.clone());
        Violation {
            key: key.to_owned(),
            origin,
            message,
            suggestion: None,
        }
    }
}

/// Runs a parser on a thread with a large stack.
///
/// The `toml` crate limits the brackets, and the parts of a dotted key, to 80 each. A text can thus
/// nest 6400 levels. Dropping the parsed text recurses through all of them.
pub(crate) fn with_deep_stack<R: Send>(
    parse: impl FnOnce() -> Result<R, Violation> + Send,
) -> Result<R, Violation> {
    thread::scope(|scope| {
        let parser = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, parse);
        match parser.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => Err(Violation {
                key: String::new(),
                origin: Origin::Missing,
                message: format!("no thread could be started to parse the text: {error}"),
                suggestion: None,
            }),
        }
    })
}

fn parse_root(text: &str) -> Result<Table, Violation> {
    let lines = Lines::new(text);
    let parsed = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(text.len(), |span| span.start);
        Violation {
            key: String::new(),
            origin: Origin::File {
                line: lines.line(offset),
            },
            message: format!(
                "{} (column {})",
                error.message().trim(),
                lines.column(offset)
            ),
            suggestion: None,
        }
    })?;
    let origin = |span: Range<usize>| Origin::File {
        line: lines.line(span.start),
    };
    table(parsed.get_ref(), &origin, 1)
}

/// The offsets at which the lines of a text start.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let newlines = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(newlines).collect(),
        }
    }

    /// Returns the line, from 1, of a byte offset.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// Returns the column in characters, from 1, of a byte offset.
    fn column(&self, offset: usize) -> usize {
        let start = self.starts[self.line(offset) - 1];
        self.text
            .get(start..offset)
            .map_or(0, |before| before.chars().count())
            + 1
    }
}

/// Returns the origin of a range of bytes.
type OriginOf<'a> = &'a dyn Fn(Range<usize>) -> Origin;

/// Converts a parsed value at nesting depth `depth`.
pub(crate) fn value(
    parsed: &Spanned<DeValue<'_>>,
    origin: OriginOf<'_>,
    depth: usize,
) -> Result<Value, Violation> {
    if depth > MAX_DEPTH {
        return Err(Violation {
            key: String::new(),
            origin: origin(parsed.span()),
            message: format!("nested deeper than {MAX_DEPTH} levels"),
            suggestion: None,
        });
    }
    Ok(match parsed.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(date) => Value::Unreadable(format!("the date {date}")),
        DeValue::Integer(number) => {
            let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
            match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(integer) if range.contains(&integer) => Value::Integer(integer),
                _ => Value::Unreadable(format!("the number {number}, which is out of range")),
            }
        }
        DeValue::Float(number) => {
            let written_infinite = number.as_str().trim_start_matches(['+', '-']) == "inf";
            match number.as_str().parse::<f64>() {
                Ok(float) if written_infinite || !float.is_infinite() => Value::Float(float),
                _ => Value::Unreadable(format!("the number {number}, which is out of range")),
            }
        }
        DeValue::Array(items) => {
            let node = |item: &Spanned<DeValue<'_>>| {
                Ok(Node {
                    value: value(item, origin, depth + 1)?,
                    origin: origin(item.span()),
                })
            };
            Value::Array(items.iter().map(node).collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => Value::Table(table(entries, origin, depth + 1)?),
    })
}

fn table(entries: &DeTable<'_>, origin: OriginOf<'_>, depth: usize) -> Result<Table, Violation> {
    let node = |(key, item): (&Spanned<_>, &Spanned<_>)| {
        let node = Node {
            value: value(item, origin, depth)?,
            origin: origin(key.span()),
        };
        Ok((ToString::to_string(key.get_ref()), node))
    };
    entries.iter().map(node).collect()
}

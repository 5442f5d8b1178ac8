//! `trainer configs`: lists the configurations inside the program, or writes some of them.

use std::path::Path;

use rondo_metrics::Table;
use rondo_train::error::Result;
use serde_json::{Value, json};

use crate::cli::ConfigsArgs;
use crate::shipped::{Put, Shipped};
use crate::terminal;

/// The assumed width of a terminal, in columns.
const WIDTH: usize = 80;
/// The number of columns between a name and its description.
const BETWEEN: usize = 2;

/// Lists the configurations inside the program, or writes some of them.
///
/// # Errors
///
/// Returns an error if a name is unknown, or a file cannot be written.
pub(crate) fn command(args: &ConfigsArgs) -> Result<()> {
    if args.names.is_empty() {
        return list(args.json.json);
    }
    // All names are checked before the first file is written.
    let found: Result<Vec<Shipped>> = args.names.iter().map(|name| Shipped::find(name)).collect();
    let folder = args.out.as_deref().unwrap_or(Path::new(""));
    for shipped in found? {
        for put in shipped.write(folder)? {
            terminal::print(&told(&put))?;
        }
    }
    Ok(())
}

/// Returns a message that a file was written or kept.
pub(crate) fn told(put: &Put) -> String {
    match put {
        Put::Wrote(path) => format!("wrote   {}", path.display()),
        Put::Kept(path) => format!("kept    {}, which exists", path.display()),
    }
}

/// Shortens a sentence to at most `room` characters by leaving out its last words.
fn cut(sentence: &str, room: usize) -> String {
    const LEFT_OUT: &str = " …";
    if sentence.chars().count() <= room {
        return sentence.to_owned();
    }
    let mut shown: String = sentence.chars().take(room.saturating_sub(1)).collect();
    // Cut after the last whole word that fits.
    let end = shown.rfind(' ').unwrap_or(0);
    shown.truncate(end);
    shown + LEFT_OUT
}

fn list(as_json: bool) -> Result<()> {
    let all = Shipped::all().iter();
    if as_json {
        let all: Vec<Value> = all
            .map(|one| {
                json!({
                    "name": one.name,
                    "path": one.path(),
                    "about": one.about(),
                    "sweep": one.is_sweep(),
                })
            })
            .collect();
        return terminal::print_json(&json!({"configs": all}));
    }
    let mut table = Table::new(&["name", "what it is"]).left(0).left(1);
    let longest = all.clone().map(|one| one.name.len()).max().unwrap_or(0);
    let room = WIDTH.saturating_sub(longest + BETWEEN);
    for one in all {
        table.row([one.name.to_owned(), cut(&one.about(), room)]);
    }
    terminal::print(&format!(
        "{table}\n\ntrainer --shipped first        trains one\n\
         trainer configs first          writes it, to be changed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_loses_its_last_words() {
        assert_eq!(cut("a run of bytes", 14), "a run of bytes");
        assert_eq!(cut("a run of bytes", 13), "a run of …");
        assert_eq!(cut("a run of bytes", 10), "a run of …");
        assert_eq!(cut("a run of bytes", 9), "a run …");
    }
}

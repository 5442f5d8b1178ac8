//! `trainer configs`: the configurations inside the program, listed or written.

use std::path::Path;

use rondo_metrics::Table;
use rondo_train::error::Result;
use serde_json::{Value, json};

use crate::cli::ConfigsArgs;
use crate::shipped::{Put, Shipped};
use crate::terminal;

/// The longest shown sentence, in characters: a line has 80.
const ABOUT: usize = 52;

/// Lists the configurations inside the program, or writes some of them.
///
/// # Errors
///
/// Where a name is unknown, or a file cannot be written.
pub(crate) fn command(args: &ConfigsArgs) -> Result<()> {
    if args.names.is_empty() {
        return list(args.json.json);
    }
    // Nothing is written where a name is wrong.
    let found: Result<Vec<Shipped>> = args.names.iter().map(|name| Shipped::find(name)).collect();
    let folder = args.out.as_deref().unwrap_or(Path::new(""));
    for shipped in found? {
        for put in shipped.write(folder)? {
            terminal::print(&told(&put))?;
        }
    }
    Ok(())
}

/// Says what became of a file.
pub(crate) fn told(put: &Put) -> String {
    match put {
        Put::Wrote(path) => format!("wrote   {}", path.display()),
        Put::Kept(path) => format!("kept    {}, which was there", path.display()),
    }
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
    for one in all {
        let about = one.about();
        let mut shown: String = about.chars().take(ABOUT).collect();
        if shown.len() < about.len() {
            // Back to the last whole word.
            let end = shown.rfind(' ').unwrap_or(shown.len());
            shown.truncate(end);
            shown.push_str(" …");
        }
        table.row([one.name.to_owned(), shown]);
    }
    terminal::print(&format!(
        "{table}\n\ntrainer --shipped first        trains one\n\
         trainer configs first          writes it, to be changed"
    ))
}

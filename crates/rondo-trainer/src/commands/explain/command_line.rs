//! Generates the book's page on the command line: every command with its options and examples. The
//! text comes from the argument types.

use clap::{Arg, Command, CommandFactory};

use super::markdown::escaped;
use crate::cli::Cli;

const HEAD: &str = "\
# Command line

Every command with its arguments, options and examples, as `trainer COMMAND --help` prints them. The page is written by
`trainer explain --markdown=commands` from the types that read the command line; a test compares it with the program. Devices
are those of the default build ([Devices](devices.md)). Every command has `--help` (`-h`), and ends with one of the [exit codes](exit-codes.md).
";

/// Options that every command has. Only the head of the page describes them.
const COMMON: [&str; 3] = ["help", "_help", "version"];

/// Returns the whole page.
pub(super) fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let names: Vec<String> = root
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut lines = vec![HEAD.to_owned()];
    for name in &names {
        let about = root.find_subcommand(name).and_then(Command::get_about);
        let about = about.map(ToString::to_string).unwrap_or_default();
        lines.push(format!("* [{name}](#trainer-{name}): {}", escaped(&about)));
    }
    lines.push(String::new());
    for name in &names {
        if let Some(command) = root.find_subcommand_mut(name) {
            lines.extend(section(command));
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// Returns the section about one command.
fn section(command: &mut Command) -> Vec<String> {
    let usage = command.render_usage().to_string();
    let about = command.get_about().map(ToString::to_string);
    let mut lines = vec![
        format!("## trainer {}\n", command.get_name()),
        format!("{}.\n", escaped(&about.unwrap_or_default())),
        format!("```text\n{}\n```\n", usage.trim_start_matches("Usage: ")),
    ];
    let (positionals, options): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|arg| !COMMON.contains(&arg.get_id().as_str()) && !arg.is_hide_set())
        .partition(|arg| arg.is_positional());
    for arg in positionals.iter().chain(&options) {
        lines.extend(entry(arg));
    }
    if !(positionals.is_empty() && options.is_empty()) {
        lines.push(String::new());
    }
    if let Some(below) = command.get_after_help() {
        lines.push(format!("```text\n{below}\n```\n"));
    }
    lines
}

/// Returns the lines about an argument or option.
fn entry(arg: &Arg) -> Vec<String> {
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().filter(|_| takes).map(|names| {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        names.join(" ")
    });
    let many = match arg.get_num_args() {
        Some(range) if range.max_values() > 1 => "...",
        _ => "",
    };
    let name = match (arg.get_long(), value) {
        (None, value) => format!("{}{many}", value.unwrap_or_default()),
        (Some(long), None) => format!("--{long}"),
        (Some(long), Some(value)) if arg.is_require_equals_set() => format!("--{long}[={value}]"),
        (Some(long), Some(value)) => format!("--{long} {value}{many}"),
    };
    let short = arg.get_short().map(|short| format!("`-{short}`, "));
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut line = format!(
        "* {}`{name}`: {}",
        short.unwrap_or_default(),
        escaped(&help)
    );
    if !line.ends_with(['.', '!', '?']) {
        line.push('.');
    }
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if takes && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        line = format!("{line} Default: {}.", defaults.join(", "));
    }
    let mut lines = vec![line];
    if !takes {
        return lines;
    }
    for value in arg.get_possible_values() {
        if value.is_hide_set() {
            continue;
        }
        let about = value.get_help().map(ToString::to_string);
        lines.push(match about {
            Some(about) => format!("  * `{}`: {}", value.get_name(), escaped(&about)),
            None => format!("  * `{}`", value.get_name()),
        });
    }
    lines
}

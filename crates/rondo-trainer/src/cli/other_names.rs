//! Names of commands in other programs, and what to type here instead.

/// Names of commands in other programs, and the text about the equivalent command here.
const OTHERS: [(&[&str], &str); 11] = [
    (
        &["chat", "complete", "sample", "talk"],
        "trainer generate RUN --prompt TEXT",
    ),
    (
        &["resume", "continue"],
        "trainer FILE: the command that started a run resumes it, and --resume DIR resumes the run or checkpoint DIR",
    ),
    (
        &["validate", "check", "lint"],
        "trainer FILE --dry-run for a configuration, trainer eval RUN for a run",
    ),
    (
        &["plot", "draw", "graph"],
        "trainer figure NAME RUN, or trainer watch RUN in the terminal",
    ),
    (
        &[
            "fit", "run", "start", "launch", "pretrain", "finetune", "sft",
        ],
        "trainer FILE",
    ),
    (
        &["test", "evaluate", "benchmark", "lm-eval"],
        "trainer eval RUN, with --tasks FILE for benchmarks",
    ),
    (
        &["tokenize", "preprocess", "data"],
        "trainer prepare PATH --out DIR",
    ),
    (
        &["init", "create", "wizard"],
        "trainer new FILE --data PATH",
    ),
    (
        &["dashboard", "ui", "monitor", "tensorboard", "top"],
        "trainer watch RUN",
    ),
    (&["tune", "search", "grid"], "trainer sweep FILE"),
    (
        &["convert", "push", "upload"],
        "trainer export RUN --out DIR, or trainer import DIR --out RUN",
    ),
];

/// Returns the text about the equivalent of `word`, a command of another program.
pub(super) fn equivalent(word: &str) -> Option<&'static str> {
    let mut known = OTHERS.iter();
    known
        .find(|(names, _)| names.contains(&word))
        .map(|(_, here)| *here)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn no_command_here_is_taken_for_another_programs() {
        let command = Cli::command();
        for name in command.get_subcommands().map(clap::Command::get_name) {
            assert_eq!(equivalent(name), None, "{name}");
        }
    }
}

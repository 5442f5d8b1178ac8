//! The examples and other text that the help shows below the arguments of a command.

use clap::ValueEnum;
use rondo_train::exit_code::ExitCode;

use super::WIDTH;
use crate::pictures::name::PictureName;

/// Text above the help of the program.
pub(super) const FIRST: &str = "\
Start with:
  trainer --shipped first                   # trains an example, for a minute
  trainer figure training-dynamics runs/first --out figures    # draws it
  trainer new mine.toml --data notes.txt    # then: trainer mine.toml";

const TRAIN: &str = "\
Examples:
  trainer --config configs/main.toml
  trainer train configs/main.toml --set schedule.peak=1e-3
  trainer --config configs/main.toml --set train.steps=400 --out runs/longer
  trainer --config configs/huginn-3.5b.toml --dry-run --ranks 8
  trainer --shipped first";

pub(super) const NEW: &str = "\
Examples:
  trainer new mine.toml --data notes.txt
  trainer new mine.toml --data corpus/ 'more/*.jsonl' --minutes 60";

pub(super) const CONFIGS: &str = "\
Examples:
  trainer configs
  trainer configs main first --out elsewhere";

pub(super) const EVAL: &str = "\
Examples:
  trainer eval runs/main runs/baseline --recurrence 1,4,16,64
  trainer eval runs/main --exit all --figures figures
  trainer eval runs/main --data notes.txt --json
  trainer eval runs/main --tasks arc.jsonl --by area --figures figures";

/// The usage of `trainer trace`. Its line break is written by hand, because clap does not wrap a
/// usage.
pub(super) const TRACE_USAGE: &str = "\
trainer trace [OPTIONS] --recurrence <N> --out <FILE>
                     <--tokens <FILE>|--prompt <TEXT>> <RUN>";

pub(super) const TRACE: &str = "\
Examples:
  trainer trace runs/main --prompt 'fn main' --recurrence 16 \\
    --out trace.safetensors
  trainer trace runs/main --prompt 'fn main' --recurrence 32 \\
    --out trace.safetensors --figures figures";

pub(super) const GENERATE: &str = "\
Examples:
  trainer generate runs/main --prompt 'fn main' --exit kl
  trainer generate runs/main --prompt 'fn main' --temperature 0.8 --seed 1";

pub(super) const SERVE: &str = "\
Examples:
  trainer serve runs/main
  trainer serve runs/main --port 0 --recurrence 32 --initial-state zero
  curl http://127.0.0.1:8000/v1/completions \\
    -H 'Content-Type: application/json' \\
    -d '{\"prompt\": \"fn main\", \"max_tokens\": 32, \"recurrence\": 8}'

Ctrl-C or SIGTERM stops the server: it finishes the current request and refuses
waiting ones. The exit code is 0, or 75 if requests were dropped. A second
signal stops it at once.";

pub(super) const COMPARE: &str = "\
Examples:
  trainer compare runs/main runs/bad-run-1 runs/bad-run-2 --out comparison
  trainer compare runs/lr-schedules --out comparison
  trainer compare 'runs/*' --json";

const FIGURE: &str = "\
Examples:
  trainer figure training-dynamics runs/main runs/baseline --out figures
  trainer figure sparsity runs/sparse --layout side-by-side --out figures
  trainer figure lr-schedules runs/lr-schedules --out figures
  trainer figure benchmarks runs/main runs/baseline --by hops --out figures
  trainer figure field-sheet runs/depth --rows mean --columns peak,scheme \\
    --out figures";

pub(super) const SCHEDULE: &str = "\
Examples:
  trainer schedule configs/main.toml configs/baseline.toml
  trainer schedule configs/sweeps/lr-schedules.toml --plot --out figures";

pub(super) const SWEEP: &str = "\
Examples:
  trainer sweep configs/sweeps/lr-schedules.toml --dry-run
  trainer sweep configs/sweeps/lr-schedules.toml --parallel 2";

pub(super) const FIT_LAW: &str = "\
Examples:
  trainer fit-law curves/*.csv --fit cosine_24000 constant_24000 --out law
  trainer fit-law runs/a runs/b --optimise --config main.toml --out best";

pub(super) const CHECKPOINTS: &str = "\
Examples:
  trainer checkpoints runs/main
  trainer checkpoints runs/main --verify";

pub(super) const IMPORT: &str = "\
Examples:
  trainer import huginn-0125 --out runs/huginn
  trainer import smollm2-135m --out runs/looped --loop cycle-average --loops 3 --lora-rank 16";

pub(super) const EXPORT: &str = "\
Examples:
  trainer export runs/main --out exported --dtype bf16
  trainer export runs/bad-run-2 --out exported --format rondo";

pub(super) const PREPARE: &str = "\
Examples:
  trainer prepare corpus/ notes.jsonl.zst --out data/mine
  trainer prepare shakespeare.txt --bytes --out data/shakespeare
  trainer prepare --hub roneneldan/TinyStories \\
    --hub-files 'data/train-*.parquet' --out data/stories";

pub(super) const BENCH: &str = "\
Examples:
  trainer bench --device flex
  trainer bench --what generate --config configs/main.toml
  trainer bench --what launches --device wgpu";

pub(super) const DEVICES: &str = "\
Examples:
  trainer devices
  trainer devices --json";

pub(super) const SELFTEST: &str = "\
Examples:
  trainer selftest --device wgpu
  trainer selftest --device wgpu --golden tests/golden/raven-tiny
  trainer selftest --device cuda --precision tf32";

pub(super) const METRICS: &str = "\
Examples:
  trainer metrics | less
  trainer metrics runs/main --format csv > main.csv";

pub(super) const WATCH: &str = "\
Examples:
  trainer watch runs/main
  trainer watch runs/main runs/baseline
  trainer watch runs/main | cat

Keys: q quits; space shows the next panels; s shows several runs side by side or
overlaid; up and down choose a run; d chooses a depth; z shows fewer steps.";

pub(super) const EXPLAIN: &str = "\
Examples:
  trainer explain schedule.peak
  trainer explain hidden-state-collapse
  trainer explain | less";

pub(super) const SCHEMA: &str = "\
Examples:
  trainer schema > configs/schema/run.json
  trainer schema --sweep > configs/schema/sweep.json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  trainer completions bash > ~/.local/share/bash-completion/completions/trainer
  trainer completions zsh > ~/.zfunc/_trainer
  trainer completions fish > ~/.config/fish/completions/trainer.fish";

pub(super) const MAN: &str = "\
Examples:
  trainer man | man -l -
  trainer man --out ~/.local/share/man/man1";

/// Returns the text below the help of training: examples and exit codes.
pub(super) fn train() -> String {
    // A no-break space keeps a code and the first word of its meaning on one line.
    let codes = ExitCode::ALL.map(|code| format!("{}\u{a0}{}", code.number(), code.brief()));
    let sentence = format!("Exit codes: {}.", codes.join(", "));
    let codes = filled(&sentence).replace('\u{a0}', " ");
    format!("{TRAIN}\n\n{codes}")
}

/// Breaks a sentence into lines that fit the width of the help.
fn filled(sentence: &str) -> String {
    let mut lines = vec![String::new()];
    for word in sentence.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        match line.is_empty() {
            true => line.push_str(word),
            false if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            false => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// Returns the text below the help of `trainer figure`: examples, and what each picture shows.
pub(super) fn figure() -> String {
    let values = PictureName::value_variants().iter();
    let pictures = values.filter_map(|name| {
        let value = name.to_possible_value()?;
        let shows = value.get_help()?.to_string();
        Some(format!("\n  {:<18} {shows}", value.get_name()))
    });
    format!("{FIGURE}\n\nPictures:{}", pictures.collect::<String>())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_help_fits_eighty_columns_and_has_two_examples_that_name_their_command() {
        let mut root = Cli::command();
        root.build();
        let names: Vec<String> = root
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        for name in names {
            let command = root.find_subcommand_mut(&name).expect("a command");
            let help = command.render_help().to_string();
            let wide = help.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{name}");
            let (_, below) = help.split_once("Examples:\n").expect("examples");
            let typed = match name.as_str() {
                "train" => "  trainer ".to_owned(),
                name => format!("  trainer {name}"),
            };
            let examples = below.lines().filter(|line| line.starts_with(&typed));
            assert!(examples.count() >= 2, "{name}: {below}");
        }
        let help = root.render_help().to_string();
        assert!(
            help.starts_with("Start with:\n  trainer --shipped first"),
            "{help}"
        );
        let wide = help.lines().find(|line| line.chars().count() > WIDTH);
        assert_eq!(wide, None);
    }

    #[test]
    fn every_example_is_a_command_line_that_is_understood() {
        let root = Cli::command();
        let mut texts = vec![FIRST.to_owned(), train()];
        texts.extend(
            root.get_subcommands()
                .filter_map(|command| Some(command.get_after_help()?.to_string())),
        );
        let mut tried = 0;
        for line in texts.join("\n").replace("\\\n", " ").lines() {
            let Some(command) = line.strip_prefix("  trainer ") else {
                continue;
            };
            // Pipes, redirections and comments are handled by the shell, not by this program.
            let command = command.split(['|', '>', '#']).next().unwrap_or(command);
            let words = words(command);
            let read = Cli::try_parse_from(std::iter::once("trainer".to_owned()).chain(words));
            let error = read.err().map(|error| error.to_string());
            assert_eq!(error, None, "{line}");
            tried += 1;
        }
        assert!(tried > 50, "{tried}");
    }

    /// Splits a command as a shell does, at spaces outside quotes.
    fn words(command: &str) -> Vec<String> {
        let parts = command.split('\'').enumerate();
        let words = parts.flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        words.collect()
    }
}

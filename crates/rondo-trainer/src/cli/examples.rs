//! What stands below each help text.

use clap::ValueEnum;

use crate::pictures::name::PictureName;

pub(super) const TRAIN: &str = "\
Examples:
  trainer --config configs/main.toml
  trainer train configs/main.toml --set schedule.peak=1e-3
  trainer --config configs/main.toml --set train.steps=400 --out runs/longer
  trainer --config configs/huginn-3.5b.toml --dry-run --ranks 8
  trainer --shipped first

Exit codes: 0 ok, 1 anything else, 2 usage or configuration, 3 data,
4 checkpoint or tensors, 5 stopped by a rule, 6 device or memory, 7 a rank is
missing and the run can be resumed, 75 interrupted and resumable.";

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

pub(super) const TRACE: &str = "\
Example:
  trainer trace runs/main --prompt 'fn main' --out trace.safetensors";

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

Ctrl-C or SIGTERM ends it: the request in work is finished, those that wait are
refused. Exit code 0, or 75 where requests were dropped; a second signal ends it
at once.";

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
  trainer figure field-sheet runs/depth --rows mean --columns peak,scheme \
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
Example:
  trainer checkpoints runs/main --verify";

pub(super) const IMPORT: &str = "\
Examples:
  trainer import huginn-0125 --out runs/huginn
  trainer import smollm2-135m --out runs/looped --loop cycle-average --loops 3 --lora-rank 16";

pub(super) const EXPORT: &str = "\
Example:
  trainer export runs/main --out exported --dtype bf16";

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
Example:
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

Keys: q quits, space turns to the next panels, s sets several runs side by side
or overlays them, up and down choose runs, d another depth, z fewer steps.";

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

/// Returns the examples of `trainer figure` with what each picture shows.
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
    use clap::CommandFactory;

    use crate::cli::Cli;

    #[test]
    fn what_stands_below_a_help_text_fits_eighty_columns() {
        let root = Cli::command();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            let below = command.get_after_help().map(ToString::to_string);
            for line in below.unwrap_or_default().lines() {
                let length = line.chars().count();
                assert!(length <= 80, "{}: {line}", command.get_name());
            }
        }
    }
}

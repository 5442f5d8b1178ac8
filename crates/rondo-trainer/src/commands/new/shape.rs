//! The shapes of the ladder, and the text of the configuration.

use std::fmt::Write as _;
use std::path::Path;

use rondo_train::device::DeviceKind;

use crate::cli::DeviceName;

/// The sizes of a model and of its training batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The model's `d_model`.
    pub(super) width: usize,
    pub(super) n_heads: usize,
    pub(super) d_ff: usize,
    pub(super) core: usize,
    pub(super) batch: usize,
    /// The number of tokens in a sequence.
    pub(super) seq: usize,
}

/// The shapes in ascending size: the shape of configs/main.toml, and wider shapes up to that of
/// configs/gpu/main.toml.
pub(super) const LADDER: [Shape; 4] = [
    Shape {
        width: 64,
        n_heads: 2,
        d_ff: 176,
        core: 4,
        batch: 8,
        seq: 64,
    },
    Shape {
        width: 128,
        n_heads: 4,
        d_ff: 384,
        core: 4,
        batch: 8,
        seq: 128,
    },
    Shape {
        width: 256,
        n_heads: 4,
        d_ff: 768,
        core: 4,
        batch: 8,
        seq: 256,
    },
    Shape {
        width: 512,
        n_heads: 8,
        d_ff: 1536,
        core: 4,
        batch: 16,
        seq: 512,
    },
];

/// The mean recurrence, which is the same for every shape.
pub(super) const MEAN_RECURRENCE: usize = 16;
/// The minimum number of steps of a useful run.
pub(super) const FEWEST_STEPS: u64 = 100;
/// The number of validation tokens in an evaluation.
const EVAL_TOKENS: u64 = 4096;
/// The peak learning rate at width 64.
const PEAK: f64 = 2e-3;

/// Returns a validation fraction that is large enough for the tokens of an evaluation. The two
/// numbers of tokens must come from a split with the fraction 0.05.
pub(super) fn val_fraction(train_tokens: u64, val_tokens: u64) -> f64 {
    let all = (train_tokens + val_tokens).max(1) as f64;
    let needed = 1.5 * EVAL_TOKENS as f64 / all;
    (needed.clamp(0.05, 0.5) * 100.0).ceil() / 100.0
}

/// A run whose configuration will be written.
pub(super) struct Plan<'a> {
    pub(super) data: &'a [String],
    pub(super) device: Option<DeviceName>,
    pub(super) shape: Shape,
    pub(super) steps: u64,
    pub(super) val_fraction: f64,
}

impl Plan<'_> {
    /// Returns the configuration as TOML.
    pub(super) fn to_toml(&self) -> String {
        let Shape {
            width,
            n_heads,
            d_ff,
            core,
            batch,
            seq,
        } = self.shape;
        let steps = self.steps;
        let quoted: Vec<String> = self
            .data
            .iter()
            .map(|path| toml::Value::from(path.as_str()).to_string())
            .collect();
        let mut text = String::new();
        if let Some(device) = self.device {
            let _ = writeln!(
                text,
                "[device]\nkind = \"{}\"\n",
                DeviceKind::from(device).name()
            );
        }
        let _ = write!(
            text,
            "[data]\nkind = \"text\"\npaths = [{}]\ntokenizer = {{ kind = \"bytes\" }}\nval_fraction = {}\n\n\
             [model]\nd_model = {width}\nn_heads = {n_heads}\nd_ff = {d_ff}\nlayers = {{ prelude = 1, core = {core}, coda = 1 }}\n\n\
             [model.recurrence]\nmean = {MEAN_RECURRENCE}\nbackprop_depth = 8\n\n\
             [optimizer]\nkind = \"raven-adam\"\n\n\
             [schedule]\npeak = {:e}\nwarmup = {}\nshape = {{ kind = \"trapezoid\", cooldown = {} }}\n\n\
             [train]\nsteps = {steps}\nbatch = {batch}\nseq = {seq}\n\n\
             [eval]\nevery = {}\ntokens = {EVAL_TOKENS}\n\n\
             [checkpoint]\nevery = {}\n",
            quoted.join(", "),
            self.val_fraction,
            PEAK * 64.0 / width as f64,
            (steps / 10).max(1),
            (steps / 5).max(1),
            (steps / 8).max(1),
            (steps / 4).max(1),
        );
        text
    }

    /// Returns the comment at the top of the file.
    pub(super) fn head(&self, file: &Path) -> String {
        format!(
            "# A looped language model on {}.\n#\n#   trainer {}\n#",
            self.data.join(", "),
            file.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use rondo_train::config::RunConfig;

    use super::*;

    #[test]
    fn every_shape_is_a_configuration_without_warnings() {
        for shape in LADDER {
            let data = ["a \"b\".txt".to_owned()];
            let plan = Plan {
                data: &data,
                device: None,
                shape,
                steps: FEWEST_STEPS,
                val_fraction: 0.05,
            };
            let config = RunConfig::read("new.toml", &plan.to_toml(), &[]).expect("valid");
            assert!(
                config.warnings(config.extent(shape.seq)).is_empty(),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn the_share_for_validation_holds_an_evaluation() {
        let percent = |train, val| (val_fraction(train, val) * 100.0).round() as u32;
        assert_eq!(percent(950_000, 50_000), 5);
        // The evaluation needs 1.5 · 4096 of 20,000 tokens.
        assert_eq!(percent(19_000, 1_000), 31);
        assert_eq!(percent(100, 5), 50);
    }
}

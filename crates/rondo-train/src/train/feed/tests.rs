//! Tests that inputs made in advance equal those made within the step, including errors and panics.

use std::fs;
use std::panic::AssertUnwindSafe;

use burn::tensor::{Device, Int, Tensor};
use rondo_data::Source;
use rondo_metrics::Mode;

use super::*;
use crate::assemble::open_data;
use crate::config::RunConfig;

const BASE: &str = "[model]\nd_model = 16\nn_heads = 2\nd_ff = 32\n[train]\nsteps = 6\nbatch = 2\naccumulation = 3\n";

/// Two feeds over the same data: one that makes inputs within the step, and one that makes them in
/// advance.
struct Both {
    in_step: Feed,
    ahead: Feed,
    corpora: Arc<Corpora>,
}

impl Both {
    /// Opens both feeds on the data of `written`. The feeds make the last two micro-batches of each
    /// step.
    fn open(written: &RunConfig, change: impl Fn(&mut InputMaker)) -> Self {
        let own: Source = open_data(&written.data, None, Mode::Silent).expect("data");
        let config = written.resolve(&own).expect("a valid configuration");
        let corpora = Corpora::open(own, &config, None, Mode::Silent).expect("data");
        let corpora = Arc::new(corpora);
        let feed = |staging| {
            let mut maker = InputMaker {
                config: config.model.clone(),
                seed: config.seed,
                penalty: config.train.penalty.clone(),
                device: Device::flex(),
            };
            change(&mut maker);
            let recipe = Recipe {
                corpora: corpora.clone(),
                config: config.clone(),
                share: Share {
                    first: 1,
                    count: 2,
                    total: 3,
                },
                maker,
            };
            Feed::open(recipe, staging).expect("a thread")
        };
        Self {
            in_step: feed(Staging::InStep),
            ahead: feed(Staging::Ahead),
            corpora: corpora.clone(),
        }
    }
}

fn task(difficulties: impl IntoIterator<Item = usize>) -> Vec<Wanted> {
    let steps = (1..).zip(difficulties);
    steps
        .map(|(step, difficulty)| Wanted {
            step,
            curriculum: Some(CurriculumState { difficulty }),
        })
        .collect()
}

fn task_config() -> RunConfig {
    let data = "data={kind='word-problem',curriculum={start=2,step=1,max=6,pass_accuracy=0.1}}";
    RunConfig::read("base", BASE, &[data.to_owned()]).expect("valid")
}

/// The inputs of a micro-batch, read from the device.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    number: u64,
    tokens: Vec<i32>,
    targets: Vec<i32>,
    /// The bits of the initial state s_0.
    state: Vec<u32>,
}

fn read(inputs: StepInputs) -> Vec<Read> {
    let ids = |x: Tensor<2, Int>| x.into_data().iter().collect();
    inputs
        .map(|inputs| Read {
            number: inputs.number,
            tokens: ids(inputs.batch.inputs),
            targets: ids(inputs.batch.targets),
            state: inputs
                .state
                .into_data()
                .iter::<f32>()
                .map(f32::to_bits)
                .collect(),
        })
        .collect()
}

#[test]
fn the_inputs_are_the_same_to_the_bit_also_where_a_difficulty_rises_unforeseen() {
    let mut both = Both::open(&task_config(), |_| ());
    for wanted in task([2, 2, 3, 3, 5, 5]) {
        let (here, there) = (both.in_step.take(wanted), both.ahead.take(wanted));
        let (here, there) = (here.expect("rows"), there.expect("rows"));
        assert_eq!((here.tokens, here.len()), (there.tokens, there.len()));
        let (here, there) = (read(here), read(there));
        let first = (wanted.step - 1) * 3 + 1;
        let numbers: Vec<u64> = there.iter().map(|inputs| inputs.number).collect();
        assert_eq!(numbers, [first, first + 1]);
        assert_eq!(here, there, "step {}", wanted.step);
    }
}

#[test]
fn the_thread_ends_with_its_feed_whatever_nobody_has_taken() {
    let all = task([2; 6]);
    for (taken, read_whole) in [(0, true), (1, true), (1, false), (6, true)] {
        let mut both = Both::open(&task_config(), |_| ());
        for wanted in &all[..taken] {
            let inputs = both.ahead.take(*wanted).expect("rows");
            if read_whole {
                assert_eq!(inputs.count(), 2);
            }
        }
        let Both {
            in_step,
            ahead,
            corpora,
        } = both;
        drop(in_step);
        assert_eq!(Arc::strong_count(&corpora), 2, "the thread has its recipe");
        drop(ahead);
        assert_eq!(Arc::strong_count(&corpora), 1, "{taken} steps");
    }
}

#[test]
fn rows_that_cannot_be_made_are_an_error_of_their_own_step() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = |name: &str| dir.path().join(name).display().to_string();
    fs::write(shown("long.txt"), "loop state depth core\n".repeat(40)).expect("writable");
    fs::write(shown("short.txt"), "norm gate\n".repeat(2)).expect("writable");
    let text = |name: &str| {
        format!(
            "{{kind='text',paths=['{}'],cache='{}',tokenizer={{kind='bytes'}},val_fraction=0.2}}",
            shown(name),
            shown("cache")
        )
    };
    let keys = [
        format!("data={}", text("long.txt")),
        "train.seq=32".to_owned(),
        format!(
            "perturb=[{{kind='data-switch',at_step=3,data={}}}]",
            text("short.txt")
        ),
    ];
    let written = RunConfig::read("base", BASE, &keys).expect("valid");
    let mut both = Both::open(&written, |_| ());
    let take = |feed: &mut Feed, step| {
        let curriculum = None;
        let taken = feed.take(Wanted { step, curriculum });
        taken.map(read).map_err(|error| error.to_string())
    };
    for step in [1, 2] {
        let inputs = take(&mut both.ahead, step).expect("the long text fills its rows");
        assert_eq!(Ok(inputs), take(&mut both.in_step, step));
    }
    let told = take(&mut both.ahead, 3).expect_err("the short text fills no row");
    assert_eq!(Err(&told), take(&mut both.in_step, 3).as_ref());
}

#[test]
fn a_panic_of_the_thread_comes_where_its_inputs_are_taken() {
    let mut both = Both::open(&task_config(), |maker| maker.config.d_model = 0);
    let wanted = task([2])[0];
    let inputs = both.ahead.take(wanted).expect("the rows have no width");
    let panic = catch_unwind(AssertUnwindSafe(|| read(inputs))).expect_err("no state is so narrow");
    let of_step = both.in_step.take(wanted).expect("the rows have no width");
    let expected = catch_unwind(AssertUnwindSafe(|| read(of_step))).expect_err("nor here");
    let message = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
    };
    let told = message(panic);
    assert!(told.is_some());
    assert_eq!(told, message(expected));
}

//! Runs on 1, 2 and 4 ranks have the same bits. They can be resumed on another number of ranks.

use super::*;

#[test]
fn one_two_and_four_ranks_end_with_the_same_bits_and_records() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let task = "data={kind=\"word-problem\",curriculum={start=2,step=1,max=6,pass_accuracy=0.1}}";
    let gates = "model.sparsity={gate_bias=0.5,learned_bias=true}";
    let controller = "controller={target={kind=\"absolute\",cross_entropy=5.0}}";
    let skips = "train.skip_spikes={deviations=0.2,window=2,in_a_row=2}";
    let noise = "perturb=[{kind=\"weight-noise\",at_step=4,std=0.5}]";
    let cases: [(&str, &[&str]); 6] = [
        ("adamw", &["optimizer={kind=\"adamw\"}"]),
        ("raven-adam", &[]),
        ("muon", &["optimizer={kind=\"muon\"}"]),
        (
            "zero",
            &[
                "optimizer={kind=\"muon\"}",
                "distributed.shard_optimizer=true",
            ],
        ),
        ("gates", &[gates, controller]),
        ("skips", &[skips, noise]),
    ];
    let mut runs: Vec<(String, Vec<String>)> = Vec::new();
    for (name, keys) in cases {
        runs.push((name.to_owned(), shared_args(Path::new("OUT"), keys)));
    }
    let keys = [
        task,
        "train.steps=6",
        "train.batch=2",
        "train.accumulation=4",
        "eval.tokens=96",
    ];
    let mut of_task = vec!["--config", "configs/depth-s3.toml", "--device", "flex"];
    of_task.extend(["--out", "OUT"]);
    of_task.extend(keys.iter().flat_map(|key| ["--set", *key]));
    let of_task = of_task.into_iter().map(str::to_owned).collect();
    runs.push(("task".to_owned(), of_task));
    for (name, args) in runs {
        let mut ends = Vec::new();
        for ranks in [1, 2, 4] {
            let out = dir.path().join(format!("{name}-{ranks}"));
            let shown = out.display().to_string();
            let args: Vec<String> = args.iter().map(|arg| arg.replace("OUT", &shown)).collect();
            let ended = on_ranks(ranks, &args);
            assert_ok(&ended);
            ends.push((hashes(&out), records(&out)));
            if ranks > 1 {
                let told = format!("ranks   {ranks} on 1 host (Open MPI");
                assert!(ended.stderr.contains(&told), "{ended:?}");
                let row = &rows(&out, "train")[0]["metrics"];
                assert_eq!(row["world_size"], ranks as f64);
                assert!(
                    row["reduce_seconds"]
                        .as_f64()
                        .is_some_and(|seconds| seconds > 0.0)
                );
            }
        }
        assert!(!ends[0].1.is_empty(), "{name}");
        if name == "skips" {
            let events = rows(&dir.path().join("skips-4"), "event");
            let mut spikes = events.iter().map(|row| &row["metrics"]);
            assert!(spikes.any(|event| event["policy"] == "skip"), "{events:?}");
        }
        assert_eq!(ends[1], ends[0], "{name} on 2 ranks");
        assert_eq!(ends[2], ends[0], "{name} on 4 ranks");
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks_bit_for_bit() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let args = |out: &Path, steps: u64| {
        let steps = format!("train.steps={steps}");
        shared_args(out, &["schedule.shape={kind=\"constant\"}", &steps])
    };
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    assert_ok(&on_ranks(1, &args(&whole, 12)));
    for (ranks, steps) in [(2, 4), (4, 8), (1, 12)] {
        assert_ok(&on_ranks(ranks, &args(&parts, steps)));
    }
    assert_eq!(hashes(&parts), hashes(&whole));
}

//! The costs of several ranks: the values of a dry run, and benchmarks.

use super::*;

#[test]
fn a_dry_run_tells_what_each_rank_sends_and_needs() {
    let dir = scratch();
    let told = |further: &[&str]| {
        let mut args = shared_args(&dir.path().join("run"), &[]);
        let further = ["--dry-run", "--json"].iter().chain(further);
        args.extend(further.map(|arg| (*arg).to_owned()));
        run(args)
    };
    let alone = told(&[]).json();
    assert!(alone.get("bytes_per_step").is_none(), "{alone}");
    let four = told(&["--ranks", "4"]).json();
    let parameters = alone["parameters"]["total"].as_u64().expect("a count");
    // Each rank sends three quarters of the gradient twice.
    assert_eq!(four["bytes_per_step"], 2 * (4 * parameters * 3 / 4));
    assert_eq!(four["micro_batches_per_rank"], 2);
    let memory = |told: &Value| told["memory_bytes"].as_u64().expect("bytes");
    // With two micro-batches per rank instead of eight, two fewer gradients are in memory at one
    // time. The vector that is sent needs as much memory as one gradient.
    assert_eq!(memory(&alone) - memory(&four), 4 * parameters);
    let zero = told(&["--ranks", "4", "--set", "distributed.shard_optimizer=true"]).json();
    assert!(memory(&zero) < memory(&four));
    let six = told(&["--ranks", "3"]);
    refused(
        &six,
        2,
        &["train.accumulation = 8 cannot be shared by 3 ranks: start 1, 2, 4 or 8"],
    );
}

/// Returns the arguments for a benchmark with a small shape and one timed repetition.
fn bench_args(further: &[&str]) -> Vec<String> {
    let args = [
        "bench",
        "--config",
        "configs/smoke.toml",
        "--device",
        "flex",
        "--warmup",
        "1",
        "--steps",
        "2",
    ];
    args.iter()
        .chain(further)
        .map(|&one| one.to_owned())
        .collect()
}

#[test]
fn a_bench_of_sums_by_one_process_says_how_ranks_are_started() {
    let how = "mpirun -n 2 --bind-to none trainer bench --what reduce";
    refused(&run(bench_args(&["--what", "reduce"])), 2, &[how]);
}

#[test]
fn ranks_time_their_sums() {
    if !has_mpi() {
        return;
    }
    let ended = on_ranks(2, &bench_args(&["--what", "reduce", "--json"]));
    assert_ok(&ended);
    let told = ended.json();
    assert_eq!(told["world_size"], 2);
    let sizes = told["sizes"].as_array().expect("sizes");
    let bytes: Vec<u64> = sizes
        .iter()
        .filter_map(|size| size["bytes"].as_u64())
        .collect();
    assert_eq!(bytes[..3], [1_000_000, 10_000_000, 100_000_000]);
    assert_eq!(bytes.len(), 4);
    for size in sizes {
        for name in ["copy", "fast", "ordered", "fast_bf16"] {
            assert!(size["seconds"][name].as_f64() > Some(0.0), "{name}: {size}");
        }
    }
    let efficiencies = told["efficiency"].as_array().expect("efficiencies");
    let ordered: Vec<f64> = efficiencies
        .iter()
        .filter_map(|row| row["ordered"].as_f64())
        .collect();
    assert_eq!(ordered.len(), 4);
    assert!(
        ordered.is_sorted() && ordered[0] > 0.0 && ordered[3] < 1.0,
        "{told}"
    );
}

#[test]
fn ranks_time_the_step_that_they_share() {
    if !has_mpi() {
        return;
    }
    let ended = on_ranks(2, &bench_args(&["--json", "--set", "train.accumulation=2"]));
    assert_ok(&ended);
    let told = ended.json();
    assert_eq!(told["world_size"], 2);
    let number = |name: &str| told[name].as_f64().expect("a number");
    // The step has two micro-batches, each of four sequences of 32 tokens.
    let product = number("tokens_per_second") * number("step_seconds");
    assert!((product - 256.0).abs() < 1e-6, "{told}");
    assert!(number("reduce_seconds") > 0.0, "{told}");
    assert!(number("reduce_seconds") < number("step_seconds"), "{told}");

    let unshared = "train.accumulation = 1 cannot be shared by 2 ranks";
    refused(&on_ranks(2, &bench_args(&[])), 2, &[unshared]);
    let alone = "`--what nodes` is of one process";
    refused(&on_ranks(2, &bench_args(&["--what", "nodes"])), 2, &[alone]);
}

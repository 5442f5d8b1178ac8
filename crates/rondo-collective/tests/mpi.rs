//! Ranks as processes: this program starts itself under `mpirun` once per scene, on 1 to 4 ranks of
//! this host.
//!
//! Without `mpirun` it prints a message and ends.
#![expect(
    clippy::print_stdout,
    clippy::exit,
    reason = "a test without a harness is a program"
)]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rondo_collective::start::start_within;
use rondo_collective::{
    Collective, LATE_CODE, Late, OrderedSum, OwnedSum, PairwiseSum, Reduce, Reducer, Wire,
};

/// The variable that names the scene to play.
const SCENE: &str = "RONDO_MPI_SCENE";

fn main() {
    match std::env::var(SCENE) {
        Ok(scene) => play(&scene),
        Err(_) if Command::new("mpirun").arg("--version").output().is_err() => {
            println!("mpi: skipped: there is no mpirun");
        }
        Err(_) => {
            sums_have_the_bits_of_one_process();
            an_abort_ends_all_with_its_code();
            a_late_rank_is_named_by_rank_0();
            rank_0_is_named_by_rank_1();
            a_rank_that_does_not_start_is_not_waited_for();
            a_rank_that_does_not_leave_is_not_waited_for();
            a_rank_that_panics_ends_all();
            a_killed_rank_ends_all();
            a_long_wait_without_a_deadline_goes_on();
            a_launcher_of_another_mpi_is_refused();
        }
    }
}

fn sums_have_the_bits_of_one_process() {
    for ranks in 1..=4 {
        let output = mpirun(ranks, "sums");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let lines = text(&output);
        assert_eq!(
            lines
                .matches(&format!("whole: {ranks} ranks on 1 host"))
                .count(),
            ranks,
            "{lines}"
        );
    }
}

fn an_abort_ends_all_with_its_code() {
    let output = mpirun(3, "abort");
    assert_eq!(output.status.code(), Some(13), "{}", text(&output));
}

fn a_late_rank_is_named_by_rank_0() {
    let output = mpirun(3, "late 2");
    let lines = text(&output);
    assert_eq!(output.status.code(), Some(LATE_CODE), "{lines}");
    assert!(
        lines.contains("rank 0 reports: 1 s without rank 2 ("),
        "{lines}"
    );
    assert!(!lines.contains("rank 1 reports"), "{lines}");
}

fn rank_0_is_named_by_rank_1() {
    let output = mpirun(2, "late 0");
    let lines = text(&output);
    assert_eq!(output.status.code(), Some(LATE_CODE), "{lines}");
    assert!(
        lines.contains("rank 1 reports: 1 s without rank 0 ("),
        "{lines}"
    );
}

fn a_rank_that_does_not_start_is_not_waited_for() {
    let output = mpirun(2, "unstarted");
    let lines = text(&output);
    assert_eq!(output.status.code(), Some(LATE_CODE), "{lines}");
    assert!(
        lines.contains("waited 3 s for others in MPI_Init"),
        "{lines}"
    );
}

fn a_rank_that_does_not_leave_is_not_waited_for() {
    let output = mpirun(2, "unended");
    let lines = text(&output);
    assert_eq!(output.status.code(), Some(LATE_CODE), "{lines}");
    assert!(
        lines.contains("waited 1 s for others in MPI_Finalize"),
        "{lines}"
    );
}

fn a_rank_that_panics_ends_all() {
    let output = mpirun(2, "panic");
    assert_eq!(output.status.code(), Some(101), "{}", text(&output));
}

fn a_killed_rank_ends_all() {
    let output = mpirun(2, "kill");
    assert_eq!(output.status.code(), Some(137), "{}", text(&output));
}

fn a_long_wait_without_a_deadline_goes_on() {
    let output = mpirun(3, "slow");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

fn a_launcher_of_another_mpi_is_refused() {
    let output = scene(Command::new(std::env::current_exe().unwrap()), "sums")
        .env("PMI_RANK", "1")
        .env("PMI_SIZE", "2")
        .output()
        .unwrap();
    let lines = text(&output);
    assert_eq!(output.status.code(), Some(2), "{lines}");
    assert!(
        lines.contains("mpirun of MPICH or Intel MPI says rank 1 of 2, and Open MPI"),
        "{lines}"
    );
    assert!(lines.contains("says rank 0 of 1"), "{lines}");
}

fn mpirun(ranks: usize, name: &str) -> Output {
    let mut mpirun = Command::new("mpirun");
    mpirun.args([
        "--oversubscribe",
        "--bind-to",
        "none",
        "-n",
        &ranks.to_string(),
    ]);
    mpirun.arg(std::env::current_exe().unwrap());
    let start = Instant::now();
    let output = scene(mpirun, name).output().unwrap();
    println!(
        "mpi: {name} on {ranks} ranks: {:.1} s, {}",
        start.elapsed().as_secs_f32(),
        output.status
    );
    output
}

/// Prepares the command of a scene. Open MPI refuses the user root without these two variables, and
/// in a container the user is often root.
fn scene(mut command: Command, name: &str) -> Command {
    command
        .env(SCENE, name)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs the part of this rank in a scene.
fn play(scene: &str) {
    let variable = |name: &str| std::env::var(name).ok();
    if scene == "unstarted" && variable("OMPI_COMM_WORLD_RANK").as_deref() == Some("1") {
        std::thread::sleep(Duration::from_mins(1));
    }
    let timeout = (scene == "unstarted").then_some(Duration::from_secs(3));
    let report = |late: &Late| println!("{late}");
    let started = start_within(timeout, report, variable).unwrap_or_else(|error| {
        println!("{error}");
        std::process::exit(2)
    });
    let world = &*started.world;
    let rank = world.rank();
    world.set_late_report(Box::new(move |late| {
        println!("rank {rank} reports: {late}");
    }));
    world.barrier().unwrap();
    match scene.split_once(' ').unwrap_or((scene, "")) {
        ("sums", _) => {
            sums(world);
            assert_eq!(
                (started.local_rank, started.local_size),
                (rank, world.world_size())
            );
            println!(
                "whole: {} ranks on {} host",
                world.world_size(),
                started.hosts()
            );
        }
        ("abort", _) if rank == 1 => world.abort(13),
        ("late", late) => {
            world.set_timeout(Some(Duration::from_secs(1)));
            if late == rank.to_string() {
                std::thread::sleep(Duration::from_mins(1));
            }
        }
        ("unended", _) => {
            world.set_timeout(Some(Duration::from_secs(1)));
            world.set_late_report(Box::new(|late| println!("{late}")));
            if rank == 1 {
                // This barrier matches the barrier inside `finish` of the other ranks. After the
                // barrier, this rank does not leave.
                world.barrier().unwrap();
                std::thread::sleep(Duration::from_mins(1));
            }
            return world.finish().unwrap();
        }
        ("panic", _) if rank == 1 => panic!("a scene"),
        ("kill", _) if rank == 1 => {
            let pid = std::process::id().to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
        }
        ("slow", _) => {
            world.set_timeout(Some(Duration::from_mins(1)));
            for slow in 0..3 {
                if slow == rank {
                    std::thread::sleep(Duration::from_millis(600));
                }
                world.barrier().unwrap();
            }
        }
        _ => {}
    }
    let mut data = vec![1.0; 1000];
    world.all_reduce(&mut data).unwrap();
    world.finish().unwrap();
}

fn sums(world: &dyn Collective) {
    let (rank, size) = (world.rank(), world.world_size());
    for length in [0, 1, 1000, 1 << 20, (1 << 20) + 7] {
        let expected = bits(&expected(size, length));
        let mut data = values(rank, length);
        OrderedSum::new(size).sum(world, &mut data).unwrap();
        assert_eq!(bits(&data), expected);

        let ends: Vec<usize> = (0..=size)
            .map(|rank| length * rank * rank / (size * size))
            .collect();
        let mut owned = OwnedSum::new(ends.windows(2).map(|ends| ends[0]..ends[1]).collect());
        let mut data = values(rank, length);
        owned.sum(world, &mut data).unwrap();
        owned.share(world, &mut data).unwrap();
        assert_eq!(bits(&data), expected);

        for wire in [Wire::F32, Wire::Bf16] {
            let mut data = values(rank, length);
            Reducer::new(Reduce::Fast(wire), size)
                .sum(world, &mut data, length.min(3))
                .unwrap();
            let all = world.all_gather_numbers(&data).unwrap();
            assert!(
                all.chunks_exact(length.max(1))
                    .all(|other| bits(other) == bits(&data)),
                "{wire:?}"
            );
        }
    }
    let root = size - 1;
    let told = world
        .broadcast_message(root, vec![rank as u8; 3 * rank])
        .unwrap();
    assert_eq!(told, vec![root as u8; 3 * root]);
    let messages = world.all_gather_messages(&vec![7; rank]).unwrap();
    assert!(messages.iter().map(Vec::len).eq(0..size));
    assert_eq!(world.me().pid, std::process::id());
}

fn values(seed: usize, length: usize) -> Vec<f32> {
    (0..length)
        .map(|index| {
            ((index * 31 + seed * 17) as f32).sin() * 10f32.powi((index + seed) as i32 % 9)
        })
        .collect()
}

fn expected(ranks: usize, length: usize) -> Vec<f32> {
    let add = |mut a: Vec<f32>, b: Vec<f32>| {
        a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
        a
    };
    let mut sum = PairwiseSum::new();
    (0..ranks).for_each(|rank| sum.push(values(rank, length), add));
    sum.finish(add).unwrap()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

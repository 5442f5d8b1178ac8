//! Reads how the launcher describes this process, before any engine starts.

use std::fmt;

/// The program that started the processes of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// `mpirun` of Open MPI.
    OpenMpi,
    /// `mpirun` or `mpiexec` of MPICH, of Intel MPI, or of another MPI derived from MPICH.
    Mpich,
    /// `srun`.
    Slurm,
    /// `mpiexec` of PALS, the launcher of Cray systems.
    Pals,
    /// PyTorch's `torchrun`. Rondo cannot connect the processes that it starts.
    Torchrun,
}

impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Launcher::OpenMpi => "mpirun of Open MPI",
            Launcher::Mpich => "mpirun of MPICH or Intel MPI",
            Launcher::Slurm => "srun",
            Launcher::Pals => "mpiexec of PALS",
            Launcher::Torchrun => "torchrun",
        })
    }
}

/// The environment variables that a launcher sets.
struct Variables {
    launcher: Launcher,
    rank: &'static str,
    size: &'static str,
    local_rank: &'static str,
    local_size: Option<&'static str>,
}

/// The variables of all launchers. The first row whose rank and size are both set is used.
///
/// Slurm's row takes the size from the variable of the job step: the script of sbatch has
/// `SLURM_NTASKS` too, but is a single process. The row of PALS takes the size from `PMI_SIZE` and
/// stands before the row of MPICH, which would give the same rank and size.
const TABLE: [Variables; 5] = [
    Variables {
        launcher: Launcher::OpenMpi,
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
        local_size: Some("OMPI_COMM_WORLD_LOCAL_SIZE"),
    },
    Variables {
        launcher: Launcher::Pals,
        rank: "PALS_RANKID",
        size: "PMI_SIZE",
        local_rank: "PALS_LOCAL_RANKID",
        local_size: Some("PMI_LOCAL_SIZE"),
    },
    Variables {
        launcher: Launcher::Mpich,
        rank: "PMI_RANK",
        size: "PMI_SIZE",
        local_rank: "MPI_LOCALRANKID",
        local_size: Some("MPI_LOCALNRANKS"),
    },
    Variables {
        launcher: Launcher::Slurm,
        rank: "SLURM_PROCID",
        size: "SLURM_STEP_NUM_TASKS",
        local_rank: "SLURM_LOCALID",
        local_size: None,
    },
    Variables {
        launcher: Launcher::Torchrun,
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: "LOCAL_RANK",
        local_size: Some("LOCAL_WORLD_SIZE"),
    },
];

/// This process's place among the processes that one launcher started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The launcher that started the processes.
    pub launcher: Launcher,
    /// This process's number, from 0.
    pub rank: usize,
    /// The number of processes; at least 2.
    pub size: usize,
    /// The number of this process among the processes on its host, if the launcher sets it.
    pub local_rank: Option<usize>,
    /// The number of processes on this host, if the launcher sets it.
    pub local_size: Option<usize>,
}

/// Why a process that is one of several cannot join a world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A variable of the launcher is not a whole number, or the rank is not below the size.
    #[error("{launcher} sets {variable} to {value:?}, which is not a number of this world")]
    Malformed {
        /// The launcher that set the variable.
        launcher: Launcher,
        /// The variable's name.
        variable: &'static str,
        /// The variable's value.
        value: String,
    },
    /// Only torchrun's variables are set.
    #[error(
        "torchrun started {size} processes, and Rondo's find each other over MPI: build with --features mpi and start \
         `mpirun -n {size} --bind-to none trainer …`, or `srun -n {size} --mpi=pmix trainer …`"
    )]
    Torchrun {
        /// The number of processes that torchrun started.
        size: usize,
    },
    /// The build has no engine for several processes.
    #[error(
        "{launcher} started {size} processes, and this build knows one: build with `cargo build --release --features mpi` \
         (Debian: openmpi-bin libopenmpi-dev), or start one process"
    )]
    NoEngine {
        /// The launcher that started the processes.
        launcher: Launcher,
        /// The number of processes that the launcher started.
        size: usize,
    },
    /// The launcher and the engine report different ranks or sizes.
    #[error(
        "{launcher} says rank {rank} of {size}, and {engine} says rank {mpi_rank} of {mpi_size}: start with the mpirun of \
         the MPI that this program was built with, or give srun the plug-in which that MPI knows (srun --mpi=list)"
    )]
    Disagreement {
        /// The launcher that started the processes.
        launcher: Launcher,
        /// The rank according to the launcher.
        rank: usize,
        /// The size according to the launcher.
        size: usize,
        /// The engine's name.
        engine: String,
        /// The rank according to the engine.
        mpi_rank: usize,
        /// The size according to the engine.
        mpi_size: usize,
    },
}

/// Returns this process's place among the processes of a launcher, and `None` for a single process.
///
/// # Errors
///
/// Where only torchrun's variables are set, a variable is not a whole number, or the rank is not
/// below the size.
pub fn detect(look: impl Fn(&str) -> Option<String>) -> Result<Option<Placement>, Refusal> {
    let set = |row: &&Variables| look(row.rank).is_some() && look(row.size).is_some();
    let Some(row) = TABLE.iter().find(set) else {
        return Ok(None);
    };
    let number = |variable| match look(variable) {
        None => Ok(None),
        Some(value) => match value.trim().parse::<usize>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Refusal::Malformed {
                launcher: row.launcher,
                variable,
                value,
            }),
        },
    };
    let (rank, size) = (
        number(row.rank)?.unwrap_or(0),
        number(row.size)?.unwrap_or(1),
    );
    if rank >= size {
        let value = rank.to_string();
        return Err(Refusal::Malformed {
            launcher: row.launcher,
            variable: row.rank,
            value,
        });
    }
    if size == 1 {
        return Ok(None);
    }
    if row.launcher == Launcher::Torchrun {
        return Err(Refusal::Torchrun { size });
    }
    let local_rank = number(row.local_rank)?;
    let local_size = row.local_size.map(number).transpose()?.flatten();
    Ok(Some(Placement {
        launcher: row.launcher,
        rank,
        size,
        local_rank,
        local_size,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;

    fn detected(variables: &[(&str, &str)]) -> Result<Option<Placement>, Refusal> {
        let value = |name: &str| variables.iter().find(|(other, _)| *other == name);
        detect(|name| value(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn each_launcher_is_known_by_its_variables() {
        let open_mpi = [
            ("OMPI_COMM_WORLD_RANK", "3"),
            ("OMPI_COMM_WORLD_SIZE", "8"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
        ];
        let mpich = [
            ("PMI_RANK", "3"),
            ("PMI_SIZE", "8"),
            ("MPI_LOCALRANKID", "1"),
            ("MPI_LOCALNRANKS", "2"),
        ];
        let slurm = [
            ("SLURM_PROCID", "3"),
            ("SLURM_STEP_NUM_TASKS", "8"),
            ("SLURM_LOCALID", "1"),
        ];
        let pals = [
            ("PALS_RANKID", "3"),
            ("PALS_LOCAL_RANKID", "1"),
            ("PMI_RANK", "3"),
            ("PMI_SIZE", "8"),
        ];
        let cases: [(&[_], _, _); 4] = [
            (&open_mpi, Launcher::OpenMpi, Some(2)),
            (&mpich, Launcher::Mpich, Some(2)),
            (&slurm, Launcher::Slurm, None),
            (&pals, Launcher::Pals, None),
        ];
        for (variables, launcher, local_size) in cases {
            let placement = Placement {
                launcher,
                rank: 3,
                size: 8,
                local_rank: Some(1),
                local_size,
            };
            assert_eq!(detected(variables), Ok(Some(placement)));
        }
    }

    #[test]
    fn mpirun_inside_a_slurm_step_counts() {
        let variables = [
            ("SLURM_PROCID", "0"),
            ("SLURM_STEP_NUM_TASKS", "1"),
            ("OMPI_COMM_WORLD_RANK", "1"),
            ("OMPI_COMM_WORLD_SIZE", "2"),
        ];
        let placement = detected(&variables).unwrap().unwrap();
        assert_eq!(
            (placement.launcher, placement.rank, placement.size),
            (Launcher::OpenMpi, 1, 2)
        );
    }

    #[test]
    fn a_process_by_itself_is_alone() {
        assert_eq!(detected(&[]), Ok(None));
        // Neither the script of sbatch nor a job step of one task has other ranks.
        assert_eq!(
            detected(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "16")]),
            Ok(None)
        );
        assert_eq!(
            detected(&[("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")]),
            Ok(None)
        );
        assert_eq!(
            detected(&[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")]),
            Ok(None)
        );
        assert_eq!(detected(&[("RANK", "0"), ("WORLD_SIZE", "1")]), Ok(None));
        // A variable RANK without a WORLD_SIZE belongs to another program.
        assert_eq!(detected(&[("RANK", "colonel")]), Ok(None));
    }

    #[test]
    fn torchrun_is_refused_with_how_to_start() {
        let refusal = detected(&[
            ("RANK", "2"),
            ("WORLD_SIZE", "4"),
            ("LOCAL_RANK", "2"),
            ("MASTER_ADDR", "host"),
        ]);
        assert_eq!(refusal, Err(Refusal::Torchrun { size: 4 }));
        assert!(
            refusal
                .unwrap_err()
                .to_string()
                .contains("`mpirun -n 4 --bind-to none trainer …`")
        );
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        let refusal = detected(&[("PMI_RANK", "one"), ("PMI_SIZE", "4")]).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "mpirun of MPICH or Intel MPI sets PMI_RANK to \"one\", which is not a number of this world"
        );
        let refusal =
            detected(&[("SLURM_PROCID", "4"), ("SLURM_STEP_NUM_TASKS", "4")]).unwrap_err();
        assert!(
            refusal
                .to_string()
                .starts_with("srun sets SLURM_PROCID to \"4\"")
        );
    }
}

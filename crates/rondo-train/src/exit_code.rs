//! The exit codes of the program. The help text, the book and the tests use this list.

/// How a process of the program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The work was completed.
    Ok = 0,
    /// A failure that has no code of its own.
    Other = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A corpus, tokens or a tokenizer are wrong.
    Data = 3,
    /// A checkpoint or another file of tensors is wrong.
    Checkpoint = 4,
    /// A rule has stopped the run.
    Stopped = 5,
    /// The device is missing, fails or has too little memory.
    Device = 6,
    /// A rank of a run on several processes is missing.
    Missing = 7,
    /// The run was interrupted.
    Interrupted = 75,
}

impl ExitCode {
    /// Every code, in ascending order.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Other,
        Self::Usage,
        Self::Data,
        Self::Checkpoint,
        Self::Stopped,
        Self::Device,
        Self::Missing,
        Self::Interrupted,
    ];

    /// Returns the code as a number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the meaning in a few words, for use within a sentence.
    pub const fn brief(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Other => "anything else",
            Self::Usage => "usage or configuration",
            Self::Data => "data",
            Self::Checkpoint => "checkpoint or tensors",
            Self::Stopped => "stopped by a rule",
            Self::Device => "device or memory",
            Self::Missing => "a rank is missing and the run can be resumed",
            Self::Interrupted => "interrupted and resumable",
        }
    }

    /// Returns the meaning in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => {
                "Everything was done. A run that was finished before is not changed and ends with this code, too."
            }
            Self::Other => {
                "Anything that has no code of its own: a file that cannot be written, a defect of the program."
            }
            Self::Usage => "The command line or a configuration is wrong. Nothing was written.",
            Self::Data => {
                "A corpus, a token file, a tokenizer or a file of benchmark items is wrong or missing."
            }
            Self::Checkpoint => {
                "A checkpoint or another file of tensors is damaged, does not belong to the run, or cannot be written; or another process uses the directory."
            }
            Self::Stopped => {
                "A rule has stopped the run: a loss or a gradient is not finite, or a failure was diagnosed whose policy is `stop`."
            }
            Self::Device => {
                "The device is not there or has failed, memory does not suffice, or the ranks of a run no longer have the same weights."
            }
            Self::Missing => "A rank of a run on several processes is missing.",
            Self::Interrupted => {
                "A signal or Ctrl-C has ended the run after a step, and it was saved. `trainer serve`: requests were dropped."
            }
        }
    }

    /// Returns what the user can do next.
    pub const fn next(self) -> &'static str {
        match self {
            Self::Ok => "Nothing.",
            Self::Other => "Read the message.",
            Self::Usage => "Correct what the message names: option, key or line of the file.",
            Self::Data => "Correct the file, line or key that the message names.",
            Self::Checkpoint => {
                "`trainer checkpoints RUN --verify` lists the damage; the same command resumes from the newest whole checkpoint."
            }
            Self::Stopped => {
                "`trainer explain VERDICT` says how to fix it. The run was saved if a policy has stopped it."
            }
            Self::Device => {
                "`trainer devices` lists what is there; the message names changes with which the run fits into memory."
            }
            Self::Missing | Self::Interrupted => "The same command resumes.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_ascends_and_has_no_number_twice() {
        let numbers = ExitCode::ALL.map(ExitCode::number);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}

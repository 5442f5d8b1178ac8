//! Before the training loop, an error of one rank becomes the error of all ranks. The error is
//! printed once, and all ranks end cleanly with its exit code.

use super::World;
use super::message::{Reader, Writer};
use crate::error::{Error, Result};

/// An error of one rank, in the form in which every rank returns it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Agreed {
    /// The exit code of the error.
    pub code: u8,
    /// The message of the error. The message names the rank, except if the rank is rank 0 or all
    /// ranks have the same error.
    pub message: String,
}

impl World {
    /// Returns `result` if every rank has succeeded. Otherwise every rank returns the error of the
    /// lowest rank that failed.
    ///
    /// A process that runs alone returns `result` unchanged.
    ///
    /// # Errors
    ///
    /// [`Error::Agreed`] if a rank has failed, and [`Error::Missing`] if a rank is missing. A
    /// process that runs alone returns its own error.
    pub fn agree<T>(&self, result: Result<T>) -> Result<T> {
        if self.is_alone() {
            return result;
        }
        let mut message = Writer::default();
        let result = match result {
            Ok(value) => {
                message.count(0);
                Ok(value)
            }
            Err(Error::Missing(told)) => return Err(Error::Missing(told)),
            Err(error) => {
                message.count(error.exit_code().into());
                let told = format!("{:#}", anyhow::Error::from(error));
                message.bytes(told.as_bytes());
                Err(())
            }
        };
        let mut failed = Vec::new();
        for (rank, message) in self.all_gather_bytes(&message.finish())?.iter().enumerate() {
            let mut message = Reader::new(message);
            let code = message.count() as u8;
            if code != 0 {
                let told = String::from_utf8_lossy(message.bytes()).into_owned();
                failed.push((rank, code, told));
            }
        }
        match (failed.first(), result) {
            (None, Ok(value)) => Ok(value),
            (Some((rank, code, told)), _) => {
                let is_of_all = failed.len() == self.world_size()
                    && failed.iter().all(|(_, _, other)| other == told);
                let message = match *rank == 0 || is_of_all {
                    true => told.clone(),
                    false => format!("{}: {told}", self.name(*rank)),
                };
                Err(Error::Agreed(Agreed {
                    code: *code,
                    message,
                }))
            }
            (None, Err(())) => unreachable!("an error has a code other than 0"),
        }
    }

    /// Calls `work` on rank 0 only. Returns the result of `work` on rank 0, and `None` on the other
    /// ranks.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::agree`].
    pub fn by_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let result = self.is_first().then(work).transpose();
        self.agree(result)
    }

    /// Runs `work` first on rank 0, then on the first rank of every other host, then on all
    /// remaining ranks. Later ranks find the files that earlier ranks have prepared.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::agree`].
    pub(crate) fn in_turns<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_alone() {
            return work();
        }
        let mine = match (self.rank(), self.place().local_rank) {
            (0, _) => 0,
            (_, 0) => 1,
            _ => 2,
        };
        let (mut work, mut done) = (Some(work), None);
        for turn in 0..3 {
            let result = work
                .take_if(|_| turn == mine)
                .map_or(Ok(None), |work| work().map(Some));
            done = self.agree(result)?.or(done);
        }
        Ok(done.expect("every rank has a turn"))
    }

    /// Returns an error if `mine` of any rank differs from `mine` of rank 0. `what` creates the
    /// error from the names of the ranks that differ.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::agree`].
    pub(crate) fn refuse_others(
        &self,
        mine: &[u8],
        what: impl FnOnce(&str) -> Error,
    ) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let all = self.all_gather_bytes(mine)?;
        let others = (1..all.len()).filter(|rank| all[*rank] != all[0]);
        let others: Vec<String> = others.map(|rank| self.name(rank)).collect();
        if others.is_empty() {
            return Ok(());
        }
        self.agree(Err(what(&others.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::distributed::testing::on_ranks;

    #[test]
    fn the_error_of_the_lowest_rank_is_the_error_of_all() {
        let results = on_ranks(3, |world| {
            world.agree(match world.rank() {
                0 => Ok(7),
                rank => Err(Error::Foreign(format!("broken {rank}"))),
            })
        });
        for result in results {
            let error = result.expect_err("rank 1 has failed");
            assert_eq!(error.exit_code(), 4);
            assert_eq!(error.to_string(), "rank 1 on thread1: broken 1");
        }
    }

    #[test]
    fn an_error_of_all_and_one_of_rank_0_name_no_rank() {
        let same = on_ranks(2, |world| {
            world.agree::<()>(Err(Error::Usage("no".to_owned())))
        });
        let first = on_ranks(2, |world| {
            world.by_first(|| Err::<(), _>(Error::Usage("no".to_owned())))
        });
        let told = |error: Error| (error.exit_code(), error.to_string());
        for result in same
            .into_iter()
            .chain(first.into_iter().map(|r| r.map(drop)))
        {
            assert_eq!(result.map_err(told), Err((2, "no".to_owned())));
        }
    }

    #[test]
    fn ranks_that_differ_from_rank_0_are_named() {
        let results = on_ranks(3, |world| {
            let mine = [u8::from(world.rank() == 2)];
            world.refuse_others(&mine, |who| Error::Usage(format!("{who} differs")))
        });
        for result in results {
            let told = result.expect_err("rank 2 differs").to_string();
            assert_eq!(told, "rank 2 on thread2 differs");
        }
        let same = on_ranks(2, |world| world.refuse_others(b"a", |_| unreachable!()));
        assert!(same.into_iter().all(|result| result.is_ok()));
        assert!(
            World::new(Arc::new(rondo_collective::One::new()))
                .agree(Ok(1))
                .is_ok()
        );
    }
}

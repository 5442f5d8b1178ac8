//! A part of a sweep's runs, for one of several processes.

use std::fmt;
use std::str::FromStr;

use crate::plan::Planned;

/// A shard, written `I/N`. It has the runs whose index has the remainder `I` when divided by `N`.
/// Together, the shards `0/N` to `(N−1)/N` have every run once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Returns the shard of `count` shards to which a run belongs.
    ///
    /// # Panics
    ///
    /// Panics if `count` is 0.
    pub fn of(run: &Planned, count: usize) -> Self {
        Self {
            index: run.index % count,
            count,
        }
    }

    /// Returns whether a run belongs to this shard.
    pub fn has(self, run: &Planned) -> bool {
        Self::of(run, self.count) == self
    }

    /// Returns the total number of shards.
    pub fn count(self) -> usize {
        self.count
    }

    /// Returns the name of the folder for this shard's lock.
    pub(crate) fn folder(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads `I/N`.
    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("{text:?} is not a shard: write I/N, for example 0/4, 1/4, 2/4 and 3/4");
        let (index, count) = text.split_once('/').ok_or_else(form)?;
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| form());
        let (index, count) = (number(index)?, number(count)?);
        match index < count {
            true => Ok(Self { index, count }),
            false if count == 0 => Err(form()),
            false => Err(format!(
                "there is no shard {index} of {count}: they are numbered from 0 to {}",
                count - 1
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::SweepFile;

    #[test]
    fn shards_have_every_run_once() {
        let text = "base = 'x.toml'\nseeds = [0, 1, 2, 3, 4, 5, 6]";
        let runs = SweepFile::parse("sweep.toml", text)
            .expect("a valid file")
            .runs();
        for count in 1..10 {
            let shards = (0..count).map(|index| Shard { index, count });
            let mut seen: Vec<usize> = shards
                .flat_map(|shard| runs.iter().filter(move |run| shard.has(run)))
                .map(|run| run.index)
                .collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..7), "{count} shards");
        }
        let second: Shard = "1/3".parse().expect("a shard");
        let names = runs.iter().filter(|run| second.has(run));
        let names: Vec<&str> = names.map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["seed=1", "seed=4"]);
    }

    #[test]
    fn a_shard_is_read_as_it_is_printed() {
        let read = |text: &str| text.parse::<Shard>();
        assert_eq!(
            read("2/4").map(|shard| shard.to_string()),
            Ok("2/4".to_owned())
        );
        assert_eq!(
            read("4/4"),
            Err("there is no shard 4 of 4: they are numbered from 0 to 3".to_owned())
        );
        for wrong in ["", "1", "1/", "/4", "-1/4", "0/0", "a/b", "1/2/3"] {
            let error = read(wrong).expect_err("a refusal");
            assert!(error.contains("write I/N"), "{error}");
        }
    }
}

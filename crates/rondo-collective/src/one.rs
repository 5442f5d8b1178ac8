//! A world of one process.

use std::time::Duration;

use crate::deadline::Late;
use crate::{Collective, Failure, Peer};

/// A world of one rank. Its operations return at once; those with an input and an output slice copy
/// the input.
#[derive(Debug)]
pub struct One {
    peers: [Peer; 1],
}

impl One {
    /// Creates the world of this process.
    pub fn new() -> One {
        One {
            peers: [Peer {
                rank: 0,
                host: String::from("this host"),
                pid: std::process::id(),
            }],
        }
    }
}

impl Default for One {
    fn default() -> Self {
        One::new()
    }
}

impl Collective for One {
    fn rank(&self) -> usize {
        0
    }

    fn peers(&self) -> &[Peer] {
        &self.peers
    }

    fn engine(&self) -> &'static str {
        "one process"
    }

    fn set_timeout(&self, _timeout: Option<Duration>) {}

    fn set_late_report(&self, _report: Box<dyn Fn(&Late) + Send + Sync>) {}

    fn barrier(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn broadcast(&self, root: usize, _data: &mut [u8]) -> Result<(), Failure> {
        assert_eq!(root, 0, "a world of one has rank 0 alone");
        Ok(())
    }

    fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<(), Failure> {
        all.copy_from_slice(mine);
        Ok(())
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Failure> {
        receive.copy_from_slice(send);
        Ok(())
    }

    fn all_reduce(&self, _data: &mut [f32]) -> Result<(), Failure> {
        Ok(())
    }

    fn finish(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}

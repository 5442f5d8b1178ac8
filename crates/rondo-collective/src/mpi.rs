//! Ranks as processes connected by MPI. Only this file uses the MPI binding.
//!
//! Every operation is non-blocking and is tested until it is done, so that a wait can have a
//! deadline. The binding completes all requests of a scope before it leaves the scope, even after
//! an error or a panic. A rank that gives up an operation must therefore end all ranks inside that
//! scope. Only the thread that started MPI calls MPI (thread level FUNNELED).

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferrompi::{Communicator, Error, ReduceOp, Request, Scope, Source, ThreadLevel};

use crate::arrivals::{Arrivals, WITNESSES};
use crate::deadline::{LATE_CODE, Late, Patience, Report};
use crate::peer::RECORD;
use crate::wait::{self, Waited};
use crate::{Collective, Failure, Peer};

/// The maximum number of bytes in one broadcast. The counts of MPI are limited to 2^31.
const BROADCAST: usize = 64 << 20;
/// The maximum number of f32 in one all-reduce. On two ranks, 100 MB in pieces of 4 MiB took 70 %
/// of the time of pieces of 64 MiB.
const ALL_REDUCE: usize = 1 << 20;
/// The MPI tag of an announcement.
const ANNOUNCEMENT: i32 = 7;

thread_local! {
    /// The started MPI. Dropping the value finalizes MPI, so only [`Collective::finish`] may drop
    /// it: a rank that finalizes after an error waits for the other ranks for ever.
    static MPI: RefCell<Option<ManuallyDrop<ferrompi::Mpi>>> = const { RefCell::new(None) };
}

/// A rank of MPI's world.
pub(crate) struct Mpi {
    world: Communicator,
    peers: Vec<Peer>,
    engine: String,
    patience: Arc<Patience>,
    /// How many operations this rank has called.
    operations: AtomicU64,
    arrivals: Arrivals,
}

impl Mpi {
    /// Starts MPI in this thread. `rank` is this process's rank according to the launcher.
    pub(crate) fn start(
        rank: usize,
        timeout: Option<Duration>,
        report: Report,
    ) -> Result<Mpi, Failure> {
        let failed = |operation| move |error: Error| failure("MPI", operation, &error);
        let patience = Arc::new(Patience::new());
        patience.set_timeout(timeout);
        patience.set_report(report);
        let unknown = Peer {
            rank,
            host: String::from("this host"),
            pid: std::process::id(),
        };
        let mpi = patience
            .watch("MPI_Init", unknown, || {
                ferrompi::Mpi::init_thread(ThreadLevel::Funneled)
            })
            .map_err(failed("MPI_Init"))?;
        let world = mpi.world();
        MPI.with_borrow_mut(|slot| *slot = Some(ManuallyDrop::new(mpi)));
        let engine = ferrompi::Mpi::library_version().map_err(failed("MPI_Get_library_version"))?;
        let host = world
            .processor_name()
            .map_err(failed("MPI_Get_processor_name"))?;
        let me = Peer {
            rank: world.rank() as usize,
            host,
            pid: std::process::id(),
        };
        let size = world.size() as usize;
        let mut mpi = Mpi {
            world,
            peers: vec![me.clone(); size],
            engine: short(&engine),
            patience,
            operations: AtomicU64::new(0),
            arrivals: Arrivals::new(size),
        };
        let mut records = vec![0; RECORD * size];
        mpi.all_gather(&me.to_record(), &mut records)?;
        mpi.peers = Peer::from_records(&records);
        Ok(mpi)
    }

    /// Starts an operation and waits for it until this rank's deadline.
    fn run<'env>(
        &self,
        operation: &'static str,
        start: impl for<'s> FnOnce(&'s Scope<'s, 'env>) -> Result<Request<'s>, Error>,
    ) -> Result<(), Failure> {
        let number = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        let done = ferrompi::scope(|scope| {
            self.hear()?;
            let mut request = start(scope)?;
            let timeout = self.patience.timeout();
            let limit = timeout.map(|timeout| wait::with_grace(timeout, self.rank()));
            match wait::wait(
                limit,
                || Ok(request.test()?.is_some()),
                || self.announce(number),
            )? {
                Waited::Done => Ok(()),
                Waited::TooLong => {
                    self.hear()?;
                    self.give_up(operation, number, timeout.unwrap_or(Duration::MAX))
                }
            }
        });
        done.map_err(|error| failure(&self.engine, operation, &error))
    }

    /// Sends ranks 0 and 1 the announcement that this rank waits in operation `number`.
    fn announce(&self, number: u64) -> Result<(), Error> {
        self.arrivals.note(self.rank(), number);
        let tell = |rank| self.world.send(&[number], rank as i32, ANNOUNCEMENT);
        self.arrivals.witnesses(self.rank()).try_for_each(tell)
    }

    /// Receives the announcements that have arrived.
    fn hear(&self) -> Result<(), Error> {
        if self.rank() >= WITNESSES {
            return Ok(());
        }
        while let Some(status) = self.world.iprobe::<u64>(Source::Any, ANNOUNCEMENT)? {
            let mut number = [0];
            self.world.recv(&mut number, status.source, ANNOUNCEMENT)?;
            if let Source::Rank(rank) = status.source {
                self.arrivals.note(rank as usize, number[0]);
            }
        }
        Ok(())
    }

    fn give_up(&self, operation: &'static str, number: u64, timeout: Duration) -> ! {
        let missing = self.arrivals.missing(&self.peers, self.rank(), number);
        self.patience.report(&Late {
            by: self.me().clone(),
            operation,
            timeout,
            missing,
        });
        self.abort(LATE_CODE)
    }
}

/// Shortens "Open MPI v4.1.4, package: …" to "Open MPI 4.1.4". Other versions are cut at the first
/// comma or line end.
fn short(version: &str) -> String {
    let first = version.split([',', '\n']).next().unwrap_or_default().trim();
    first
        .replace("Open MPI v", "Open MPI ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn failure(engine: &str, operation: &'static str, error: &Error) -> Failure {
    Failure::Engine {
        engine: engine.to_owned(),
        operation,
        message: error.to_string(),
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn peers(&self) -> &[Peer] {
        &self.peers
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn set_timeout(&self, timeout: Option<Duration>) {
        self.patience.set_timeout(timeout);
    }

    fn set_late_report(&self, report: Box<dyn Fn(&Late) + Send + Sync>) {
        self.patience.set_report(report);
    }

    fn barrier(&self) -> Result<(), Failure> {
        self.run("barrier", |scope| self.world.ibarrier(scope))
    }

    fn broadcast(&self, root: usize, data: &mut [u8]) -> Result<(), Failure> {
        let piece = |piece| {
            self.run("broadcast", move |scope| {
                self.world.ibroadcast(scope, piece, root as i32)
            })
        };
        data.chunks_mut(BROADCAST).try_for_each(piece)
    }

    fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<(), Failure> {
        self.run("all_gather", |scope| {
            self.world.iallgather(scope, mine, all)
        })
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Failure> {
        self.run("all_to_all", |scope| {
            self.world.ialltoall(scope, send, receive)
        })
    }

    fn all_reduce(&self, data: &mut [f32]) -> Result<(), Failure> {
        let piece = |piece| {
            self.run("all_reduce", move |scope| {
                self.world.iallreduce_inplace(scope, piece, ReduceOp::Sum)
            })
        };
        data.chunks_mut(ALL_REDUCE).try_for_each(piece)
    }

    fn finish(&self) -> Result<(), Failure> {
        self.barrier()?;
        // Dropping this value finalizes MPI. On a thread that has not started MPI there is no
        // value, and MPI ends with the process.
        let mpi = MPI.with_borrow_mut(Option::take);
        let leave = || drop(mpi.map(ManuallyDrop::into_inner));
        self.patience
            .watch("MPI_Finalize", self.me().clone(), leave);
        Ok(())
    }

    fn abort(&self, code: i32) -> ! {
        // Only the thread that started MPI may call MPI.
        if MPI.with_borrow(Option::is_some) {
            self.world.abort(code)
        }
        std::process::exit(code)
    }
}

//! `trainer serve`: serves a run over HTTP, in OpenAI's format for text completions.

mod model;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use rondo_serve::{Completer, Limits, Served};
use rondo_train::device;
use rondo_train::error::{Error, Result};
use rondo_train::initial_states::InitialStates;
use rondo_train::interrupt;
use rondo_train::open_run::OpenRun;

use self::model::Model;
use crate::cli::ServeArgs;
use crate::terminal;

/// Serves a run until a signal arrives.
///
/// # Errors
///
/// Returns an error if the run or the device is missing or damaged, the address is in use, or
/// requests were dropped after a signal.
pub(crate) fn command(args: &ServeArgs) -> Result<()> {
    // The program listens before it reads the weights, so that an address in use is reported early.
    let (listener, address) = listen(args)?;
    let (listed, _) = device::choose_kind(args.device.into())?;
    let run = OpenRun::open(&args.run, args.checkpoint, &listed)?;
    let states = InitialStates::open(&args.initial_state, &run.model_config, run.config.run.seed)?;
    let (depth, most) = (args.recurrence, args.max_recurrence);
    let model = Model::new(&run, &states, args.prompting(), depth, most)?;
    let limits = Limits {
        body: args.max_body.saturating_mul(1 << 20),
        queue: args.queue,
        patience: args.timeout,
        grace: args.grace,
        ..Limits::default()
    };
    if !address.ip().is_loopback() {
        terminal::warn(&format!(
            "--host {}: everyone who reaches this machine may use the model, without authentication or encryption",
            args.host
        ));
    }
    if !args.quiet {
        terminal::note(&told(&model, &listed.label()));
    }
    // From here on, a signal is held, so it is not lost if it arrives before the server's first
    // check.
    let served = interrupt::held(|| {
        terminal::print(&format!("http://{address}"))?;
        rondo_serve::serve(&model, listener, limits, &interrupt::asked).map_err(failed)
    })??;
    end(served, args.quiet)
}

/// Listens at the requested address.
fn listen(args: &ServeArgs) -> Result<(TcpListener, SocketAddr)> {
    let (host, port) = (args.host.as_str(), args.port);
    let refuse = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; choose another --port, or 0 for a free one",
            _ => "",
        };
        Error::Usage(format!(
            "--host {host} --port {port}: cannot listen there: {error}{hint}"
        ))
    };
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(refuse)?.collect();
    let listener = TcpListener::bind(addresses.as_slice()).map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    Ok((listener, address))
}

fn failed(error: io::Error) -> Error {
    anyhow::Error::from(error)
        .context("the server cannot run")
        .into()
}

fn told(model: &Model<'_>, device: &str) -> String {
    let card = model.card();
    format!(
        "{} at step {} on {device}: context {}, recurrence {} where a request names none\n\
         POST /v1/completions, GET /v1/models, GET /health; Ctrl-C ends it",
        card.name, card.step, card.context, card.recurrence
    )
}

/// Prints how many requests were answered. If requests were dropped, returns the error of an
/// interruption.
fn end(served: Served, quiet: bool) -> Result<()> {
    let Served {
        answered,
        refused,
        cancelled,
        dropped,
    } = served;
    let counts = format!(
        "requests: {answered} answered, {refused} refused, {cancelled} left by their client"
    );
    if dropped > 0 {
        return Err(Error::Interrupted(format!(
            "a signal ended the server and {dropped} requests with it; {counts}"
        )));
    }
    if !quiet {
        terminal::note(&format!("ended by a signal; {counts}"));
    }
    Ok(())
}

/// Parses how many seconds a client may take; must be more than 0.
pub(crate) fn patience(text: &str) -> std::result::Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("expected seconds above 0".to_owned()),
        patience => Ok(patience),
    }
}

/// Parses how many seconds a request may take.
pub(crate) fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let known: Option<f64> = text.trim().parse().ok();
    known
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected seconds from 0 to 86400".to_owned())
}

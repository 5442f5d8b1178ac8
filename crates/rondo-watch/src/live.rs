//! The loop that handles keys, reads records and draws.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::draw::{Scene, draw};
use crate::error::WatchError;
use crate::palette::Palette;
use crate::reader::Reader;
use crate::run::Run;
use crate::screen::Screen;
use crate::source::Condition;
use crate::view::{View, Wish};

/// The maximum wait for a key before records and signals are checked.
const WAIT: Duration = Duration::from_millis(100);
/// After this time, a frame is drawn even without new records, because the shown times change.
const FRAME: Duration = Duration::from_secs(1);
/// The maximum wait of the first frame for the first records.
const FIRST: Duration = Duration::from_millis(500);
/// How long the folders of all runs may be missing before the view ends. A restarted run removes
/// its folder first.
const GONE: Duration = Duration::from_secs(30);

/// Why the live view has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The user pressed the key to quit.
    Quit,
    /// A signal arrived.
    Signalled,
}

/// The action of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Quit,
    Change(Wish),
}

/// Shows runs on the terminal of standard output until a key or `is_asked` ends the view. The files
/// of the runs are read every `interval`.
///
/// # Errors
///
/// Returns an error if the terminal refuses a command or all run directories have been removed. The
/// terminal is always restored, even after a panic.
pub fn live(
    dirs: &[PathBuf],
    interval: Duration,
    palette: Palette,
    is_asked: &dyn Fn() -> bool,
) -> Result<End, WatchError> {
    let mut runs = Run::all(dirs);
    let mut view = View::new(palette.has_colour());
    let mut reader = Reader::start(dirs, interval).map_err(WatchError::Thread)?;
    let mut screen = Screen::take()?;
    let (mut pages, mut gone) = (1, None);
    // The first frame is drawn after the first records arrive. If they are late, the frame says so.
    let mut stale_at = Instant::now() + FIRST;
    loop {
        for (index, update) in reader.updates() {
            runs[index].apply(update);
            stale_at = Instant::now();
        }
        reader.pass_on_a_panic();
        still_there(&runs, &mut gone)?;
        if is_asked() {
            return Ok(End::Signalled);
        }
        if stale_at <= Instant::now() {
            let scene = Scene {
                runs: &runs,
                view: &view,
                palette,
                now: SystemTime::now(),
            };
            pages = screen.draw(|frame| draw(frame, &scene))?;
            stale_at = Instant::now() + FRAME;
        }
        let mut wait = WAIT;
        while event::poll(wait).map_err(unreadable)? {
            wait = Duration::ZERO;
            // A frame follows every event, including a change of the window's size.
            stale_at = Instant::now();
            if let Event::Key(key) = event::read().map_err(unreadable)? {
                match deed(key) {
                    Some(Deed::Quit) => return Ok(End::Quit),
                    Some(Deed::Change(wish)) => view.grant(wish, runs.len(), pages),
                    None => {}
                }
            }
        }
    }
}

/// Returns the action of a key.
fn deed(key: KeyEvent) -> Option<Deed> {
    // Some terminals also report the release of a key.
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let wish = match key.code {
        KeyCode::Char('c' | 'd') if is_control => return Some(Deed::Quit),
        KeyCode::Char(_) if is_control => return None,
        KeyCode::Char('q') | KeyCode::Esc => return Some(Deed::Quit),
        KeyCode::Char(' ') | KeyCode::PageDown | KeyCode::Tab => Wish::NextPanels,
        KeyCode::PageUp | KeyCode::BackTab => Wish::PreviousPanels,
        KeyCode::Char('s') => Wish::Arrange,
        KeyCode::Down | KeyCode::Right | KeyCode::Char('j') => Wish::NextRun,
        KeyCode::Up | KeyCode::Left | KeyCode::Char('k') => Wish::PreviousRun,
        KeyCode::Char('d') => Wish::NextDepth,
        KeyCode::Char('z') => Wish::Zoom,
        _ => return None,
    };
    Some(Deed::Change(wish))
}

/// Returns an error if the folders of all runs have been missing for too long.
fn still_there(runs: &[Run], gone: &mut Option<Instant>) -> Result<(), WatchError> {
    if !runs.iter().all(|run| *run.condition() == Condition::Gone) {
        *gone = None;
        return Ok(());
    }
    let since = gone.get_or_insert_with(Instant::now);
    match runs.first() {
        Some(run) if since.elapsed() >= GONE => Err(WatchError::Gone {
            path: run.dir().to_owned(),
            seconds: GONE.as_secs(),
            step: run.step(),
        }),
        _ => Ok(()),
    }
}

fn unreadable(source: std::io::Error) -> WatchError {
    WatchError::Terminal {
        action: "read the keys of",
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::Update;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Deed> {
        deed(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn q_escape_and_control_c_quit() {
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(key(code, KeyModifiers::NONE), Some(Deed::Quit));
        }
        assert_eq!(
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Deed::Quit)
        );
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
    }

    #[test]
    fn a_key_is_granted_when_it_is_pressed_and_not_when_it_is_released() {
        let mut press = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::NONE);
        assert_eq!(deed(press), Some(Deed::Change(Wish::Zoom)));
        press.kind = KeyEventKind::Release;
        assert_eq!(deed(press), None);
    }

    #[test]
    fn runs_that_are_gone_end_the_view_after_a_while_and_name_the_last_step() {
        let mut runs = vec![Run::new("main", Path::new("runs/main"))];
        runs[0].apply(Update {
            condition: Condition::Gone,
            ..Update::default()
        });
        let mut gone = None;
        assert!(still_there(&runs, &mut gone).is_ok());
        gone = gone.and_then(|at| at.checked_sub(GONE));
        let error = still_there(&runs, &mut gone).expect_err("half a minute has passed");
        let text = error.to_string();
        assert!(
            text.starts_with("runs/main: the run directory has been gone for 30 seconds"),
            "{text}"
        );
        runs.push(Run::new("other", Path::new("runs/other")));
        assert!(still_there(&runs, &mut gone).is_ok(), "one is there");
        assert_eq!(gone, None);
    }
}

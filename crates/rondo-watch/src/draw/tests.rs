#![allow(
    clippy::unwrap_used,
    reason = "a screen that cannot be drawn must fail the test"
)]

use std::path::Path;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::*;
use crate::run::tests::{run, step, update};
use crate::source::{Condition, Update};
use crate::view::{Span, Wish};

fn screen(width: u16, height: u16, runs: &[Run], view: &View, palette: Palette) -> (Buffer, usize) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let scene = Scene {
        runs,
        view,
        palette,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1010),
    };
    let mut pages = 0;
    terminal.draw(|frame| pages = draw(frame, &scene)).unwrap();
    (terminal.backend().buffer().clone(), pages)
}

/// Returns the rows of a screen without the spaces at their ends.
fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width);
    rows.map(|row| {
        row.iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect::<String>()
    })
    .map(|row| row.trim_end().to_owned())
    .collect()
}

fn shown(width: u16, height: u16, runs: &[Run], view: &View) -> Vec<String> {
    rows(&screen(width, height, runs, view, Palette::new(true)).0)
}

/// Compares a screen with a file in `golden/`; `RONDO_BLESS=1` rewrites the file.
fn check(name: &str, shown: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/draw/golden")
        .join(name);
    let text = shown.join("\n") + "\n";
    if std::env::var_os("RONDO_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{}; now it is\n{text}", path.display());
}

#[test]
fn one_run_at_40_80_and_120_columns() {
    let runs = [run("main", 0.3)];
    for (width, height) in [(40, 24), (80, 24), (120, 40)] {
        check(
            &format!("one-{width}.txt"),
            &shown(width, height, &runs, &View::new(true)),
        );
    }
}

#[test]
fn two_runs_overlaid_at_40_80_and_120_columns() {
    let runs = [run("main", 0.3), run("bad-run-1", 0.99)];
    for (width, height) in [(40, 24), (80, 24), (120, 40)] {
        check(
            &format!("overlaid-{width}.txt"),
            &shown(width, height, &runs, &View::new(true)),
        );
    }
}

#[test]
fn two_runs_side_by_side_at_80_columns_and_the_second_at_40() {
    let runs = [run("main", 0.3), run("bad-run-1", 0.99)];
    let mut view = View::new(true);
    view.grant(Wish::Arrange, 2, 1);
    check("beside-80.txt", &shown(80, 24, &runs, &view));
    let first = shown(40, 24, &runs, &view);
    assert!(first[0].starts_with("main "), "{first:?}");
    assert!(first[23].contains("↑↓ run 1/2"), "{first:?}");
    view.grant(Wish::NextRun, 2, 1);
    assert!(shown(40, 24, &runs, &view)[0].starts_with("bad-run-1 "));
}

#[test]
fn every_page_of_panels_is_reached_at_40_columns() {
    let runs = [run("main", 0.3)];
    let mut view = View::new(true);
    let mut text = String::new();
    let (_, pages) = screen(40, 24, &runs, &view, Palette::new(true));
    for _ in 0..pages {
        text += &shown(40, 24, &runs, &view).join("\n");
        view.grant(Wish::NextPanels, 1, pages);
    }
    for title in [
        "loss 4.000 ─",
        "perplexity 1:",
        "hidden-state correlation 0.30",
        "learning rate 2.0e-3",
        "speed 2.22k tok/s",
        "iterations 8+4, mean 14.0",
        "events ─",
    ] {
        assert!(text.contains(title), "{title} in\n{text}");
    }
}

#[test]
fn no_size_of_a_window_is_too_small_or_too_large_to_draw() {
    let runs = [
        run("main", 0.3),
        run("bad-run-1", 0.99),
        Run::new("new", Path::new("runs/new")),
    ];
    for (width, height) in [
        (1, 1),
        (23, 50),
        (24, 8),
        (25, 9),
        (39, 11),
        (60, 17),
        (200, 80),
        (300, 9),
    ] {
        for (arrange, span) in [(false, Span::All), (true, Span::Tenth)] {
            let mut view = View::new(true);
            view.span = span;
            if arrange {
                view.grant(Wish::Arrange, 3, 1);
            }
            for page in 0..screen(width, height, &runs, &view, Palette::new(true)).1 {
                view.page = page;
                let rows = shown(width, height, &runs, &view);
                assert_eq!(rows.len(), usize::from(height));
            }
        }
    }
    assert_eq!(
        shown(20, 8, &runs, &View::new(true))[0],
        "20 x 8 is too small:"
    );
}

#[test]
fn without_colours_nothing_is_coloured_and_letters_tell_the_curves() {
    let runs = [run("main", 0.3), run("bad-run-1", 0.99)];
    let mut view = View::new(true);
    for arrange in [false, true] {
        if arrange {
            view.grant(Wish::Arrange, 2, 1);
        }
        let (plain, _) = screen(120, 40, &runs, &view, Palette::new(false));
        let coloured = |buffer: &Buffer| {
            let cells = buffer.content.iter();
            cells
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert_eq!(coloured(&plain), 0);
        assert!(coloured(&screen(120, 40, &runs, &view, Palette::new(true)).0) > 0);
        let text = rows(&plain).join("\n");
        match arrange {
            false => assert!(text.contains("a main") && text.contains("bbbb"), "{text}"),
            true => assert!(text.contains("a 1: 13.0 b 4: 11.8 c 16: 11.8"), "{text}"),
        }
    }
}

#[test]
fn a_run_without_records_says_what_it_waits_for() {
    let runs = [Run::new("new", Path::new("runs/new"))];
    let text = shown(80, 24, &runs, &View::new(true)).join("\n");
    assert!(
        text.contains("no records yet: waiting for runs/new/metrics.jsonl"),
        "{text}"
    );
    assert!(
        text.contains("nothing yet") && !text.contains("healthy"),
        "{text}"
    );
}

#[test]
fn a_run_whose_folder_is_gone_keeps_its_last_numbers() {
    let mut gone = run("main", 0.3);
    gone.apply(Update {
        condition: Condition::Gone,
        ..Update::default()
    });
    let text = shown(80, 24, &[gone], &View::new(true)).join("\n");
    assert!(
        text.contains("runs/main is gone; these are the last numbers of it"),
        "{text}"
    );
    assert!(text.contains("loss 4.000"), "{text}");
}

#[test]
fn a_loss_that_is_not_a_number_is_told_and_leaves_the_curve_as_it_was() {
    let mut run = run("main", 0.3);
    let mut draft = rondo_metrics::Record::train(101, 808);
    draft.set(rondo_metrics::names::LOSS, f64::NAN);
    run.apply(update(300, vec![draft.finish()]));
    let text = shown(80, 24, &[run], &View::new(true)).join("\n");
    assert!(
        text.contains("loss NaN") && text.contains("divergence"),
        "{text}"
    );
    assert!(text.contains("4.99│"), "{text}");
}

#[test]
fn a_share_of_the_steps_moves_both_axes() {
    let runs = [run("main", 0.3)];
    let mut view = View::new(true);
    view.grant(Wish::Zoom, 1, 1);
    let text = shown(80, 24, &runs, &view).join("\n");
    // The chart shows the last 50 of 100 steps, so the loss begins at 5 - 50/100.
    assert!(
        text.contains("4.50│") && text.contains("    50  "),
        "{text}"
    );
    assert!(text.contains("z last half"), "{text}");
}

#[test]
fn another_depth_is_chosen_for_overlaid_runs() {
    let runs = [run("main", 0.3), run("bad-run-1", 0.3)];
    let mut view = View::new(true);
    assert!(
        shown(80, 24, &runs, &view)
            .join("\n")
            .contains("perplexity at depth 16")
    );
    view.grant(Wish::NextDepth, 2, 1);
    let text = shown(80, 24, &runs, &view).join("\n");
    assert!(
        text.contains("perplexity at depth 4") && text.contains("ppl@4"),
        "{text}"
    );
}

#[test]
fn many_runs_leave_room_for_the_charts() {
    let runs: Vec<Run> = (0..30).map(|n| run(&format!("peak={n}e-3"), 0.3)).collect();
    let mut view = View::new(true);
    let first = shown(80, 24, &runs, &view);
    assert!(
        first.join("\n").contains("loss ─") && first[23].contains("runs 1-6/30"),
        "{first:?}"
    );
    view.first = 29;
    let last = shown(80, 24, &runs, &view);
    assert!(
        last[23].contains("runs 25-30/30") && last[6].starts_with("peak=29e-3"),
        "{last:?}"
    );
}

#[test]
fn a_step_of_another_process_is_drawn_over_the_old_curve() {
    let mut run = run("main", 0.3);
    run.apply(Update {
        restarted: true,
        ..update(300, vec![step(1, 0.3), step(2, 0.3)])
    });
    let text = shown(80, 24, &[run], &View::new(true)).join("\n");
    assert!(
        text.contains("step 2/300") && !text.contains("299│"),
        "{text}"
    );
}

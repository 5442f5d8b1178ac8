#![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

use std::fs::{self, OpenOptions};
use std::io::Write;

use rondo_metrics::names::LOSS;

use std::path::Path;

use super::*;

fn line(step: u64, loss: f64) -> String {
    let mut draft = Record::train(step, 8 * step);
    draft.set(LOSS, loss);
    serde_json::to_string(&draft.finish()).unwrap() + "\n"
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn started() -> (tempfile::TempDir, Tail) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    append(&path, &(line(1, 5.0) + &line(2, 4.0)));
    (dir, Tail::new(path))
}

fn steps(look: &Look) -> Vec<u64> {
    look.records.iter().map(|record| record.step).collect()
}

#[test]
fn each_look_returns_only_what_was_appended() {
    let (_dir, mut tail) = started();
    assert_eq!(steps(&tail.look().unwrap().unwrap()), [1, 2]);
    assert!(tail.look().unwrap().is_none(), "nothing has changed");
    append(&tail.path, &line(3, 3.0));
    let look = tail.look().unwrap().unwrap();
    assert_eq!((steps(&look), look.restarted), (vec![3], false));
}

#[test]
fn a_line_is_read_once_it_is_whole() {
    let (_dir, mut tail) = started();
    tail.look().unwrap();
    let third = line(3, 3.0);
    append(&tail.path, &third[..20]);
    assert_eq!(steps(&tail.look().unwrap().unwrap()), [] as [u64; 0]);
    append(&tail.path, &third[20..]);
    assert_eq!(steps(&tail.look().unwrap().unwrap()), [3]);
}

#[test]
fn a_whole_record_without_the_end_of_its_line_is_read_once() {
    let (_dir, mut tail) = started();
    tail.look().unwrap();
    append(&tail.path, line(3, 3.0).trim_end());
    assert_eq!(steps(&tail.look().unwrap().unwrap()), [3]);
    append(&tail.path, &("\n".to_owned() + &line(4, 2.0)));
    let look = tail.look().unwrap().unwrap();
    assert_eq!((steps(&look), look.restarted), (vec![4], false));
}

#[test]
fn a_file_that_a_resume_has_cut_is_read_anew() {
    let (_dir, mut tail) = started();
    tail.look().unwrap();
    fs::write(&tail.path, line(1, 5.0)).unwrap();
    let look = tail.look().unwrap().unwrap();
    assert_eq!((steps(&look), look.restarted), (vec![1], true));
}

#[test]
fn a_file_that_was_cut_and_has_grown_again_is_read_anew() {
    let (_dir, mut tail) = started();
    tail.look().unwrap();
    fs::write(&tail.path, line(1, 5.0) + &line(2, 4.5) + &line(3, 3.5)).unwrap();
    let look = tail.look().unwrap().unwrap();
    assert_eq!((steps(&look), look.restarted), (vec![1, 2, 3], true));
}

#[test]
fn a_line_that_is_no_record_is_named_until_it_is_repaired() {
    let (_dir, mut tail) = started();
    append(&tail.path, "{\"step\":\n");
    let look = tail.look().unwrap().unwrap();
    let fault = look.fault.as_ref().unwrap().to_string();
    assert_eq!(steps(&look), [1, 2]);
    assert!(
        fault.contains("metrics.jsonl: line 3 is not a metrics record"),
        "{fault}"
    );
    fs::write(&tail.path, line(1, 5.0) + &line(2, 4.0) + &line(3, 3.0)).unwrap();
    let look = tail.look().unwrap().unwrap();
    assert_eq!((steps(&look), look.restarted), (vec![3], false));
    assert!(look.fault.is_none());
}

#[test]
fn a_long_file_is_read_in_portions() {
    let (_dir, mut tail) = started();
    let many: String = (3..80_000).map(|step| line(step, 1.0)).collect();
    assert!(many.len() as u64 > PORTION);
    append(&tail.path, &many);
    let (mut read, mut looks) = (0, 0);
    while let Some(look) = tail.look().unwrap() {
        read += look.records.len();
        looks += 1;
    }
    assert_eq!(read, 79_999);
    assert_eq!(looks as u64, (many.len() as u64).div_ceil(PORTION));
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_may_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut tail = Tail::new(dir.path().join("metrics.jsonl"));
    assert!(matches!(
        tail.look(),
        Err(JsonlError::Io { action: "open", .. })
    ));
    append(&tail.path, &line(1, 5.0));
    assert_eq!(steps(&tail.look().unwrap().unwrap()), [1]);
}

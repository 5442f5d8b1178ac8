//! Damaged or foreign folders are refused with a message that names the file, never with a panic.

use std::fs;
use std::path::{Path, PathBuf};

use super::{MODEL, PROGRESS, commit, contents, holds};
use crate::manifest::{FileRecord, MAX_MANIFEST, Manifest};
use crate::{CheckpointError, Which, open, open_newest_good};

/// Creates a run with one good checkpoint, of step 200.
fn good_run() -> (tempfile::TempDir, PathBuf) {
    let run = tempfile::tempdir().expect("a temporary folder");
    let path = commit(run.path(), 200, "v").expect("a checkpoint").path;
    (run, path)
}

fn refusal(run: &Path) -> CheckpointError {
    open(run, &Which::Latest).expect_err("the folder is not whole")
}

/// Checks that the folder is refused and that the message names `file`.
fn refused(run: &Path, file: &str) {
    let message = refusal(run).to_string();
    assert!(message.contains(file), "{message:?} should name {file}");
}

fn put_manifest(dir: &Path, files: Vec<FileRecord>) {
    let manifest = Manifest::new(200, "c", "someone", files).expect("a manifest");
    fs::write(dir.join("manifest.json"), manifest.to_json().expect("json")).expect("a manifest");
}

/// Returns every copy of `good` with one bit flipped.
fn flipped(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..good.len() * 8).map(|bit| {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    })
}

#[test]
fn every_flipped_bit_of_a_manifest_is_noticed() {
    let (_run, dir) = good_run();
    let path = dir.join("manifest.json");
    let good = fs::read(&path).expect("a good manifest");
    Manifest::parse(&good, &path).expect("a good manifest");
    for bad in flipped(&good) {
        let text = String::from_utf8_lossy(&bad);
        let error = Manifest::parse(&bad, &path).expect_err(&text).to_string();
        assert!(error.contains("manifest.json"), "{error}");
    }
}

#[test]
fn every_flipped_bit_of_every_other_file_is_noticed() {
    let (run, dir) = good_run();
    for name in [MODEL, PROGRESS] {
        let good = fs::read(dir.join(name)).expect("a good file");
        for bad in flipped(&good) {
            fs::write(dir.join(name), bad).expect("a flipped bit");
            refused(run.path(), name);
        }
        fs::write(dir.join(name), good).expect("the good file");
    }
    open(run.path(), &Which::Latest).expect("the restored checkpoint");
}

#[test]
fn every_truncation_and_an_extension_of_every_file_is_noticed() {
    let (run, dir) = good_run();
    for name in ["manifest.json", MODEL, PROGRESS] {
        let good = fs::read(dir.join(name)).expect("a good file");
        // The manifest's last byte is a newline. A manifest without it is still valid, so this
        // truncation is left out.
        let shortest_whole = good.len() - usize::from(name == "manifest.json");
        for length in 0..shortest_whole {
            fs::write(dir.join(name), &good[..length]).expect("a truncated file");
            refused(run.path(), name);
        }
        fs::write(dir.join(name), [&good[..], b"x"].concat()).expect("a longer file");
        refused(run.path(), name);
        fs::write(dir.join(name), good).expect("the good file");
    }
}

#[test]
fn swapped_missing_and_foreign_files_are_refused() {
    let (run, dir) = good_run();
    fs::rename(dir.join(MODEL), dir.join("swap")).expect("a rename");
    refused(run.path(), "swap");
    fs::rename(dir.join(PROGRESS), dir.join(MODEL)).expect("a rename");
    fs::rename(dir.join("swap"), dir.join(PROGRESS)).expect("a rename");
    assert!(matches!(refusal(run.path()), CheckpointError::Size { .. }));
    fs::remove_file(dir.join(PROGRESS)).expect("a removal");
    fs::write(dir.join(MODEL), &contents(200, "v")[0].1).expect("the good model");
    assert!(matches!(
        refusal(run.path()),
        CheckpointError::Missing { .. }
    ));
    refused(run.path(), PROGRESS);
    fs::write(dir.join(PROGRESS), &contents(200, "v")[1].1).expect("the good progress");
    open(run.path(), &Which::Latest).expect("the restored checkpoint");
    fs::create_dir(dir.join("extra")).expect("a foreign folder");
    assert!(matches!(
        refusal(run.path()),
        CheckpointError::Foreign { .. }
    ));
}

#[test]
fn a_damaged_file_is_reported_with_both_hashes() {
    let (run, dir) = good_run();
    let good = fs::read(dir.join(MODEL)).expect("the model");
    let bad = vec![b'?'; good.len()];
    fs::write(dir.join(MODEL), &bad).expect("a damaged model");
    let message = refusal(run.path()).to_string();
    for hash in [blake3::hash(&good), blake3::hash(&bad)] {
        assert!(message.contains(hash.to_hex().as_str()), "{message}");
    }
}

#[test]
fn a_file_that_changes_after_it_was_verified_is_not_handed_out() {
    let (run, dir) = good_run();
    let checkpoint = open(run.path(), &Which::Latest).expect("a good checkpoint");
    assert!(holds(&checkpoint, 200, "v"));
    let mut bytes = checkpoint.read(MODEL).expect("the good model");
    bytes[0] ^= 1;
    fs::write(dir.join(MODEL), bytes).expect("a damaged model");
    assert!(matches!(
        checkpoint.read(MODEL),
        Err(CheckpointError::Hash { .. })
    ));
    assert!(matches!(
        checkpoint.read("../latest"),
        Err(CheckpointError::Missing { .. })
    ));
}

#[test]
fn a_manifest_that_names_a_file_outside_its_folder_is_refused_however_well_it_is_sealed() {
    let (run, dir) = good_run();
    fs::write(run.path().join("secret"), "s").expect("a file outside");
    for name in ["../../secret", "/etc/passwd", "..", "a/b", "manifest.json"] {
        let blake3 = blake3::hash(b"s").to_hex().as_str().to_owned();
        put_manifest(
            &dir,
            vec![FileRecord {
                name: name.to_owned(),
                size: 1,
                blake3,
            }],
        );
        assert!(
            matches!(refusal(run.path()), CheckpointError::FileName { .. }),
            "{name}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_not_followed_even_to_the_right_content() {
    let (run, dir) = good_run();
    fs::rename(dir.join(MODEL), run.path().join("elsewhere")).expect("a rename");
    std::os::unix::fs::symlink(run.path().join("elsewhere"), dir.join(MODEL)).expect("a link");
    assert!(matches!(
        refusal(run.path()),
        CheckpointError::NotAFile { .. }
    ));
}

#[test]
fn a_folder_renamed_to_another_step_is_refused_and_opened_under_any_other_name() {
    let (run, dir) = good_run();
    let renamed = dir.with_file_name("step-00000400");
    fs::rename(&dir, &renamed).expect("a rename");
    let error = open(run.path(), &Which::Step(400)).expect_err("step 200 in disguise");
    assert!(
        matches!(
            error,
            CheckpointError::Step {
                expected: 400,
                actual: 200,
                ..
            }
        ),
        "{error}"
    );
    let copy = run.path().join("copy");
    fs::rename(&renamed, &copy).expect("a rename");
    assert_eq!(
        open(run.path(), &Which::Path(copy))
            .expect("a checkpoint")
            .step(),
        200
    );
}

#[test]
fn what_does_not_exist_is_not_found() {
    let run = tempfile::tempdir().expect("a temporary folder");
    let nowhere = run.path().join("nowhere");
    for which in [Which::Latest, Which::Step(3), Which::Path(nowhere)] {
        let error = open(run.path(), &which).expect_err("nothing is there");
        assert!(
            matches!(error, CheckpointError::NotFound { .. }),
            "{which:?}: {error}"
        );
    }
    assert!(
        open_newest_good(run.path())
            .expect("an empty run")
            .is_none()
    );
}

#[test]
fn a_manifest_beyond_the_cap_or_of_another_format_or_of_any_bytes_is_refused() {
    let (run, dir) = good_run();
    let path = dir.join("manifest.json");
    fs::File::create(&path)
        .and_then(|file| file.set_len(MAX_MANIFEST + 1))
        .expect("a huge file");
    assert!(matches!(
        refusal(run.path()),
        CheckpointError::ManifestTooLarge { .. }
    ));
    fs::write(&path, r#"{"format": 2, "shards": []}"#).expect("a manifest of the future");
    assert!(matches!(
        refusal(run.path()),
        CheckpointError::Format { actual: 2, .. }
    ));
    let nested = "[".repeat(100_000);
    for bytes in [
        "",
        "{",
        "null",
        "[]",
        "\u{0}",
        r#"{"format": -1}"#,
        r#"{"format": 1}"#,
        &nested,
    ] {
        fs::write(&path, bytes).expect("some bytes");
        assert!(
            matches!(refusal(run.path()), CheckpointError::Manifest { .. }),
            "{bytes:.20}"
        );
    }
}

#[test]
fn the_newest_good_one_is_found_behind_the_bad_ones_and_each_is_explained() {
    let run = tempfile::tempdir().expect("a temporary folder");
    let paths: Vec<_> = [100, 200, 300]
        .into_iter()
        .map(|step| commit(run.path(), step, "v").expect("a checkpoint").path)
        .collect();
    fs::remove_file(paths[2].join("manifest.json")).expect("a removal");
    fs::write(paths[1].join(MODEL), "short").expect("a damaged model");
    let (checkpoint, rejected) = open_newest_good(run.path())
        .expect("a good one")
        .expect("a checkpoint");
    assert!(holds(&checkpoint, 100, "v"));
    let reasons: Vec<_> = rejected.iter().map(ToString::to_string).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].starts_with("step 300: ") && reasons[0].contains("manifest.json"));
    assert!(reasons[1].starts_with("step 200: ") && reasons[1].contains(MODEL));

    fs::remove_file(paths[0].join(PROGRESS)).expect("a removal");
    let error = open_newest_good(run.path()).expect_err("none is good");
    assert!(matches!(&error, CheckpointError::NoneGood { rejected, .. } if rejected.len() == 3));
    assert!(error.to_string().contains(PROGRESS), "{error}");
}

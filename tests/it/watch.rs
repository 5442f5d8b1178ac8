//! Tests of `trainer watch`: without a terminal it prints a table, and a terminal that it used is
//! restored.

use std::fs;

use crate::harness::{assert_ok, copy_folder, refused, root, run, scratch};

const FINISHED: &str = "tests/golden/old-run/text";
const INTERRUPTED: &str = "tests/golden/old-run/task";

#[test]
fn where_there_is_no_terminal_there_is_one_table_without_an_escape_code() {
    let ended = run(["watch", FINISHED, INTERRUPTED]);
    assert_ok(&ended);
    assert_eq!(ended.stderr, "");
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        words[0],
        [
            "run", "verdict", "step", "loss", "ppl@1", "ppl@4", "ppl@8", "corr", "lr", "r",
            "speed", "time", "last", "event"
        ]
    );
    assert_eq!(
        words[2],
        [
            "text",
            "healthy",
            "8/8",
            "5.219",
            "207.4",
            "186.1",
            "182.3",
            "0.67",
            "0",
            "2+2",
            "42.7k",
            "tok/s",
            "finished",
            "8",
            "checkpoint"
        ]
    );
    assert_eq!(
        words[3][..5],
        ["task", "healthy", "6/20", "1.867", "6.526"],
        "{ended:?}"
    );
    assert_eq!(lines.len(), 4, "{ended:?}");
}

#[test]
fn a_run_that_has_not_begun_is_a_row_and_a_folder_that_is_not_there_is_refused() {
    let dir = scratch();
    let path = dir.path().display().to_string();
    let ended = run(["watch", &path]);
    assert_ok(&ended);
    assert!(ended.stdout.contains("no records yet"), "{ended:?}");
    refused(
        &run(["watch", "runs/nowhere"]),
        2,
        &["runs/nowhere is not a run directory"],
    );
    refused(
        &run(["watch", &path, "--interval", "0"]),
        2,
        &["--interval", "0.1 to 3600"],
    );
}

#[test]
fn the_metrics_of_a_run_are_enough_and_what_is_missing_is_told() {
    let dir = scratch();
    fs::copy(
        root().join(FINISHED).join("metrics.jsonl"),
        dir.path().join("metrics.jsonl"),
    )
    .expect("a copy");
    let ended = run(["watch", &dir.path().display().to_string()]);
    assert_ok(&ended);
    assert!(
        ended
            .stderr
            .contains("no config.toml: no number of steps, default thresholds"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains(" 8  5.219"), "{ended:?}");
}

#[test]
fn a_damaged_line_is_named() {
    let dir = scratch();
    let run_dir = dir.path().join("run");
    copy_folder(&root().join(FINISHED), &run_dir);
    let metrics = run_dir.join("metrics.jsonl");
    let text = fs::read_to_string(&metrics).expect("metrics");
    fs::write(&metrics, text.replacen("{\"step\":4,", "{\"step\":x,", 1)).expect("a file");
    let ended = run(["watch", &run_dir.display().to_string()]);
    refused(
        &ended,
        1,
        &["metrics.jsonl: line 3 is not a metrics record"],
    );
}

#[test]
fn a_sweep_stands_for_its_runs() {
    let dir = scratch();
    let sweep = dir.path().join("sweep");
    fs::create_dir_all(&sweep).expect("a folder");
    fs::write(
        sweep.join("sweep.toml"),
        "base = \"main.toml\"\nseeds = [0, 1]\n",
    )
    .expect("a file");
    let ended = run(["watch", &sweep.display().to_string()]);
    assert_ok(&ended);
    assert_eq!(
        ended.stdout.matches("no records yet").count(),
        2,
        "{ended:?}"
    );
}

/// Runs the program in a separate terminal, which the command `script` makes.
#[cfg(target_os = "linux")]
mod terminal {
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::FINISHED;
    use crate::harness::{copy_folder, root, scratch};

    /// The shell commands in the terminal. They save the terminal's modes before and after the
    /// program, the program's process id, and its exit code.
    const SHELL: &str = "stty rows 24 cols 80; stty -g > before; sh -c 'echo $$ > pid; exec \"$TRAINER\" watch run'; \
                         echo $? > code; stty -g > after";

    struct Watched {
        dir: TempDir,
        script: Child,
    }

    impl Watched {
        /// Starts watching a finished run. If there is no `script` command, prints a message and
        /// returns `None`.
        fn start() -> Option<Self> {
            let dir = scratch();
            copy_folder(&root().join(FINISHED), &dir.path().join("run"));
            let screen = File::create(dir.path().join("screen")).expect("a file");
            let script = Command::new("script")
                .args(["-qfc", SHELL, "/dev/null"])
                .current_dir(dir.path())
                .env("TRAINER", env!("CARGO_BIN_EXE_trainer"))
                .env("TERM", "xterm")
                .env("SHELL", "/bin/sh")
                .env_remove("NO_COLOR")
                .stdin(Stdio::piped())
                .stdout(screen)
                .spawn();
            match script {
                Ok(script) => Some(Self { dir, script }),
                Err(error) => {
                    // The message is written directly to standard error, because the test harness
                    // hides the output of a passing test.
                    let _ = writeln!(
                        std::io::stderr(),
                        "skipped: no `script` to make a terminal: {error}"
                    );
                    None
                }
            }
        }

        fn text(&self, name: &str) -> String {
            let bytes = fs::read(self.path(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn wait_for(&self, name: &str, part: &str) {
            let begun = Instant::now();
            while !self.text(name).contains(part) {
                assert!(
                    begun.elapsed() < Duration::from_mins(2),
                    "{part:?} in {:?}",
                    self.text(name)
                );
                sleep(Duration::from_millis(20));
            }
        }

        /// Waits for the end of the program. Returns the exit code, and the output after the last
        /// frame.
        #[track_caller]
        fn ended(mut self) -> (String, String) {
            self.wait_for("after", "\n");
            drop(self.script.stdin.take());
            self.script.wait().expect("script ends");
            assert_eq!(
                self.text("before"),
                self.text("after"),
                "the modes of the terminal"
            );
            let screen = self.text("screen");
            // The private modes of DEC terminals: 1049 is the alternate screen and 25 is the
            // cursor; `h` sets a mode and `l` resets it.
            let (_, drawn) = screen.split_once("\u{1b}[?1049h").expect("a second screen");
            let (_, after) = drawn
                .split_once("\u{1b}[?1049l")
                .expect("the first screen comes back");
            assert!(after.contains("\u{1b}[?25h"), "the cursor: {after:?}");
            assert!(!after.contains("1049h"), "{after:?}");
            (self.text("code").trim().to_owned(), after.to_owned())
        }
    }

    #[test]
    fn a_key_ends_the_view_and_gives_the_terminal_back() {
        for key in ["q", "\u{3}"] {
            let Some(mut watched) = Watched::start() else {
                return;
            };
            watched.wait_for("screen", "120ms");
            let stdin = watched.script.stdin.as_mut().expect("a pipe");
            stdin.write_all(key.as_bytes()).expect("a key");
            let (code, _) = watched.ended();
            assert_eq!(code, "0", "{key:?}");
        }
    }

    #[test]
    fn a_signal_ends_the_view_and_gives_the_terminal_back() {
        let Some(watched) = Watched::start() else {
            return;
        };
        watched.wait_for("screen", "120ms");
        let pid = watched.text("pid");
        let sent = Command::new("kill").args(["-TERM", pid.trim()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        let (code, after) = watched.ended();
        assert_eq!(code, "75");
        assert!(
            after.contains("error:") && after.contains(" a signal ended the view"),
            "{after:?}"
        );
    }

    #[test]
    fn records_that_are_appended_are_drawn() {
        let Some(mut watched) = Watched::start() else {
            return;
        };
        watched.wait_for("screen", "120ms");
        let mut metrics = File::options()
            .append(true)
            .open(watched.path("run/metrics.jsonl"))
            .expect("metrics");
        let line = "{\"step\":9,\"tokens\":9,\"kind\":\"event\",\"metrics\":{\"event\":\"loss-spike\",\"loss\":7.0625}}\n";
        metrics.write_all(line.as_bytes()).expect("a line");
        watched.wait_for("screen", "7.062");
        let stdin = watched.script.stdin.as_mut().expect("a pipe");
        stdin.write_all(b"q").expect("a key");
        assert_eq!(watched.ended().0, "0");
    }
}

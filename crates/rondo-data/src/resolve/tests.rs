use super::*;

fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside the folder")).expect("writable");
        fs::write(path, "text").expect("writable");
    }
    folder
}

/// Returns the files that are found for a path below the folder, relative to the folder, and the
/// notices.
fn found(folder: &tempfile::TempDir, path: &str) -> Result<(Vec<String>, Vec<String>), DataError> {
    let mut notices = Notices::default();
    let path = folder.path().join(path).display().to_string();
    let files = files(&[path], &mut notices)?;
    let relative = |file: &PathBuf| {
        let file = file.strip_prefix(folder.path()).expect("inside the folder");
        file.display().to_string()
    };
    Ok((files.iter().map(relative).collect(), notices.lines()))
}

#[test]
fn names_with_marks_of_globs_are_taken_as_they_are_written() {
    let folder = folder(&[
        "set [v2]/a.txt",
        "set [v2]/b [1].txt",
        "set [v2]/deep/c.txt",
        "why?/d*.txt",
        "set v/e.txt",
        "x[1]/y[2]/z[3].md",
    ]);
    for (path, expected) in [
        (
            "set [v2]/*.txt",
            &["set [v2]/a.txt", "set [v2]/b [1].txt"][..],
        ),
        (
            "set [v2]/**/*.txt",
            &[
                "set [v2]/a.txt",
                "set [v2]/b [1].txt",
                "set [v2]/deep/c.txt",
            ],
        ),
        ("set [v2]/b [1].*", &["set [v2]/b [1].txt"]),
        ("set [v2]/b [1].txt", &["set [v2]/b [1].txt"]),
        ("*/b [1].txt", &["set [v2]/b [1].txt"]),
        ("why?/d*.txt", &["why?/d*.txt"]),
        ("why?/*.txt", &["why?/d*.txt"]),
        ("set [uvw]/*.txt", &["set v/e.txt"]),
        ("x[1]/y[2]/*.md", &["x[1]/y[2]/z[3].md"]),
        ("x[1]/*/z[3].m?", &["x[1]/y[2]/z[3].md"]),
        ("**/e.txt", &["set v/e.txt"]),
        ("set [v2]/de*", &["set [v2]/deep/c.txt"]),
    ] {
        assert_eq!(found(&folder, path).expect(path).0, expected, "{path}");
    }
    for path in ["set [v2]/*.md", "set [xyz]/*.txt", "*/none.txt", "a[.txt"] {
        let error = found(&folder, path).expect_err(path).to_string();
        assert!(error.contains(path), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn links_that_lead_nowhere_or_back_are_passed_over_with_a_word() {
    use std::os::unix::fs::symlink;
    let folder = folder(&["a/one.txt", "b/two.txt"]);
    let at = |name: &str| folder.path().join(name);
    symlink("nothing", at("a/dangling.txt")).expect("a link");
    symlink("itself.txt", at("a/itself.txt")).expect("a link");
    symlink("one.txt/below", at("a/below.txt")).expect("a link");
    symlink(".", at("a/loop")).expect("a link");
    symlink("one.txt", at("a/linked.txt")).expect("a link");
    for (path, kinds) in [("a", 2), ("a/*.txt", 1)] {
        let (files, notices) = found(&folder, path).expect(path);
        assert_eq!(files, ["a/linked.txt", "a/one.txt"], "{path}");
        assert_eq!(notices.len(), kinds, "{notices:?}");
        assert!(
            notices[0].contains("does not exist") && notices[0].contains("(and 2 more)"),
            "{notices:?}"
        );
    }
    let (_, notices) = found(&folder, "a").expect("two files");
    assert!(notices[1].contains("a link back"), "{notices:?}");
    let error = found(&folder, "a/dangling.txt")
        .expect_err("named")
        .to_string();
    assert!(error.contains("dangling.txt"), "{error}");
}

#[test]
#[cfg(unix)]
fn sockets_are_passed_over_in_a_folder_and_refused_by_name() {
    use std::os::unix::net::UnixListener;
    let folder = folder(&["one.txt"]);
    let _socket = UnixListener::bind(folder.path().join("socket")).expect("a socket");
    let (files, notices) = found(&folder, "").expect("one file");
    assert_eq!(files, ["one.txt"]);
    assert!(notices[0].contains("a socket"), "{notices:?}");
    for path in ["socket", "/dev/null"] {
        let error = found(&folder, path).expect_err(path).to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn a_named_pipe_is_refused_before_it_is_opened() {
    let folder = folder(&["one.txt"]);
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    let error = found(&folder, "pipe").expect_err("a pipe").to_string();
    assert!(error.contains("pipe: not a regular file"), "{error}");
    let (files, notices) = found(&folder, "").expect("one file");
    assert_eq!((files.len(), notices.len()), (1, 1));
}

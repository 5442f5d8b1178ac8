//! Checks the pages of the book, the README and the files beside it: the target of every link must
//! exist.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::root;

/// Returns the folder of the book's pages.
fn pages_dir() -> PathBuf {
    root().join("crates/rondo-trainer/book/src")
}

/// Returns the book's Markdown files, including SUMMARY.md.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = fs::read_dir(pages_dir())
        .expect("the book's pages")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// Returns the lines of a Markdown file outside its code blocks.
fn prose(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut in_code = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !in_code && !fence
        })
        .map(str::to_owned)
        .collect()
}

/// Returns the targets of the inline links and images in a file.
fn targets(file: &Path) -> Vec<String> {
    let lines = prose(file);
    lines
        .iter()
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// Returns the fragments that link to the headings of a file, spelt as GitHub and mdBook do: in
/// lower case, with `-` for each space, and without other punctuation.
fn fragments(file: &Path) -> HashSet<String> {
    prose(file)
        .iter()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| heading.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.replace(' ', "-"))
        .map(|heading| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
            heading.chars().filter(kept).collect()
        })
        .collect()
}

/// Describes what is wrong with a link in `file`; `None` if the link is correct.
fn fault(file: &Path, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let named = match path {
        "" => file.to_owned(),
        _ => file.parent().expect("a file has a folder").join(path),
    };
    if !named.exists() {
        return Some("no such file".to_owned());
    }
    if !fragment.is_empty() && !fragments(&named).contains(fragment) {
        return Some("no such heading".to_owned());
    }
    // mdBook changes the extension `.md` of every link to `.html`.
    let leaves_the_book = file.starts_with(pages_dir()) && path.starts_with("../");
    let is_markdown = named.extension().is_some_and(|extension| extension == "md");
    (leaves_the_book && is_markdown).then(|| "a Markdown file outside the book".to_owned())
}

#[test]
fn every_link_of_the_book_and_of_the_files_at_the_root_names_what_exists() {
    let mut files = pages();
    files.extend(
        [
            "README.md",
            "CHANGELOG.md",
            ".github/CONTRIBUTING.md",
            ".github/SECURITY.md",
        ]
        .map(|name| root().join(name)),
    );
    let mut faults = Vec::new();
    for file in &files {
        let found = targets(file);
        assert!(!found.is_empty(), "{} has no links", file.display());
        faults.extend(found.iter().filter_map(|target| {
            let fault = fault(file, target)?;
            Some(format!("{}: {target}: {fault}", file.display()))
        }));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_readme_has_at_most_150_lines_and_the_introduction_links_to_every_page() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.lines().count() <= 150);
    let introduction = pages_dir().join("introduction.md");
    let linked: HashSet<String> = targets(&introduction).into_iter().collect();
    for page in pages() {
        let name = page.file_name().expect("a name").to_string_lossy();
        let is_itself = matches!(name.as_ref(), "introduction.md" | "SUMMARY.md");
        assert!(is_itself || linked.contains(name.as_ref()), "{name}");
    }
}

#[test]
fn the_changelog_and_the_citation_name_the_version() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("a file at the root");
    assert!(read("CHANGELOG.md").contains(&format!("\n## [{version}] - ")));
    assert!(read("CITATION.cff").contains(&format!("\nversion: {version}\n")));
}

#[test]
fn the_summary_lists_every_page() {
    let summary = pages_dir().join("SUMMARY.md");
    let listed: HashSet<PathBuf> = targets(&summary)
        .iter()
        .map(|target| pages_dir().join(target))
        .collect();
    let there: HashSet<PathBuf> = pages()
        .into_iter()
        .filter(|page| *page != summary)
        .collect();
    assert_eq!(listed, there);
}

//! Data sets of the Hugging Face Hub: files of a repository at a revision, kept in the ordinary
//! cache of the Hub.
//!
//! The cache is shared with Python's `huggingface_hub`: `HF_HUB_CACHE`, `HF_HOME/hub` or
//! `~/.cache/huggingface/hub`. `HF_ENDPOINT` sets another server. With `HF_HUB_OFFLINE`, or if the
//! server cannot be reached, only the cache is used. The client needs the feature `hub`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::prepare::Tell;

/// Files of a data set's repository.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct HubFiles {
    /// The repository: `OWNER/NAME`.
    pub repo: String,
    /// A branch, a tag or a commit.
    #[serde(default = "main_branch")]
    pub revision: String,
    /// Names and globs of the files, in the order in which they are read.
    pub files: Vec<String>,
}

fn main_branch() -> String {
    "main".to_owned()
}

impl HubFiles {
    /// Returns the files of a repository given as `OWNER/NAME` or `OWNER/NAME@REVISION`.
    pub fn named(name: &str, files: &[String]) -> Self {
        let (repo, revision) = match name.split_once('@') {
            Some((repo, revision)) => (repo, revision.to_owned()),
            None => (name, main_branch()),
        };
        Self {
            repo: repo.to_owned(),
            revision,
            files: files.to_vec(),
        }
    }

    /// Returns the paths of the files in the cache; downloads the missing files.
    ///
    /// # Errors
    ///
    /// If a file is neither in the cache nor can be downloaded, or if a pattern matches no file.
    #[cfg(feature = "hub")]
    pub(crate) fn paths(&self, progress: Tell<'_>) -> Result<Vec<String>, DataError> {
        client::Client::from_env()?.paths(self, progress)
    }

    /// Refuses the files: this build has no client.
    #[cfg(not(feature = "hub"))]
    pub(crate) fn paths(&self, _: Tell<'_>) -> Result<Vec<String>, DataError> {
        Err(DataError::Corpus(format!(
            "data.hub (--hub) names {}, and this build does not reach the Hugging Face Hub; build it with \
             `--features hub`, or name downloaded files in data.paths",
            self.repo
        )))
    }
}

#[cfg(feature = "hub")]
mod client {
    use std::env;
    use std::fmt::Display;
    use std::path::{Path, PathBuf};

    use glob::{MatchOptions, Pattern};
    use hf_hub::api::Progress;
    use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
    use hf_hub::{Cache, Repo, RepoType};
    use walkdir::WalkDir;

    use super::HubFiles;
    use crate::error::DataError;
    use crate::prepare::{PreparePhase, PrepareProgress, Tell};

    /// How often an interrupted download is retried.
    const RETRIES: usize = 3;

    /// `*` does not match `/`, as in a glob of paths.
    const MATCHING: MatchOptions = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };

    /// The cache and, unless the environment excludes it, the server.
    pub(super) struct Client {
        pub(super) cache: Cache,
        /// `None` if the environment allows only the cache.
        pub(super) api: Option<Api>,
    }

    impl Client {
        /// Returns the client for the settings in the environment.
        pub(super) fn from_env() -> Result<Self, DataError> {
            let cache = match env::var_os("HF_HUB_CACHE") {
                Some(path) => Cache::new(path.into()),
                None => Cache::from_env(),
            };
            let offline = env::var("HF_HUB_OFFLINE").is_ok_and(|value| {
                ["1", "on", "true", "yes"].contains(&value.to_ascii_lowercase().as_str())
            });
            if offline {
                return Ok(Self { cache, api: None });
            }
            let endpoint = env::var("HF_ENDPOINT").ok();
            let token = env::var("HF_TOKEN")
                .ok()
                .or_else(|| Cache::from_env().token());
            Self::of(cache, endpoint, token)
        }

        /// Returns a client of the given server, or of the Hub.
        pub(super) fn of(
            cache: Cache,
            endpoint: Option<String>,
            token: Option<String>,
        ) -> Result<Self, DataError> {
            let mut builder = ApiBuilder::from_cache(cache.clone())
                .with_progress(false)
                .with_retries(RETRIES)
                .with_token(token);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            let api = builder
                .build()
                .map_err(|error| DataError::Corpus(format!("the Hugging Face Hub: {error}")))?;
            Ok(Self {
                cache,
                api: Some(api),
            })
        }

        /// Returns the paths of the files in the cache. `progress` can stop the work between two
        /// downloads.
        pub(super) fn paths(
            &self,
            wanted: &HubFiles,
            progress: Tell<'_>,
        ) -> Result<Vec<String>, DataError> {
            let refuse = |message: String| {
                let HubFiles { repo, revision, .. } = wanted;
                DataError::Corpus(format!("data.hub (--hub) {repo} at {revision}: {message}"))
            };
            let Some(api) = &self.api else {
                return self
                    .cached(wanted)
                    .map_err(|missing| refuse(format!("HF_HUB_OFFLINE is set, and {missing}")));
            };
            let repo = repo_at(wanted, &wanted.revision);
            let info = match api.repo(repo.clone()).info() {
                Ok(info) => info,
                Err(error) if is_answer(&error) => {
                    return Err(refuse(format!(
                        "the server says {error}; a private repository needs HF_TOKEN"
                    )));
                }
                Err(error) => {
                    return self.cached(wanted).map_err(|missing| {
                        refuse(format!(
                            "the server cannot be reached ({error}), and {missing}"
                        ))
                    });
                }
            };
            let names = info
                .siblings
                .into_iter()
                .map(|file| file.rfilename)
                .collect();
            let chosen = choose(wanted, names).map_err(&refuse)?;
            // All files come from one commit, even if the branch changes meanwhile.
            let commit = api.repo(repo_at(wanted, &info.sha));
            let in_cache = self.cache.repo(repo_at(wanted, &info.sha));
            let mut paths = Vec::new();
            for (index, name) in chosen.iter().enumerate() {
                let at = match in_cache.get(name) {
                    Some(path) => path,
                    None => {
                        let mut bar = Bar {
                            at: PrepareProgress {
                                phase: PreparePhase::Downloading {
                                    file: index + 1,
                                    files: chosen.len(),
                                },
                                done: 0,
                                total: 0,
                            },
                            progress: &mut *progress,
                            stop: false,
                        };
                        let at = commit.download_with_progress(name, &mut bar);
                        if bar.stop {
                            return Err(DataError::Interrupted);
                        }
                        at.map_err(|error| refuse(format!("{name}: {error}")))?
                    }
                };
                paths.push(at.display().to_string());
            }
            let named = self.cache.repo(repo).create_ref(&info.sha);
            named.map_err(|error| refuse(format!("cannot write to the cache: {error}")))?;
            Ok(paths)
        }

        /// Returns the paths of the files in the cache, or says what is missing.
        fn cached(&self, wanted: &HubFiles) -> Result<Vec<String>, String> {
            let folder = self.snapshot(wanted).ok_or_else(|| {
                format!(
                    "the cache {} has no such revision of it",
                    self.cache.path().display()
                )
            })?;
            let files = WalkDir::new(&folder).follow_links(true).sort_by_file_name();
            let names = files.into_iter().flatten().filter_map(|entry| {
                let inside = entry.path().strip_prefix(&folder).ok()?;
                entry.file_type().is_file().then(|| {
                    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
                    parts.join("/")
                })
            });
            let chosen = choose(wanted, names.collect())
                .map_err(|missing| format!("in the cache {}, {missing}", folder.display()))?;
            let path = |name: &String| folder.join(name).display().to_string();
            Ok(chosen.iter().map(path).collect())
        }

        /// Returns the cache folder of the revision.
        fn snapshot(&self, wanted: &HubFiles) -> Option<PathBuf> {
            let repo = repo_at(wanted, &wanted.revision);
            let root = self.cache.path().join(repo.folder_name());
            let named = std::fs::read_to_string(root.join("refs").join(&wanted.revision));
            let commit =
                named.map_or_else(|_| wanted.revision.clone(), |text| text.trim().to_owned());
            let folder = self.cache.repo(repo).pointer_path(&commit);
            folder.is_dir().then_some(folder)
        }
    }

    /// The progress of a file's download.
    struct Bar<'a> {
        at: PrepareProgress,
        progress: Tell<'a>,
        /// Whether to stop. A running download cannot be stopped, but the next download does not
        /// start.
        stop: bool,
    }

    impl Bar<'_> {
        fn tell(&mut self) {
            self.stop |= (self.progress)(self.at).is_break();
        }
    }

    impl Progress for &mut Bar<'_> {
        fn init(&mut self, size: usize, _: &str) {
            (self.at.done, self.at.total) = (0, size as u64);
            self.tell();
        }

        fn update(&mut self, size: usize) {
            self.at.done += size as u64;
            self.tell();
        }

        fn finish(&mut self) {}
    }

    fn repo_at(wanted: &HubFiles, revision: &str) -> Repo {
        Repo::with_revision(wanted.repo.clone(), RepoType::Dataset, revision.to_owned())
    }

    /// Returns whether the server answered with an error status.
    fn is_answer(error: &ApiError) -> bool {
        matches!(error, ApiError::RequestError(error) if matches!(**error, ureq::Error::StatusCode(_)))
    }

    /// Returns the names that match the patterns: in the order of the patterns, and sorted within
    /// each pattern.
    fn choose(wanted: &HubFiles, mut names: Vec<String>) -> Result<Vec<String>, String> {
        names.sort();
        let mut chosen: Vec<String> = Vec::new();
        for text in &wanted.files {
            let pattern = Pattern::new(text).map_err(|error| explain(text, &error))?;
            let matched = names
                .iter()
                .filter(|name| *name == text || pattern.matches_with(name, MATCHING));
            let before = chosen.len();
            let mut again = false;
            for name in matched {
                // A name that leads out of the folder is not a file of the repository.
                let is_inside = Path::new(name)
                    .components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)));
                again |= chosen.contains(name);
                if is_inside && !chosen.contains(name) {
                    chosen.push(name.clone());
                }
            }
            if chosen.len() == before && !again {
                let some: Vec<&str> = names.iter().map(String::as_str).take(8).collect();
                return Err(format!(
                    "no file matches `{text}`; there are {} files, among them {}",
                    names.len(),
                    some.join(", ")
                ));
            }
        }
        Ok(chosen)
    }

    fn explain(pattern: &str, error: &dyn Display) -> String {
        format!("`{pattern}`: {error}")
    }
}

#[cfg(all(test, feature = "hub"))]
mod tests;

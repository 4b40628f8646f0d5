//! Files that a service wrote.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every file and folder below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut paths, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("readable");
        let entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        folders.extend(entries.iter().filter(|path| path.is_dir()).cloned());
        paths.extend(entries);
    }
    paths
}

/// The files below a folder that contain this text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let contains = |path: &PathBuf| {
        let bytes = fs::read(path).expect("readable");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files_below(folder).into_iter().filter(|path| path.is_file()).filter(contains).collect()
}

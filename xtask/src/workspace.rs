//! What cargo and git know of the workspace.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::output;

/// The packages of the workspace, and where cargo puts what it builds.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target_dir: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    /// The names of the packages that it needs, without those that only its tests need.
    pub(crate) dependencies: Vec<String>,
    /// The root files of its library and its programs, without those of tests and examples.
    pub(crate) roots: Vec<PathBuf>,
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let metadata = output(Command::new(cargo()).args(["metadata", "--format-version=1", "--no-deps"]))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        Ok(Self {
            root: path(&metadata["workspace_root"])?,
            target_dir: path(&metadata["target_directory"])?,
            packages: list(&metadata["packages"]).map(Package::read).collect::<Result<_>>()?,
        })
    }

    /// The package that a file belongs to, if any.
    pub(crate) fn package_of(&self, file: &Path) -> Option<&Package> {
        let holds = |package: &&Package| file.starts_with(&package.dir);
        self.packages.iter().filter(holds).max_by_key(|package| package.dir.as_os_str().len())
    }

    /// The files that git tracks or would add, relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]);
        let names = output(git.current_dir(&self.root))?;
        let files = names.split_terminator('\0').map(PathBuf::from);
        Ok(files.filter(|file| self.root.join(file).is_file()).collect())
    }
}

impl Package {
    fn read(package: &Value) -> Result<Self> {
        let manifest = path(&package["manifest_path"])?;
        let is_shipped =
            |target: &&Value| list(&target["kind"]).any(|kind| ["lib", "bin"].iter().any(|name| kind == name));
        let is_needed = |dependency: &&Value| dependency["kind"] != "dev";
        Ok(Self {
            name: text(&package["name"])?,
            dir: manifest.parent().context("a manifest has no folder")?.to_owned(),
            dependencies: list(&package["dependencies"])
                .filter(is_needed)
                .map(|dependency| text(&dependency["name"]))
                .collect::<Result<_>>()?,
            roots: list(&package["targets"])
                .filter(is_shipped)
                .map(|target| path(&target["src_path"]))
                .collect::<Result<_>>()?,
        })
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("cargo metadata lacks a text")
}

fn path(value: &Value) -> Result<PathBuf> {
    text(value).map(PathBuf::from)
}

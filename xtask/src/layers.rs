//! `cargo xtask layers`: fails where a crate or a module uses another against docs/ARCHITECTURE.md, or where modules use each other in a
//! circle. Only code counts that is compiled without `cfg(test)`.

mod body;
mod circles;
mod modules;

use std::{collections::BTreeSet, fs, path::Path, process::ExitCode};

use anyhow::Result;

use self::{
    circles::{Graph, circles, describe},
    modules::{Arrow, Crate, Module},
};
use crate::workspace::{Package, Workspace};

/// The crates, from the highest layer to the lowest. A crate may use those of the layers below its own.
const CRATES: &[&[&str]] = &[
    &["faceofmind"],
    &["faceofmind-system"],
    &["faceofmind-domain"],
    &["faceofmind-platform"],
    // What tests share. Only tests depend on it.
    &["faceofmind-testing"],
    &["faceofmind-model", "faceofmind-db", "faceofmind-runtime"],
    &["faceofmind-base"],
];

/// The crates of developer commands belong to no layer: they use no other crate, and no other uses them.
const TOOLS: [&str; 2] = ["xtask", "bench-references"];

/// Stands for every module of a crate.
const ANY: &str = "*";

/// A module, and the modules of its crate that it may use: all for [`ANY`].
type Uses = (&'static str, &'static [&'static str]);

/// Crates in which a module may use the modules that stand beside it here, and no other. Each may use those beside [`ANY`].
const MODULES: &[(&str, &[Uses])] = &[
    (
        "faceofmind-domain",
        &[
            // A module that writes rows of a user locks the account.
            (ANY, &["accounts"]),
            ("sessions", &["suggestions"]),
        ],
    ),
    (
        "faceofmind-platform",
        &[
            (ANY, &["dependency", "keyed_hash"]),
            ("otp", &["rate_limit", "redis"]),
            ("rate_limit", &["redis"]),
            ("outbox", &["nats"]),
            ("auth_cache", &["nats", "login_store"]),
            ("idempotency", &["encryption"]),
            ("mail", &["encryption"]),
            // Wires all of them.
            ("platform", &[ANY]),
            // What tests of this crate and of those above it share.
            ("testing", &[ANY]),
        ],
    ),
];

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let mut faults = crate_faults(&workspace.packages);
    for package in &workspace.packages {
        for root in &package.roots {
            let krate = Crate::read(root, &|file| fs::read_to_string(file).ok())?;
            faults.extend(Names::new(&krate, &workspace.root).faults(&package.name));
        }
    }
    for fault in &faults {
        println!("{fault}");
    }
    eprintln!("{} faults in the layers", faults.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn crate_faults(packages: &[Package]) -> Vec<String> {
    let is_ours = |name: &&String| packages.iter().any(|package| package.name == **name);
    let mut faults = Vec::new();
    for Package { name, dependencies, .. } in packages {
        let layer = layer(name);
        if layer.is_none() && !TOOLS.contains(&name.as_str()) {
            faults.push(format!("crate {name} has no layer"));
        }
        let dependencies: BTreeSet<_> = dependencies.iter().filter(is_ours).collect();
        let is_wrong = |used: &&&String| layer.zip(self::layer(used)).is_none_or(|(own, used)| used <= own);
        faults
            .extend(dependencies.iter().filter(is_wrong).map(|used| format!("crate {name} may not use crate {used}")));
    }
    faults
}

fn layer(name: &str) -> Option<usize> {
    CRATES.iter().position(|layer| layer.contains(&name))
}

/// The modules of a crate with the names by which people find them.
struct Names<'a> {
    krate: &'a Crate,
    /// The file of each module, relative to the root of the workspace.
    files: Vec<String>,
}

impl<'a> Names<'a> {
    fn new(krate: &'a Crate, root: &Path) -> Self {
        let file = |module: &Module| module.file.strip_prefix(root).unwrap_or(&module.file).display().to_string();
        Self { krate, files: krate.modules.iter().map(file).collect() }
    }

    /// The module below the root in which a module is, or the root's file.
    fn top(&self, module: usize) -> &str {
        self.krate.modules[module].path.first().unwrap_or(&self.files[0])
    }

    fn place(&self, arrow: &Arrow) -> String {
        format!("{}:{}", self.files[arrow.from], arrow.line)
    }

    /// The folder in which the submodules of a file stand; for a file without submodules, the folder in which it stands.
    fn folder(&self, file: &str) -> &[String] {
        let is_file = |module: &&Module| self.files[module.index] == file;
        let Some(module) = self.krate.modules.iter().find(is_file) else { return &[] };
        let has_folder = module.children.values().any(|child| self.files[*child] != file);
        let folder = if has_folder { module } else { &self.krate.modules[module.parent] };
        &folder.path
    }

    fn faults(&self, package: &str) -> Vec<String> {
        let arrows = self.krate.arrows();
        let mut faults = self.forbidden(package, &arrows.written);
        faults.extend(self.module_circles(&arrows.written));
        faults.extend(self.file_circles(&arrows.resolved));
        faults
    }

    /// The arrows that [`MODULES`] does not list, in the crates that stand there.
    fn forbidden(&self, package: &str, arrows: &BTreeSet<Arrow>) -> Vec<String> {
        let Some((_, table)) = MODULES.iter().find(|(name, _)| *name == package) else { return Vec::new() };
        let is_allowed = |from: &str, to: &str| {
            table
                .iter()
                .any(|(module, uses)| [from, ANY].contains(module) && [to, ANY].iter().any(|used| uses.contains(used)))
        };
        let arrows = arrows.iter().map(|arrow| (self.top(arrow.from), self.top(arrow.to), arrow));
        // The root declares the modules and may name all of them.
        let sideways = arrows.filter(|(from, to, arrow)| from != to && !self.krate.modules[arrow.from].path.is_empty());
        let forbidden = sideways.filter(|(from, to, _)| !is_allowed(from, to));
        forbidden.map(|(from, to, arrow)| format!("{}: {from} may not use {to}", self.place(arrow))).collect()
    }

    fn module_circles(&self, arrows: &BTreeSet<Arrow>) -> Vec<String> {
        let mut graph = Graph::new();
        for arrow in arrows {
            let (from, to) = (self.top(arrow.from), self.top(arrow.to));
            if from != to {
                let place = || format!("{from} ({})", self.place(arrow));
                graph.entry(from).or_default().entry(to).or_insert_with(place);
            }
        }
        described("modules", &graph, |_, _| true)
    }

    /// Circles through files of different folders in one module.
    fn file_circles(&self, arrows: &BTreeSet<Arrow>) -> Vec<String> {
        let mut graph = Graph::new();
        for arrow in arrows {
            let (from, to) = (self.files[arrow.from].as_str(), self.files[arrow.to].as_str());
            if from != to {
                graph.entry(from).or_default().entry(to).or_insert_with(|| self.place(arrow));
            }
        }
        described("files", &graph, |from, to| {
            let (from, to) = (self.folder(from), self.folder(to));
            from != to && from.first() == to.first()
        })
    }
}

fn described(what: &str, graph: &Graph<'_>, counts: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let circles = circles(graph, counts);
    circles.iter().map(|circle| format!("circle of {what}: {}", describe(graph, circle))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        Package { name: name.to_owned(), dir: "".into(), dependencies, roots: Vec::new() }
    }

    fn faults(package: &str, files: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &Path| {
            let source = files.iter().find(|(file, _)| path == Path::new("/repo/src").join(file));
            source.map(|(_, source)| (*source).to_owned())
        };
        let krate = Crate::read(Path::new("/repo/src/lib.rs"), &read).expect("a crate");
        Names::new(&krate, Path::new("/repo")).faults(package)
    }

    #[test]
    fn a_crate_uses_only_lower_layers() {
        let domain = package("faceofmind-domain", &["faceofmind-base", "faceofmind-model", "serde"]);
        let model = package("faceofmind-model", &["faceofmind-base"]);
        let base = package("faceofmind-base", &[]);
        assert!(crate_faults(&[domain, model, base]).is_empty());
        let model = package("faceofmind-model", &["faceofmind-db", "faceofmind-domain"]);
        let [db, domain] = ["faceofmind-db", "faceofmind-domain"].map(|name| package(name, &[]));
        let faults = crate_faults(&[model, db, domain, package("xtask", &[])]);
        assert_eq!(
            faults,
            ["db", "domain"].map(|used| format!("crate faceofmind-model may not use crate faceofmind-{used}"))
        );
        assert_eq!(crate_faults(&[package("other", &[])]), ["crate other has no layer"]);
    }

    #[test]
    fn in_domain_only_the_listed_modules_use_one_another() {
        let files = [
            ("lib.rs", "mod accounts; mod logins; mod sessions;"),
            ("accounts.rs", "pub struct User;"),
            ("logins.rs", "pub struct Login;\nuse crate::accounts::User;"),
            ("sessions.rs", "fn f() {\n    crate::logins::Login\n}"),
        ];
        assert_eq!(faults("faceofmind-domain", &files), ["src/sessions.rs:2: sessions may not use logins"]);
        assert!(faults("faceofmind", &files).is_empty());
    }

    #[test]
    fn a_circle_of_modules_is_named_with_its_lines() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "pub struct B;\nuse crate::c::C;"),
            ("c.rs", "pub struct C; use crate::a;\n\nfn f() { a::g() }"),
        ];
        let expected = "circle of modules: a (src/a.rs:1) -> b (src/b.rs:2) -> c (src/c.rs:3) -> a";
        assert_eq!(faults("faceofmind", &files), [expected]);
    }

    #[test]
    fn what_modules_use_of_the_root_closes_a_circle() {
        let files = [("lib.rs", "mod a; pub use a::A; pub struct B;"), ("a.rs", "pub struct A;\nuse crate::{A, B};")];
        let expected = "circle of modules: a (src/a.rs:2) -> src/lib.rs (src/lib.rs:1) -> a";
        assert_eq!(faults("faceofmind", &files), [expected]);
    }

    #[test]
    fn files_of_one_folder_may_use_each_other_and_files_of_two_may_not() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; mod c; pub struct A; use b::B;"),
            ("a/b.rs", "pub struct B; use super::A;"),
            ("a/c.rs", "mod d; pub struct C;"),
            ("a/c/d.rs", "use super::super::b::B;"),
        ];
        assert!(faults("faceofmind", &files).is_empty());
        let mut files = files;
        files[2].1 = "pub struct B; use super::A; use super::c::d;\nfn f() { d::g() }";
        assert_eq!(faults("faceofmind", &files), ["circle of files: src/a/b.rs:2 -> src/a/c/d.rs:1 -> src/a/b.rs"]);
    }
}

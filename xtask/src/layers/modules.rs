//! The modules of one crate, and what each refers to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::body::{Body, Import, Reference};
use crate::rust::{self, Token};

/// Longer chains of re-exports are circles.
const MAX_RE_EXPORTS: usize = 16;

/// The modules of a crate; the first is its root.
pub(super) struct Crate {
    pub(super) modules: Vec<Module>,
}

/// One module: a file, or a block within a file.
pub(super) struct Module {
    /// The names from the root to it.
    pub(super) path: Vec<String>,
    pub(super) file: PathBuf,
    /// Its index in the crate, and that of the module around it. The root is its own parent.
    pub(super) index: usize,
    pub(super) parent: usize,
    pub(super) children: BTreeMap<String, usize>,
    /// What it declares itself.
    items: BTreeSet<String>,
    references: Vec<Reference>,
    /// Its `use` declarations.
    imports: Vec<Import>,
}

/// A module refers to another in a line of its file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: usize,
}

/// What a path leads to: a module, or an item that a module declares.
#[derive(Clone, Copy)]
struct Target {
    module: usize,
    is_item: bool,
}

/// Reads the files of a crate.
struct Reader<'a> {
    /// Gives the text of a file that exists.
    text: &'a dyn Fn(&Path) -> Option<String>,
    modules: Vec<Module>,
}

/// Where a module stands.
struct Place {
    path: Vec<String>,
    parent: usize,
    file: PathBuf,
    /// The folder of the files of its submodules.
    folder: PathBuf,
}

impl Reader<'_> {
    fn file(&mut self, place: Place) -> Result<usize> {
        let text = (self.text)(&place.file).with_context(|| format!("cannot read {}", place.file.display()))?;
        self.module(place, &rust::tokens(&text))
    }

    fn module(&mut self, place: Place, tokens: &[Token]) -> Result<usize> {
        let index = self.modules.len();
        let Body { children, items, references, imports } = Body::scan(tokens);
        let Place { path, parent, file, folder } = place;
        self.modules.push(Module { path, file, index, parent, children: BTreeMap::new(), items, references, imports });
        for (name, block) in children {
            let module = &self.modules[index];
            let path = [&module.path[..], std::slice::from_ref(&name)].concat();
            let mut child = Place { path, parent: index, file: module.file.clone(), folder: folder.join(&name) };
            let child = match block {
                Some(block) => self.module(child, block)?,
                None => {
                    let mut files = [child.folder.with_extension("rs"), child.folder.join("mod.rs")].into_iter();
                    let found = files.find(|file| (self.text)(file).is_some());
                    child.file =
                        found.with_context(|| format!("{}: `mod {name}` has no file", child.file.display()))?;
                    self.file(child)?
                }
            };
            self.modules[index].children.insert(name, child);
        }
        Ok(index)
    }
}

impl Crate {
    /// Reads the crate with this root file. `text` gives the text of a file that exists.
    pub(super) fn read(root: &Path, text: &dyn Fn(&Path) -> Option<String>) -> Result<Self> {
        let folder = root.parent().context("a crate has no folder")?.to_owned();
        let mut reader = Reader { text, modules: Vec::new() };
        reader.file(Place { path: Vec::new(), parent: 0, file: root.to_owned(), folder })?;
        Ok(Self { modules: reader.modules })
    }

    /// All references from one module to another of this crate: as they are written, and where re-exports lead.
    pub(super) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::default();
        for module in &self.modules {
            let imports = module.imports.iter().map(|import| (&import.from, true));
            let references = module.references.iter().map(|reference| (reference, false));
            for (reference, is_import) in imports.chain(references) {
                self.follow(module, reference, is_import, &mut arrows);
            }
        }
        arrows
    }

    fn follow(&self, module: &Module, reference: &Reference, is_import: bool, arrows: &mut Arrows) {
        let arrow = |to| Arrow { from: module.index, to, line: reference.line };
        let mut passed = Vec::new();
        let target = self.resolve(module, &reference.path, &mut passed, MAX_RE_EXPORTS);
        // A re-export at the root adds nothing to what is re-exported.
        arrows.written.extend(passed.into_iter().filter(|module| *module != 0).map(arrow));
        let Some(target) = target else { return };
        // A module that is imported by its name is used by the paths that begin with that name.
        let is_used = target.is_item || !is_import || reference.path.last().is_some_and(|name| name == "*");
        if is_used {
            arrows.written.insert(arrow(target.module));
            arrows.resolved.insert(arrow(target.module));
        }
    }

    /// Follows a path and the re-exports on its way. Nothing for a path that leads out of the crate. `passed` gets the modules whose
    /// re-exports were used.
    fn resolve(&self, module: &Module, path: &[String], passed: &mut Vec<usize>, depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Target { module: 0, is_item: false },
            "self" => Target { module: module.index, is_item: false },
            "super" => Target { module: module.parent, is_item: false },
            name => self.step(module, name, passed, depth)?,
        };
        rest.iter().try_fold(start, |target, name| match name.as_str() {
            _ if target.is_item => Some(target),
            "self" | "*" => Some(target),
            "super" => Some(Target { module: self.modules[target.module].parent, is_item: false }),
            name => {
                let inside = &self.modules[target.module];
                let found = self.step(inside, name, passed, depth);
                if found.is_none() && inside.imports.iter().any(|import| import.name == name) {
                    passed.push(inside.index);
                    return None;
                }
                found.or(Some(Target { module: inside.index, is_item: true }))
            }
        })
    }

    /// What a name means in a module: a module in it, an item, or what it imports under that name.
    fn step(&self, module: &Module, name: &str, passed: &mut Vec<usize>, depth: usize) -> Option<Target> {
        if let Some(child) = module.children.get(name) {
            return Some(Target { module: *child, is_item: false });
        }
        if module.items.contains(name) {
            return Some(Target { module: module.index, is_item: true });
        }
        let depth = depth.checked_sub(1)?;
        let named = module.imports.iter().filter(|import| import.name == name);
        let globs = module.imports.iter().filter(|import| import.name == "*");
        let mut target = named.filter_map(|import| self.resolve(module, &import.from.path, passed, depth));
        let found = target.next().or_else(|| {
            globs.filter_map(|glob| self.resolve(module, &glob.from.path, &mut Vec::new(), depth)).find_map(|target| {
                let inside = (target.module != module.index).then(|| &self.modules[target.module])?;
                self.step(inside, name, passed, depth)
            })
        });
        passed.extend(found.map(|_| module.index));
        found
    }
}

/// The arrows of a crate.
#[derive(Default)]
pub(super) struct Arrows {
    /// To every module that a path leads through or to.
    pub(super) written: BTreeSet<Arrow>,
    /// To the module that declares what is used.
    pub(super) resolved: BTreeSet<Arrow>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arrows between the modules of a crate of these files, as `a::b -> c:line`; `written` or resolved.
    fn arrows(files: &[(&str, &str)], written: bool) -> Vec<String> {
        let read = |path: &Path| {
            let name = path.to_str().expect("a plain path").to_owned();
            files.iter().find(|(file, _)| *file == name).map(|(_, source)| (*source).to_owned())
        };
        let krate = Crate::read(Path::new("lib.rs"), &read).expect("a crate");
        let arrows = krate.arrows();
        let arrows = if written { arrows.written } else { arrows.resolved };
        let name = |index: usize| krate.modules[index].path.join("::");
        let foreign = arrows.into_iter().filter(|arrow| arrow.from != arrow.to);
        foreign.map(|arrow| format!("{} -> {}:{}", name(arrow.from), name(arrow.to), arrow.line)).collect()
    }

    #[test]
    fn paths_and_imports_are_followed_to_their_modules() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a/mod.rs", "mod d;\npub struct A;\nfn f() { crate::b::g(); d::h::<u8>() }"),
            ("a/d.rs", "use super::A;\npub(in crate::c) fn h() {}\nfn i(x: super::super::b::B, y: self::Y) {}"),
            ("b.rs", "use std::{io, fmt::{self, Debug}};\nuse crate::{\n  c::{self, C as D},\n};"),
            ("c.rs", "pub struct C; on!(x => crate::b::B::new());"),
        ];
        let expected = ["a -> a::d:3", "a -> b:3", "a::d -> a:1", "a::d -> b:3", "b -> c:3", "c -> b:1"];
        assert_eq!(arrows(&files, false), expected);
    }

    #[test]
    fn a_re_export_leads_to_what_it_names_and_is_an_arrow_as_it_is_written() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "mod c; pub use c::C; pub use model::Id;"),
            ("a/c.rs", "pub struct C;"),
            ("b.rs", "use crate::a::C;\nuse crate::a::Id;"),
        ];
        assert_eq!(arrows(&files, false), ["a -> a::c:1", "b -> a::c:1"]);
        assert_eq!(arrows(&files, true), ["a -> a::c:1", "b -> a:1", "b -> a:2", "b -> a::c:1"]);
    }

    #[test]
    fn an_imported_module_is_used_where_a_path_begins_with_its_name() {
        let files = [
            ("lib.rs", "mod a { pub mod b { pub fn f() {} } pub mod c { pub struct C; } } mod d;"),
            ("d.rs", "use crate::a::{b, c};\nfn g() { b::f() }"),
        ];
        assert_eq!(arrows(&files, false), ["d -> a::b:2"]);
    }

    #[test]
    fn names_of_a_glob_are_found_and_tests_are_not_followed() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "pub use super::b::*;"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::B; }"),
            ("c.rs", "use crate::a::B;"),
        ];
        assert_eq!(arrows(&files, false), ["a -> b:1", "c -> b:1"]);
    }
}

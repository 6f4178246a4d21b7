//! The code of a crate as a tree of modules, and what each of them mentions: what the checks of its structure look at.
//!
//! Files are found as the compiler finds them, from `mod x;` to `mod x;`, and parsed by `syn`; what is compiled for
//! tests only is left out. A path is resolved as far as a check needs it: through `crate`, `self` and any number of
//! `super`, through groups and imports, and through names that a module re-exports, to the module that defines the item.
//! Paths among the words of a macro call are found too.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

/// The names from the root of the crate down to a module.
pub(crate) type ModulePath = Vec<String>;

pub(crate) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// It has a file of its own; the others are written out in the file of the module around them.
    own_file: bool,
    /// What `use` brings in, by the name that it has here.
    imports: BTreeMap<String, Vec<String>>,
    /// `use x::*`.
    globs: Vec<Vec<String>>,
    items: HashSet<String>,
    mentions: Vec<Mention>,
    pub(crate) syntax: Vec<Item>,
}

/// A path in the code of a module, as it is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) names: Vec<String>,
    pub(crate) line: usize,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To an item of this module, or to the module itself.
    Module(ModulePath),
    /// Out of this crate, written out in full: `std::thread::spawn`; `through` is the module of this crate that hands
    /// the name on, if one does.
    Foreign { names: Vec<String>, through: Option<ModulePath> },
    /// To a local name, a generic parameter, a method: to nothing that concerns modules.
    Local,
}

impl Crate {
    /// `source` is the folder with the `lib.rs`.
    pub(crate) fn read(source: &Path) -> Result<Self> {
        let mut this = Self { modules: BTreeMap::new() };
        this.read_file(&source.join("lib.rs"), source, Vec::new())?;
        Ok(this)
    }

    fn read_file(&mut self, file: &Path, children: &Path, module: ModulePath) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} cannot be parsed", file.display()))?;
        self.read_module(parsed.items, file, children, module, true)
    }

    fn read_module(
        &mut self,
        items: Vec<Item>,
        file: &Path,
        children: &Path,
        module: ModulePath,
        own_file: bool,
    ) -> Result<()> {
        let mut found = Module {
            file: file.to_owned(),
            own_file,
            imports: BTreeMap::new(),
            globs: Vec::new(),
            items: HashSet::new(),
            mentions: Vec::new(),
            syntax: Vec::new(),
        };
        for item in items {
            if attributes(&item).iter().any(is_for_tests) {
                continue;
            }
            if let Item::Mod(ItemMod { ident, content, .. }) = item {
                let below = [module.clone(), vec![ident.to_string()]].concat();
                let folder = children.join(ident.to_string());
                match content {
                    Some((_, items)) => self.read_module(items, file, &folder, below, false)?,
                    None => self.read_file(&children.join(format!("{ident}.rs")), &folder, below)?,
                }
                continue;
            }
            found.items.extend(name(&item));
            Collector { module: &mut found }.visit_item(&item);
            found.syntax.push(item);
        }
        self.modules.insert(module, found);
        Ok(())
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = (&ModulePath, &Module)> {
        self.modules.iter()
    }

    /// All paths in the code of a module, with where they lead.
    pub(crate) fn targets<'a>(&'a self, module: &'a [String]) -> impl Iterator<Item = (&'a Mention, Target)> + use<'a> {
        let mentions = self.modules.get(module).map(|module| &module.mentions[..]).unwrap_or_default();
        mentions.iter().map(|mention| (mention, self.resolve(module, &mention.names, &mut Vec::new())))
    }

    /// The module with a file of its own around a module.
    pub(crate) fn file_module<'a>(&self, mut module: &'a [String]) -> &'a [String] {
        while !module.is_empty() && self.modules.get(module).is_some_and(|found| !found.own_file) {
            module = &module[..module.len() - 1];
        }
        module
    }

    /// `under_way`: names that are being resolved, so that those which lead to themselves end somewhere.
    fn resolve(&self, from: &[String], names: &[String], under_way: &mut Vec<(ModulePath, String)>) -> Target {
        let mut at = from.to_vec();
        let mut rest = names;
        let mut anchored = false;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            (rest, anchored) = (others, true);
        }
        while let Some((first, others)) = rest.split_first() {
            let below = [at.clone(), vec![first.clone()]].concat();
            if self.modules.contains_key(&below) {
                (at, rest, anchored) = (below, others, true);
                continue;
            }
            let Some(module) = self.modules.get(&at) else { return Target::Local };
            let key = (at.clone(), first.clone());
            if let Some(import) = module.imports.get(first).filter(|_| !under_way.contains(&key)) {
                under_way.push(key);
                let whole = [&import[..], others].concat();
                return match self.resolve(&at, &whole, under_way) {
                    Target::Foreign { names, through: None } if anchored => {
                        Target::Foreign { names, through: Some(at) }
                    }
                    found => found,
                };
            }
            if module.items.contains(first) {
                return Target::Module(at);
            }
            for glob in &module.globs {
                let key = (at.clone(), format!("{}::*", glob.join("::")));
                if under_way.contains(&key) {
                    continue;
                }
                under_way.push(key);
                if let Target::Module(inner) = self.resolve(&at, glob, under_way)
                    && self.has(&inner, first)
                {
                    return self.resolve(&inner, rest, under_way);
                }
            }
            // A macro or a name that a macro makes: it belongs to the module that was named.
            return match (anchored, names.len()) {
                (true, _) => Target::Module(at),
                (false, 1) => Target::Local,
                (false, _) => Target::Foreign { names: names.to_vec(), through: None },
            };
        }
        Target::Module(at)
    }

    fn has(&self, module: &[String], name: &str) -> bool {
        let below = [module, &[name.to_owned()]].concat();
        self.modules.contains_key(&below)
            || self
                .modules
                .get(module)
                .is_some_and(|module| module.items.contains(name) || module.imports.contains_key(name))
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, also among other conditions.
fn is_for_tests(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let mut tokens = list.tokens.clone().into_iter();
    list.path.is_ident("cfg")
        && match tokens.next() {
            Some(TokenTree::Ident(ident)) if ident == "test" => true,
            Some(TokenTree::Ident(ident)) if ident == "all" => tokens.next().is_some_and(|group| {
                let TokenTree::Group(group) = group else { return false };
                group.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(ident) if ident == "test"))
            }),
            _ => false,
        }
}

fn name(item: &Item) -> Option<String> {
    Some(
        match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Macro(item) => item.ident.as_ref()?,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            _ => return None,
        }
        .to_string(),
    )
}

struct Collector<'a> {
    module: &'a mut Module,
}

impl Collector<'_> {
    /// `prefix` is what stands before the tree.
    fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &dyn ToString| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix, tree)),
            UseTree::Name(name) => {
                // `use a::{self}` brings in `a`.
                let whole = if name.ident == "self" { prefix.to_vec() } else { with(&name.ident) };
                self.imported(whole.last().cloned().unwrap_or_default(), whole, name.ident.span().start().line);
            }
            UseTree::Rename(name) => {
                let whole = if name.ident == "self" { prefix.to_vec() } else { with(&name.ident) };
                self.imported(name.rename.to_string(), whole, name.ident.span().start().line);
            }
            UseTree::Glob(glob) => {
                self.module.globs.push(prefix.to_vec());
                self.mention(prefix.to_vec(), glob.star_token.spans[0].start().line);
            }
        }
    }

    fn imported(&mut self, name: String, whole: Vec<String>, line: usize) {
        self.mention(whole.clone(), line);
        self.module.imports.insert(name, whole);
    }

    fn mention(&mut self, names: Vec<String>, line: usize) {
        self.module.mentions.push(Mention { names, line });
    }

    /// Paths among words that are not parsed: `a::b` is two names with two colons between them.
    fn words(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        let mut end = |names: &mut Vec<String>, line| {
            let names = std::mem::take(names);
            if names.len() > 1 {
                self.module.mentions.push(Mention { names, line });
            }
        };
        let mut groups = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        end(&mut names, line);
                    }
                    if names.is_empty() {
                        line = ident.span().start().line;
                    }
                    names.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    colons += if mark.spacing() == Spacing::Joint || colons == 1 { 1 } else { 3 };
                }
                other => {
                    end(&mut names, line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        groups.push(group.stream());
                    }
                }
            }
        }
        end(&mut names, line);
        groups.into_iter().for_each(|group| self.words(group));
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // `use ::x` can only mean another crate, which `x` does too unless a module has its name.
        self.import(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
        self.mention(names, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.words(call.tokens.clone());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A crate of the given files, below a folder that lives as long as the first value.
    pub(crate) fn crate_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Crate) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let read = Crate::read(folder.path()).unwrap();
        (folder, read)
    }

    /// Where the paths of module `a::b` lead whose code is `code`; modules and foreign paths as they are written.
    fn targets(code: &str) -> Vec<String> {
        let (_folder, read) = crate_of(&[
            ("lib.rs", "mod a; mod z;"),
            (
                "a.rs",
                "mod b; mod c; mod d; pub use c::Shown; use c::Inner as Other; pub use d::*; use std::thread; struct Own;",
            ),
            ("a/b.rs", code),
            ("a/c.rs", "pub struct Shown; pub struct Inner;"),
            ("a/d.rs", "pub struct Starred;"),
            ("z.rs", "pub mod deep; pub struct Z;"),
            ("z/deep.rs", "pub fn f() {}"),
        ]);
        let module = ["a".to_owned(), "b".to_owned()];
        let found = read.targets(&module).map(|(_, target)| match target {
            Target::Module(module) => module.join("::"),
            Target::Foreign { names, through: None } => format!("foreign {}", names.join("::")),
            Target::Foreign { names, through: Some(module) } => {
                format!("foreign {} through {}", names.join("::"), module.join("::"))
            }
            Target::Local => "local".to_owned(),
        });
        found.collect()
    }

    #[test]
    fn supers_lead_upward_as_often_as_they_are_written() {
        assert_eq!(targets("use super::c::Inner;"), ["a::c"]);
        assert_eq!(targets("use super::super::z::deep::f;"), ["z::deep"]);
        assert_eq!(targets("mod inner { } use self::inner::x;"), ["a::b::inner"]);
        assert_eq!(targets("use crate::z::Z;"), ["z"]);
    }

    #[test]
    fn every_member_of_a_group_is_found() {
        assert_eq!(targets("use super::{c::{Inner, Shown}, d};"), ["a::c", "a::c", "a::d"]);
        assert_eq!(targets("use crate::{a::c, z::{self, deep}};"), ["a::c", "z", "z::deep"]);
    }

    #[test]
    fn a_name_that_the_parent_hands_on_belongs_to_where_it_is_defined() {
        assert_eq!(targets("use super::Shown;"), ["a::c"]);
        assert_eq!(targets("use super::Other;"), ["a::c"], "a renamed import of the parent");
        assert_eq!(targets("use super::Starred;"), ["a::d"], "a re-export of everything");
        assert_eq!(targets("use super::Own;"), ["a"]);
    }

    #[test]
    fn paths_in_the_code_and_in_macros_count_as_imports_do() {
        assert_eq!(targets("fn f() -> super::Shown { g() }"), ["a::c", "local"]);
        assert_eq!(targets("use crate::z; fn f() { z::deep::f() }"), ["z", "z::deep"]);
        let found = targets("fn f() { println!(\"super::c in text\", super::c::x(), y = 1) }");
        assert_eq!(found, ["local", "a::c"], "the macro's name, then what stands in it");
    }

    #[test]
    fn names_of_other_crates_are_written_out_in_full() {
        assert_eq!(
            targets("use std::thread; fn f() { thread::spawn(g) }"),
            ["foreign std::thread", "foreign std::thread::spawn", "local"]
        );
        assert_eq!(targets("use std::thread::scope as s; fn f() { s(g) }")[1], "foreign std::thread::scope");
        assert_eq!(targets("fn f() { super::thread::spawn(g) }")[0], "foreign std::thread::spawn through a");
    }

    #[test]
    fn what_only_tests_compile_is_not_there() {
        assert_eq!(targets("#[cfg(test)] mod tests { use super::super::c; }\n#[cfg(test)] use super::c;"), [""; 0]);
        assert_eq!(targets("struct S; impl S { #[cfg(test)] fn f() -> super::Shown {} }"), ["a::b"]);
        let (_folder, read) = crate_of(&[("lib.rs", "#[cfg(test)] mod tests;")]);
        assert_eq!(read.modules().count(), 1, "a file that only tests have is not read, here it is not even there");
    }

    #[test]
    fn a_module_inside_a_file_counts_its_own_supers() {
        let (_folder, read) = crate_of(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod inner { use super::Own; use super::super::Root; } struct Own;"),
        ]);
        let module = ["a".to_owned(), "inner".to_owned()];
        let found: Vec<_> = read.targets(&module).map(|(_, target)| target).collect();
        assert_eq!(found, [Target::Module(vec!["a".to_owned()]), Target::Module(vec![])]);
        assert_eq!(read.file_module(&module), ["a"]);
    }
}

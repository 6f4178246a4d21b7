//! Problems are made where an error is defined, or at the edge (`docs/adr/0002-problem-translated-beside-the-error.md`).
//!
//! Three rules. An error that a module hands out has its translation to a `Problem` in the file that defines it, unless
//! another error of that module carries it. Such a translation names every case, so that a new one does not compile
//! before its sentences exist. And outside of a file with such a translation, only the modules at the edge make
//! problems, where there is no error to translate: a request that is refused, a finding about this computer.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Result, bail};
use syn::visit::{self, Visit};
use syn::{ExprMatch, Item, ItemImpl, Pat, Visibility};

use super::source::{Crate, Module, Target};

/// Where there is no error to translate. `files` translates those of the system.
const ALLOWED: [&str; 5] = ["api", "app", "cli", "doctor", "files"];

pub(crate) fn check(source: &Path) -> Result<()> {
    let faults = faults(&Crate::read(source)?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn faults(code: &Crate) -> Vec<String> {
    let mut faults = Vec::new();
    let carried = carried(code);
    for (module, found) in code.modules() {
        let file = found.file.display();
        let translations: Vec<_> = found.syntax.iter().filter_map(translation).collect();
        for name in found.syntax.iter().filter_map(public_error) {
            let is_carried = module.first().and_then(|top| carried.get(top)).is_some_and(|names| names.contains(&name));
            if !is_carried && !translations.iter().any(|(translated, _)| *translated == name) {
                faults.push(format!("{file}: `{name}` has no `impl From<{name}> for Problem` beside it"));
            }
        }
        let enums = enums(found);
        for (name, item) in &translations {
            let mut cases = Cases { enums: &enums, leaves_out: false };
            cases.visit_item_impl(item);
            if cases.leaves_out {
                faults.push(format!("{file}: the translation of `{name}` has a case for all others, `_`"));
            }
        }
        let at_the_edge = module.first().is_some_and(|top| ALLOWED.contains(&top.as_str()));
        if translations.is_empty() && !at_the_edge {
            for (mention, target) in code.targets(module) {
                if let Target::Foreign { names, .. } = target
                    && names == ["pixelrts_shared", "Problem", "new"]
                {
                    let line = mention.line;
                    faults.push(format!("{file}:{line}: a problem is made that is not the translation of an error"));
                }
            }
        }
    }
    faults
}

/// By module at the top, the types that its errors hold.
fn carried(code: &Crate) -> HashMap<String, HashSet<String>> {
    let mut carried: HashMap<String, HashSet<String>> = HashMap::new();
    for (module, found) in code.modules() {
        let Some(top) = module.first() else { continue };
        for item in found.syntax.iter().filter(|item| public_error(item).is_some()) {
            let Item::Enum(item) = item else { continue };
            for field in item.variants.iter().flat_map(|variant| &variant.fields) {
                if let syn::Type::Path(of) = &field.ty {
                    let names = of.path.segments.iter().map(|segment| segment.ident.to_string());
                    carried.entry(top.clone()).or_default().extend(names);
                }
            }
        }
    }
    carried
}

/// The name of an error that other modules see: by our custom all of them end in `Error`.
fn public_error(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    (matches!(visibility, Visibility::Public(_)) && name.to_string().ends_with("Error")).then(|| name.to_string())
}

/// `impl From<XError> for Problem`, with the name of what is translated.
fn translation(item: &Item) -> Option<(String, &ItemImpl)> {
    let Item::Impl(item) = item else { return None };
    let (of, _) = item.trait_.as_ref()?;
    let syn::Type::Path(to) = &*item.self_ty else { return None };
    let last = of.segments.last()?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(syn::GenericArgument::Type(syn::Type::Path(from))) = arguments.args.first() else { return None };
    let name = from.path.segments.last()?.ident.to_string();
    (last.ident == "From" && to.path.segments.last()?.ident == "Problem").then_some((name, item))
}

fn enums(module: &Module) -> Vec<String> {
    let name = |item: &Item| if let Item::Enum(item) = item { Some(item.ident.to_string()) } else { None };
    module.syntax.iter().filter_map(name).collect()
}

/// Looks for a match over one of these enums that does not name every variant.
struct Cases<'a> {
    enums: &'a [String],
    leaves_out: bool,
}

impl<'ast> Visit<'ast> for Cases<'_> {
    fn visit_expr_match(&mut self, found: &'ast ExprMatch) {
        let names_variants =
            found.arms.iter().any(|arm| variant_of(&arm.pat).is_some_and(|of| self.enums.contains(&of)));
        self.leaves_out |=
            names_variants && found.arms.iter().any(|arm| matches!(arm.pat, Pat::Wild(_) | Pat::Ident(_)));
        visit::visit_expr_match(self, found);
    }
}

/// `XError` of the pattern `XError::Y { .. }`.
fn variant_of(pattern: &Pat) -> Option<String> {
    let path = match pattern {
        Pat::Path(pattern) => &pattern.path,
        Pat::Struct(pattern) => &pattern.path,
        Pat::TupleStruct(pattern) => &pattern.path,
        Pat::Or(pattern) => return pattern.cases.first().and_then(variant_of),
        _ => return None,
    };
    let mut names = path.segments.iter().rev().skip(1);
    names.next().map(|name| name.ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::crate_of;
    use super::*;

    fn found(module: &str, text: &str) -> Vec<String> {
        let (name, text) = (format!("{module}.rs"), format!("use pixelrts_shared::Problem;\n{text}"));
        let (folder, code) = crate_of(&[("lib.rs", &format!("mod {module};")), (&name, &text)]);
        let place = format!("{}/", folder.path().display());
        faults(&code).into_iter().map(|fault| fault.replace(&place, "")).collect()
    }

    const TRANSLATED: &str = "
        pub enum XError { A, B(u8) }
        impl From<XError> for Problem {
            fn from(error: XError) -> Self {
                match error {
                    XError::A => match kind { Kind::NotFound => 1, _ => Problem::new() },
                    XError::B(_) => Self::new(),
                }
            }
        }";

    #[test]
    fn an_error_with_its_translation_is_right() {
        assert_eq!(found("m", TRANSLATED), [""; 0]);
        assert_eq!(found("m", "pub(super) enum InnerError { A }"), [""; 0], "no other module sees it");
    }

    #[test]
    fn an_error_without_a_translation_beside_it_is_a_fault() {
        assert_eq!(
            found("m", "pub enum XError { A }"),
            ["m.rs: `XError` has no `impl From<XError> for Problem` beside it"]
        );
        assert_eq!(found("m", "pub struct XError(u8); impl From<YError> for Problem {}").len(), 1);
    }

    #[test]
    fn an_error_that_another_one_carries_is_translated_with_it() {
        let carried = format!("{TRANSLATED} pub enum InnerError {{ A }}").replace("B(u8)", "B(#[from] InnerError)");
        assert_eq!(found("m", &carried), [""; 0]);
    }

    #[test]
    fn a_case_for_all_others_is_a_fault() {
        let lazy = TRANSLATED.replace("XError::B(_) =>", "_ =>");
        assert_eq!(found("m", &lazy), ["m.rs: the translation of `XError` has a case for all others, `_`"]);
        let named = TRANSLATED.replace("XError::B(_) =>", "other =>");
        assert_eq!(found("m", &named).len(), 1);
    }

    #[test]
    fn a_problem_without_an_error_is_made_at_the_edge_only() {
        let text = "fn f() {\n    Problem::new(a, b, c, d)\n}";
        assert_eq!(found("m", text), ["m.rs:3: a problem is made that is not the translation of an error"]);
        assert_eq!(found("doctor", text), [""; 0]);
        assert_eq!(found("m", "#[cfg(test)]\nmod tests { fn f() { Problem::new(a, b, c, d) } }"), [""; 0]);
    }
}

//! What was found in all folders together.

use std::collections::HashMap;
use std::sync::Arc;

use pixelrts_shared::{Digest, Problem};

use super::super::error::CatalogError;
use super::LocalImage;
use super::state::{MOST_PROBLEMS, View};

/// What is in the folders of this computer, as far as it is known now.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// When the last change was seen. Empty until everything that answers was looked at once.
    pub scanned_at: String,
    /// When the last change was seen.
    pub changed_at: String,
    /// One for each digest, by folder and path.
    pub images: Vec<Arc<LocalImage>>,
    pub problems: Vec<Problem>,
    /// All files of each digest, with the number of their folder.
    pub(in super::super) copies: HashMap<Digest, Vec<(usize, Arc<LocalImage>)>>,
}

impl Found {
    /// `views` of all folders, in their order.
    pub(super) fn of(views: Vec<View>, now: String) -> Self {
        let mut found = Self { changed_at: now, ..Self::default() };
        if views.iter().all(|view| view.is_settled) {
            found.scanned_at.clone_from(&found.changed_at);
        }
        let mut more = 0;
        for (number, view) in views.into_iter().enumerate() {
            for image in view.images {
                let copies = found.copies.entry(image.entry.sha256).or_default();
                if copies.is_empty() {
                    found.images.push(Arc::clone(&image));
                }
                copies.push((number, image));
            }
            found.problems.extend(view.problems);
            more += view.more_problems;
        }
        let shown = MOST_PROBLEMS.min(found.problems.len());
        more += found.problems.split_off(shown).len();
        if more > 0 {
            found.problems.push(CatalogError::More { shown, more }.into());
        }
        found
    }

    /// All files of a digest, each with the number of its folder.
    pub(super) fn copies(&self, digest: &Digest) -> &[(usize, Arc<LocalImage>)] {
        self.copies.get(digest).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether everything that answers was looked at once.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.scanned_at.is_empty()
    }

    /// Whether the same images and problems are found, whenever that was.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same = |(a, b): (&Arc<LocalImage>, &Arc<LocalImage>)| Arc::ptr_eq(a, b);
        self.is_settled() == other.is_settled()
            && self.images.len() == other.images.len()
            && self.images.iter().zip(&other.images).all(is_same)
            && self.problems == other.problems
    }
}

//! What a person does with images on the wall: puts them somewhere, likes them.

use std::collections::HashSet;

use pixelrts_shared::catalog::{Move, Moved, Moves, Position};
use pixelrts_shared::{Digest, Problem, ServerId};

use super::Library;
use crate::catalog::error::CatalogError;
use crate::task::blocking;

impl Library {
    /// Puts images at places, one after the other: all of them, or none.
    pub async fn arrange(&self, moves: &[Move]) -> Result<Moved, Problem> {
        check(moves)?;
        let digests = self.digests(moves).await?;
        let (mut twice, mut moved) = (HashSet::new(), Vec::new());
        for (one, digest) in moves.iter().zip(digests) {
            if !twice.insert(digest) {
                return Err(CatalogError::MovedTwice { key: one.entry_id.clone() }.into());
            }
            moved.push((digest, one.position));
        }
        let personal = self.view.personal().clone();
        let changed = blocking(move || personal.place(&moved)).await?;
        if !changed.is_empty() {
            self.view.has_changed();
        }
        Ok(Moved { changed })
    }

    /// Forgets where people have put images.
    pub async fn forget_arrangement(&self) -> Result<(), Problem> {
        let personal = self.view.personal().clone();
        blocking(move || personal.clear_places()).await?;
        self.view.has_changed();
        Ok(())
    }

    pub async fn set_favorite(&self, key: &str, server: Option<&ServerId>, favorite: bool) -> Result<(), Problem> {
        let digest = self.find(key, server).await?.entry.sha256;
        let personal = self.view.personal().clone();
        if blocking(move || personal.set_favorite(&digest, favorite)).await? {
            self.view.has_changed();
        }
        Ok(())
    }

    /// What the keys mean. Digests are looked up together, because there may be many.
    async fn digests(&self, moves: &[Move]) -> Result<Vec<Digest>, Problem> {
        let this = self.clone();
        let said: HashSet<Digest> = moves.iter().filter_map(|one| one.entry_id.parse().ok()).collect();
        let listed = move |view: &crate::catalog::merge::Merged| -> HashSet<Digest> {
            said.into_iter().filter(|digest| view.lists(digest)).collect()
        };
        let listed = blocking(move || this.look(listed)).await?;
        let mut digests = Vec::new();
        for one in moves {
            let known = one.entry_id.parse().ok().filter(|digest| listed.contains(digest));
            digests.push(match known {
                Some(digest) => digest,
                None => self.find(&one.entry_id, None).await?.entry.sha256,
            });
        }
        Ok(digests)
    }
}

/// What can be said without knowing the images.
fn check(moves: &[Move]) -> Result<(), CatalogError> {
    if moves.len() > Moves::MOST {
        return Err(CatalogError::ManyMoves);
    }
    let mut taken = HashSet::new();
    for position in moves.iter().filter_map(|one| one.position) {
        if !position.is_on_the_wall() {
            return Err(CatalogError::OffTheWall { position });
        }
        if !taken.insert(position) {
            let Position { x, y } = position;
            return Err(CatalogError::OnePlace { x, y });
        }
    }
    Ok(())
}

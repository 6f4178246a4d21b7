//! Which files an installation consists of: a text file beside them, with one path per line.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

#[derive(Debug)]
pub(super) struct Record {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Record {
    /// No record means that nothing is installed.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = place(root);
        let text = match fs::read_to_string(&path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => String::new(),
            other => other.with_context(|| format!("{}", path.display()))?,
        };
        // Only what is below the root can have been installed there.
        let is_inside = |path: &&str| !path.is_empty() && !path.split('/').any(|part| matches!(part, "" | ".."));
        Ok(Self { root: root.to_owned(), files: text.lines().filter(is_inside).map(PathBuf::from).collect() })
    }

    /// With their full paths.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|path| self.root.join(path)).collect()
    }

    /// A file that is there and was not installed belongs to somebody else.
    pub(super) fn refuse_foreign(&self, wanted: &[PathBuf]) -> Result<()> {
        let ours = self.files();
        match wanted.iter().find(|path| path.symlink_metadata().is_ok() && !ours.contains(path)) {
            None => Ok(()),
            Some(path) => bail!(
                "{} is there already, and this task has not installed it. Move it away, or choose another place: \
                 cargo xtask install --root DIR",
                path.display()
            ),
        }
    }

    /// The record of these files as well.
    pub(super) fn extended(mut self, files: &[PathBuf]) -> Self {
        let below = files.iter().filter_map(|path| path.strip_prefix(&self.root).ok());
        let new: Vec<_> =
            below.filter(|path| !self.files.iter().any(|known| known == path)).map(PathBuf::from).collect();
        self.files.extend(new);
        self
    }

    pub(super) fn write(&self) -> Result<()> {
        let lines: String = self.files.iter().map(|path| format!("{}\n", path.display())).collect();
        write_whole(&place(&self.root), lines.as_bytes(), 0o644)
    }

    /// Removes all files, the record last, and then folders that are empty. Returns what was removed.
    pub(super) fn remove(self) -> Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for path in self.files().into_iter().chain([place(&self.root)]) {
            match fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
            }
        }
        for path in &removed {
            // A folder that is not empty stays, and so do those above it.
            let above = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
            let _ = above.map(fs::remove_dir).take_while(Result::is_ok).count();
        }
        Ok(removed)
    }
}

fn place(root: &Path) -> PathBuf {
    root.join("share/pixelrts/installed")
}

/// Writes a file completely or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_never_leads_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        write_whole(&place(&root), b"bin/pixelrts\n../mine\n/etc/passwd\n\nshare/../../mine\n", 0o644).unwrap();
        assert_eq!(Record::read(&root).unwrap().files(), [root.join("bin/pixelrts")]);
    }
}

use std::path::PathBuf;

/// The path of an image as the older Python tools wrote them, by its name in `tests/images` without the ending.
///
/// # Panics
/// When there is no such file: these images are part of the repository, so their absence is a mistake.
#[must_use]
pub fn old_image(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../images").join(format!("{name}.rts.png"));
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

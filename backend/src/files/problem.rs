//! What a refusal of the system means for the person who reads about it.

use std::io::{self, ErrorKind};

use pixelrts_shared::{Problem, ProblemCode};

/// The problem to report when the system refuses a file. `what` is the sentence that says which action failed.
pub(crate) fn storage_problem(error: &io::Error, what: &str) -> Problem {
    let (code, fix) = match error.kind() {
        ErrorKind::NotFound => (ProblemCode::FileNotFound, "Check the path."),
        ErrorKind::PermissionDenied => {
            (ProblemCode::PermissionDenied, "Check the permissions of the file and its folder.")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (ProblemCode::StorageFull, "Free some space on that disk, then try again.")
        }
        _ => (ProblemCode::StorageFailed, "Check the disk and the path, then try again."),
    };
    Problem::new(code, what, error.to_string(), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_error_decides_what_the_person_is_advised_to_do() {
        let code = |kind: ErrorKind| storage_problem(&kind.into(), "The file cannot be read.").code;
        assert_eq!(code(ErrorKind::NotFound), ProblemCode::FileNotFound);
        assert_eq!(code(ErrorKind::PermissionDenied), ProblemCode::PermissionDenied);
        assert_eq!(code(ErrorKind::StorageFull), ProblemCode::StorageFull);
        assert_eq!(code(ErrorKind::QuotaExceeded), ProblemCode::StorageFull);
        assert_eq!(code(ErrorKind::InvalidData), ProblemCode::StorageFailed);
    }
}

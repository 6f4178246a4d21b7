//! Files from Debian packages, without root: `apt-get download` into a cache folder, then `dpkg-deb` to unpack.
//!
//! apt checks every package against its signed lists, and does not download a package again that is in the cache
//! folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::SampleError;

/// A package as the lists describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    architecture: String,
    depends: String,
}

/// Whether apt and dpkg are installed.
pub(super) async fn is_here() -> bool {
    run("apt-get", &["--version"], Path::new("/")).await.is_ok() && architecture().await.is_ok()
}

/// The architecture of the host in Debian's words: `amd64`, `arm64`.
pub(super) async fn architecture() -> Result<String, SampleError> {
    Ok(run("dpkg", &["--print-architecture"], Path::new("/")).await?.trim().to_owned())
}

impl Package {
    /// The newest version in the lists, or `None` when they do not have the package.
    pub(super) async fn find(name: &str) -> Result<Option<Self>, SampleError> {
        match run("apt-cache", &["show", "--no-all-versions", name], Path::new("/")).await {
            Ok(text) => Ok(Self::parse(&text)),
            // This is the exit code of apt when there is no such package.
            Err(SampleError::Failed { status, .. }) if status.code() == Some(100) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut lines = text.lines().take_while(|line| !line.is_empty());
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
        };
        Some(Self {
            name: field("Package")?,
            version: field("Version")?,
            architecture: field("Architecture")?,
            depends: field("Depends").unwrap_or_default(),
        })
    }

    /// The package that a package without content stands for: its first dependency that starts with `prefix`.
    pub(super) fn dependency(&self, prefix: &str) -> Option<&str> {
        self.depends
            .split([',', '|'])
            .filter_map(|one| one.split_whitespace().next())
            .find(|one| one.starts_with(prefix))
    }

    /// Downloads it into `cache`, and unpacks it into `folder`.
    pub(super) async fn unpack(&self, cache: &Path, folder: &Path) -> Result<(), SampleError> {
        run("apt-get", &["-q", "download", &format!("{}={}", self.name, self.version)], cache).await?;
        let file = cache.join(self.file_name());
        run("dpkg-deb", &["--extract".as_ref(), file.as_os_str(), folder.as_os_str()], cache).await?;
        Ok(())
    }

    /// The name that apt gives to the downloaded file.
    fn file_name(&self) -> PathBuf {
        format!("{}_{}_{}.deb", self.name, self.version.replace(':', "%3a"), self.architecture).into()
    }
}

/// The newest of the Debian installers that the lists offer, by its release: `debian-installer-12-netboot-amd64`.
pub(super) async fn installer(architecture: &str) -> Result<Option<Package>, SampleError> {
    let names = run("apt-cache", &["pkgnames", "debian-installer-"], Path::new("/")).await?;
    match newest_installer(&names, architecture) {
        Some(name) => Package::find(&name).await,
        None => Ok(None),
    }
}

fn newest_installer(names: &str, architecture: &str) -> Option<String> {
    let release = |name: &str| -> Option<u32> {
        name.strip_prefix("debian-installer-")?.strip_suffix(&format!("-netboot-{architecture}"))?.parse().ok()
    };
    let newest = names.lines().filter_map(release).max()?;
    Some(format!("debian-installer-{newest}-netboot-{architecture}"))
}

/// Runs a program to its end and returns what it printed. When this is dropped, the program is killed.
async fn run<S: AsRef<std::ffi::OsStr>>(program: &str, arguments: &[S], folder: &Path) -> Result<String, SampleError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound if folder.is_dir() => SampleError::NoProgram { program: program.to_owned() },
        _ => SampleError::Io { path: program.into(), source },
    })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(SampleError::Failed { program: program.to_owned(), status: output.status, message });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "Package: linux-image-cloud-amd64\nVersion: 1:6.1-2\nArchitecture: amd64\n\
        Depends: initramfs (>= 1), linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n\nPackage: other\n";

    #[test]
    fn the_first_paragraph_counts() {
        let package = Package::parse(SHOWN).unwrap();
        assert_eq!(package.name, "linux-image-cloud-amd64");
        assert_eq!(package.dependency("linux-image-"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(package.dependency("linux-headers-"), None);
        assert_eq!(package.file_name(), Path::new("linux-image-cloud-amd64_1%3a6.1-2_amd64.deb"));
        assert_eq!(Package::parse("\n"), None);
    }

    #[test]
    fn the_newest_installer_of_this_architecture_is_chosen() {
        let names = "debian-installer-9-netboot-amd64\ndebian-installer-12-netboot-amd64\n\
                     debian-installer-13-netboot-arm64\ndebian-installer-launcher\n";
        assert_eq!(newest_installer(names, "amd64").as_deref(), Some("debian-installer-12-netboot-amd64"));
        assert_eq!(newest_installer(names, "riscv64"), None);
    }

    #[tokio::test]
    async fn failures_say_which_program() {
        let none: &[&str] = &[];
        let missing = run("no-such-program-here", none, Path::new("/")).await.unwrap_err();
        assert!(matches!(missing, SampleError::NoProgram { program } if program == "no-such-program-here"));
        let failed = run("sh", &["-c", "echo why >&2; exit 3"], Path::new("/")).await.unwrap_err();
        assert!(matches!(failed, SampleError::Failed { message, .. } if message == "why"));
    }
}

//! The commands that help when an engine is missing or does not answer. Pure: the facts are passed in.

use super::engine::{Engine, PODMAN};

/// Family of systems, for docker, for podman. The first row that fits counts.
const INSTALL: [(&str, [&str; 2]); 8] = [
    ("macos", ["brew install --cask docker", "brew install podman && podman machine init"]),
    ("windows", ["in Windows, Docker Desktop with WSL integration", "in a WSL2 system: sudo apt install podman"]),
    ("debian", ["sudo apt install docker.io", "sudo apt install podman"]),
    ("fedora", ["sudo dnf install moby-engine", "sudo dnf install podman"]),
    ("arch", ["sudo pacman -S docker", "sudo pacman -S podman"]),
    ("suse", ["sudo zypper install docker", "sudo zypper install podman"]),
    ("alpine", ["sudo apk add docker", "sudo apk add podman"]),
    ("", ["see https://docs.docker.com/engine/install/", "see https://podman.io/docs/installation"]),
];
const START: [(&str, [&str; 2]); 4] = [
    ("macos", ["open -a Docker", "podman machine start"]),
    ("windows", ["open Docker Desktop, with WSL integration for this system", "see podman info"]),
    ("alpine", ["sudo rc-service docker start", "see podman info"]),
    ("", ["sudo systemctl start docker (your user must be in the group docker)", "see podman info"]),
];

/// `os` is that of `std::env::consts`, `release` the text of `/etc/os-release`, `kernel` that of `/proc/version`, which
/// names WSL. `installed` means that there is a client, and that its engine does not answer.
pub(super) fn how_to_get(engine: Engine, installed: bool, os: &str, release: &str, kernel: &str) -> String {
    let system = if kernel.to_lowercase().contains("microsoft") { "windows" } else { os };
    let ids = release.lines().filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
    let ids = ids.flat_map(|ids| ids.trim_matches('"').split(' '));
    let families: Vec<_> = ids.chain([system, ""]).collect();
    let (verb, rows) = if installed { ("Start", &START[..]) } else { ("Install", &INSTALL[..]) };
    let row = rows.iter().find(|row| families.contains(&row.0)).expect("the last row is for all");
    format!("{verb} it: {}", row.1[usize::from(engine == PODMAN)])
}

#[cfg(test)]
mod tests {
    use super::super::engine::DOCKER;
    use super::*;

    #[test]
    fn every_platform_has_its_own_words() {
        let linux = |release| ("linux", release, "Linux version 6.1.0");
        let wsl = |release| ("linux", release, "Linux version 5.15.153.1-microsoft-standard-WSL2");
        let other = |os| (os, "", "");
        for ((os, release, kernel), installed, docker, podman) in [
            (linux("ID=debian\n"), false, "apt install docker.io", "apt install podman"),
            (linux("NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), false, "docker.io", "apt install podman"),
            (linux("ID=fedora\n"), false, "dnf install moby-engine", "dnf install podman"),
            (linux("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), false, "dnf", "dnf install podman"),
            (linux("ID=arch\n"), false, "pacman -S docker", "pacman -S podman"),
            (linux("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n"), false, "zypper", "zypper"),
            (linux("ID=alpine\n"), false, "apk add docker", "apk add podman"),
            (linux("ID=alpine\n"), true, "rc-service docker start", "podman info"),
            (linux("ID=debian\n"), true, "systemctl start docker", "podman info"),
            (linux("ID=unheard\n"), false, "docs.docker.com", "podman.io"),
            (wsl("ID=ubuntu\nID_LIKE=debian\n"), false, "Docker Desktop", "apt install"),
            (wsl("ID=ubuntu\n"), true, "Docker Desktop", "podman info"),
            (other("macos"), false, "brew install --cask", "podman machine"),
            (other("macos"), true, "open -a Docker", "podman machine start"),
            (other("windows"), false, "Docker Desktop", "WSL2 system"),
        ] {
            for (engine, expected) in [(DOCKER, docker), (PODMAN, podman)] {
                let said = how_to_get(engine, installed, os, release, kernel);
                assert!(said.contains(expected), "{os} {release} {engine:?}: {said}");
                assert!(said.starts_with(if installed { "Start it: " } else { "Install it: " }), "{said}");
            }
        }
    }
}

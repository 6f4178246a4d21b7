use super::super::engine::PODMAN;
use super::*;

fn usual() -> SupervisorSettings {
    crate::config::Settings::default().supervisor()
}

fn serve(root: &Path, readable: Vec<PathBuf>) -> Serve {
    let folder = |name: &str| match name {
        "XDG_CACHE_HOME" => "c",
        "XDG_STATE_HOME" => "s",
        "XDG_RUNTIME_DIR" => "r",
        _ => "h",
    };
    let paths = Paths::from_environment(|name| Some(root.join(folder(name))));
    let (listen, flags) = ("127.0.0.1:8080".parse().unwrap(), vec!["--insecure-http".into()]);
    Serve { paths, listen, readable, flags, variables: vec!["HOME".into(), "PIXELRTS_LOG".into()] }
}

fn words(engine: Engine, settings: &SupervisorSettings, serve: &Serve, facts: &Facts) -> Vec<String> {
    arguments(engine, settings, serve, facts).into_iter().map(|word| word.into_string().unwrap()).collect()
}

/// The value that follows each `flag`.
fn values<'a>(words: &'a [String], flag: &str) -> Vec<&'a str> {
    words.iter().zip(&words[1..]).filter(|(word, _)| *word == flag).map(|(_, value)| &**value).collect()
}

#[test]
fn the_least_profile_is_these_flags_and_no_others() {
    let root = tempfile::tempdir().unwrap();
    let facts = Facts { kvm: Some(104), ..Facts::default() };
    let found = words(PODMAN, &usual(), &serve(root.path(), vec![root.path().to_owned()]), &facts);
    let expected = "run --rm --pull never --network bridge --name pixelrts-backend --cap-drop ALL --cap-add SYS_ADMIN \
        --device /dev/fuse --read-only --tmpfs /tmp --security-opt no-new-privileges \
        --security-opt apparmor=unconfined --security-opt label=disable --label pixelrts.runtime=ROOT/r/pixelrts \
        --publish 127.0.0.1:8080:8080 \
        --device /dev/kvm --env HOME --env PIXELRTS_LOG \
        --env PIXELRTS_CACHE_DIR=ROOT/c/pixelrts --mount type=bind,source=ROOT/c/pixelrts,destination=ROOT/c/pixelrts \
        --env XDG_STATE_HOME=ROOT/s --mount type=bind,source=ROOT/s/pixelrts,destination=ROOT/s/pixelrts \
        --env XDG_RUNTIME_DIR=ROOT/r --mount type=bind,source=ROOT/r/pixelrts,destination=ROOT/r/pixelrts \
        --mount type=bind,source=ROOT,destination=ROOT,readonly \
        localhost/pixelrts:latest serve --behind-publish 127.0.0.1:8080 --insecure-http";
    assert_eq!(found.join(" "), expected.replace("ROOT", &root.path().to_string_lossy()));
}

#[test]
fn the_standard_profile_is_privileged_and_limited() {
    let settings = SupervisorSettings { profile: Profile::Standard, ..usual() };
    let found = words(PODMAN, &settings, &serve(Path::new("/r"), Vec::new()), &Facts::default());
    assert!(found.contains(&"--privileged".to_owned()) && !found.contains(&"--read-only".to_owned()));
    assert_eq!(values(&found, "--security-opt"), ["apparmor=unconfined", "seccomp=unconfined"]);
    assert_eq!((values(&found, "--memory"), values(&found, "--cpus")), (vec!["2g"], vec!["2"]));
    let settings = SupervisorSettings { memory: "4G".parse().ok(), cpus: "3.5".into(), ..settings };
    let found = words(PODMAN, &settings, &serve(Path::new("/r"), Vec::new()), &Facts::default());
    assert_eq!((values(&found, "--memory").pop(), values(&found, "--cpus").pop()), (Some("4294967296b"), Some("3.5")));
}

#[test]
fn limits_are_set_only_where_they_are_asked_for() {
    let found = words(PODMAN, &usual(), &serve(Path::new("/r"), Vec::new()), &Facts::default());
    assert!(values(&found, "--memory").is_empty() && values(&found, "--cpus").is_empty());
    let settings = SupervisorSettings { memory: "512MB".parse().ok(), ..usual() };
    let found = words(PODMAN, &settings, &serve(Path::new("/r"), Vec::new()), &Facts::default());
    assert_eq!(values(&found, "--memory"), ["512000000b"]);
}

#[test]
fn an_engine_of_roots_works_for_the_user() {
    let facts = Facts { user: (1000, 1001), kvm: Some(104) };
    let found = words(DOCKER, &usual(), &serve(Path::new("/r"), Vec::new()), &facts);
    assert_eq!((values(&found, "--user"), values(&found, "--group-add")), (vec!["1000:1001"], vec!["104"]));
    let found = words(PODMAN, &usual(), &serve(Path::new("/r"), Vec::new()), &facts);
    assert!(values(&found, "--user").is_empty(), "podman makes its user root inside");
}

#[test]
fn without_kvm_and_without_a_folder_neither_is_handed_over() {
    let found = words(PODMAN, &usual(), &serve(Path::new("/r"), vec!["/absent".into()]), &Facts::default());
    assert_eq!(values(&found, "--device"), ["/dev/fuse"]);
    assert!(!found.iter().any(|word| word.contains("/absent")), "{found:?}");
}

#[test]
fn a_runtime_directory_named_after_its_user_is_found_by_another() {
    let mut serve = serve(Path::new("/r"), Vec::new());
    serve.paths.runtime = "/tmp/pixelrts-1000".into();
    let found = words(PODMAN, &usual(), &serve, &Facts::default());
    assert!(values(&found, "--env").contains(&"XDG_RUNTIME_DIR=/tmp/pixelrts-1000"));
    let mount = "type=bind,source=/tmp/pixelrts-1000,destination=/tmp/pixelrts-1000/pixelrts";
    assert!(values(&found, "--mount").contains(&mount), "{found:?}");
}

#[test]
fn a_process_needs_no_flags_of_an_engine() {
    let serve = serve(Path::new("/r"), vec!["/images".into()]);
    let launch = Launch::new(None, usual(), &serve);
    assert_eq!(launch.arguments, ["serve", "--listen", "127.0.0.1:8080", "--insecure-http"].map(OsString::from));
    assert_eq!(launch.program, std::env::current_exe().unwrap());
    let launch = Launch::new(Some(PODMAN), usual(), &serve);
    assert_eq!((launch.program, &launch.arguments[0]), ("podman".into(), &"run".into()));
}

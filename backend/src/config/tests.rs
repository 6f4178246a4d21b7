use super::*;
use pixelrts_shared::{Size, Span};
use proptest::prelude::*;
use proptest::sample::select;
use std::ffi::OsString;
use std::fs;

/// A configuration file, variables and flags; nothing of this computer.
fn sources(folder: &tempfile::TempDir, yaml: Option<&str>, variables: &[(&str, &str)], flags: Vec<Flag>) -> Inputs {
    let path = folder.path().join("pixelrts.yaml");
    if let Some(yaml) = yaml {
        fs::write(&path, yaml).unwrap();
    }
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    Inputs { named: yaml.map(|_| path), candidates: Vec::new(), environment, flags, home: PathBuf::from("/home/me") }
}

fn load(yaml: &str, variables: &[(&str, &str)], flags: Vec<Flag>) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    Loaded::load(&sources(&folder, Some(yaml), variables, flags))
}

/// The faults as lines, without the folder.
fn faults(yaml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load(yaml, variables, Vec::new()) {
        Err(ConfigError::Invalid { faults, .. }) => faults
            .iter()
            .map(|fault| {
                let text = fault.to_string();
                match (text.find("/tmp"), text.find("pixelrts.yaml")) {
                    (Some(from), Some(to)) => format!("{}{}", &text[..from], &text[to..]),
                    _ => text,
                }
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// What an editor makes of the template: code lines begin with `#` and no space, or with `#` and two.
fn uncommented(template: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') || code.starts_with("  ") && !code.starts_with("   ") => code.to_owned(),
        _ => line.to_owned(),
    };
    template.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_is_documented_and_nothing_else() {
    let sample = Settings::sample().tree();
    let sections: Vec<_> = sample.as_object().unwrap().iter().filter(|(_, value)| value.is_object()).collect();
    let mut known = layer::names(&sample, "");
    known.retain(|name| !sections.iter().any(|(section, _)| *section == name));
    let mut documented: Vec<_> = keys::KEYS.iter().map(|key| key.path.to_owned()).collect();
    known.sort();
    documented.sort();
    assert_eq!(known, documented);
    assert!(keys::expected("boot.cpus").ends_with(&format!(" {}", pixelrts_shared::boot_decision::MOST_CPUS)));
    let variables: std::collections::HashSet<_> = keys::KEYS.iter().map(|key| keys::variable(key.path)).collect();
    assert_eq!(variables.len(), keys::KEYS.len(), "no two keys share a variable");
}

#[test]
fn the_template_says_nothing_as_it_is_and_the_defaults_when_it_is_uncommented() {
    let template = template();
    assert!(template.lines().all(|line| line.is_empty() || line.starts_with('#')), "{template}");
    assert_eq!(load(&template, &[], Vec::new()).unwrap().given, BTreeMap::new());

    let mut defaults = Settings::default();
    defaults.expand_home(std::path::Path::new("/home/me"));
    let loaded = load(&uncommented(&template), &[], Vec::new()).unwrap();
    assert_eq!(loaded.settings, defaults);
    assert_eq!(loaded.given.len(), leaves(&Settings::default().tree()).len(), "every key is in it");
}

#[test]
fn the_documentation_has_the_table_of_all_keys() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md")).unwrap();
    let table = reference();
    assert!(page.contains(&table), "docs/CONFIGURATION.md must have this table:\n{table}");
}

#[test]
fn a_higher_layer_wins_and_the_origin_says_so() {
    let yaml = "boot:\n  memory: 1G\n  cpus: 3\nlisten: 127.0.0.1:1\n";
    let variables = [("PIXELRTS_BOOT_CPUS", "4"), ("PIXELRTS_LISTEN", "127.0.0.1:2")];
    let loaded = load(yaml, &variables, vec![Flag::new("listen", "--listen", Some("127.0.0.1:3"))]).unwrap();
    let Settings { boot, listen, .. } = &loaded.settings;
    assert_eq!((boot.memory, boot.cpus, listen.port(), boot.max_machines), (Size::from_gibibytes(1), 4, 3, 4));
    assert!(matches!(loaded.origin("boot.memory"), Origin::File { line: 2, .. }));
    assert_eq!(loaded.origin("boot.cpus"), Origin::Environment { variable: "PIXELRTS_BOOT_CPUS".to_owned() });
    assert_eq!(loaded.origin("listen"), Origin::Flag { name: "--listen".to_owned() });
    assert_eq!(loaded.origin("boot.net"), Origin::Default);
    let shown = loaded.document(true);
    for line in ["listen: 127.0.0.1:3  # command line, --listen", "  cpus: 4  # environment, PIXELRTS_BOOT_CPUS"] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn values_of_every_kind_are_read_from_file_and_environment() {
    let yaml = "
catalogs: [~/a, /b]
cache: {max_size: 5GiB, ttl: 36h}
supervise: {backoff: [250ms, 1m], cpus: 1.5, memory: 512MB}
insecure_http: true
servers:
  - {name: office, url: 'http://a:1', auth: s3cret, color: '#00aaff'}
  - http://b
";
    let loaded = load(yaml, &[], Vec::new()).unwrap();
    let Settings { catalogs, cache, supervise, servers, insecure_http, .. } = &loaded.settings;
    assert_eq!(catalogs, &[PathBuf::from("/home/me/a"), PathBuf::from("/b")]);
    assert_eq!((cache.max_size, cache.ttl), (Size::from_gibibytes(5), Span::from_secs(36 * 3600)));
    assert_eq!(supervise.backoff, [Span::from_millis(250), Span::from_secs(60)]);
    assert_eq!(
        (supervise.cpus.as_str(), supervise.memory, *insecure_http),
        ("1.5", Some(Size::from_bytes(512_000_000)), true)
    );
    assert_eq!((servers[0].url.as_str(), servers[0].priority, servers[1].url.as_str()), ("http://a:1", 10, "http://b"));
    assert!(matches!(loaded.origin("servers[1]"), Origin::File { line: 8, .. }));

    let variables =
        [("PIXELRTS_SERVERS", "http://a, http://b"), ("PIXELRTS_CATALOGS", ""), ("PIXELRTS_CACHE_TTL", "1d")];
    let settings = load("", &variables, Vec::new()).unwrap().settings;
    assert_eq!(settings.servers.iter().map(|server| server.url.as_str()).collect::<Vec<_>>(), ["http://a", "http://b"]);
    assert_eq!((settings.catalogs.len(), settings.cache.ttl), (0, Span::from_secs(86_400)));
}

#[test]
fn secrets_are_never_shown() {
    let loaded = load("servers: [{url: 'http://a', auth: s3cret}]", &[], Vec::new()).unwrap();
    let shown = format!("{}{:?}{:?}", loaded.document(true), loaded.values(), loaded);
    assert!(!shown.contains("s3cret") && shown.contains("auth: \"(set)\""), "{shown}");
    let text = faults("servers: [{url: 'http://a', auth: {s3cret: 1}}]", &[]).concat();
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn all_faults_are_told_with_key_value_expectation_and_place() {
    let yaml = "
boot:
  memroy: 4G
  accel: kmv
  cpus: 0
cach: {ttl: 1d}
cache: 7
supervise:
  backoff: [1s, soon]
servers:
  - url: http://a
  - url: http://A:80/
    colour: red
    priority: high
tls:
  cert: /a.pem
";
    assert_eq!(
        faults(yaml, &[("PIXELRTS_LOG_LEVEL", "inof"), ("PIXELRTS_LISTEN", "65536")]),
        [
            "boot.memroy (pixelrts.yaml, line 3) is not a setting; did you mean boot.memory?",
            "boot.accel (pixelrts.yaml, line 4) is \"kmv\"; expected: auto, kvm or tcg.",
            "cach (pixelrts.yaml, line 6) is not a setting; did you mean cache?",
            "cache (pixelrts.yaml, line 7) is \"7\"; expected: keys like dir, max_size, ttl.",
            "supervise.backoff[1] (pixelrts.yaml, line 9) is \"soon\"; expected: a list of durations like [1s, 2s, 4s].",
            "servers[1].colour (pixelrts.yaml, line 13) is not a setting; did you mean servers[].color?",
            "servers[1].priority (pixelrts.yaml, line 14) is \"high\"; expected: a number.",
            "listen (environment, PIXELRTS_LISTEN) is \"65536\"; expected: an address with a port, like 127.0.0.1:8080, or a \
             port.",
            "tls.key (default) is \"\"; expected: both files, or none.",
            "boot.cpus (pixelrts.yaml, line 5) is 0; expected: a number from 1 to 64.",
            "log.level (environment, PIXELRTS_LOG_LEVEL) is \"inof\"; expected: error, warn, info, debug, trace, or a \
             filter like warn,pixelrts=debug.",
        ]
    );
    assert_eq!(
        faults("boot: {memory: 31M}\n", &[]),
        ["boot.memory (pixelrts.yaml, line 1) is \"31M\"; expected: at least 32M."]
    );
    assert_eq!(
        faults("servers:\n  - url: http://a\n  - {name: b}\n  - url: HTTP://A:80/\n", &[]),
        [
            "servers[1].url (pixelrts.yaml, line 3) is \"\"; expected: an address like http://images.example.org:8080.",
            "servers[2].url (pixelrts.yaml, line 4) is \"HTTP://A:80/\"; expected: an address that no other server has.",
        ]
    );
    assert_eq!(
        faults("boot.memory: 1G\n\"\\e[1m\": 1\n", &[]),
        [
            "boot.memory (pixelrts.yaml, line 1) must be written in its section.",
            "\\u{1b}[1m (pixelrts.yaml, line 2) is not a setting.",
        ]
    );
    assert_eq!(faults("- 1\n", &[]).len(), 1);
    assert_eq!(
        faults("supervise: {backoff: []}\n", &[]),
        ["supervise.backoff (pixelrts.yaml, line 1) is a list of 0; expected: at least one duration."]
    );
    let many: Vec<_> = (0..=crate::remote::servers::MOST).map(|n| format!("http://a:{n}")).collect();
    let many = faults("", &[("PIXELRTS_SERVERS", &many.join(","))]);
    assert_eq!(many, ["servers (environment, PIXELRTS_SERVERS) is a list of 101; expected: not more than 100."]);
}

#[test]
fn what_is_accepted_without_effect_is_a_warning() {
    let yaml = "kiosk: {entry: debian}\nservers:\n  - url: http://a\n    public_key: abc\n";
    let variables = [("PIXELRTS_LOG", "debug"), ("PIXELRTS_BIN", "/x"), ("PIXELRTS_KIOSK_FALLBACK", "none")];
    let warnings = load(yaml, &variables, Vec::new()).unwrap().warnings;
    let found: Vec<_> = warnings.iter().map(|one| (one.key.as_str(), one.suggestion.as_deref())).collect();
    let log = ("PIXELRTS_LOG", Some("PIXELRTS_LOG_LEVEL"));
    let expected =
        [log, ("PIXELRTS_BIN", None), ("kiosk.entry", None), ("kiosk.fallback", None), ("servers[0].public_key", None)];
    assert_eq!(found, expected);
    assert!(matches!(warnings[4].origin, Origin::File { line: 4, .. }));
    let shown = load(yaml, &variables, Vec::new()).unwrap().document(false);
    assert!(shown.contains("  entry: debian  # nothing uses this yet\n"), "{shown}");
}

#[test]
fn files_are_looked_for_in_order_and_a_named_one_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut sources = Inputs { candidates: vec![at("a"), at("b")], ..Inputs::default() };
    assert_eq!(Loaded::load(&sources).unwrap().file, None);
    fs::write(at("b"), "name: b").unwrap();
    assert_eq!(Loaded::load(&sources).unwrap().settings.name, "b");
    fs::write(at("a"), "name: a").unwrap();
    assert_eq!(Loaded::load(&sources).unwrap().file, Some(at("a")));
    sources.named = Some(at("c"));
    assert!(matches!(Loaded::load(&sources), Err(ConfigError::Unreadable { .. })));
    fs::write(at("c"), "x".repeat(300 << 10)).unwrap();
    assert!(matches!(Loaded::load(&sources), Err(ConfigError::TooLarge { .. })));
    fs::write(at("c"), "name: [\n").unwrap();
    assert!(matches!(Loaded::load(&sources), Err(ConfigError::Syntax { .. })));
}

#[test]
fn a_file_of_somebody_else_is_read_only_when_it_is_named() {
    if !nix::unistd::getuid().is_root() {
        return pixelrts_testing::skip("root", "only root can give a file to another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pixelrts.yaml");
    fs::write(&path, "name: a").unwrap();
    std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
    let sources = Inputs { candidates: vec![path.clone()], ..Inputs::default() };
    assert!(matches!(Loaded::load(&sources), Err(ConfigError::Foreign { owner: 12345, .. })));
    let named = Inputs { named: Some(path), ..Inputs::default() };
    assert_eq!(Loaded::load(&named).unwrap().settings.name, "a");
}

#[test]
fn changes_are_named_and_told_apart_by_what_a_running_backend_takes_over() {
    let one = load("boot: {cpus: 1}\nservers: [http://a]\n", &[], Vec::new()).unwrap();
    let other = load("boot: {cpus: 2}\nlisten: 127.0.0.1:1\n", &[], Vec::new()).unwrap();
    assert_eq!(one.changes(&other), ["listen", "servers", "boot.cpus"]);
    assert!(is_reloadable("boot.cpus") && is_reloadable("servers") && !is_reloadable("listen"));
    assert!(one.changes(&one).is_empty());
}

#[test]
fn what_is_shown_can_be_read_again() {
    let yaml = "name: 'a: b # c'\nallowed_hosts: ['yes', '1', x.org]\nservers: [{url: http://a, name: 'true'}]\n\
                log: {level: 'warn,pixelrts=debug'}\n";
    let loaded = load(yaml, &[], Vec::new()).unwrap();
    for with_origin in [false, true] {
        assert_eq!(load(&loaded.document(with_origin), &[], Vec::new()).unwrap().settings, loaded.settings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn for_any_set_of_layers_the_highest_wins(file: Option<u16>, variable: Option<u16>, flag: Option<u16>) {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let yaml = file.map(|port| format!("listen: {}\n", address(port))).unwrap_or_default();
        let value = variable.map(address);
        let variables: Vec<_> = value.iter().map(|value| ("PIXELRTS_LISTEN", value.as_str())).collect();
        let loaded = load(&yaml, &variables, vec![Flag::new("listen", "--listen", flag.map(address))]).unwrap();
        let expected = flag.or(variable).or(file).unwrap_or(8080);
        prop_assert_eq!(loaded.settings.listen.port(), expected);
        let fits = match loaded.origin("listen") {
            Origin::Flag { .. } => flag.is_some(),
            Origin::Environment { .. } => flag.is_none() && variable.is_some(),
            Origin::File { .. } => flag.is_none() && variable.is_none() && file.is_some(),
            Origin::Default => flag.is_none() && variable.is_none() && file.is_none(),
        };
        prop_assert!(fits);
    }

    #[test]
    fn any_text_that_is_shown_can_be_read_again(name in "\\PC{0,12}", host in "[a-z0-9.~#:-]{1,6}") {
        let yaml = serde_json::json!({ "name": name, "allowed_hosts": [host.replace('#', "-")] }).to_string();
        let loaded = load(&yaml, &[], Vec::new()).unwrap();
        prop_assert_eq!(&loaded.settings.name, &name);
        prop_assert_eq!(load(&loaded.document(true), &[], Vec::new()).unwrap().settings, loaded.settings);
    }

    #[test]
    fn no_file_makes_it_panic(
        lines in prop::collection::vec((select(vec!["boot", "  cpus", "servers", "- url", "  - auth", "tls", "x", "catalogs", "listen"]),
            select(vec!["", " 1", " [a, {b: c}]", " http://a", " ~", " {}", " []", " *a", " &a x", " \"", " -1", " !!int 3"])), 0..8),
    ) {
        let yaml: String = lines.iter().map(|(key, value)| format!("{key}:{value}\n")).collect();
        let _ = load(&yaml, &[], Vec::new());
    }

    #[test]
    fn no_variable_makes_it_panic(key in select(keys::KEYS.iter().map(|key| key.path).collect::<Vec<_>>()), value in "\\PC{0,12}") {
        let _ = load("", &[(keys::variable(key).as_str(), value.as_str())], Vec::new());
    }
}

#[test]
fn a_backend_that_may_prepare_for_longer_is_waited_for_longer() {
    let appear = |yaml| load(yaml, &[], Vec::new()).unwrap().settings.supervisor().appear.as_secs();
    assert_eq!(appear(""), 30);
    assert_eq!(appear("bootstrap:\n  timeout: 5s\n"), 30);
    assert_eq!(appear("bootstrap:\n  timeout: 2m\n"), 130);
}

#[test]
fn no_fault_tells_a_password() {
    for yaml in [
        "servers: ['http://u:hunter2@h']",
        "servers: 'http://u:hunter2@h'",
        "servers: ['u:hunter2@h']",
        "log: {level: 'http://u:hunter2@h'}",
    ] {
        let said = faults(yaml, &[]).join("\n");
        assert!(said.contains("…@h") && !said.contains("hunter2"), "{said}");
    }
    let long = faults(&format!("log: {{level: {}}}", "x".repeat(100)), &[]);
    assert!(long[0].contains(&format!("{}…", "x".repeat(60))), "{long:?}");
}

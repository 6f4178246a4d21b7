use super::*;
use proptest::prelude::*;

fn host() -> HostFacts {
    HostFacts {
        architecture: "x86_64".to_owned(),
        kvm: Err("none".to_owned()),
        virtualisation: false,
        kvm_is_faster: None,
        memory: 8 << 30,
        cpus: 4,
    }
}

fn image() -> ImageFacts {
    ImageFacts { kernel: "/run/mnt/vmlinuz".into(), initrd: Some("/run/mnt/initrd".into()), ..ImageFacts::default() }
}

fn planned(options: &BootOptions, image: &ImageFacts) -> Result<Plan, MachineError> {
    plan(options, image, &host(), Wires { serial: 7, qmp: 9 }, "abcdefgh")
}

/// The value after an option that stands once.
fn value<'a>(plan: &'a Plan, option: &str) -> Option<&'a str> {
    let mut at = plan.arguments.iter().enumerate().filter(|(_, word)| *word == option).map(|(index, _)| index);
    let index = at.next()?;
    assert_eq!(at.next(), None, "{option} stands twice");
    plan.arguments[index + 1].to_str()
}

/// Options of the plan that take no value.
const ALONE: [&str; 3] = ["-nodefaults", "-no-user-config", "-no-reboot"];

/// Reads the arguments as QEMU does: an option, then its value. Anything else is a fault.
fn parsed(plan: &Plan) -> Vec<(String, Option<String>)> {
    let mut words = plan.arguments.iter().map(|word| word.to_str().unwrap().to_owned());
    let mut options = Vec::new();
    while let Some(option) = words.next() {
        assert!(option.starts_with('-'), "{option} is not an option");
        let value = if ALONE.contains(&option.as_str()) { None } else { Some(words.next().unwrap()) };
        options.push((option, value));
    }
    options
}

proptest! {
    /// A comma in a name or a path does not begin another property.
    #[test]
    fn disks_arrive_as_they_are(socket in "/[^\\p{Cc}]{1,80}", names in prop::collection::vec("[^\\p{Cc}]{1,64}", 1..4)) {
        let disks = Some(Disks { socket: socket.clone().into(), names: names.clone() });
        let plan = planned(&BootOptions::default(), &ImageFacts { disks, ..image() }).unwrap();
        let drives: Vec<_> = parsed(&plan).into_iter().filter(|(option, _)| option == "-drive").collect();
        prop_assert_eq!(drives.len(), names.len());
        for ((_, drive), name) in drives.iter().zip(&names) {
            let (mut words, mut rest) = (vec![String::new()], drive.as_deref().unwrap().chars().peekable());
            while let Some(letter) = rest.next() {
                match letter {
                    ',' if rest.peek() == Some(&',') => words.last_mut().unwrap().push(rest.next().unwrap()),
                    ',' => words.push(String::new()),
                    letter => words.last_mut().unwrap().push(letter),
                }
            }
            prop_assert_eq!(words.len(), 10);
            let expected = [format!("file.server.path={socket}"), format!("file.export={name}")];
            prop_assert!(expected.iter().all(|word| words.contains(word)));
        }
    }

    /// Any text arrives unchanged and adds no option.
    #[test]
    fn text_arrives_as_it_is_and_adds_no_option(
        cmdline in prop::option::of("[^\\p{Cc}]{0,200}"),
        append in prop::option::of("[^\\p{Cc}]{0,200}"),
        own in prop::option::of("[^\\p{Cc}]{0,100}"),
        kernel in "/[^\\p{Cc}]{1,80}",
        cpus in 1_u32..=64,
        mebibytes in 32_u32..4096,
        restricted: bool,
    ) {
        let net = if restricted { Net::Restricted } else { Net::None };
        let memory = format!("{mebibytes}M");
        let options = BootOptions { memory: memory.parse().unwrap(), cpus, cmdline: cmdline.clone(), append: append.clone(), net, ..BootOptions::default() };
        let plan = planned(&options, &ImageFacts { cmdline: own.clone(), kernel: kernel.clone().into(), ..image() }).unwrap();
        let mut line = cmdline.or(own).unwrap_or(format!("console=ttyS0 {LEAN_BOOT}"));
        if let Some(append) = append {
            line = format!("{line} {append}");
        }
        prop_assert_eq!(value(&plan, "-append"), Some(line.trim()));
        prop_assert_eq!(value(&plan, "-kernel"), Some(kernel.as_str()));
        prop_assert_eq!(value(&plan, "-initrd"), Some("/run/mnt/initrd"));
        let cpus = cpus.to_string();
        prop_assert_eq!(value(&plan, "-smp"), Some(cpus.as_str()));
        prop_assert_eq!(value(&plan, "-m"), Some(memory.as_str()));
        let options: Vec<String> = parsed(&plan).into_iter().map(|(option, _)| option).collect();
        let quiet = planned(&BootOptions { net, ..BootOptions::default() }, &image()).unwrap();
        let expected: Vec<String> = parsed(&quiet).into_iter().map(|(option, _)| option).collect();
        prop_assert_eq!(options, expected);
    }

    #[test]
    fn the_shell_line_is_one_word_per_argument(words in prop::collection::vec("[^\\p{Cc}]{0,20}", 1..6)) {
        let accel = Accel { used: AccelKind::Tcg, reason: String::new() };
        let arguments = std::iter::once("%s\\n").chain(words.iter().map(String::as_str)).map(OsString::from).collect();
        let plan = Plan { program: "printf".to_owned(), arguments, accel, package: "" };
        let shell = std::process::Command::new("sh").arg("-c").arg(plan.shell_line()).output().unwrap();
        let expected: String = words.iter().map(|word| format!("{word}\n")).collect();
        prop_assert_eq!(String::from_utf8(shell.stdout).unwrap(), expected);
    }
}

#[test]
fn the_guest_has_only_what_was_requested() {
    let plan = planned(&BootOptions::default(), &image()).unwrap();
    assert_eq!(plan.program, "qemu-system-x86_64");
    for word in ["-nodefaults", "-no-user-config", "-no-reboot"] {
        assert!(plan.arguments.iter().any(|argument| argument == word), "{word}");
    }
    assert_eq!(value(&plan, "-netdev"), Some("user,id=net,restrict=on"));
    assert_eq!(
        value(&plan, "-sandbox"),
        Some("on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    );
    assert_eq!((value(&plan, "-vga"), value(&plan, "-display")), (Some("none"), Some("none")));
    let plan = planned(&BootOptions { net: Net::None, ..BootOptions::default() }, &image()).unwrap();
    assert_eq!((value(&plan, "-netdev"), plan.arguments.iter().any(|word| word == "-nic")), (None, false));
}

#[test]
fn accelerator_and_processor_go_together() {
    let tcg = planned(&BootOptions::default(), &image()).unwrap();
    assert_eq!((value(&tcg, "-accel"), value(&tcg, "-cpu")), (Some("tcg"), Some("max")));
    let host = HostFacts { kvm: Ok(()), virtualisation: true, ..host() };
    let kvm = plan(&BootOptions::default(), &image(), &host, Wires { serial: 3, qmp: 4 }, "abcdefgh").unwrap();
    assert_eq!((value(&kvm, "-accel"), value(&kvm, "-cpu")), (Some("kvm"), Some("host")));
}

#[test]
fn every_architecture_has_its_own_qemu_and_console() {
    for (named, program, console) in [
        ("amd64", "qemu-system-x86_64", "console=ttyS0"),
        ("arm64", "qemu-system-aarch64", "console=ttyAMA0"),
        ("riscv64", "qemu-system-riscv64", "console=ttyS0"),
    ] {
        let facts = ImageFacts { architecture: Some(named.to_owned()), ..image() };
        let plan = planned(&BootOptions::default(), &facts).unwrap();
        assert_eq!(plan.program, program);
        assert_eq!(value(&plan, "-append"), Some(format!("{console} {LEAN_BOOT}").as_str()));
        assert_eq!(plan.accel.used, AccelKind::Tcg);
    }
    let facts = ImageFacts { architecture: Some("vax".to_owned()), ..image() };
    assert!(
        matches!(planned(&BootOptions::default(), &facts), Err(MachineError::Architecture { found }) if found == "vax")
    );
}

#[test]
fn memory_is_given_to_qemu_exactly() {
    for (memory, word) in [("2G", "2048M"), ("1.5GiB", "1536M"), ("2048MB", "2048000000B"), ("2048MiB", "2048M")] {
        let options = BootOptions { memory: memory.parse().unwrap(), ..BootOptions::default() };
        assert_eq!(value(&planned(&options, &image()).unwrap(), "-m"), Some(word), "{memory}");
    }
}

#[test]
fn a_machine_that_may_have_a_screen_keeps_its_keyboard() {
    let options = BootOptions { qemu_args: vec!["-vga".to_owned(), "std".to_owned()], ..BootOptions::default() };
    assert_eq!(value(&planned(&options, &image()).unwrap(), "-append"), Some("console=ttyS0"));
}

#[test]
fn what_no_machine_can_have_is_refused() {
    let refused = |change: fn(&mut BootOptions)| {
        let mut options = BootOptions::default();
        change(&mut options);
        planned(&options, &image()).unwrap_err()
    };
    assert!(matches!(refused(|o| o.memory = Size::from_gibibytes(16)), MachineError::MemoryOutside { .. }));
    assert!(matches!(refused(|o| o.memory = Size::from_mebibytes(1)), MachineError::MemoryOutside { .. }));
    assert!(matches!(refused(|o| o.cpus = 0), MachineError::Cpus { .. }));
    assert!(matches!(refused(|o| o.cpus = 65), MachineError::Cpus { .. }));
    assert!(matches!(refused(|o| o.append = Some("a\nb".to_owned())), MachineError::Cmdline { .. }));
    assert!(matches!(refused(|o| o.append = Some("x".repeat(2048))), MachineError::Cmdline { .. }));
    assert!(matches!(refused(|o| o.net = Net::Internet), MachineError::InternetUnavailable));
}

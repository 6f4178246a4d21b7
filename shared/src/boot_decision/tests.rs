use super::*;

fn settings() -> BootSettings {
    BootSettings {
        defaults: BootDefaults {
            memory: Size::from_gibibytes(2),
            cpus: 2,
            net: Net::Restricted,
            cmdline: "console=ttyS0".to_owned(),
        },
        limits: HostLimits { memory: Size::from_gibibytes(8), cpus: 4 },
    }
}

fn wishes(memory: &str, cpus: &str, net: &str) -> ImageWishes {
    wishes_by(Wisher::Image, memory, cpus, net)
}

fn wishes_by(by: Wisher, memory: &str, cpus: &str, net: &str) -> ImageWishes {
    let said = |text: &str| Wish::of(Some(text).filter(|text| !text.is_empty()), by);
    ImageWishes { memory: said(memory), cpus: said(cpus), net: said(net) }
}

#[test]
fn the_image_fills_in_what_the_request_leaves_open_within_the_limits_of_the_host() {
    let note = |text: &str| text.to_owned();
    for (image, memory, cpus, net, notes) in [
        (wishes("", "", ""), "2G", 2, Net::Restricted, vec![]),
        (wishes("512M", "1", "none"), "512M", 1, Net::None, vec![]),
        (wishes("1.5GiB", "3", ""), "1536M", 3, Net::Restricted, vec![]),
        (wishes("8G", "4", "restricted"), "8G", 4, Net::Restricted, vec![]),
        (
            wishes("9G", "5", "internet"),
            "8G",
            4,
            Net::Restricted,
            vec![
                note("The image asks for 9G of memory. This computer has only 8G, which the machine gets."),
                note("The image asks for 5 processors. The machine gets 4, as many as it can have here."),
                note(
                    "The image asks for the network internet. An image may not ask for more than the default, so the \
                     machine gets restricted.",
                ),
            ],
        ),
        (
            wishes("lots", "0", "wifi"),
            "2G",
            2,
            Net::Restricted,
            vec![
                note("The image asks for \"lots\" of memory, which is not a size. The machine gets 2G."),
                note("The image asks for \"0\" processors, which is not a number from 1 on. The machine gets 2."),
                note("The image asks for the network \"wifi\", which does not exist. The machine gets restricted."),
            ],
        ),
        (
            wishes("31M", "-1", ""),
            "2G",
            2,
            Net::Restricted,
            vec![
                note("The image asks for \"31M\" of memory, which is too little for a machine. The machine gets 2G."),
                note("The image asks for \"-1\" processors, which is not a number from 1 on. The machine gets 2."),
            ],
        ),
    ] {
        let decision = decide(&BootRequest::default(), &image, &settings());
        let said: Vec<_> = decision.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            (decision.memory.to_string().as_str(), decision.cpus, decision.net, said),
            (memory, cpus, net, notes),
            "{image:?}"
        );
    }
}

#[test]
fn a_default_beyond_the_computer_is_lowered_and_a_note_says_so() {
    let mut settings = settings();
    settings.defaults.memory = Size::from_gibibytes(40);
    let decision = decide(&BootRequest::default(), &ImageWishes::default(), &settings);
    assert_eq!(decision.memory, Size::from_gibibytes(8));
    assert!(decision.notes[0].to_string().contains("boot.memory"), "{:?}", decision.notes);
    let image = decide(&BootRequest::default(), &wishes("1G", "", ""), &settings);
    assert_eq!((image.memory, image.notes), (Size::from_gibibytes(1), vec![]));
}

#[test]
fn an_image_never_gets_more_network_than_the_default() {
    for default in [Net::None, Net::Restricted, Net::Internet] {
        for asked in [Net::None, Net::Restricted, Net::Internet] {
            let mut settings = settings();
            settings.defaults.net = default;
            let decision = decide(&BootRequest::default(), &wishes("", "", &asked.to_string()), &settings);
            assert_eq!(decision.net, asked.min(default));
            assert_eq!(decision.notes.is_empty(), asked <= default, "{default} {asked}");
        }
    }
}

#[test]
fn what_a_person_asks_for_counts_whatever_the_image_says() {
    let request = BootRequest {
        memory: Some(Size::from_gibibytes(9)),
        cpus: Some(5),
        net: Some(Net::Internet),
        ..BootRequest::default()
    };
    let decision = decide(&request, &wishes("lots", "many", "wifi"), &settings());
    assert_eq!((decision.memory, decision.cpus, decision.net), (Size::from_gibibytes(9), 5, Net::Internet));
    assert_eq!(decision.notes, [BootNote::CpusShared { asked: 5, host: 4 }]);
}

#[test]
fn the_image_itself_speaks_before_a_catalog() {
    let both = wishes("1G", "", "none").or(wishes_by(Wisher::Catalog, "3G", "3", "restricted"));
    let expected = ImageWishes { cpus: Wish::of(Some("3"), Wisher::Catalog), ..wishes("1G", "", "none") };
    assert_eq!(both, expected);
}

#[test]
fn an_impossible_wish_of_a_catalog_is_the_default_and_a_note() {
    let decision =
        decide(&BootRequest::default(), &wishes_by(Wisher::Catalog, "64T", "64000", "internet"), &settings());
    assert_eq!((decision.memory, decision.cpus, decision.net), (Size::from_gibibytes(2), 2, Net::Restricted));
    let said: Vec<_> = decision.notes.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3);
    assert!(said.iter().all(|note| note.starts_with("The catalog asks for ")), "{said:?}");
    let possible = decide(&BootRequest::default(), &wishes_by(Wisher::Catalog, "4G", "3", "none"), &settings());
    assert_eq!((possible.memory, possible.cpus, possible.net), (Size::from_gibibytes(4), 3, Net::None));
    assert!(possible.notes.is_empty(), "{:?}", possible.notes);
}

#[test]
fn a_hostile_wish_is_repeated_in_part_only() {
    let long = "\u{1}".repeat(300_000);
    let notes = decide(&BootRequest::default(), &wishes(&long, &long, &long), &settings()).notes;
    assert_eq!(notes.len(), 3);
    assert!(notes.iter().all(|note| note.to_string().len() < 600), "{notes:?}");
}

#[test]
fn an_odd_wish_does_not_refuse_the_entry() {
    let entry = |memory: &str, cpus: &str| -> Entry {
        let digest = "0".repeat(64);
        let text = format!(r#"{{"id":"a","name":"A","size":1,"sha256":"{digest}","memory":{memory},"cpus":{cpus}}}"#);
        serde_json::from_str(&text).unwrap()
    };
    for (memory, cpus, expected) in [
        ("\"2G\"", "2", wishes("2G", "2", "")),
        ("512", "\"2\"", wishes("512M", "2", "")),
        ("1.5", "-1", wishes("1.5M", "-1", "")),
        ("\"lots\"", "\"many\"", wishes("lots", "many", "")),
        ("null", "[1,[2]]", wishes("", "", "")),
        ("{\"a\":1}", "true", wishes("", "", "")),
    ] {
        let entry = entry(memory, cpus);
        assert_eq!(ImageWishes::of(&entry, Wisher::Image), expected, "{memory} {cpus}");
        let again: Entry = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
        assert_eq!(again, entry);
    }
    assert!(serde_json::to_string(&entry("\"2G\"", "\"2\"")).unwrap().contains(r#""cpus":2"#));
}

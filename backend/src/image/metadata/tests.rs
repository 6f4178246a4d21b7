use super::*;
use proptest::prelude::*;

fn read(json: &str) -> Result<Document, ImageError> {
    Document::parse(&format!("{KEYWORD}{json}")).expect("an object")
}

const A: &str = "1e9bc38cbf860b9ec31918b065f9b52476c549a782e0e7990bed8ce3868d2371";

#[test]
fn the_three_forms_of_a_segment_are_read() {
    let table = format!(
        r#"{{"data_size":30,"segments":{{"kernel":{{"offset":0,"size":10,"sha256":"{A}"}},"initrd":{{"start":10,"end":30,"size":20}}}},"hashes":{{"initrd":"{A}"}}}}"#
    );
    let document = read(&table).unwrap();
    let found: Vec<_> = document.segments.iter().map(|s| (&*s.name, s.role, s.offset, s.size)).collect();
    assert_eq!(found, [("kernel", Role::Kernel, 0, 10), ("initrd", Role::Initrd, 10, 20)]);
    assert!(document.segments.iter().all(|segment| segment.sha256 == Some(A.parse().unwrap())));
    let only = read(r#"{"data_size":7,"offsets":{"app":{"sha256":null}}}"#).unwrap().segments;
    assert_eq!((&*only[0].name, only[0].offset, only[0].size), ("app", 0, 7));
    let end = read(r#"{"data_size":7,"offsets":{"app":{"start":1,"end":6}}}"#).unwrap().segments;
    assert_eq!((end[0].offset, end[0].size), (1, 5));
}

#[test]
fn no_segments_means_one_payload() {
    for json in [r#"{"data_size":5}"#, r#"{"data_size":5,"segments":{},"offsets":{}}"#] {
        let segments = read(json).unwrap().segments;
        assert_eq!((&*segments[0].name, segments[0].offset, segments[0].size, segments.len()), ("payload", 0, 5, 1));
    }
}

#[test]
fn tables_that_contradict_the_payload_are_refused() {
    for table in [
        r#"{"a":{"offset":0,"size":6},"b":{"offset":5,"size":5}}"#,
        r#"{"a":{"offset":0,"size":11}}"#,
        r#"{"a":{"offset":18446744073709551615,"size":1}}"#,
        r#"{"a":{"size":1},"b":{"offset":5,"size":5}}"#,
        r#"{"a":{"offset":0},"b":{"offset":5,"size":5}}"#,
        r#"{"a":{"offset":-1,"size":1}}"#,
        r#"{"a":{"start":5,"end":4}}"#,
        r#"{"a":7}"#,
        r#"{"a":{"offset":0,"size":1,"sha256":"xyz"}}"#,
    ] {
        let outcome = read(&format!(r#"{{"data_size":10,"segments":{table}}}"#));
        assert!(matches!(outcome, Err(ImageError::Malformed { .. })), "{table}: {outcome:?}");
    }
    assert!(read("{}").is_err(), "no size");
    assert!(read(r#"{"data_size":10,"compression":{"original_size":11}}"#).is_err(), "two sizes");
}

#[test]
fn values_without_the_keyword_or_an_object_are_ignored() {
    for value in ["", "PixelRTS", "PixelRTS[]", "PixelRTS{", "{\"data_size\":1}", "Pixel{}"] {
        assert!(Document::parse(value).is_none(), "{value}");
    }
}

#[test]
fn roles_by_name() {
    for (name, role) in [
        ("vmlinuz", Role::Kernel),
        ("bzImage", Role::Kernel),
        ("initrd.img", Role::Initrd),
        ("rootfs", Role::Disk),
        ("initrd-old.img", Role::Disk),
        ("Debian.qcow2", Role::Disk),
        ("my-initramfs.gz", Role::Initrd),
        ("Vmlinuz-6.1", Role::Kernel),
        ("notes.txt", Role::Other),
    ] {
        assert_eq!(role_of(name), role, "{name}");
    }
    let written = read(r#"{"data_size":1,"segments":{"kernel":{"offset":0,"size":1,"role":"disk"}}}"#).unwrap();
    assert_eq!(written.segments[0].role, Role::Disk);
}

proptest! {
    #[test]
    fn every_name_is_one_harmless_file_name(segment: String) {
        let name = file_name(&segment);
        prop_assert!(!name.is_empty() && !name.contains('/') && !name.starts_with('.') && name != "metadata.json");
        prop_assert!(name.is_ascii() && !name.contains('\0'));
    }

    #[test]
    fn different_segments_have_different_names(a: String, b: String) {
        prop_assert_eq!(a == b, file_name(&a) == file_name(&b));
    }
}

#[test]
fn bad_names_are_encoded_and_good_ones_stay() {
    for (name, shown) in [
        ("kernel", "kernel"),
        ("a/b", "a%2Fb"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        (".hidden", "%2Ehidden"),
        ("metadata.json", "%6Detadata.json"),
        ("50%", "50%25"),
        ("é", "%C3%A9"),
        ("", "%"),
    ] {
        assert_eq!(file_name(name), shown);
        assert_eq!(is_segment_name(name), name == shown && !name.is_empty());
    }
    assert!(!is_segment_name(&"a".repeat(65)));
}

#[test]
fn a_name_that_is_too_long_for_a_file_is_refused() {
    let named = |name: &str| read(&format!(r#"{{"data_size":1,"segments":{{"{name}":{{"size":1}}}}}}"#));
    assert_eq!(named(&"n".repeat(255)).unwrap().segments[0].name.len(), 255);
    assert!(named(&"n".repeat(256)).is_err());
    assert!(named(&"é".repeat(43)).is_err(), "as it is shown: 43 times %C3%A9");
}

#[test]
fn numbers_are_kept_as_text_and_other_types_count_as_absent() {
    let document = read(r#"{"data_size":1,"content_version":6.10,"name":["a"],"distro":"","cmdline":"a\u00e9"}"#);
    let Metadata { version, name, distro, cmdline, .. } = document.unwrap().metadata;
    assert_eq!((version.as_deref(), name, distro, cmdline.as_deref()), (Some("6.10"), None, None, Some("aé")));
    for size in ["-1", "1.0", "1e3", "18446744073709551616", "\"1\"", "[]"] {
        assert!(read(&format!(r#"{{"data_size":{size}}}"#)).is_err(), "{size}");
    }
    assert!(read(r#"{"data_size":1,"grid_size":null,"segments":null,"hashes":7}"#).is_ok());
}

#[test]
fn what_an_image_asks_of_a_machine_is_kept_in_its_own_words() {
    for (json, memory, cpus, net) in [
        (r#""memory":"2G","cpus":4,"net":"none""#, Some("2G"), Some("4"), Some("none")),
        (r#""memory":512,"cpus":"4""#, Some("512M"), Some("4"), None),
        (r#""memory":"512","cpus":-1,"net":7"#, Some("512"), Some("-1"), Some("7")),
        (r#""memory":"lots","cpus":"many","net":"wifi""#, Some("lots"), Some("many"), Some("wifi")),
        (r#""memory":[2],"cpus":{},"net":null"#, None, None, None),
    ] {
        let metadata = read(&format!(r#"{{"data_size":1,{json}}}"#)).unwrap().metadata;
        let found = (metadata.memory.as_deref(), metadata.cpus.as_deref(), metadata.net.as_deref());
        assert_eq!(found, (memory, cpus, net), "{json}");
    }
}

#[test]
fn an_error_shows_what_was_found_in_one_line() {
    let long = format!(r#"{{"data_size":[{}]}}"#, "7,".repeat(5000) + "\"é\"");
    assert!(read(&long).unwrap_err().to_string().len() < 300);
}

#[test]
fn written_metadata_is_read_back() {
    let sha256 = Some(A.parse().unwrap());
    let segments = [
        Segment { name: "kernel".into(), role: Role::Kernel, offset: 0, size: 3, sha256 },
        Segment { name: "b".into(), role: Role::Disk, offset: 1 << 18, size: 9, sha256 },
        Segment { name: "a".into(), role: Role::Other, offset: 1 << 19, size: 0, sha256 },
    ];
    let metadata = Metadata {
        name: Some("\"x\"".into()),
        cmdline: Some("a=b".into()),
        memory: Some("512M".into()),
        cpus: Some("4".into()),
        net: Some("none".into()),
        ..Metadata::default()
    };
    let chunk =
        String::from_utf8(text_chunk(&metadata, &segments, ProfileFields::Streamable { data_size: (1 << 18) + 9 }))
            .unwrap();
    let value = chunk.strip_prefix("PixelRTS\0").unwrap();
    assert!(value.starts_with(r#"PixelRTS{"format":"PixelRTS-2.1","format_version":2,"encoding":{"#));
    assert!(value.contains(r#""memory":"512M","cpus":4,"net":"none""#), "the number is a number: {value}");
    let document = Document::parse(value).unwrap();
    // The empty segment lies behind the payload's end.
    assert!(document.is_err());
    let document = Document::parse(&value.replace("262153", "524288")).unwrap().unwrap();
    assert_eq!(document.metadata, metadata);
    assert_eq!(document.segments, segments);
}

//! What a machine of an image is booted with: what a person chose for it, then the rule of `pixelrts-shared` with the
//! defaults that the backend sent.
//! Before they are known, nothing is said.

use pixelrts_shared::Size;
use pixelrts_shared::boot_decision::{BootDecision, BootSettings, decide};
use pixelrts_shared::catalog::{Entry, MergedEntry};
use pixelrts_shared::machine::{BootRequest, Net};

use crate::words;

pub mod options;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

/// What a press on the button of an image boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub memory: Size,
    pub cpus: u32,
    pub net: Net,
    /// Where the machine does not get what is asked for it.
    pub notes: Vec<String>,
}

impl Preview {
    #[must_use]
    pub fn of(request: &BootRequest, entry: &MergedEntry, settings: &BootSettings) -> Self {
        let BootDecision { memory, cpus, net, notes } = decide(request, &entry.wishes(), settings);
        Self { memory, cpus, net, notes: notes.iter().map(ToString::to_string).collect() }
    }

    /// `2 GiB memory, 2 CPUs`
    #[must_use]
    pub fn resources(&self) -> String {
        let cpus = words::counted(usize::try_from(self.cpus).unwrap_or(usize::MAX), "CPU", "CPUs");
        format!("{} memory, {cpus}", words::memory(self.memory))
    }
}

/// The kernel's command line of an image, without what a person changes.
#[must_use]
pub fn own_line<'a>(entry: &'a Entry, settings: &'a BootSettings) -> &'a str {
    entry.cmdline.as_deref().unwrap_or(&settings.defaults.cmdline)
}

/// The name that the guest gives its console: the kernel takes the last `console=` of its command line.
#[must_use]
pub fn console_device(cmdline: &str) -> Option<&str> {
    let device = cmdline.split_whitespace().rev().find_map(|word| word.strip_prefix("console="))?;
    device.split(',').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn settings() -> serde_json::Value {
        json!({"boot": {
            "defaults": {"memory": "1G", "cpus": 1, "net": "restricted", "cmdline": "console=hvc0 quiet"},
            "limits": {"memory": "4G", "cpus": 2}
        }})
    }

    fn preview(entry: &serde_json::Value) -> Preview {
        chosen(&BootRequest::default(), entry)
    }

    fn chosen(request: &BootRequest, entry: &serde_json::Value) -> Preview {
        let mut whole = json!({
            "id": "e", "name": "E", "size": 1, "sha256": "00".repeat(32), "segments": [], "sources": [], "cached": true,
            "status": "idle"
        });
        whole.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        let settings = serde_json::from_value(settings()["boot"].clone()).unwrap();
        Preview::of(request, &serde_json::from_value(whole).unwrap(), &settings)
    }

    #[test]
    fn an_image_that_asks_for_nothing_gets_the_defaults() {
        let found = preview(&json!({}));
        assert_eq!((&*found.resources(), found.notes.len()), ("1\u{a0}GiB memory, 1\u{a0}CPU", 0));
    }

    #[test]
    fn an_image_gets_what_it_asks_for_as_far_as_the_host_has_it() {
        let found = preview(&json!({"memory": "512M", "cpus": 2}));
        assert_eq!((&*found.resources(), found.notes.len()), ("512\u{a0}MiB memory, 2\u{a0}CPUs", 0));
        let found = preview(&json!({"memory": "plenty", "cpus": 8}));
        assert_eq!((&*found.resources(), found.notes.len()), ("1\u{a0}GiB memory, 2\u{a0}CPUs", 2));
        let found = preview(&json!({"memory": "64T", "described_by": "office"}));
        assert_eq!((&*found.resources(), found.notes.len()), ("1\u{a0}GiB memory, 1\u{a0}CPU", 1));
    }

    #[test]
    fn what_a_person_chose_comes_before_what_the_image_asks_for() {
        let request = BootRequest { cpus: Some(2), net: Some(Net::None), ..BootRequest::default() };
        let found = chosen(&request, &json!({"memory": "512M", "cpus": 1}));
        assert_eq!((&*found.resources(), found.net), ("512\u{a0}MiB memory, 2\u{a0}CPUs", Net::None));
    }

    #[test]
    fn the_last_console_of_the_command_line_is_the_guest_s() {
        for (cmdline, device) in [
            ("console=ttyS0", Some("ttyS0")),
            ("console=tty0 console=ttyAMA0,115200 quiet", Some("ttyAMA0")),
            ("quiet consoles=x console=", None),
            ("", None),
        ] {
            assert_eq!(console_device(cmdline), device, "{cmdline}");
        }
    }
}

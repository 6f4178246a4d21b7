//! The memory of a machine in the JSON of a request: a size, or a number, which is MiB as it is for QEMU.
//!
//! A request is read strictly, because a person is there to correct it. What images and catalogs ask for is kept as it
//! was written: see [`wishes`](crate::boot_decision::wish_format).

use std::fmt;

use serde::de::{self, Deserialize as _, Deserializer};

use crate::size::Size;

/// For `#[serde(deserialize_with)]` of a request: a size, a number of MiB, or null.
pub fn requested<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    deserializer.deserialize_option(Requested)
}

/// For the memory that a machine reports. An earlier version may have started it, which wrote MiB as a number alone.
pub fn reported<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mebibytes = |error| text.parse().map(Size::from_mebibytes).map_err(|_| error);
    text.parse().or_else(mebibytes).map_err(de::Error::custom)
}

struct Requested;

impl<'de> de::Visitor<'de> for Requested {
    type Value = Option<Size>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like \"512M\", or a number of MiB")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(Some).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, mebibytes: u64) -> Result<Self::Value, E> {
        let too_large = || E::custom(format!("{mebibytes} MiB is more than a size can be"));
        mebibytes.checked_mul(1 << 20).map(|bytes| Some(Size::from_bytes(bytes))).ok_or_else(too_large)
    }
}

#[cfg(test)]
mod tests {
    use crate::machine::BootRequest;

    #[test]
    fn a_machine_of_an_earlier_version_reports_its_memory_in_mebibytes() {
        let read =
            |json: &str| super::reported(&mut serde_json::Deserializer::from_str(json)).map(|size| size.to_string());
        assert_eq!(read("\"512\"").unwrap(), "512M");
        assert_eq!(read("\"2G\"").unwrap(), "2G");
        assert!(read("\"much\"").is_err());
    }

    #[test]
    fn a_number_is_mebibytes_and_a_text_is_a_size() {
        for (json, written) in [("512", "512M"), ("\"512M\"", "512M"), ("\"2GiB\"", "2G"), ("2048", "2G"), ("0", "0B")]
        {
            let request: BootRequest = serde_json::from_str(&format!("{{\"memory\": {json}}}")).unwrap();
            assert_eq!(serde_json::to_value(&request).unwrap(), serde_json::json!({ "memory": written }));
        }
        let nothing: BootRequest = serde_json::from_str("{\"memory\": null}").unwrap();
        assert_eq!(nothing, BootRequest::default());
    }

    #[test]
    fn a_request_that_asks_for_something_odd_is_refused_with_what_to_write() {
        let refused = |json: &str| serde_json::from_str::<BootRequest>(json).unwrap_err().to_string();
        assert!(refused("{\"memory\": \"512\"}").contains("write 512M or 512MiB"));
        assert!(refused("{\"memory\": -1}").contains("a size like \"512M\", or a number of MiB"));
        assert!(refused("{\"memory\": 1e99}").contains("a number of MiB"));
        assert!(refused("{\"memory\": 18446744073709551615}").contains("more than a size can be"));
    }
}

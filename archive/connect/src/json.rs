//! The JSON form of protobuf's types that serde does not have: integers of 64 bits are texts, bytes are base64, and enums
//! are names or numbers.

use serde::de::{Deserializer, Error, Unexpected};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt::Display;

/// A number as JSON writes it: a number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(#[serde(borrow)] std::borrow::Cow<'a, str>),
    Null,
}

/// An integer of the type of a field, all of which 128 bits hold.
fn int<E: Error, T: TryFrom<i128>>(number: Number<'_>) -> Result<T, E> {
    let value = wide(number)?;
    T::try_from(value).map_err(|_| E::custom(format!("{value} is out of range")))
}

fn wide<E: Error>(number: Number<'_>) -> Result<i128, E> {
    match number {
        Number::Integer(value) => Ok(value.into()),
        Number::Unsigned(value) => Ok(value.into()),
        Number::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(value as i128),
        Number::Text(text) => text
            .trim()
            .parse()
            .map_err(|_| E::invalid_value(Unexpected::Str(&text), &"an integer of 64 bits")),
        Number::Null => Ok(0),
        Number::Float(value) => Err(E::invalid_value(
            Unexpected::Float(value),
            &"an integer of 64 bits",
        )),
    }
}

/// An integer.
pub(crate) mod integer {
    use super::{Deserialize, Deserializer, Display, Number, Serializer, int};

    pub(crate) fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<i128>,
    {
        int(Number::deserialize(from)?)
    }
}

/// An integer that can be absent.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Number, Serializer, int};

    // The signature is serde's.
    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(value: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        match Number::deserialize(from)? {
            Number::Null => Ok(None),
            number => int(number).map(Some),
        }
    }
}

/// Integers.
pub(crate) mod integers {
    use super::{Deserialize, Deserializer, Display, Number, Serialize, Serializer, int};

    struct Text<T>(T);

    impl<T: Display> Serialize for Text<T> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(&self.0)
        }
    }

    pub(crate) fn serialize<S, T>(values: &[T], to: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        T: Display,
    {
        to.collect_seq(values.iter().map(Text))
    }

    pub(crate) fn deserialize<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<i128>,
    {
        let numbers = Vec::<Number<'de>>::deserialize(from)?;
        numbers.into_iter().map(int).collect()
    }
}

/// A floating-point number.
pub(crate) fn double<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Number::deserialize(from)? {
        Number::Integer(value) => Ok(value as f64),
        Number::Unsigned(value) => Ok(value as f64),
        Number::Float(value) => Ok(value),
        Number::Null => Ok(0.0),
        Number::Text(text) => text
            .parse()
            .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a number")),
    }
}

/// Bytes.
pub(crate) mod bytes {
    use super::{Deserialize, Deserializer, Serializer};
    use base64::Engine as _;
    use base64::engine::DecodePaddingMode;
    use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

    /// With optional padding.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    /// Decodes either alphabet.
    pub(crate) fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
        LENIENT.decode(text.replace('-', "+").replace('_', "/"))
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        decode(&text).map_err(serde::de::Error::custom)
    }
}

/// Bytes as hexadecimal digits, as OTLP writes ids.
pub(crate) mod hex {
    use super::{Deserialize, Deserializer, Serializer};

    /// The digits of bytes.
    pub(crate) fn encode(bytes: &[u8]) -> String {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        let digits = text.as_bytes().chunks(2);
        let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.map(byte).collect();
        bytes
            .filter(|_| text.len().is_multiple_of(2))
            .ok_or_else(|| serde::de::Error::custom("an id is not hexadecimal"))
    }
}

/// The number of an enum's value: one of `names`, in the order of their numbers, or a number.
pub(crate) fn number_of<'de, D: Deserializer<'de>>(
    from: D,
    names: &'static [&'static str],
) -> Result<i32, D::Error> {
    let number = Number::deserialize(from)?;
    if let Number::Text(text) = &number
        && let Some(at) = names.iter().position(|name| name == text)
    {
        return Ok(at as i32);
    }
    let unknown = |text: &str| D::Error::custom(format!("unknown value {text:?} of an enum"));
    match number {
        Number::Text(text) => text.parse().map_err(|_| unknown(&text)),
        other => int(other),
    }
}

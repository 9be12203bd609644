//! The body of a push: `push.v1.PushRequest`, as Pyroscope defines it.
//!
//! ```text
//! PushRequest      { repeated RawProfileSeries series = 1 }
//! RawProfileSeries { repeated LabelPair labels = 1; repeated RawSample samples = 2 }
//! LabelPair        { string name = 1; string value = 2 }
//! RawSample        { bytes raw_profile = 1; string ID = 2 }
//! ```

use davy_base::Random;
use davy_profile::wire::Writer;

/// Encodes a request of one series with one sample.
pub(super) fn request(labels: &[(String, String)], profile: &[u8], id: &str) -> Vec<u8> {
    let mut series = Writer::with_capacity(profile.len() + 1_024);
    for (name, value) in labels {
        let mut pair = Writer::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, value.as_bytes());
        series.bytes(1, pair.as_bytes());
    }
    let mut sample = Writer::with_capacity(profile.len() + 64);
    sample.bytes(1, profile);
    sample.bytes(2, id.as_bytes());
    series.bytes(2, sample.as_bytes());
    let mut request = Writer::with_capacity(series.as_bytes().len() + 8);
    request.bytes(1, series.as_bytes());
    request.into_bytes()
}

/// A new id for a window: a random UUID, RFC 9562 version 4.
pub(super) fn window_id(random: &mut Random) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_bytes_of_the_protobuf_encoding() {
        let labels = [("a".to_owned(), "b".to_owned())];
        let expected = b"\x0a\x10\x0a\x06\x0a\x01a\x12\x01b\x12\x06\x0a\x01P\x12\x01I";
        assert_eq!(request(&labels, b"P", "I"), expected);
    }

    #[test]
    fn lengths_above_127_take_several_bytes() {
        let request = request(&[], &[7; 300], "");
        assert_eq!(request[..3], [0x0a, 0xb4, 0x02]);
        assert_eq!(request.len(), 3 + 308);
    }

    #[test]
    fn window_ids_are_version_4_uuids_and_differ() {
        let mut random = Random::seeded(1);
        let (a, b) = (window_id(&mut random), window_id(&mut random));
        assert_ne!(a, b);
        for id in [a, b] {
            assert_eq!(id.len(), 36);
            assert_eq!(id.as_bytes()[14], b'4');
            assert!(
                matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
                "{id}"
            );
        }
    }
}

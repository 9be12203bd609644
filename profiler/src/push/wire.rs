//! The body of a push: `push.v1.PushRequest`, as Pyroscope defines it.
//!
//! ```text
//! PushRequest      { repeated RawProfileSeries series = 1 }
//! RawProfileSeries { repeated LabelPair labels = 1; repeated RawSample samples = 2 }
//! LabelPair        { string name = 1; string value = 2 }
//! RawSample        { bytes raw_profile = 1; string ID = 2 }
//! ```

/// One series with one sample.
pub(super) fn request(labels: &[(String, String)], profile: &[u8], id: &str) -> Vec<u8> {
    let mut series = Vec::with_capacity(profile.len() + 1_024);
    for (name, value) in labels {
        let mut pair = Vec::new();
        field(&mut pair, 1, name.as_bytes());
        field(&mut pair, 2, value.as_bytes());
        field(&mut series, 1, &pair);
    }
    let mut sample = Vec::with_capacity(profile.len() + 64);
    field(&mut sample, 1, profile);
    field(&mut sample, 2, id.as_bytes());
    field(&mut series, 2, &sample);
    let mut request = Vec::with_capacity(series.len() + 8);
    field(&mut request, 1, &series);
    request
}

/// A length-delimited field.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_bytes_that_protobuf_says() {
        let labels = [("a".to_owned(), "b".to_owned())];
        let expected = b"\x0a\x10\x0a\x06\x0a\x01a\x12\x01b\x12\x06\x0a\x01P\x12\x01I";
        assert_eq!(request(&labels, b"P", "I"), expected);
    }

    #[test]
    fn long_fields_have_long_lengths() {
        let mut out = Vec::new();
        field(&mut out, 1, &[7; 300]);
        assert_eq!(out[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(out.len(), 303);
    }
}

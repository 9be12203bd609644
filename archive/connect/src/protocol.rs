//! Which protocol and encoding a request uses, by its method and headers.

use crate::status::Status;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use std::time::Duration;

/// The encoding of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Protobuf,
    Json,
}

/// The protocol of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Connect, unary, with POST.
    Connect,
    /// Connect, unary, with GET.
    ConnectGet,
    Grpc,
    GrpcWeb,
}

/// How a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) protocol: Protocol,
    pub(crate) wire: Wire,
}

/// What POST accepts, for clients that send something else.
pub(crate) const ACCEPTED: &str = "application/json, application/proto, application/grpc, \
     application/grpc+proto, application/grpc+json, application/grpc-web, application/grpc-web+proto, \
     application/grpc-web+json";

/// The value of a header, "" if it is absent or not a text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("").trim()
}

impl Form {
    /// The form of a call; `None` if its media type is not supported.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        if parts.method == Method::GET {
            // The encoding is a parameter.
            return Some(Self {
                protocol: Protocol::ConnectGet,
                wire: Wire::Json,
            });
        }
        let media = header_text(&parts.headers, header::CONTENT_TYPE.as_str());
        let media = media.split(';').next().unwrap_or("").trim();
        let media = media.to_ascii_lowercase();
        let (protocol, wire) = match media.as_str() {
            "application/json" => (Protocol::Connect, Wire::Json),
            "application/proto" => (Protocol::Connect, Wire::Protobuf),
            "application/grpc" | "application/grpc+proto" => (Protocol::Grpc, Wire::Protobuf),
            "application/grpc+json" => (Protocol::Grpc, Wire::Json),
            "application/grpc-web" | "application/grpc-web+proto" => {
                (Protocol::GrpcWeb, Wire::Protobuf)
            }
            "application/grpc-web+json" => (Protocol::GrpcWeb, Wire::Json),
            _ => return None,
        };
        Some(Self { protocol, wire })
    }

    /// The media type of a response with this form.
    pub(crate) fn media_type(self) -> &'static str {
        match (self.protocol, self.wire) {
            (Protocol::Connect | Protocol::ConnectGet, Wire::Json) => "application/json",
            (Protocol::Connect | Protocol::ConnectGet, Wire::Protobuf) => "application/proto",
            (Protocol::Grpc, Wire::Protobuf) => "application/grpc+proto",
            (Protocol::Grpc, Wire::Json) => "application/grpc+json",
            (Protocol::GrpcWeb, Wire::Protobuf) => "application/grpc-web+proto",
            (Protocol::GrpcWeb, Wire::Json) => "application/grpc-web+json",
        }
    }

    /// How long the client waits; `None` if it does not say.
    pub(crate) fn timeout(self, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        let (name, parsed) = match self.protocol {
            Protocol::Connect | Protocol::ConnectGet => {
                const NAME: &str = "connect-timeout-ms";
                let text = header_text(headers, NAME);
                (NAME, (text, digits(text, 10).map(Duration::from_millis)))
            }
            Protocol::Grpc | Protocol::GrpcWeb => {
                const NAME: &str = "grpc-timeout";
                let text = header_text(headers, NAME);
                (NAME, (text, grpc_timeout(text)))
            }
        };
        match parsed {
            ("", _) => Ok(None),
            (_, Some(timeout)) => Ok(Some(timeout)),
            (text, None) => Err(Status::invalid(format!("invalid header {name}: {text:?}"))),
        }
    }
}

/// A number of at most `max` digits.
fn digits(text: &str, max: usize) -> Option<u64> {
    let is_number = text.len() <= max && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// A number of at most 8 digits and its unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(at)?;
    let number = digits(number, 8)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_both_protocols_are_parsed() {
        let check = |protocol, name: &'static str, text: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(name, axum::http::HeaderValue::from_static(text));
            let form = Form {
                protocol,
                wire: Wire::Json,
            };
            let timeout = form.timeout(&headers).map_err(|status| status.message);
            assert_eq!(timeout.ok(), expected, "{name}: {text}");
        };
        let ms = |ms| Some(Some(Duration::from_millis(ms)));
        check(Protocol::Connect, "connect-timeout-ms", "5000", ms(5_000));
        check(Protocol::Connect, "connect-timeout-ms", "12345678901", None);
        check(Protocol::Connect, "connect-timeout-ms", "-1", None);
        check(Protocol::Connect, "grpc-timeout", "1S", Some(None));
        check(Protocol::Grpc, "grpc-timeout", "2S", ms(2_000));
        check(
            Protocol::GrpcWeb,
            "grpc-timeout",
            "99999999m",
            ms(99_999_999),
        );
        check(Protocol::Grpc, "grpc-timeout", "999999999m", None);
        check(Protocol::Grpc, "grpc-timeout", "5", None);
        check(Protocol::Grpc, "grpc-timeout", "5x", None);
    }
}

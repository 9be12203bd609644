//! Messages as bytes.

use crate::protocol::Wire;
use crate::status::{Code, Status};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message of a request.
pub(crate) trait Request:
    prost::Message + DeserializeOwned + Default + Send + 'static
{
}
impl<T: prost::Message + DeserializeOwned + Default + Send + 'static> Request for T {}

/// A message of a response.
pub(crate) trait Response: Serialize + Send + 'static {
    fn to_protobuf(&self) -> Vec<u8>;
}
impl<T: prost::Message + Serialize + Send + 'static> Response for T {
    fn to_protobuf(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// Decodes a message. An empty JSON text is a message without fields.
pub(crate) fn decode<M: Request>(wire: Wire, bytes: &Bytes) -> Result<M, Status> {
    match wire {
        Wire::Protobuf => M::decode(&**bytes).map_err(undecodable),
        Wire::Json if bytes.iter().all(u8::is_ascii_whitespace) => Ok(M::default()),
        Wire::Json => serde_json::from_slice(bytes)
            .map_err(|error| Status::invalid(format!("cannot decode the JSON message: {error}"))),
    }
}

/// The error for a protobuf message that cannot be decoded.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(crate) fn undecodable(error: prost::DecodeError) -> Status {
    Status::invalid(format!("cannot decode the protobuf message: {error}"))
}

/// Encodes a message.
pub(crate) fn encode<M: Response>(wire: Wire, message: &M) -> Result<Bytes, Status> {
    match wire {
        Wire::Protobuf => Ok(message.to_protobuf().into()),
        Wire::Json => serde_json::to_vec(message)
            .map(Bytes::from)
            .map_err(|error| {
                Status::new(
                    Code::Internal,
                    format!("cannot encode the response: {error}"),
                )
            }),
    }
}

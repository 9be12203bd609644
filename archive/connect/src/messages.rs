//! The messages of the services. Field numbers are those that the clients use; the JSON form is that of protobuf, where
//! unknown fields are ignored and fields of a request can also have their names of protobuf.

pub(crate) mod debuginfo;
pub(crate) mod labels;
pub(crate) mod minor;
pub(crate) mod profile;
pub(crate) mod querier;
pub(crate) mod recording;
pub(crate) mod requests;

//! DNS messages (RFC 1035), as a monitor needs them: what is asked, what is answered, and what of an
//! answer cannot be read, without losing what can.
//!
//! The reader is our own because the libraries refuse a whole message for one odd record, which hides
//! the records beside it, and throw away the extended errors. A record whose data cannot be read stands
//! in its place with its bytes and the reason ([`Record::data`]); what cannot even be taken apart into
//! records is told in [`Message::faults`]. Everything is bounded by the message's 64 KiB; compression
//! can only point backwards, so that it ends.

mod cursor;
mod data;
mod edns;
mod kind;
mod message;
mod name;
mod query;
mod record;
mod show;
mod svcb;
#[cfg(test)]
mod tests;
mod types;
mod wire;
pub mod written;

pub use cursor::Malformed;
pub use data::{Caa, Data, Dnskey, Ds, Naptr, Nsec3, Nsec3param, Rrsig, Soa, Srv, Svcb, Tlsa};
pub use edns::{Ede, Edns};
pub use kind::{Rcode, RecordType, class};
pub use message::{Followed, Message, Outcome, Question, follow, outcome};
pub use name::{BadName, Name};
pub use query::{Query, QueryEdns, UDP_SIZE};
pub use record::Record;
pub use types::Types;

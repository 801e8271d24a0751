//! Telling people. A channel type is one file here and two lines below: its `mod` and its entry in
//! [`notifiers`]. A channel only translates; [`deliver`] is the only sender.

pub mod card;
pub mod deliver;
pub mod email;
pub mod webhook;

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use crate::formats::yaml::{Node, Reader};
use crate::model::{Notification, Outgoing};

/// A channel: pure translation from what is told to what its service takes.
pub trait Notifier: Send + Sync {
    /// The message.
    fn render(&self, notification: &Notification) -> Outgoing;
}

/// A channel type without its types.
pub struct NotifierEntry {
    /// The key in a channel's config.
    pub name: &'static str,
    /// A complete channel as YAML (what stands under its name).
    pub example: &'static str,
    /// The JSON Schema of its settings.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads its settings; faults go to the reader.
    pub read: fn(&Node, &mut Reader<'_>) -> Option<Arc<dyn Notifier>>,
}

/// All channel types, in the order of the docs.
pub fn notifiers() -> &'static [NotifierEntry] {
    &[]
}

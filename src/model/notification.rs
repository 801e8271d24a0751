//! What is told to whom.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Incident, IncidentId, Labels};

/// Why a message goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The incident opened.
    Opened,
    /// It gained or lost findings at the same severity.
    Updated,
    /// Its severity rose. The old label set is resolved and the new one fires.
    Rose,
    /// Its severity fell. The old label set is resolved and the new one fires.
    Fell,
    /// It is still open.
    Repeated,
    /// It began to flap; turns are no longer told one by one.
    Flapping,
    /// It is over.
    Resolved,
    /// Somebody asked for a test message.
    Test,
}

impl Reason {
    /// The name, as stored and as in `notification_reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Rose => "rose",
            Self::Fell => "fell",
            Self::Repeated => "repeated",
            Self::Flapping => "flapping",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// One incident's part of a message, as it stood when it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Why.
    pub reason: Reason,
    /// The incident as it stood then.
    pub incident: Incident,
    /// The severity before, for [`Reason::Rose`] and [`Reason::Fell`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_before: Option<super::Severity>,
    /// When it was decided.
    pub at: Timestamp,
    /// One line on the confirmation: `3/3`.
    #[serde(default)]
    pub confirmed: String,
    /// Commands that reproduce the finding, secrets shown as template names.
    #[serde(default)]
    pub reproduce: Vec<String>,
    /// What was merged into this one because its time had passed ("was down from … to …").
    #[serde(default)]
    pub collapsed: bool,
}

/// A row of the outbox: one notice for one channel, waiting, leased, or settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// The idempotency key: stable over retries and restarts, unique per (notice, channel).
    pub key: String,
    /// The channel it goes to.
    pub channel: String,
    /// Rows of one channel with equal group keys and due together become one message.
    pub group_key: String,
    /// The labels the group is made by.
    pub group_labels: Labels,
    /// The incident it is about; order is kept per (incident, channel).
    pub incident: IncidentId,
    /// Not sent before this instant (`group_wait`, `group_interval`, back-off).
    pub not_before: Timestamp,
    /// What is told.
    pub notice: Notice,
    /// How many attempts were made.
    #[serde(default)]
    pub attempts: u32,
    /// The key of the message it was first tried in; a retry sends the same rows under this key.
    #[serde(default)]
    pub batch: Option<String>,
    /// The least time since the last message of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paced: Option<Duration>,
    /// An attempt was begun of which nobody knows how it ended: it may have been delivered.
    #[serde(default)]
    pub unsure: bool,
    /// The key of the message in which the channel first heard of the incident, once there is one.
    /// Filled in by the store when the row is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// What a channel renders: one or more notices of one group, for one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The idempotency key of the message.
    pub key: String,
    /// The channel's name; `receiver` in Alertmanager's words.
    pub channel: String,
    /// The group.
    pub group_key: String,
    /// The labels the group is made by.
    pub group_labels: Labels,
    /// What is told, oldest first; never empty.
    pub notices: Vec<Notice>,
    /// What its incidents have in common, such as `connect to 192.0.2.7:443`.
    pub shares: Option<String>,
    /// The key of the delivered message in which this channel first heard of the first of its
    /// incidents that it heard of; `None` if it heard of none.
    pub replies_to: Option<String>,
    /// The daemon's own address, for links.
    pub external_url: String,
    /// The time zone of times in the message.
    pub timezone: jiff::tz::TimeZone,
    /// When it is rendered.
    pub now: Timestamp,
}

/// A rendered message, ready for the one sender of its transport.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// A mail.
    Mail(Mail),
    /// An HTTP request.
    Http(HttpMessage),
}

/// A mail before transport encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The whole `Message-ID`, angle brackets included.
    pub message_id: String,
    /// `In-Reply-To` and `References`: the message that opened the thread.
    pub in_reply_to: Option<String>,
    /// One line, no control characters.
    pub subject: String,
    /// The `text/plain` part.
    pub text: String,
    /// The `text/html` part.
    pub html: String,
    /// `Date`.
    pub date: Timestamp,
}

/// An HTTP request of a channel; the URL is the channel's.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpMessage {
    /// The request method.
    pub method: &'static str,
    /// Extra headers, lower-case names. Signatures that need the sending instant are added by the
    /// channel when it is sent.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// What a channel's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Accepted by the other side.
    Sent {
        /// What the other side said, one line.
        answer: String,
    },
    /// Not accepted for now.
    Retry {
        /// When the other side asked to be tried again.
        after: Option<Duration>,
        /// What happened, one line.
        why: String,
        /// The message was handed over and no answer came: it may have been accepted.
        unsure: bool,
    },
    /// Will never be accepted.
    Dead {
        /// What happened, one line.
        why: String,
    },
}

//! What a host's pages say of its TLS: the redirect from plain HTTP, HSTS, and whether IPv4 and IPv6
//! serve the same.

use serde::{Deserialize, Serialize};

/// The pages of one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pages {}

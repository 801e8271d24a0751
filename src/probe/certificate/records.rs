//! What DNS says of a host's certificates.

use serde::{Deserialize, Serialize};

/// The records of one host. A field is `None` where it was not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {}

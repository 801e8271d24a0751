//! What concerns the monitor itself rather than one check: impaired network, resolver, descriptors
//! or store; a channel that keeps failing.

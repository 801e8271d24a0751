//! The `portalwatch` command.

fn main() {}

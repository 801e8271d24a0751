//! The integration tests: one binary, against real peers on loopback.

mod peers;

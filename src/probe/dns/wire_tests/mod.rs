#![expect(clippy::disallowed_methods, reason = "peers on loopback are sockets too")]

mod drift;
mod health;
mod odd;
mod reach;
mod views;
mod world;

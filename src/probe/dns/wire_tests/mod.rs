#![expect(clippy::disallowed_methods, reason = "peers on loopback are sockets too")]

mod health;
mod odd;
mod reach;
mod views;
mod world;

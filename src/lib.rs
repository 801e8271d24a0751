//! portalwatch keeps a client portal provably in working order.
//!
//! One check's life, left to right, is also the order in which to read the modules:
//! `config -> plan -> schedule -> run (observe -> judge -> alert step) -> record -> notify / expose`.
//!
//! The core is pure: parsers, judges and state machines take values, `now` among them, and return
//! values. I/O sits in few places: [`net`] (all sockets to the outside), [`record`] (the store),
//! [`config`] (files and environment), [`expose`] (our own pages).

pub mod clock;
pub mod model;

pub mod formats;
pub mod judge;
pub mod stats;

pub mod config;
pub mod net;
pub mod plan;
pub mod probe;

pub mod alert;
pub mod notify;
pub mod record;
pub mod run;
pub mod schedule;

pub mod expose;
pub mod telemetry;

pub mod app;
pub mod cli;
